package executor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/pump"
)

// maxValues bounds what is read, in bytes.
const maxValues = 64 << 10

// evalGrace is how long what a profile left running has between TERM and KILL.
const evalGrace = 200 * time.Millisecond

// Login is a login shell of the user's that only evaluates words.
type Login struct {
	Reaper *process.Reaper
	Shell  Shell
	// Limit is how long the profiles may take.
	Limit time.Duration
}

// Eval expands words in the shell, each of them quoted for the shell, and
// returns their values. What the profiles print goes nowhere.
func (l Login) Eval(words ...string) ([]string, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer out.Close()
	shell, err := l.start(in, words)
	in.Close()
	if err != nil {
		return nil, err
	}
	defer l.Reaper.Sweep(evalGrace, nil)
	values := make(chan []string, 1)
	go func() { values <- readValues(pump.NewReader(out)) }()
	select {
	case v := <-values:
		return complete(v, len(words))
	case <-shell.Done:
		// A daemon of a profile may hold the pipe: its output is in it by now.
		_ = out.SetReadDeadline(time.Now().Add(evalGrace))
		return complete(<-values, len(words))
	case <-time.After(l.Limit):
		return nil, fmt.Errorf("your login profiles take longer than %v", l.Limit)
	}
}

// readValues reads values, each with a NUL behind it.
func readValues(from io.Reader) (values []string) {
	text, _ := io.ReadAll(io.LimitReader(from, maxValues))
	for {
		value, rest, found := bytes.Cut(text, []byte{0})
		if !found {
			return values
		}
		values, text = append(values, string(value)), rest
	}
}

func complete(values []string, want int) ([]string, error) {
	if len(values) != want {
		return nil, errors.New("your login profiles end the shell before it can be asked")
	}
	return values, nil
}

func (l Login) start(in *os.File, words []string) (*process.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return l.Reaper.Start(process.Command{
		Path: l.Shell.Path, Args: loginshell.Args(loginshell.Program{}.Eval(words...), loginshell.Login), Env: loginshell.Environ(l.Shell.Env),
		Dir: workDir(l.Shell.Home), Files: []*os.File{0: null, 1: null, 2: null, loginshell.ScriptFD: in},
	})
}
