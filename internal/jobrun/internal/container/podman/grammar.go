package podman

import "jacamar-ci/internal/jobrun/internal/scheduler"

// reservedFlags and reservedValues are options of podman-run(1) that are set here, that
// belong to another way of starting, or that name an image.
const (
	reservedFlags  = `detach/d interactive/i tty/t rm rmi replace rootfs quiet/q help http-proxy sig-proxy tls-verify disable-content-trust`
	reservedValues = `arch attach/a authfile cgroup-manager cgroup-parent cgroups cidfile conmon-pidfile detach-keys entrypoint gidmap
		log-driver log-opt name network net os pidfile platform pod pod-id-file preserve-fds preserve-fd pull requires restart root runroot
		sdnotify storage-driver storage-opt subgidname subuidname uidmap user/u userns variant workdir/w decryption-key rdt-class`
)

// flags and values are the other options of the versions 4.3 to 5.4.
const (
	flags  = `env-host init no-healthcheck no-hostname no-hosts oom-kill-disable passwd privileged publish-all/P read-only read-only-tmpfs unsetenv-all`
	values = `add-host annotation blkio-weight blkio-weight-device cap-add cap-drop cgroup-conf cgroupns chrootdirs cpu-period cpu-quota
		cpu-rt-period cpu-rt-runtime cpu-shares/c cpus cpuset-cpus cpuset-mems device device-cgroup-rule device-read-bps
		device-read-iops device-write-bps device-write-iops dns dns-option dns-search env/e env-file env-merge expose gpus group-add
		group-entry health-cmd health-interval health-log-destination health-max-log-count health-max-log-size health-on-failure
		health-retries health-start-period health-startup-cmd health-startup-interval health-startup-retries
		health-startup-success health-startup-timeout health-timeout hosts-file hostname/h hostuser image-volume init-ctr init-path intel-rdt-closid
		ip ip6 ipc label/l label-file mac-address memory/m memory-reservation memory-swap memory-swappiness mount network-alias
		oom-score-adj passwd-entry personality pid pids-limit publish/p retry retry-delay seccomp-policy secret security-opt shm-size
		shm-size-systemd stop-signal stop-timeout sysctl systemd timeout tmpfs tz ulimit umask unsetenv uts volume/v volumes-from`
)

// Grammar implements container.Engine: options of podman-run(1) before the image.
func (Podman) Grammar() (g scheduler.Grammar) {
	g.Reserve(scheduler.Optional, reservedFlags)
	g.Reserve(scheduler.Required, reservedValues)
	g.Add(scheduler.Optional, flags)
	g.Add(scheduler.Required, values)
	return g
}
