// Package lsf says how IBM Spectrum LSF is spoken to: bsub, bjobs, bhist and
// bkill of LSF 9.1 and newer. It is pure.
//
// References: IBM's command reference of LSF 10.1, and what programs that drive an
// LSF have written down of its words. No LSF was asked.
package lsf

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// LSF implements scheduler.Scheduler.
type LSF struct{}

// Name implements scheduler.Scheduler.
func (LSF) Name() string { return "LSF" }

// Submit implements scheduler.Scheduler. LSF keeps output on the node until the
// end and adds a report to it, or mails it; the job writes its log itself and
// there is nothing left for LSF to deliver. The job must not run twice: -rn. What
// is submitted is a line for a shell. In the value of -cwd a percent sign begins a
// pattern, which cannot be escaped; by default a job runs where bsub did. bsub would
// try again without end where a limit is reached or no daemon answers, hence
// LSB_NTRIES.
func (LSF) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append(append([]string{"bsub"}, args...), "-J", s.Name, "-o", "/dev/null", "-rn")
	if !strings.Contains(s.Dir, "%") {
		argv = append(argv, "-cwd", s.Dir)
	}
	return scheduler.Command{Argv: append(argv, shellWord(s.Script)), Env: []string{"LSB_NTRIES=1"}, Dir: s.Dir}
}

// shellWord makes one word of a shell out of a path.
func shellWord(path string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+-@=:,%"
	if strings.Trim(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// fields are what is asked of bjobs.
const fields = "jobid job_name stat exit_code exit_reason exec_host pend_reason"

// Queries implements scheduler.Scheduler: bjobs has a job for some time after its
// end (CLEAN_PERIOD), and prints JSON since LSF 10.1; bhist reads the event log.
func (LSF) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{
		{Command: command("bjobs", "-a", "-json", "-o", fields, string(id)), Parse: parseJob},
		{Command: command("bhist", "-l", string(id)), Parse: parseHistory},
	}
}

// Cancel implements scheduler.Scheduler.
func (LSF) Cancel(id scheduler.ID) scheduler.Command { return command("bkill", string(id)) }

// CancelName implements scheduler.NameCanceller; job 0 stands for all that fit.
func (LSF) CancelName(user, name string) scheduler.Command {
	return command("bkill", "-u", user, "-J", name, "0")
}

// Signal implements scheduler.Signaller.
func (LSF) Signal(id scheduler.ID) scheduler.Command {
	return command("bkill", "-s", "TERM", string(id))
}

// Find implements scheduler.Finder.
func (LSF) Find(user, name string) scheduler.Command {
	list := command("bjobs", "-json", "-o", fields, "-u", user)
	if name != "" {
		list.Argv = append(list.Argv, "-a", "-J", name)
	}
	return list
}

// Advice implements scheduler.Adviser.
func (LSF) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{scheduler.TimeLimit: "-W 2:00", scheduler.MemoryLimit: "-M 8GB", scheduler.Deadline: "-t 20:00"}[c]
}

func command(program string, args ...string) scheduler.Command {
	return scheduler.Command{Argv: append([]string{program}, args...), Env: []string{"LC_ALL=C"}}
}

// Grammar implements scheduler.Scheduler: the options of bsub that the command
// references of LSF 7.0, 9.1 and 10.1 have. -Q would run the job again, and a file
// of options can hold those that are reserved.
func (LSF) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Words(1, `a alloc_flags app b C c clusters cn_cu cn_mem core_isolation csm D data datagrp E Ep env eptl ext extsched
		F f freq G g gpu hostfile i is jobaff jsm k L ln_mem ln_slots Lp M m mig n network nnodes notify outdir P p
		ptl q R rcacct rnc S s sla smt sp stage step_cgroup T t U u v W wa We w wt`)
	g.Words(0, "ar B datachk H hl N Ne ti ul x")
	g.ReserveWords(1, "cwd e eo J Jd jsdl jsdl_strict json o oo pack Q yaml")
	g.ReserveWords(0, "I Ip Is IS ISp ISs IX K h V XF Zs r rn tty")
	return g
}
