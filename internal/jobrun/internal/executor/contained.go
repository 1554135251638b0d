package executor

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/pump"
)

// Contained runs a script in a container on this host. No login shell is around it: a
// profile could break the engine, and what containers have of the account's environment
// was settled in prepare.
type Contained struct {
	Reaper  *process.Reaper
	Engine  Engine
	Settled container.Settled
	Temp    job.AbsPath
	WorkDir job.AbsPath
	Stage   string
	// RunnersOwn reports that Settled is the site's choice, not the job's.
	RunnersOwn     bool
	Stdout, Stderr *os.File
	Log            joblog.Writer
	// Grace is how long the job has between TERM and KILL when it is stopped.
	Grace time.Duration
}

// InContainer reports whether the request's script runs in a container: those of the job's
// author do where the job has an image, and those of the runner where the site has one for
// them.
func InContainer(b ipc.Request) bool {
	c := b.Settings.Container
	switch {
	case c == nil:
		return false
	case RunnersOwn(b):
		return c.Runner != nil
	}
	return c.Image != nil && (b.SubStage.UserScript() || !c.Engine.StepScriptOnly)
}

// RunnersOwn reports whether the request's script is the runner's, with hooks of the job's
// author at most.
func RunnersOwn(b ipc.Request) bool { return !b.SubStage.UserScript() && b.SubStage != job.AfterScript }

// NewContained prepares the request's script.
func NewContained(b ipc.Request, reaper *process.Reaper, settled container.Settled, stdout, stderr *os.File) (Contained, error) {
	engine, err := FindEngine(b)
	return Contained{
		Reaper: reaper, Engine: engine, Settled: settled, Temp: b.Settings.Container.TempDir, WorkDir: b.Dirs.Builds, Stage: stageName(b), RunnersOwn: RunnersOwn(b),
		Stdout: stdout, Stderr: stderr, Log: joblog.NewWriter(stdout), Grace: grace(b),
	}, err
}

// Run runs the script to its end, and whatever it started.
func (c Contained) Run(script []byte, stop process.Stop) error {
	state, err := imagestore.NewState(c.Temp, c.Engine.account.UID)
	if err != nil {
		return err
	}
	defer c.remove(state)
	if err := state.Link(container.Image, c.Settled.Place.Path); err != nil {
		return err
	}
	w, err := c.wire(script)
	if err != nil {
		return err
	}
	defer w.close()
	if err := c.writeSupervisor(state); err != nil {
		return err
	}
	cell, err := c.start(w, state)
	if err != nil {
		return err
	}
	marks := w.started()
	status := c.wait(cell, stop)
	for _, pump := range w.pumps {
		_ = pump.DrainBusy(drainLimit, readLimit)
	}
	progress := container.ParseMarks(marks())
	if stop.Terminating() {
		return stopped(progress, status)
	}
	err = container.Outcome(c.Engine, progress, status.Code, status.Signal != 0)
	switch {
	case c.RunnersOwn:
		err = container.ExplainRunner(c.Engine, progress, err)
	case c.Settled.Dash:
		err = container.ExplainDash(err)
	}
	return err
}

// remove removes the state; what is left is for the next job's sweep.
func (c Contained) remove(state *imagestore.State) {
	if err := state.Remove(); err != nil {
		c.Log.Warn("cannot remove all files of the container: %v", err)
	}
}

func (c Contained) start(w *containerWires, state *imagestore.State) (*process.Process, error) {
	s := c.Settled.Start(c.session(state), container.Wires{}, c.Stage, c.WorkDir.String())
	s.Descriptors = container.InnerDescriptors
	command := c.Settled.Services.Wrap(c.Engine.Run(s), state.Path().String())
	path, err := batch.Programs{Dirs: engineDirs}.Find(command.Argv[0])
	if err != nil {
		return nil, err
	}
	p, err := c.Reaper.Start(process.Command{
		Path: path, Args: command.Argv, Dir: "/", Files: w.files[:],
		// The account's own settings of the engine are not for jobs.
		Env: c.Engine.environ(state.Path().String(), append(command.Env, "TMPDIR="+state.Path().String())),
	})
	if err != nil && !failure.HasPublicText(err) {
		err = failure.Systemf("cannot start the job's container: %w", err)
	}
	return p, err
}

