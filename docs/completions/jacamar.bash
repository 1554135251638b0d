# Completion of jacamar for bash; made by make manual.
_jacamar() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
    --configuration) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
    --base) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")); return ;;
    --older|--project)  return ;;
  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      config|prepare|run|cleanup|jobs|du|clean) path="${path:+$path }$word" ;;
    esac
  done
  case $path in
    '') words='--no-auth --version --help config prepare run cleanup jobs du clean' ;;
    'config') words='--configuration --help' ;;
    'prepare') words='--help' ;;
    'run') words='--help' ;;
    'cleanup') words='--configuration --help' ;;
    'jobs') words='--json --base --help' ;;
    'du') words='--json --base --help' ;;
    'clean') words='--older --project --caches --logs --dry-run --base --help' ;;
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _jacamar jacamar
