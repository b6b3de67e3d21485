## both streams
echo out; echo err >&2
## stderr alone
echo err >&2
## no newline at the end
printf 'no newline'
## no newline on stderr
printf 'no newline' >&2
## streams swapped
{ echo a; echo b >&2; } 3>&1 1>&2 2>&3
## stderr into stdout
{ echo a; echo b >&2; } 2>&1
## to files
echo a > f; echo b >> f; cat f; rm f
## both to a file
{ echo a; echo b >&2; } &> f; cat f; rm f
## noclobber
set -C; echo a > f; (echo b > f) 2> /dev/null || echo refused; echo c >| f; cat f; set +C; rm f
## from a file
printf 'x\ny\n' > f; wc -l < f; rm f
## a here-document
cat <<E
a $((1 + 1)) \$x `echo b`
	tab
E
## a quoted here-document
cat <<'E'
a $((1 + 1)) \$x
E
## a here-document without its tabs
cat <<-E
	a
	  b
	E
## two here-documents
cat <<A; cat <<B
a
A
b
B
## a here-document in a loop
for i in 1 2; do cat <<E
i=$i
E
done
## a here-string
cat <<< "a  b"
## descriptors
exec 4>&1; echo four >&4; exec 4>&-
## reading and writing one
echo hello > f; exec 5<> f; read -r -n 3 x <&5; echo $x; exec 5>&-; rm f; unset x
## closed descriptors
(exec 1>&-; echo no) 2> /dev/null; echo $?
## many lines
seq 2000
## many lines on stderr
seq 2000 >&2
## one long line
head -c 300000 /dev/zero | tr '\0' x; echo
## NUL bytes
printf 'a\0b\n'
## bytes that are no UTF-8
printf 'a\xff\xfeb\n' | od -An -tx1
## a bell and a backspace
printf 'a\ab\bc\n'
## colours
printf '\e[1;31mred\e[0m\n'
## progress in one line
for i in 1 2 3; do printf '\r%d%%' $((i * 33)); done; echo
## three terminals
for i in 0 1 2; do [ -t $i ] && echo $i; done
## the size of the terminal
stty size; tput cols
## echo's options
echo -n a; echo -e 'b\tc'; echo -E 'd\te'
## printf's formats
printf '%5d|%-5s|%05.1f|%x|%q\n' 42 ab 3.14159 255 'a b'
## printf goes on
printf '%s-%s\n' a b c
## tee
echo a | tee f; cat f; rm f
## yes and head
yes | head -3
## a status of SIGPIPE
yes | head -1 > /dev/null; echo ${PIPESTATUS[0]}
## dev/stdout
echo a > /dev/stdout; echo b > /dev/stderr
## dev/tty
echo a > /dev/tty
## nothing
true
