## plain words
echo one two   three
## single quotes keep everything
echo 'a  $b `c` \d "e"'
## double quotes expand
x=5; echo "a  $x $(echo b) $((x + 1)) \$x \`"
## quotes within words
echo a"b c"d'e f'g
## a quote within single quotes
echo 'it'\''s'
## ANSI-C quotes
echo $'a\tb\n\x41\u00e9\e[0m'
## an empty argument counts
f() { echo $#; }; f '' "" a; unset -f f
## an unset variable is no argument
f() { echo $#; }; f $nothing "$nothing"; unset -f f
## a backslash at the end of a line
echo a \
b
## a backslash within a word
echo ab\
cd
## a newline within quotes
echo 'a
b'
## braces
echo {a,b}{1..3} {01..03} {a..e..2} {x}
## nested braces
echo a{b,c{d,e}}f
## a tilde
HOME=/some/where; echo ~ ~/x "~" a~
## word splitting
x='a  b   c'; echo $x; echo "$x"
## word splitting by another separator
IFS=:; x=a:b::c; printf '<%s>' $x; echo; unset IFS
## globs that match nothing stay
echo /no/such/*.file
## no globbing in quotes
echo '*' "*"
## a dollar alone
echo $ a$ "$"
## hash within a word
echo a#b # a comment
## a comment with quotes and brackets
echo a # it's (not } "closed
## a line of comment alone
# nothing here
## only blanks
   
## commands by semicolons
echo a; echo b;echo c
## a semicolon at the end
echo a;
## many blank lines


echo a


## tabs
printf '%s\n' a	b
echo "a	b"
## unicode
echo é€𝐚 日本語 🙂; x=é€𝐚; echo ${#x}
## control characters in text
printf 'a\001b\002c\177\n' | od -c | head -1
## a carriage return in text
printf 'a\rb\n'
## a long line
x=$(printf '%05000d' 0); echo ${#x} ${x:0:10}
## exclamation marks
echo !x a!b "!!" '!$' hi!
