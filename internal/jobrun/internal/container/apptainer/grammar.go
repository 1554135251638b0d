package apptainer

import "jacamar-ci/internal/jobrun/internal/scheduler"

// Options of apptainer-exec(1) in the versions 1.1 to 1.4. Reserved ones are set here, or
// belong to another way of starting.
const (
	reservedFlags  = `help/h compat no-eval cleanenv/e contain/c containall/C no-home fakeroot/f userns/u pid/p no-pid writable-tmpfs no-init no-umask ipc/i uts no-https nohttps disable-cache docker-login allow-setuid sharens`
	reservedValues = `workdir/W home/H pwd cwd pidfile authfile docker-host`
	flags          = `nv rocm nvccli no-compat writable/w unsquash underlay no-privs keep-privs oom-kill-disable`
	values         = `bind/B mount env env-file overlay/o scratch/S hostname dns network network-args app add-caps drop-caps apply-cgroups blkio-weight cpu-shares cpus cpuset-cpus cpuset-mems memory memory-reservation memory-swap pids-limit no-mount fusemount security netns-path`
)

// Grammar implements container.Engine.
func (Apptainer) Grammar() (g scheduler.Grammar) {
	g.Reserve(scheduler.Optional, reservedFlags)
	g.Reserve(scheduler.Required, reservedValues)
	g.Add(scheduler.Optional, flags)
	g.Add(scheduler.Required, values)
	return g
}
