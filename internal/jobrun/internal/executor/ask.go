package executor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/process"
)

// askFD is the descriptor that takes the answers. Profiles print to 1 and 2 and
// lock with 9; nobody is known to use this one.
const askFD = 8

// question is what a login shell is asked with: --noprofile, and then the very
// files that it would read by itself (bash(1), INVOCATION), because only so the
// answer can be given as well when one of them ends the shell.
const question = `answer() { trap - EXIT; printf '%%s\0' %s >&%d; }
trap answer EXIT
[ ! -r /etc/profile ] || . /etc/profile
for file in ~/.bash_profile ~/.bash_login ~/.profile; do
	[ ! -r "$file" ] || { . "$file"; break; }
done
answer`

// maxAnswer bounds what is read, in bytes.
const maxAnswer = 64 << 10

// askGrace is how long what a profile left running has between TERM and KILL.
const askGrace = 200 * time.Millisecond

// Login is a login shell of the user's that is only asked something.
type Login struct {
	Family *process.Family
	Shell  Shell
	// Limit is how long the profiles may take.
	Limit time.Duration
}

// Ask expands words in the shell, each of them quoted as the shell wants it, and
// returns their values. What the profiles print goes nowhere.
func (l Login) Ask(words ...string) ([]string, error) {
	answer, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer answer.Close()
	shell, err := l.start(in, words)
	in.Close()
	if err != nil {
		return nil, err
	}
	defer l.Family.Sweep(askGrace, nil)
	values := make(chan []string, 1)
	go func() { values <- readAnswer(answer) }()
	select {
	case v := <-values:
		return complete(v, len(words))
	case <-shell.Done:
		// A daemon of a profile may hold the pipe: what was said is in it by now.
		_ = answer.SetReadDeadline(time.Now().Add(askGrace))
		return complete(<-values, len(words))
	case <-time.After(l.Limit):
		return nil, fmt.Errorf("your login profiles take longer than %v", l.Limit)
	}
}

// readAnswer reads values, each with a NUL behind it.
func readAnswer(from io.Reader) (values []string) {
	text, _ := io.ReadAll(io.LimitReader(from, maxAnswer))
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
	files := make([]*os.File, askFD+1) // nil ones are closed in the shell
	files[0], files[1], files[2], files[askFD] = null, null, null, in
	text := fmt.Sprintf(question, strings.Join(words, " "), askFD)
	return l.Family.Start(process.Command{
		Path: l.Shell.Path, Args: []string{"bash", "--login", "--noprofile", "-c", text}, Env: l.Shell.Env, Dir: workDir(l.Shell.Home),
		Files: files,
	})
}
