//! Completion for bash. Both `--name value` and `--name=value` are completed.

use super::{Value, all_names, levels, long_names};
use chat_adapter::cli::Opt;

const TEMPLATE: &str = r#"# bash completion for chat-adapter

_chat_adapter() {
    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $current == '=' ]]; then
        current=
    elif [[ $option == '=' ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    case $option in
        @FILE@)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        @HOST@)
            mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
            ;;
        @LEVEL@)
            mapfile -t COMPREPLY < <(compgen -W '@LEVELS@' -- "$current")
            ;;
        @OTHER@) ;;
        *)
            mapfile -t COMPREPLY < <(compgen -W '@ALL@' -- "$current")
            ;;
    esac
}

complete -F _chat_adapter chat-adapter
"#;

/// The whole file.
pub(super) fn completion(options: &[Opt]) -> String {
    let pattern = |value| long_names(options, value).join(" | ");
    TEMPLATE
        .replace("@FILE@", &pattern(Value::File))
        .replace("@HOST@", &pattern(Value::Host))
        .replace("@LEVEL@", &pattern(Value::Level))
        .replace("@OTHER@", &pattern(Value::Other))
        .replace("@LEVELS@", &levels())
        .replace("@ALL@", &all_names(options).join(" "))
}
