package noauth

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"jacamar-ci/internal/briefing"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/internal/version"
)

// run starts jacamar, hands it its brief and stays until the stage is over.
func (d *driver) run(script []byte) error {
	brief, err := d.brief()
	if err != nil {
		return err
	}
	watch := monitor.Monitor{
		Runner: d.stdout, KillTimeout: d.site.General.KillTimeout, UID: uint32(d.account.UID),
		Left: func(err error) { joblog.NewWriter(d.output()).Warn("%v", err) },
	}
	if err := watch.Ready(); err != nil {
		return fmt.Errorf("cannot watch over the job: %w", err)
	}
	child, err := d.start(&watch, &brief)
	if err != nil {
		return err
	}
	end := ipc.NewParentConn(child.Socket)
	go func() {
		if end.Send(brief, script) != nil {
			child.Cut()
		}
	}()
	result, err := watch.Wait(child, end)
	for _, l := range result.Left {
		joblog.NewWriter(d.output()).Warn("left behind: %s", l.Reason)
	}
	if err != nil {
		return err
	}
	return d.answer(result)
}

// program is the jacamar of the configuration, or the one beside this program. Only
// root or this account may have put it there.
func (d *driver) program() (job.AbsPath, error) {
	p := d.site.Auth.JacamarPath
	if p.IsZero() {
		own, err := os.Readlink("/proc/self/exe")
		if err != nil {
			return p, fmt.Errorf("cannot find jacamar: %w", err)
		}
		if p, err = job.ParseAbsPath(filepath.Join(filepath.Dir(own), "jacamar")); err != nil {
			return p, fmt.Errorf("cannot find jacamar: %w", err)
		}
	}
	if faults := trustedfile.Self().CheckProgram(p); len(faults) > 0 {
		return p, failure.Configf("cannot run jobs: %w", &faults[0])
	}
	return p, nil
}

// start starts jacamar, and notes in the brief what it can verify.
func (d *driver) start(watch *monitor.Monitor, brief *ipc.Request) (*monitor.Child, error) {
	jacamar, err := d.program()
	if err != nil {
		return nil, err
	}
	out := d.stdout
	if d.call.Stage == job.Config {
		out = d.stderr
	}
	stdout, stderr, err := watch.Outputs(out, d.stderr)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	defer stderr.Close()
	brief.Start.NoNewPrivs = brief.Settings.ConfinesJacamar()
	child, err := monitor.Start(func(socket *os.File) (int, error) {
		return d.thread.Run(func(t *inherit.Thread) (pid int, err error) {
			if brief.Start, err = t.Shed(brief.Start, d.account.UID); err != nil {
				return 0, err
			}
			return fork(jacamar.String(), string(d.call.Stage), []uintptr{socket.Fd(), stdout.Fd(), stderr.Fd()})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", jacamar, err)
	}
	return child, nil
}

// fork starts jacamar in a session of its own.
func fork(jacamar, stage string, files []uintptr) (int, error) {
	return syscall.ForkExec(jacamar, []string{jacamar, stage}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=2", "GOTRACEBACK=none"}, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

func (d *driver) brief() (ipc.Request, error) {
	owner, _ := proctree.Find(os.Getppid())
	b, err := briefing.Source{
		Stage: d.call.Stage, SubStage: d.call.SubStage, Site: d.site, Env: d.env, Facts: d.facts, Account: d.account,
		Dirs: d.state.Dirs, Owner: owner, Matches: d.matches,
	}.Brief()
	b.Settings.Downscope = string(config.None)
	return b, err
}

// matches reports whether a rule is for this job. What only a token proves cannot
// be asked for here.
func (d *driver) matches(r config.Rule) (bool, error) {
	if r.Project != "" || r.Namespace != "" || r.RefProtected != nil {
		return false, failure.Configf("a [[batch.rule]] asks for a project, a namespace or a protected ref, which nothing proves under --no-auth")
	}
	return r.User == (job.Username{}) || r.User == d.account.Name, nil
}

// answer prints what the config stage settled; the other stages have no answer.
func (d *driver) answer(result ipc.Result) error {
	if d.call.Stage != job.Config {
		return nil
	}
	d.state.Dirs = result.Dirs
	state, err := d.state.encode()
	if err != nil {
		return err
	}
	return customexec.NewConfigOutput(result.Dirs.Builds, result.Dirs.Cache, version.Number(), state).Write(d.stdout)
}
