## exported to children
export E1=v; bash -c 'echo $E1'; unset E1
## not exported to children
N1=v; bash -c 'echo "<$N1>"'; unset N1
## for one command
V1=v bash -c 'echo $V1'; echo "<$V1>"
## an exported function
f() { echo f in child; }; export -f f; bash -c f; unset -f f
## cd and back
p=$PWD; cd /; pwd; cd - > /dev/null; [ "$PWD" = "$p" ] && echo back; unset p
## pushd
pushd / > /dev/null; pwd; popd > /dev/null; dirs | wc -l
## cd in a subshell
(cd /; pwd); [ "$PWD" != / ] && echo here
## umask
u=$(umask); umask 077; touch f; stat -c %a f; rm f; umask $u; unset u
## ulimit
(ulimit -n 64; ulimit -n)
## type
type -t cd if ls f1 | head -3
## command -v
command -v cd
## which options are on
case $- in *i*) echo interactive ;; esac; case $- in *m*) echo jobs ;; esac
## shopt
shopt -q expand_aliases && echo aliases
## the name of the shell
echo $0 $BASH_SUBSHELL $SHLVL | cut -d' ' -f2
## a signal to oneself
trap 'echo got USR1' USR1; kill -USR1 $$; trap - USR1
## an exit trap of a subshell
(trap 'echo bye' EXIT; echo hi)
## an error trap
(trap 'echo failed' ERR; false; true)
## a return trap
f() { trap 'echo leaving' RETURN; echo in; }; f; trap - RETURN; unset -f f
## set -e in a subshell
(set -e; false; echo no); echo $?
## set -u in a subshell
(set -u; echo $nosuch) 2> /dev/null; echo $?
## pipefail
set -o pipefail; false | true; echo $?; set +o pipefail
## a background job is waited for
sleep 0.05 & wait $!; echo done $?
## the status of a background job
(exit 3) & wait $!; echo $?
## output of a background job
{ echo from job; } & wait $!
## kill a job
sleep 100 & kill $!; wait $! 2> /dev/null; echo $?
## a job in a subshell
(sleep 0.01 & wait; echo $?)
## jobs in a subshell
(jobs | wc -l)
## disown
sleep 0.01 & disown; jobs | wc -l
## exec in a subshell
(exec echo replaced)
## bash runs a script
printf 'echo $# $1\n' > s; bash s a b; rm s
## a script with its own interpreter
printf '#!/bin/sh\necho script $1\n' > s; chmod +x s; ./s a; rm s
## sh -c
sh -c 'echo $0 $1' zero one
## find and xargs
mkdir d; touch d/a d/b; find d -type f | sort | xargs -n1 basename; rm -r d
## sed, awk, cut, sort, uniq
printf '%s\n' b,2 a,1 b,3 | sort | awk -F, '{print $1}' | uniq -c | sed 's/^ *//'
## grep tells by its status
echo abc | grep -q b && echo found; echo abc | grep -q x || echo not
## diff
diff <(printf 'a\nb\n') <(printf 'a\nc\n'); echo $?
## tr, rev, tac, nl
printf 'a\nb\n' | nl -w1 -s: | tac; echo abc | rev | tr c C
## date from seconds
date -u -d @0 +%F
## bc or arithmetic
echo $((10 ** 3 + 5 % 3))
## mktemp
f=$(mktemp); [ -f "$f" ] && echo made; rm "$f"; unset f
## tar
mkdir d; echo x > d/f; tar cf t.tar d; tar tf t.tar; rm -r d t.tar
## base64
echo hello | base64 | base64 -d
## seq with a format
seq -f '%03g' 3 | paste -sd,
## head and tail
seq 10 | tail -n +3 | head -2
## sleep is a command
sleep 0.01; echo $?
## env without anything
env -i /bin/sh -c 'echo "<$HOME>"'
## python
python3 -c 'print(sum(range(10)))'
## python's two streams
python3 -c 'import sys; print("o"); print("e", file=sys.stderr)'
## a status by python
python3 -c 'import sys; sys.exit(7)'; echo $?
## a signal's status
bash -c 'kill -TERM $$'; echo $?
