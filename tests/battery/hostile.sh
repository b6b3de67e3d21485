## a function named echo
echo() { builtin echo "[$*]"; }; echo hi; unset -f echo
## functions named like everything
for f in printf trap set return declare exec read source eval; do eval "$f() { :; }"; done; unset -f printf trap set return declare exec read source eval; echo still here
## aliases of builtins
alias printf='false' set='false' trap='false' declare='false'
unalias printf set trap declare
echo unharmed
## an empty PATH
PATH=; echo inside; ls 2> /dev/null || echo no ls; PATH=/usr/bin:/bin
## IFS of everything
IFS=$' \t\n"\'\\$;ae'; echo "kept together"; unset IFS
## options that change the reading
set -f; echo *; set +f
## unset variables are errors for a while
set -u; echo ${nosuch-default}; set +u
## posix mode
set -o posix; echo posix; set +o posix
## verbose input
set -v
set +v
## a prompt command
PROMPT_COMMAND='echo prompted'; echo a; unset PROMPT_COMMAND
## other prompts
PS1='$(echo one)> ' PS2='two> ' PS4='four '; echo prompts; PS1= PS2='> ' PS4='+ '
## a prompt before commands
PS0='zero'; echo a; unset PS0
## a trap for debugging is quiet when removed
trap 'true' DEBUG; echo a; trap - DEBUG
## an interrupt trap stays quiet
trap 'echo int' INT; echo a; trap - INT
## stdout goes elsewhere for a while
exec 6>&1 > f; echo into the file; exec 1>&6 6>&-; cat f; rm f
## stderr goes elsewhere for a while
exec 6>&2 2> f; echo into the file >&2; exec 2>&6 6>&-; cat f; rm f
## braces and quotes as data
echo '}' ')' 'fi' 'done' ';;' '"' "'" '`'
## what looks like a mark
echo ']7770;0123;E;0'
## a percent sign and backslashes
echo '%s %d %%' 'a\nb' '\e[31m'
## comments that end in a backslash
echo a # b \
echo c
## a here-document that looks like code
cat <<'EOF2'
'; exit 3; $(kill $$) "
EOF2
## many arguments
set -- $(seq 5000); echo $# ${5000}; set --
## deep nesting
((((((1)))))) && ( ( ( (echo deep) ) ) )
## a variable named like a word of ours
cell=1 code=2 status=3; echo $cell $code $status; unset cell code status
## readonly in a function's scope
f() { local -r q=1; echo $q; }; f; unset -f f
## kill with no signal
kill -0 $$ && echo alive
## a status is told by a job
(exit 5) & wait $!; echo $?
## closed standard input
cat <&-; echo $?
## reading at the end of input
read x < /dev/null; echo $?
## printf of a NUL
printf '\0' | wc -c
## arguments with newlines
f() { printf '<%s>' "$@"; echo; }; f $'a\nb' 'c
d'; unset -f f
## history is empty
history | wc -l
## nothing of ours is declared
declare -F | wc -l
## the environment of children
env | grep -c '^BASH_FUNC' || true
## PIPESTATUS of one command
false; echo ${PIPESTATUS[0]}
## the last argument
echo a b c; echo $_
## BASH_COMMAND
trap 'x=$BASH_COMMAND' USR2; kill -USR2 $$; trap - USR2; [ -n "$x" ] && echo told; unset x
## line numbers in functions
f() {
  echo $LINENO
}
f; unset -f f
## the caller of a function
f() { caller 0 | cut -d' ' -f1,2; }; g() { f; }; g; unset -f f g
## nested quotes in substitutions
echo "a $(echo "b $(echo "c")")"
## a very long pipeline
echo x | cat | cat | cat | cat | cat | cat | cat | cat
## an arithmetic for with commas
for ((i = 0, j = 10; i < j; i += 3, j -= 3)); do echo $i $j; done; unset i j
## test with many parts
if [[ ( -d / && ! -f / ) || -e /no ]]; then echo ok; fi
## printf reuses its format
printf '%s=%s;' a 1 b 2; echo
## bytes by od
head -c 16 /dev/zero | od -An -c | head -1
## numbers with commas
printf "%'d\n" 1234
## a glob in a case
case "a b" in *" "*) echo blank ;; esac
## reading with a delimiter
read -r -d: a b <<< 'x y:z'; echo "<$a><$b>"; unset a b
## reading a few characters
read -r -n 2 a <<< 'abcdef'; echo "$a"; unset a
## reading with a timeout that is met
read -r -t 5 a <<< quick; echo "$a"; unset a
## reading with a timeout that is not
read -r -t 0.01 a < <(sleep 0.2); [ $? -gt 128 ] && echo late; unset a
