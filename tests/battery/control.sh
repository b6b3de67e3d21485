## if
if true; then echo yes; else echo no; fi
## elif over several lines
if false; then
  echo a
elif [ 1 = 1 ]
then
  echo b
fi
## for over words
for x in a 'b c' d; do echo "<$x>"; done
## for in C's way
for ((i = 0; i < 3; i++)); do echo $i; done; unset i
## while with a counter
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); echo $i; done; unset i
## until
i=3; until ((i == 0)); do ((i--)); done; echo $i; unset i
## break and continue
for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
## break out of two
for i in 1 2; do for j in 1 2; do [ $j = 2 ] && break 2; echo $i$j; done; done
## case
for x in apple 5 ''; do case $x in a*) echo a ;; [0-9]) echo digit ;; '') echo empty ;; esac; done
## case falls through
case a in a) echo 1 ;& b) echo 2 ;;& a) echo 3 ;; esac
## select is no loop without input
select x in a b; do echo $x; done < /dev/null 2> /dev/null; echo $?
## a function
f() { echo "f got $1"; return 3; }; f x; echo $?; unset -f f
## the keyword function
function g { echo g; }; g; unset -f g
## local variables
x=out; f() { local x=in; echo $x; }; f; echo $x; unset x; unset -f f
## recursion
fact() { (($1 <= 1)) && echo 1 || echo $(($1 * $(fact $(($1 - 1))))); }; fact 6; unset -f fact
## a function in a subshell
f() (cd /; pwd); f; [ "$PWD" != / ] && echo elsewhere; unset -f f
## a group
{ echo a; echo b; } | tac
## a subshell
(inner=1; echo $inner); echo "<$inner>"
## and, or, not
true && echo a || echo b; false && echo a || echo b; ! false && echo c
## a pipeline over lines
echo a |
  tr a b |
  cat
## and over lines
true &&
  echo a
## test in brackets
[ -d / ] && [ ! -e /no/such ] && [ -n x ] && [ -z '' ] && [ 3 -gt 2 ] && echo ok
## conditions
[[ a < b && -n x || -z x ]] && echo ok
## arithmetic conditions
((3 > 2)) && echo yes; ((0)) || echo no
## return ends the cell
echo before
return 0
echo not reached
## eval
x='echo a; echo b'; eval "$x"
## source
echo 'echo sourced $1' > s; . ./s arg; rm s
## exec with a redirection alone
exec 3> f; echo three >&3; exec 3>&-; cat f; rm f
## coprocesses
coproc cat; echo hi >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x; kill $COPROC_PID; wait 2> /dev/null; unset x
## a loop reads from a pipe
printf '%s\n' a b | while read -r l; do echo "<$l>"; done
## a loop reads from a here-document
while read -r l; do echo "<$l>"; done <<E
a
b
E
## a variable set in a pipe is lost
x=1; echo 2 | read -r x; echo $x
## lastpipe does nothing with job control
shopt -s lastpipe; x=1; echo 2 | read -r x; echo $x; shopt -u lastpipe
## an alias from the next line on
alias hi='echo hello'
hi there
unalias hi
## an alias is not known on its own line
alias hi2='echo hello'; hi2 2> /dev/null || echo not yet
unalias hi2
## a function beats a command
ls() { echo my ls; }; ls; unset -f ls
## command passes over functions
echo() { builtin echo mine; }; command echo theirs; unset -f echo
## time
{ time true; } 2>&1 | grep -c real
## getopts
f() { local OPTIND o; while getopts ab: o; do echo $o $OPTARG; done; }; f -a -b x; unset -f f
## times of arrays in loops
a=(1 2 3); for x in "${a[@]}"; do ((s += x)); done; echo $s; unset a s
