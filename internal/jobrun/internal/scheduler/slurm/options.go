package slurm

import "jacamar-ci/internal/jobrun/internal/scheduler"

// grammar has sbatch's options by the manual pages and sources of Slurm 22.05 to
// 26.05 (src/common/slurm_opt.c).
// What the engine sets itself is reserved, and with it the options that make
// sbatch print something and submit nothing.
func grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, `account/A acctg-freq batch bb bbf begin/b cluster-constraint cluster clusters/M comment constraint/C container
		container-id container-type context core-spec/S cores-per-socket cpu-freq cpus-per-gpu cpus-per-task/c deadline delay-boot
		dependency/d distribution/m exclude/x extra extra-node-info/B gpu-bind gpu-freq gpus/G gpus-per-node
		gpus-per-socket gpus-per-task gres gres-flags hint input/i kill-on-invalid-dep licenses/L mail-type
		mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile/F nodelist/w nodes/N
		ntasks/n ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode partition/p power prefer
		priority profile qos/q reservation resources segment signal sockets-per-node switches tasks-per-node thread-spec threads-per-core
		time/t time-min tmp tree-width tres-bind tres-per-task wait-all-nodes wckey`)
	g.Add(scheduler.Optional, `exclusive get-user-env nice no-kill/k oom-kill-step propagate resv-ports`)
	g.Add(scheduler.None, `consolidate-segments contiguous hold/H ignore-pbs no-requeue overcommit/O oversubscribe/s quiet/Q reboot
		spread-job spread-segments stepmgr use-min-nodes verbose/v`)
	g.Reserve(scheduler.Required, `array/a autocomplete chdir/D error/e export export-file gid job-name/J output/o uid wrap`)
	g.Reserve(scheduler.Optional, `requeue`)
	g.Reserve(scheduler.None, `external help/h parsable test-only usage version/V wait/W`)
	return g
}
