# Completion of cnetc for bash: source it, or copy it to /usr/share/bash-completion/completions/cnetc.
#
# The options are those that the installed `cnetc --help` lists, so this file never falls behind; so are the values that it writes as
# a|b|c. Files are offered by the suffixes that fit.

_cnetc_files()      # SUFFIXES: files that end so, and folders
{
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -d -- "$cur"; compgen -f -X "!*.@($1)" -- "$cur"))
}

_cnetc()
{
    local cur=${COMP_WORDS[COMP_CWORD]} previous='' option='' values help
    ((COMP_CWORD > 0)) && previous=${COMP_WORDS[COMP_CWORD-1]}
    shopt -q extglob || shopt -s extglob

    # `--emit=i` arrives as three words when = breaks words, as one otherwise.
    if [[ $cur == = ]]; then
        option=$previous cur=''
    elif [[ $previous == = ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $cur == --*=* ]]; then
        option=${cur%%=*} cur=${cur#*=}
    elif [[ $previous == -o || $previous == -MF ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    help=$("${COMP_WORDS[0]}" --help 2>/dev/null)

    case $option in
    --emit) values='ir llvm asm bc obj shared static dot json' ;;
    --result) values='value argmax argmin' ;;
    --outside) values='dense status clamp promise' ;;
    --color) values='auto always never' ;;
    --ops) values='json' ;;
    --isa) values='v1 v2 v3 v4' ;;
    --passes | --print-before | --print-after | --stop-after)
        values=$("${COMP_WORDS[0]}" --print-passes 2>/dev/null | sed -n 's/^\([a-z][a-z0-9-]*\) .*/\1/p') ;;
    --input | --against | --output | --profile) _cnetc_files 'npy|csv'; return ;;
    --box) _cnetc_files 'json'; return ;;
    --header) _cnetc_files 'h'; return ;;
    -*) values=$(sed -n "s/^  $option=\([a-z0-9]*|[a-z0-9|]*\) .*/\1/p" <<<"$help" | tr '|' ' ') ;;
    esac
    if [[ $option ]]; then
        COMPREPLY=($(compgen -W "$values" -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(sed -n 's/^  \(--*[A-Za-z][A-Za-z0-9-]*\).*/\1/p' <<<"$help")" -- "$cur"))
    else
        _cnetc_files 'cnet|cnir|onnx|onnx.gz|nnet'
        ((COMP_CWORD == 1)) && COMPREPLY+=($(compgen -W 'run verify report import' -- "$cur"))
    fi
}

complete -F _cnetc cnetc
