package executor

import (
	"errors"
	"fmt"
	"io"
	"os"

	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
)

// wiring is what connects one shell with this process.
type wiring struct {
	script *os.File // in memory; empty once the script has begun
	passed *os.File // gives a line when the profiles are done
	gate   *os.File // takes the line that lets the shell go on
	output *held    // what the profiles print
	saved  *os.File // in memory: what a login leaves, nil where that is not needed
	saves  bool     // the shell writes to saved
	pumps  []*process.Pump

	files  [loginshell.HiddenFD + 1]*os.File // the shell's, by number
	all    []*os.File
	theirs []*os.File // those of all that only the shell needs
}

// wire makes what one shell needs. The caller closes it.
func (l Local) wire(script []byte, read loginshell.Profiles) (w *wiring, err error) {
	w = &wiring{}
	defer func() {
		if err != nil {
			w.close()
			err = fmt.Errorf("cannot prepare the job's shell: %w", err)
		}
	}()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return w, err
	}
	w.give(0, null)
	for i, out := range []*os.File{l.Stdout, l.Stderr} {
		pump, end, err := process.NewPump(out)
		if err != nil {
			return w, err
		}
		w.give(1+i, end)
		w.pumps = append(w.pumps, pump)
	}
	if w.script, err = w.hold(loginshell.ScriptFD, "script", loginshell.Content(script)); err != nil {
		return w, err
	}
	if err = l.wireSaved(w, read); err != nil {
		return w, err
	}
	return w, w.connect()
}

// wireSaved gives the shell the file of what a login leaves, to read or to write.
func (l Local) wireSaved(w *wiring, read loginshell.Profiles) (err error) {
	var content []byte
	switch {
	case read == loginshell.Saved:
		content = loginshell.Restore(l.Profiles.Saved, l.Shell.Env, stageVariable)
	case read == loginshell.Login && l.Profiles.Save != nil:
		w.saves = true
	default:
		return nil
	}
	w.saved, err = w.hold(loginshell.SavedFD, "login", content)
	return err
}

// connect makes the pipes.
func (w *wiring) connect() error {
	passed, in, err := os.Pipe()
	if err != nil {
		return err
	}
	w.give(loginshell.PassedFD, in)
	w.passed = w.keep(passed)
	out, gate, err := os.Pipe()
	if err != nil {
		return err
	}
	w.give(loginshell.GateFD, out)
	w.gate = w.keep(gate)
	hidden, in, err := os.Pipe()
	if err != nil {
		return err
	}
	w.give(loginshell.HiddenFD, in)
	w.output = hold(w.keep(hidden))
	return nil
}

// hold gives the shell a file in memory.
func (w *wiring) hold(fd int, name string, content []byte) (*os.File, error) {
	file, err := process.Memory(name, content)
	if err != nil {
		return nil, err
	}
	w.files[fd] = w.keep(file)
	return file, nil
}

func (w *wiring) keep(file *os.File) *os.File {
	w.all = append(w.all, file)
	return file
}

func (w *wiring) give(fd int, file *os.File) {
	w.files[fd] = w.keep(file)
	w.theirs = append(w.theirs, file)
}

// started closes what only the shell needs. It returns a channel that is closed
// when the shell has come past its profiles.
func (w *wiring) started() <-chan struct{} {
	for _, file := range w.theirs {
		file.Close()
	}
	reached := make(chan struct{})
	go func() {
		// Where the pipe cannot be read the shell must not wait at its gate.
		if n, err := w.passed.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			close(reached)
		}
	}()
	return reached
}

// open lets the shell go on to the script.
func (w *wiring) open() {
	_, _ = w.gate.WriteString("\n")
	w.gate.Close() // no other process may wait here
}

func (w *wiring) close() {
	for _, file := range w.all {
		file.Close()
	}
}
