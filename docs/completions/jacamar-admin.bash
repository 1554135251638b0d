# Completion of jacamar-admin for bash; made by make manual.
_jacamar_admin() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
    --configuration|--gitlab-server|--tls-ca-file|--deployment|--executor|--data-dir|--state-dir|--log|--service|--helper-account|--runner-config|--runner|--token|--job-response|--claims|--target) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      init|check|explain|keys|refresh) path="${path:+$path }$word" ;;
    esac
  done
  case $path in
    '') words='--version --help init check explain keys' ;;
    'init') words='--configuration --gitlab-server --tls-ca-file --deployment --executor --data-dir --state-dir --log --service --helper-account --runner-config --runner --force --help' ;;
    'check') words='--configuration --json --help' ;;
    'explain') words='--configuration --token --job-response --claims --runas --target --help' ;;
    'keys refresh') words='--configuration --forget --help' ;;
    'keys') words='refresh' ;;
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _jacamar_admin jacamar-admin
