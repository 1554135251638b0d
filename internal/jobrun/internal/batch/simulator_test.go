package batch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
)

// simulator is a Slurm without processes, in the time of a synctest bubble. Tests
// change the state of its jobs; the commands that the engine sends are real.
type simulator struct {
	t    *testing.T
	task Task
	log  *syncBuffer

	mu    sync.Mutex
	calls []call
	row   string // what squeue shows of the job: "STATE|start|nodes|reason"
	exit  string // its ExitCode in scontrol
	name  string // of the submission, "" before
	slow  map[string]time.Duration
	reply map[string]scheduler.Reply
	// onSubmit, onCancel and onSignal are the job's reactions.
	onSubmit, onCancel, onSignal func()
}

type call struct {
	at   time.Time
	argv []string
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// simulate runs a test with its own simulator.
func simulate(t *testing.T, test func(t *testing.T, w *simulator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newSimulator(t)) })
}

func newSimulator(t *testing.T) *simulator {
	scripts, err := job.ParseAbsPath(t.TempDir() + "/scripts/runner/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(scripts.String(), 0o700); err != nil {
		t.Fatal(err)
	}
	w := &simulator{t: t, log: &syncBuffer{}, exit: "0:0", slow: map[string]time.Duration{}, reply: map[string]scheduler.Reply{}}
	self, _ := proctree.Find(os.Getpid())
	w.task = Task{
		Scheduler: slurm.Slurm{}, Commands: w, Messages: joblog.NewWriter(w.log), Output: w.log,
		Settings: ipc.Batch{Batch: settings.Batch{CommandDelay: 30 * time.Second, NFSTimeout: time.Minute, CancelGrace: 10 * time.Second}},
		Scripts:  scripts, Name: "ci-runner-1", User: "alice", Shell: "/bin/bash", WorkDir: "/", Host: "here", Self: self,
	}
	return w
}

// Run implements Commander.
func (w *simulator) Run(ctx context.Context, c scheduler.Command) scheduler.Reply {
	w.mu.Lock()
	w.calls = append(w.calls, call{time.Now(), c.Argv})
	delay, canned := w.slow[c.Argv[0]], w.reply[c.Argv[0]]
	_, instead := w.reply[c.Argv[0]]
	w.mu.Unlock()
	if delay > 0 && !sleep(ctx, delay) {
		return scheduler.Reply{Err: errTimeout}
	}
	if instead {
		return canned
	}
	return w.replyTo(c.Argv)
}

func (w *simulator) replyTo(argv []string) scheduler.Reply {
	w.mu.Lock()
	row, exit, name := w.row, w.exit, w.name
	w.mu.Unlock()
	state, rest, _ := strings.Cut(row, "|")
	switch argv[0] {
	case "sbatch":
		w.submit(argv)
		return scheduler.Reply{Stdout: "42\n"}
	case "squeue":
		switch {
		case slices.Contains(argv, "-u") && name != "" && row != "":
			return scheduler.Reply{Stdout: "42|" + name + "|" + row + "\n"}
		case slices.Contains(argv, "-u"), row == "":
			return scheduler.Reply{}
		}
		return scheduler.Reply{Stdout: row + "\n"}
	case "scontrol":
		if row == "" {
			return scheduler.Reply{Code: 1, Stderr: "slurm_load_jobs error: Invalid job id specified\n"}
		}
		f := strings.Split(rest, "|")
		return scheduler.Reply{Stdout: fmt.Sprintf("JobId=42 JobState=%s Reason=%s ExitCode=%s NodeList=%s\n", state, f[2], exit, f[1])}
	case "scancel":
		w.cancel(argv)
		return scheduler.Reply{}
	}
	w.t.Errorf("unexpected command %q", argv)
	return scheduler.Reply{Code: 127}
}

func (w *simulator) submit(argv []string) {
	w.mu.Lock()
	w.name, w.row = w.task.Name, "PENDING|N/A||Resources"
	act := w.onSubmit
	w.mu.Unlock()
	if act != nil {
		act()
	}
}

func (w *simulator) cancel(argv []string) {
	act := w.onCancel
	if slices.Contains(argv, "-s") {
		act = w.onSignal
	} else if act == nil {
		act = func() { w.state("CANCELLED", "n1", "None") }
	}
	if act != nil {
		act()
	}
}

// state changes what the queue shows.
func (w *simulator) state(state, nodes, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.row = state + "|N/A|" + nodes + "|" + reason
}

// setExit changes the job's exit status in Slurm.
func (w *simulator) setExit(status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exit = status
}

// forget removes the job from the queue.
func (w *simulator) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.row = ""
}

func (w *simulator) set(program string, r scheduler.Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reply[program] = r
}

func (w *simulator) restore(program string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.reply, program)
	delete(w.slow, program)
}

func (w *simulator) delay(program string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow[program] = d
}

// count returns how often a program was called.
func (w *simulator) count(program string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.argv[0] == program {
			n++
		}
	}
	return n
}

// called returns when a command with all of these arguments was first sent.
func (w *simulator) called(words ...string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if !slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(c.argv, word) }) {
			return c.at, true
		}
	}
	return time.Time{}, false
}

// start simulates the start of the wrapper.
func (w *simulator) start() {
	w.state("RUNNING", "n1", "None")
	w.put(startedFile, fmt.Sprintf("node=n1\nstart=%d\n", time.Now().Unix()))
}

// finish simulates the end of the wrapper, and shortly after the end in Slurm.
func (w *simulator) finish(code int, terminated bool, state string) {
	text, _ := os.ReadFile(w.task.dir().path(logFile))
	terminatedFlag := map[bool]int{true: 1}[terminated]
	w.put(endedFile, fmt.Sprintf("code=%d\nterm=%d\nsize=%d\nend=%d\n", code, terminatedFlag, len(text), time.Now().Unix()))
	time.AfterFunc(200*time.Millisecond, func() {
		w.setExit(fmt.Sprintf("%d:0", code))
		w.state(state, "n1", "None")
	})
}

// put writes one of the job's files, unless the job was abandoned.
func (w *simulator) put(name, text string) {
	if name == startedFile {
		f, err := os.OpenFile(w.task.dir().path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return
		}
		f.Close()
	}
	if err := os.WriteFile(w.task.dir().path(name), []byte(text), 0o600); err != nil {
		w.t.Error(err)
	}
}

// print adds to the job's log.
func (w *simulator) print(text string) {
	f, err := os.OpenFile(w.task.dir().path(logFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer f.Close()
	_, _ = f.WriteString(text)
}

// noStop never stops the job.
func noStop() process.Stop {
	return process.Stop{Terminate: make(chan struct{}), Abort: make(chan struct{})}
}

// stopAfter closes Terminate and Abort after these times; 0 means never.
func stopAfter(terminate, abort time.Duration) process.Stop {
	t, a := make(chan struct{}), make(chan struct{})
	if terminate > 0 {
		time.AfterFunc(terminate, func() { close(t) })
	}
	if abort > 0 {
		time.AfterFunc(abort, func() { close(a) })
	}
	return process.Stop{Terminate: t, Abort: a}
}

func (w *simulator) run(stop process.Stop) (err error, took time.Duration) {
	begin := time.Now()
	err = w.task.Run([]byte("#!/bin/bash\ntrue\n"), stop)
	return err, time.Since(begin)
}

// hasRecord reports whether a record remains for a later cleanup.
func (w *simulator) hasRecord() bool {
	_, err := os.Stat(w.task.dir().path(recordFile))
	return err == nil
}
