package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// longestAnswer bounds what is read of one answer, in bytes.
const longestAnswer = 4096

// Ask puts the questions, one a line; an empty answer takes the default.
func Ask(in io.Reader, out io.Writer, questions []Question) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestAnswer)
	for _, q := range questions {
		if err := ask(lines, out, q); err != nil {
			return err
		}
	}
	return nil
}

func ask(lines *bufio.Scanner, out io.Writer, q Question) error {
	for *q.Answer == "" {
		prompt := q.Text
		if q.Default != "" {
			prompt += " [" + q.Default + "]"
		}
		if _, err := fmt.Fprint(out, prompt+": "); err != nil {
			return err
		}
		if !lines.Scan() {
			return errors.Join(fmt.Errorf("no answer to %q: give --%s", q.Text, q.Flag), lines.Err())
		}
		if *q.Answer = strings.TrimSpace(lines.Text()); *q.Answer == "" {
			*q.Answer = q.Default
		}
	}
	return nil
}
