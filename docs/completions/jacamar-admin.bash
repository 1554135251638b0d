# Completion of jacamar-admin for bash; made by make manual.
_jacamar_admin() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path='' word words
  COMPREPLY=()
  case $previous in
    --configuration|--tls-ca-file|--log|--runner-config|--token|--job-response|--claims|--output|--json|--html|--metrics|--counters) compopt -o filenames; COMPREPLY=($(compgen -f -- "$current")); return ;;
    --data-dir|--state-dir|--journal) compopt -o filenames; COMPREPLY=($(compgen -d -- "$current")); return ;;
    --service|--helper-account|--account|--target|--allow) COMPREPLY=($(compgen -u -- "$current")); return ;;
    --gitlab-server|--allow-groups|--runner|--timeout|--user|--project|--ref|--user-id|--image|--modules|--since|--message|--until|--hold|--older|--give-up|--host|--by)  return ;;
    --deployment) COMPREPLY=($(compgen -W 'root caps sudo none no-auth' -- "$current")); return ;;
    --executor) COMPREPLY=($(compgen -W 'shell slurm flux pbs lsf sge cobalt' -- "$current")); return ;;
    --state) COMPREPLY=($(compgen -W 'waiting running between quiet overdue ghost unread' -- "$current")); return ;;
  esac
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      -*) ;;
      init|check|selftest|config|explain|bugreport|keys|refresh|jobs|show|status|drain|resume|stop|reap|report|trace|projects|du|digest|forget) path="${path:+$path }$word" ;;
    esac
  done
  case $path in
    '') words='--version --help init check selftest config explain bugreport keys jobs show status drain resume stop reap report trace projects du digest forget' ;;
    'init') words='--configuration --gitlab-server --tls-ca-file --deployment --executor --data-dir --allow-groups --state-dir --log --service --helper-account --runner-config --runner --force --wire --help' ;;
    'check') words='--configuration --runner-config --account --timeout --json --help' ;;
    'selftest') words='--configuration --account --timeout --verbose --help' ;;
    'config') words='--configuration --effective --json --help' ;;
    'explain') words='--configuration --token --job-response --claims --user --project --ref --user-id --runas --target --image --modules --help' ;;
    'bugreport') words='--configuration --runner-config --output --help' ;;
    'keys refresh') words='--configuration --forget --help' ;;
    'jobs') words='--configuration --journal --since --json --ended --refused --account --project --state --watch --help' ;;
    'show') words='--configuration --journal --since --json --help' ;;
    'status') words='--configuration --journal --since --json --html --metrics --counters --public --check --help' ;;
    'drain') words='--configuration --message --until --hold --account --project --allow --wait --help' ;;
    'resume') words='--configuration --account --project --help' ;;
    'stop') words='--configuration --account --message --help' ;;
    'reap') words='--configuration --older --dry-run --give-up --host --help' ;;
    'report') words='--configuration --journal --since --by --csv --help' ;;
    'trace') words='--configuration --journal --since --help' ;;
    'projects') words='--configuration --journal --since --json --help' ;;
    'du') words='--configuration --journal --since --json --help' ;;
    'digest') words='--configuration --help' ;;
    'forget') words='--configuration --account --help' ;;
    'keys') words='refresh' ;;
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _jacamar_admin jacamar-admin