// session is the call of the engine for the script.
func (c Contained) session(state *imagestore.State) container.Session {
	return container.Session{State: state.Path(), Account: c.Engine.hostAccount(), Program: c.Engine.Program}
}

// writeSupervisor writes the program that runs the job's services, where it has some.
func (c Contained) writeSupervisor(state *imagestore.State) error {
	if c.Settled.Services == nil {
		return nil
	}
	return state.Write(container.ServicesFile, []byte(c.Settled.Services.Supervisor(c.Engine, c.session(state))))
}

// wait waits for the end of the cell. A stop is for the processes of the script: were the
// engine ended first, it would take them with it.
func (c Contained) wait(cell *process.Process, stop process.Stop) process.Status {
	select {
	case status := <-cell.Done:
		c.Reaper.Sweep(leftoverGrace, stop.Abort)
		return status
	case <-stop.Terminate:
	}
	defer noteRunsOn(c.Log, c.Grace)()
	if _, ended := c.Reaper.SweepExcept(c.helper, c.Grace, stop.Abort); !ended {
		return process.Status{Code: 128 + int(unix.SIGKILL), Signal: unix.SIGKILL}
	}
	return <-cell.Done
}

// helper reports whether a process serves the container.
func (c Contained) helper(pid int) bool {
	return slices.Contains(c.Engine.helperNames(), proctree.Look(pid).Name)
}

// stopped is the outcome of a script that was stopped: never a success.
func stopped(p container.Progress, status process.Status) error {
	code := p.Code
	if !p.Ended {
		code = status.Code
	}
	if code == 0 {
		code = 128 + int(unix.SIGTERM)
	}
	return failure.Stopped(code, "")
}

// containerWires is what connects one container with this process.
type containerWires struct {
	files [container.MarksFD + 1]*os.File // the cell's, by number
	marks *os.File
	pumps []*process.Pump
}

// wire makes what one container needs. The caller closes it.
func (c Contained) wire(script []byte) (w *containerWires, err error) {
	w = &containerWires{}
	defer func() {
		if err != nil {
			w.close()
			err = fmt.Errorf("cannot prepare the job's container: %w", err)
		}
	}()
	if w.files[0], err = os.Open(os.DevNull); err != nil {
		return w, err
	}
	for i, out := range []*os.File{c.Stdout, c.Stderr} {
		pump, end, err := process.NewPump(out)
		if err != nil {
			return w, err
		}
		w.files[1+i] = end
		w.pumps = append(w.pumps, pump)
	}
	if w.files[container.ScriptFD], err = process.Memory("script", script); err != nil {
		return w, err
	}
	w.marks, w.files[container.MarksFD], err = os.Pipe()
	return w, err
}

// started closes what only the cell needs. The function that it returns has the marks,
// once no process of the container is left.
func (w *containerWires) started() (marks func() string) {
	w.closeTheirs()
	text, from := make(chan string, 1), pump.NewReader(w.marks)
	go func() {
		all, _ := io.ReadAll(io.LimitReader(from, container.MaxMarks))
		_, _ = io.Copy(io.Discard, from) // so that no writer waits
		text <- string(all)
	}()
	return func() string {
		_ = w.marks.SetReadDeadline(time.Now().Add(drainLimit))
		return <-text
	}
}

func (w *containerWires) closeTheirs() {
	for i, file := range w.files {
		if file != nil {
			file.Close()
			w.files[i] = nil
		}
	}
}

func (w *containerWires) close() {
	w.closeTheirs()
	if w.marks != nil {
		w.marks.Close()
	}
}
