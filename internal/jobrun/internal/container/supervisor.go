package container

// The supervisor runs in the job's cell, outside the container of the script. It
// starts the services, waits until they listen, and then runs the script; when it ends, the
// cell ends, and with it every service. Its exit code is that of the script's engine. A
// service that does not listen, or that ends, is a warning with its log, as with GitLab's
// docker executor: the script decides whether it needs the service.
//
// A request to stop reaches the supervisor as well: it waits for the script. Only the
// script's container has the descriptors of the bootstrap.

// Messages of the supervisor. The last value of usedPort and endedService is its own.
const (
	silentService = "the service %s probably did not start: it did not listen on the port %s within %v"
	endedService  = "the service %s ended with the exit code %s"
	usedPort      = "the service %s cannot start, because this host uses its port %s"
)

// supervisor are the functions, for bash(1).
const supervisor = `
declare -a label place ports silent ended used complained
stopped=0
warn() { printf '\033[0;33mjacamar: WARNING: %s\033[0m\n' "$1"; }
fail() {
	printf '\033[31;1mjacamar: ERROR: %s\033[0m\n' "$1"
	exit 1
}
listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
clean() {
	local name
	for name in $(compgen -e); do
		case $name in
		PATH | USER | LOGNAME) ;;
		*) unset "$name" ;;
		esac
	done 2> /dev/null
}
serve() {
	(clean && "run_$1") < /dev/null > "$S/s$1/log" 2>&1
	echo "$?" > "$S/s$1/code"
}
follow() {
	local line part= last=0
	trap '' HUP INT TERM
	while :; do
		while IFS= read -r line; do
			printf '[service:%s] %s%s\n' "${label[$1]}" "$part" "$line"
			part=
		done
		part+=$line
		[ "$last" = 0 ] || break
		if [ -e "$S/end" ]; then
			last=1
		else
			sleep 0.1
		fi
	done < "$S/s$1/log"
	[ -z "$part" ] || printf '[service:%s] %s\n' "${label[$1]}" "$part"
}
complain() {
	complained[$1]=1
	if [ "$debug" = true ]; then
		warn "$2"
	elif [ -s "$S/s$1/log" ]; then
		warn "$2; the end of its log:"
		tail -n 50 "$S/s$1/log" | sed 's/^/    /'
	else
		warn "$2; it has printed nothing"
	fi
}
await() {
	local port
	while [ "$stopped" = 0 ]; do
		if [ -e "$S/s$1/code" ]; then
			complain "$1" "${ended[$1]} $(cat "$S/s$1/code")"
			return
		fi
		for port in ${ports[$1]}; do
			! listens "$port" || return
		done
		if [ "$SECONDS" -ge "$wait" ]; then
			complain "$1" "${silent[$1]}"
			return
		fi
		sleep 0.1
	done
}
`

// supervise is what follows the functions and the services.
const supervise = `
trap 'stopped=1' HUP INT TERM
{ printf '%s' "$hosts" && cat /etc/hosts; } > "$S/hosts" && mount --bind "$S/hosts" /etc/hosts ||
	fail 'cannot make the host names of the services'
for n in "${services[@]}"; do
	for port in ${ports[$n]}; do
		if [ "$private" = false ] && listens "$port"; then
			fail "${used[$n]} $port"
		fi
	done
	mkdir "$S/s$n" && ln -s "${place[$n]}" "$S/s$n/image" && : > "$S/s$n/log" || fail 'cannot make the files of a service'
done
followers=()
for n in "${services[@]}"; do
	serve "$n" 3>&- 4>&- 2> /dev/null &
	if [ "$debug" = true ]; then
		follow "$n" 3>&- 4>&- &
		followers+=($!)
	fi
done
SECONDS=0
if [ "$wait" -gt 0 ]; then
	for n in "${services[@]}"; do
		[ -z "${ports[$n]}" ] || await "$n"
	done
fi 3>&- 4>&-
[ "$stopped" = 0 ] || exit 143
"$@"
code=$?
for n in "${services[@]}"; do
	if [ "$stopped" = 0 ] && [ -e "$S/s$n/code" ] && [ -z "${complained[$n]}" ]; then
		complain "$n" "${ended[$n]} $(cat "$S/s$n/code")"
	fi
done
: > "$S/end"
[ ${#followers[@]} = 0 ] || wait "${followers[@]}"
exit "$code"
`
