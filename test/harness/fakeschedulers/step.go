package fakeschedulers

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Serve acts as slurmctld and slurmd until ctx ends: it starts a process for each
// job, as the job's user. sbatch itself cannot, since all that it starts belongs
// to its caller, who may end it.
func (s Store) Serve(ctx context.Context, program string) {
	started := map[int]bool{}
	for {
		for _, id := range s.ids() {
			if started[id] {
				continue
			}
			j, err := s.Job(id)
			if err != nil {
				continue // it is being written
			}
			if started[id] = true; !j.over() && s.launch(program, j) != nil {
				s.finish(id, "NODE_FAIL", 0, 0)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tick):
		}
	}
}

func (s Store) launch(program string, j Job) error {
	cmd := exec.Command(program, strconv.Itoa(j.ID))
	cmd.Args[0] = "fake-slurmstepd"
	cmd.Env = []string{s.Env(), "PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(j.UID), Gid: uint32(j.GID)}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// step waits for the job's turn, runs it and stores its end.
func (s Store) step(arg string) int {
	id, err := strconv.Atoi(arg)
	if err != nil {
		return 2
	}
	if !s.turn(id) {
		return 0
	}
	j, err := s.Job(id)
	if err != nil {
		return 2
	}
	cmd, err := s.start(j)
	if err != nil {
		s.finish(id, "FAILED", 1, 0)
		return 0
	}
	_ = s.Change(id, func(j *Job) { j.PID = cmd.Process.Pid })
	state := make(chan string, 1)
	stop := make(chan struct{})
	go s.guard(id, cmd.Process.Pid, state, stop)
	_ = cmd.Wait()
	close(stop)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	s.deliver(j)
	s.ended(id, cmd.ProcessState.Sys().(syscall.WaitStatus), state)
	return 0
}

const tick = 10 * time.Millisecond

// guardTick is how often a job is looked at: more rarely as it gets older, so that hundreds
// of jobs do not need a processor.
func guardTick(age time.Duration) time.Duration {
	return max(tick, min(age/100, 500*time.Millisecond))
}

// turn waits until the job may run; false means that it ended first: it was
// cancelled, or the scheduler determined that it can never run.
func (s Store) turn(id int) bool {
	begin := time.Now()
	for ; ; time.Sleep(tick) {
		j, err := s.Job(id)
		if err != nil || j.over() {
			return false
		}
		if j.Cancelled {
			s.finish(id, "CANCELLED", 0, 0)
			return false
		}
		b := s.behaviour()
		waits := j.Reason != "None" && j.Reason != b.PendingReason
		if !waits && time.Since(begin).Seconds() >= b.Pending {
			return s.Change(id, func(j *Job) { j.State, j.Reason, j.Node, j.Start = "RUNNING", "None", "n1", time.Now() }) == nil
		}
	}
}

func (s Store) start(j Job) (*exec.Cmd, error) {
	if needs := schedulerDefs()[s.kind].needs; needs != "" && !j.finds(needs) {
		return nil, fmt.Errorf("start failed: %s: %w", needs, fs.ErrNotExist)
	}
	out, err := s.output(j)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(s.script(j.ID))
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, j.Dir
	cmd.Env = append(j.Env, schedulerDefs()[s.kind].env(j)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := os.Stat(j.Dir); err != nil {
		cmd.Dir = filepath.Clean("/tmp")
	}
	return cmd, cmd.Start()
}

// finds reports whether a program is on the job's PATH.
func (j Job) finds(program string) bool {
	for _, pair := range j.Env {
		dirs, ok := strings.CutPrefix(pair, "PATH=")
		for _, dir := range filepath.SplitList(dirs) {
			if _, err := os.Stat(filepath.Join(dir, program)); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// output opens the file that the scheduler gives the job for its output: Flux
// empties it, PBS may keep it on the node until the end.
func (s Store) output(j Job) (*os.File, error) {
	path, how := j.Output, os.O_APPEND
	if schedulerDefs()[s.kind].truncates {
		how = os.O_TRUNC
	}
	if j.Spool {
		path = s.path("jobs", strconv.Itoa(j.ID)+".OU")
	}
	return os.OpenFile(path, os.O_CREATE|how|os.O_WRONLY, 0o600)
}

// deliver replaces the requested file by the output that was kept on the node.
func (s Store) deliver(j Job) {
	if text, err := os.ReadFile(s.path("jobs", strconv.Itoa(j.ID)+".OU")); err == nil {
		_ = os.WriteFile(j.Output, text, 0o600)
	}
}

// guard ends the job for its time limit, for scancel, or as configured by Behaviour.
func (s Store) guard(id, pid int, state chan<- string, stop <-chan struct{}) {
	begin := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-time.After(guardTick(time.Since(begin))):
		}
		j, err := s.Job(id)
		if err != nil {
			return
		}
		b := s.behaviour()
		switch {
		case b.End != "":
			state <- b.End
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return
		case j.Cancelled:
			s.kill(j, "CANCELLED", b, state, stop)
			return
		case j.Limit > 0 && time.Since(begin).Seconds() >= j.Limit:
			s.kill(j, "TIMEOUT", b, state, stop)
			return
		}
	}
}

// kill sends TERM to all of the job and KILL after KillWait, as slurmd does.
func (s Store) kill(j Job, why string, b Behaviour, state chan<- string, stop <-chan struct{}) {
	state <- why
	f := schedulerDefs()[s.kind]
	if f.killsAtOnce {
		_ = syscall.Kill(-j.PID, syscall.SIGKILL)
		return
	}
	if out, err := os.OpenFile(j.Output, os.O_APPEND|os.O_WRONLY, 0o600); err == nil && s.kind == "slurm" {
		fmt.Fprintf(out, "slurmstepd: error: *** JOB %d ON n1 CANCELLED AT %s ***\n", j.ID, time.Now().Format("2006-01-02T15:04:05"))
		out.Close()
	}
	_ = syscall.Kill(-j.PID, syscall.SIGCONT)
	_ = syscall.Kill(-j.PID, syscall.SIGTERM)
	select {
	case <-stop:
	case <-time.After(time.Duration(orElse(b.KillWait, 5) * float64(time.Second))):
		_ = syscall.Kill(-j.PID, syscall.SIGKILL)
	}
}

func (s Store) ended(id int, ws syscall.WaitStatus, state <-chan string) {
	code, signal := ws.ExitStatus(), 0
	if ws.Signaled() {
		code, signal = 0, int(ws.Signal())
	}
	why := "COMPLETED"
	if code != 0 || signal != 0 {
		why = "FAILED"
	}
	select {
	case why = <-state:
	default:
	}
	s.finish(id, why, code, signal)
}

func (s Store) finish(id int, state string, code, signal int) {
	_ = s.Change(id, func(j *Job) {
		j.State, j.Code, j.Signal, j.End = state, code, signal, time.Now()
		switch {
		case state == "FAILED":
			j.Reason = "NonZeroExitCode"
		case state == "TIMEOUT":
			j.Reason = "TimeLimit"
		default:
			j.Reason = "None"
		}
	})
}
