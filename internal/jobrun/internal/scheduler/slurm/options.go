package slurm

import "jacamar-ci/internal/jobrun/internal/scheduler"

// grammar has sbatch's options by the manual pages of Slurm 22.05 to 25.05.
// What the engine sets itself is reserved, and with it the options that make
// sbatch print something and submit nothing.
func grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, `account/A acctg-freq batch bb bbf begin/b cluster-constraint clusters/M comment constraint/C container
		container-id core-spec/S cores-per-socket cpu-freq cpus-per-gpu cpus-per-task/c deadline delay-boot
		dependency/d distribution/m exclude/x extra extra-node-info/B gpu-bind gpu-freq gpus/G gpus-per-node
		gpus-per-socket gpus-per-task gres gres-flags hint input/i kill-on-invalid-dep licenses/L mail-type
		mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile/F nodelist/w nodes/N
		ntasks/n ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode partition/p power prefer
		priority profile qos/q reservation segment signal sockets-per-node switches thread-spec threads-per-core
		time/t time-min tmp tree-width tres-bind tres-per-task wait-all-nodes wckey`)
	g.Add(scheduler.Optional, `exclusive get-user-env nice no-kill/k oom-kill-step propagate resv-ports`)
	g.Add(scheduler.None, `consolidate-segments contiguous hold/H ignore-pbs no-requeue overcommit/O oversubscribe/s quiet/Q reboot
		spread-job spread-segments stepmgr use-min-nodes verbose/v`)
	g.Reserve(scheduler.Required, `array/a chdir/D error/e export-file gid job-name/J output/o uid wrap`)
	g.Reserve(scheduler.Optional, `export`)
	g.Reserve(scheduler.None, `help/h parsable requeue test-only usage version/V wait/W`)
	return g
}
