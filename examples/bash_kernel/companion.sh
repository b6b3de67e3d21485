# A second bash, which knows what the shell knew when it was last idle, and answers for it: bash --norc --noprofile
# companion.sh SNAPSHOT QUESTION WORD... It has no terminal, runs no cell, and lives for one question.
# Answers are pairs, each part ended by a NUL: a type and a text.

{ \builtin . "$1"; } </dev/null >/dev/null 2>&1
question=$2
\shift 2
\unset -f builtin local unset 2>/dev/null

_wk_answer() {
    local type=$1 text
    while IFS= \builtin read -r text; do \builtin printf '%s\0%s\0' "$type" "$text"; done
}

_wk_known() { # ACTION TYPE WORD: what compgen knows
    \builtin compgen -A "$1" -- "$3" | _wk_answer "$2"
}

_wk_commands() { # WORD
    _wk_known keyword keyword "$1"
    _wk_known builtin builtin "$1"
    _wk_known function function "$1"
    _wk_known command command "$1"
}

_wk_files() { # WORD
    _wk_known directory directory "$1"
    _wk_known file file "$1"
}

# As readline does it: by the completion specification of the command, loading it if need be.
_wk_programmable() { # INDEX WORD...
    local COMP_CWORD=$1 COMP_TYPE=9 COMP_KEY=9 COMPREPLY=() specification name
    \builtin shift
    local COMP_WORDS=("$@") COMP_LINE="$*" command=$1
    local COMP_POINT=${#COMP_LINE} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    if [[ -r /usr/share/bash-completion/bash_completion && -z ${BASH_COMPLETION_VERSINFO-} ]]; then
        \builtin . /usr/share/bash-completion/bash_completion
    fi
    if ! specification=$(\builtin complete -p -- "$command"); then
        [[ $(\builtin complete -p -D) =~ \ -F\ ([^ ]+)\  ]] || \builtin return 1
        "${BASH_REMATCH[1]}" "$command" "$current" "$previous"
        [[ $? == 124 ]] || \builtin return 1 # it has loaded one
        specification=$(\builtin complete -p -- "$command") || \builtin return 1
    fi
    if [[ $specification =~ \ -F\ ([^ ]+)\  ]]; then
        name=${BASH_REMATCH[1]}
        compopt() { # bash's own works in readline alone
            local IFS=' '
            specification+=" $*"
        }
        "$name" "$command" "$current" "$previous"
    else
        specification=${specification#complete }
        \builtin eval "\\builtin mapfile -t COMPREPLY < <(\\builtin compgen ${specification% *} -- \"\$current\")"
    fi
    local type=argument
    [[ " $specification " == *' filenames '* ]] && type=path
    ((${#COMPREPLY[@]})) && \builtin printf "$type"'\0%s\0' "${COMPREPLY[@]%% }"
    ((${#COMPREPLY[@]})) || [[ " $specification " != *default\ * ]]
}

_wk_describe() { # NAME
    local name=$1 kinds found
    kinds=$(\builtin type -at -- "$name")
    \builtin alias -- "$name" | _wk_answer alias
    if found=$(\builtin declare -f -- "$name"); then \builtin printf 'function\0%s\0' "$found"; fi
    if [[ $kinds == *keyword* || $kinds == *builtin* ]]; then
        found=$(\builtin help -- "$name") && \builtin printf 'builtin\0%s\0' "$found"
    fi
    \builtin type -ap -- "$name" | _wk_answer command
    if [[ $name =~ ^[A-Za-z_][A-Za-z_0-9]*$ ]] && found=$(\builtin declare -p -- "$name"); then
        \builtin printf 'variable\0%s\0' "$found"
    fi
}

case $question in
    command) if [[ $1 == */* || $1 == '~'* ]]; then _wk_files "$1"; else _wk_commands "$1"; _wk_known directory directory "$1"; fi ;;
    variable) _wk_known variable variable "$1" ;;
    file) _wk_files "$1" ;;
    user) _wk_known user user "$1" ;;
    argument) _wk_programmable "$@" || _wk_files "${!#}" ;;
    describe) _wk_describe "$1" ;;
esac 2>/dev/null
