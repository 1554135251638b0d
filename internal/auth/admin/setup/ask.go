package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"jacamar-ci/internal/job"
)

// longestAnswer bounds what is read of one answer, in bytes.
const longestAnswer = 4096

// Interrupted is the end of the answers before the last question. Given are the options
// by which the answers so far need not be typed again.
type Interrupted struct {
	Flag  string
	Given []string
	Err   error
}

// Error implements error.
func (e *Interrupted) Error() string {
	text := "no answer for --" + e.Flag
	if len(e.Given) > 0 {
		text += "; to go on: jacamar-admin init " + strings.Join(e.Given, " ")
	}
	return text
}

// Unwrap returns why there was no answer, nil for the end of the input.
func (e *Interrupted) Unwrap() error { return e.Err }

// Ask puts the questions that concern the deployment, one at a time; an empty answer takes
// the default. A wrong answer is described, and the question is asked again: the others
// are kept.
func Ask(in io.Reader, out io.Writer, questions []Question, deployment *string) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestAnswer)
	var given []string
	for _, q := range questions {
		if !q.concerns(Deployment(*deployment)) {
			continue
		}
		if err := ask(lines, out, q); err != nil {
			return &Interrupted{q.Flag, given, errors.Join(err, lines.Err())}
		}
		given = append(given, "--"+q.Flag+" "+job.ShellWord(*q.Answer))
	}
	return nil
}

var errNoAnswer = errors.New("the input has ended")

func ask(lines *bufio.Scanner, out io.Writer, q Question) error {
	for {
		if _, err := fmt.Fprint(out, q.prompt()); err != nil {
			return err
		}
		if !lines.Scan() {
			return errNoAnswer
		}
		answer := strings.TrimSpace(lines.Text())
		if answer == "" {
			answer = q.Default
		}
		if answer == "" {
			continue
		}
		if err := q.Check(answer); err != nil {
			if _, err := fmt.Fprintf(out, "  %v\n", err); err != nil {
				return err
			}
			continue
		}
		*q.Answer = answer
		return nil
	}
}

func (q Question) prompt() string {
	switch {
	case q.Default != "":
		return fmt.Sprintf("%s [%s]: ", q.Text, q.Default)
	case q.Example != "":
		return fmt.Sprintf("%s, such as %s: ", q.Text, q.Example)
	}
	return q.Text + ": "
}
