# bash completion for weft(1): commands and options are what `weft --help` and `weft COMMAND --help` tell.

_weft_commands() {
    weft --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'
}

_weft_options() {
    weft "$1" --help 2>/dev/null |
        awk -F '   *' '/^  --/ { for (i = 2; i <= NF; i++) if ($i ~ /^--/) { split($i, word, / /); print word[1] } }'
    echo --help
}

# Words that an option takes; nothing for those that take any text.
_weft_values() {
    case "$1" in
    --window) echo "10s 1m 5m 15m 1h" ;;
    --sort) echo "rate failed p50 p90 p99 p99.9 name" ;;
    --reporter) echo "source destination waypoint" ;;
    esac
}

_weft() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} values

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weft_commands) --help --version" -- "$word")
        return
    fi
    values=$(_weft_values "$before")
    if [ -n "$values" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
        return
    fi
    case "$before" in
    --api | --socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_weft_options "$command")" -- "$word")
    fi
}

complete -o filenames -F _weft weft
