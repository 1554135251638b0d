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
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
	"jacamar-ci/internal/proctree"
)

// world is a Slurm without processes, in the time of a synctest bubble. Its jobs
// change when a test says so; the commands that the engine sends are real.
type world struct {
	t    *testing.T
	task Task
	log  *syncBuffer

	mu    sync.Mutex
	calls []call
	row   string // what squeue shows of the job: "STATE|start|nodes|reason"
	exit  string // its ExitCode in scontrol
	name  string // under which it was submitted, "" before
	slow  map[string]time.Duration
	reply map[string]scheduler.Reply
	// onSubmit and onCancel are what the job does.
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

// inWorld runs a test in a world of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	scripts, err := job.ParseAbsPath(t.TempDir() + "/scripts/runner/1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(scripts.String(), 0o700); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: &syncBuffer{}, exit: "0:0", slow: map[string]time.Duration{}, reply: map[string]scheduler.Reply{}}
	self, _ := proctree.Find(os.Getpid())
	w.task = Task{
		Scheduler: slurm.Slurm{}, Commands: w, Voice: joblog.NewWriter(w.log), Log: w.log,
		Settings: ipc.Batch{CommandDelay: 30 * time.Second, NFSTimeout: time.Minute, CancelGrace: 10 * time.Second},
		Scripts:  scripts, Name: "ci-runner-1", User: "alice", Shell: "/bin/bash", WorkDir: "/", Host: "here", Self: self,
	}
	return w
}

// Run implements Commander.
func (w *world) Run(ctx context.Context, c scheduler.Command) scheduler.Reply {
	w.mu.Lock()
	w.calls = append(w.calls, call{time.Now(), c.Argv})
	delay, canned := w.slow[c.Argv[0]], w.reply[c.Argv[0]]
	_, instead := w.reply[c.Argv[0]]
	w.mu.Unlock()
	if delay > 0 && !sleep(ctx, delay) {
		return scheduler.Reply{Err: errTooLong}
	}
	if instead {
		return canned
	}
	return w.answer(c.Argv)
}

func (w *world) answer(argv []string) scheduler.Reply {
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

func (w *world) submit(argv []string) {
	w.mu.Lock()
	w.name, w.row = w.task.Name, "PENDING|N/A||Resources"
	act := w.onSubmit
	w.mu.Unlock()
	if act != nil {
		act()
	}
}

func (w *world) cancel(argv []string) {
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
func (w *world) state(state, nodes, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.row = state + "|N/A|" + nodes + "|" + reason
}

// forget makes the queue lose the job.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.row = ""
}

func (w *world) set(program string, r scheduler.Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reply[program] = r
}

func (w *world) restore(program string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.reply, program)
	delete(w.slow, program)
}

func (w *world) delay(program string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow[program] = d
}

// count is how often a program was called.
func (w *world) count(program string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.argv[0] == program {
			n++
		}
	}
	return n
}

// called returns when a command with all of these words was first sent.
func (w *world) called(words ...string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if !slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(c.argv, word) }) {
			return c.at, true
		}
	}
	return time.Time{}, false
}

// start plays the wrapper's beginning.
func (w *world) start() {
	w.state("RUNNING", "n1", "None")
	w.put(startedFile, fmt.Sprintf("node=n1\nstart=%d\n", time.Now().Unix()))
}

// finish plays the wrapper's end, and Slurm's shortly after.
func (w *world) finish(code int, told bool, state string) {
	text, _ := os.ReadFile(w.task.dir().path(logFile))
	mark := map[bool]int{true: 1}[told]
	w.put(endedFile, fmt.Sprintf("code=%d\ntold=%d\nsize=%d\nend=%d\n", code, mark, len(text), time.Now().Unix()))
	time.AfterFunc(200*time.Millisecond, func() {
		w.mu.Lock()
		w.exit = fmt.Sprintf("%d:0", code)
		w.mu.Unlock()
		w.state(state, "n1", "None")
	})
}

// put writes one of the job's files, unless the job was given up.
func (w *world) put(name, text string) {
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
func (w *world) print(text string) {
	f, err := os.OpenFile(w.task.dir().path(logFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer f.Close()
	_, _ = f.WriteString(text)
}

// never is a job that nobody stops.
func never() Stop { return Stop{Terminate: make(chan struct{}), Abort: make(chan struct{})} }

// after stops the job, and loses the other half, at these times; 0 means never.
func after(asked, lost time.Duration) Stop {
	s := Stop{Terminate: make(chan struct{}), Abort: make(chan struct{})}
	a, l := make(chan struct{}), make(chan struct{})
	if asked > 0 {
		time.AfterFunc(asked, func() { close(a) })
	}
	if lost > 0 {
		time.AfterFunc(lost, func() { close(l) })
	}
	s.Terminate, s.Abort = a, l
	return s
}

func (w *world) run(stop Stop) (err error, took time.Duration) {
	begin := time.Now()
	err = w.task.Run([]byte("#!/bin/bash\ntrue\n"), stop)
	return err, time.Since(begin)
}

// recorded reports whether a record is left for a later cleanup.
func (w *world) recorded() bool {
	_, err := os.Stat(w.task.dir().path(recordFile))
	return err == nil
}
