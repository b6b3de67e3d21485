## defaults
unset x; echo ${x-a} ${x:-b} ${x+c} "${x:=d}" $x ${x:+e}; unset x
## lengths and slices
x=abcdef; echo ${#x} ${x:2} ${x:1:2} ${x: -2} ${x:0:-1}
## prefixes and suffixes
x=a/b/c.tar.gz; echo ${x#*/} ${x##*/} ${x%.*} ${x%%.*}
## replacing
x=banana; echo ${x/a/o} ${x//a/o} ${x/#b/B} ${x/%a/o} ${x//a}
## cases
x=aBc; echo ${x^} ${x^^} ${x,} ${x,,}
## transformations
x='a b'; echo ${x@Q} ${x@U}
## indirection
x=y; y=5; echo ${!x}; unset x y
## names by prefix
pre_a=1 pre_b=2; echo ${!pre_*}; unset pre_a pre_b
## an error by default
(unset x; echo ${x:?must be set}) 2>&1 | sed 's/.*: x/x/'
## arithmetic
echo $((2 ** 10)) $((7 / 2)) $((7 % 3)) $((1 << 4)) $((0x1f)) $((2#101)) $((1 ? 2 : 3))
## arithmetic with variables
i=3; ((i++)); ((i *= 2)); echo $i $((i > 7)); unset i
## let
let "a = 3" "b = a * 2"; echo $a $b; unset a b
## command substitution
echo $(echo a; echo b) `echo c`
## nested command substitution
echo $(echo $(echo $(echo deep)))
## command substitution keeps inner newlines
x=$(printf 'a\nb\n\n\n'); echo "$x"
## reading a file
printf 'one\ntwo\n' > f; echo "$(<f)"; rm f
## process substitution
cat <(echo a) <(echo b)
## output by process substitution
echo hi > >(cat); wait $!
## arrays
a=(x 'y z' w); echo ${a[0]} "${a[@]}" ${#a[@]} "${a[*]:1}" ${!a[@]}; unset a
## arrays grow
a=(); a+=(1); a[5]=6; echo ${#a[@]} ${!a[@]} ${a[-1]}; unset a
## associative arrays
declare -A m=([k]=v ['a b']=c); echo ${m[k]} "${m[a b]}" ${#m[@]}; unset m
## slices of arrays
a=(1 2 3 4 5); echo ${a[@]:1:2} ${a[@]: -2}; unset a
## mapfile
mapfile -t a < <(printf '%s\n' x y z); echo ${#a[@]} ${a[2]}; unset a
## read into an array
read -ra a <<< 'x y z'; echo ${a[1]}; unset a
## printf -v
printf -v x '%03d' 7; echo $x; unset x
## declare -i
declare -i n=2+3; echo $n; n+=4; echo $n; unset n
## declare -u
declare -u s=abc; echo $s; unset s
## nameref
f() { local -n r=$1; r=changed; }; v=old; f v; echo $v; unset v; unset -f f
## readonly in a subshell
(readonly r=1; r=2; echo no) 2>&1 | sed 's/.*: r/r/'
## positional parameters
set -- a 'b c' d; echo $# $1 "$2" "$@"; shift; echo $*; set --
## the status of parts of a pipe
true | false | true; echo ${PIPESTATUS[@]}
## random is random
a=$RANDOM$RANDOM; b=$RANDOM$RANDOM; [[ $a != $b ]] && echo differs; unset a b
## seconds pass
[[ $SECONDS -ge 0 ]] && echo ok
## the line number
echo $LINENO
echo $LINENO

echo $LINENO
## patterns
shopt -s extglob
[[ aaab == +(a)b ]] && echo plus; [[ x == @(x|y) ]] && echo at
shopt -u extglob
## regular expressions
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}
## globs
mkdir g; cd g; touch a1 a2 b1 .h; echo a* [ab]1 ?2; shopt -s dotglob; echo *; shopt -u dotglob; cd ..; rm -r g
## nullglob
shopt -s nullglob; echo x /no/such/*; shopt -u nullglob
## globstar
mkdir -p g/h; touch g/h/f; shopt -s globstar; echo g/**; shopt -u globstar; rm -r g
