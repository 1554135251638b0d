# Completion of jacamar-auth for bash; made by make manual.
_jacamar_auth() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
    --configuration) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      config|prepare|run|cleanup|reap) path="${path:+$path }$word" ;;
    esac
  done
  case $path in
    '') words='--unobfuscated --version --help config prepare run cleanup reap' ;;
    'config') words='--configuration --help' ;;
    'prepare') words='--help' ;;
    'run') words='--help' ;;
    'cleanup') words='--configuration --help' ;;
    'reap') words='--configuration --help' ;;
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _jacamar_auth jacamar-auth
