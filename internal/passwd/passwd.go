// Package passwd reads entries of the account databases, one at a time, as getent(1)
// prints them.
package passwd

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// Line returns the only line of an answer, without its end.
func Line(answer string) (string, error) {
	line, rest, ok := strings.Cut(answer, "\n")
	switch {
	case !ok:
		return "", fmt.Errorf("the answer is cut off")
	case rest != "":
		return "", fmt.Errorf("the answer has more than one line")
	}
	return line, nil
}

// Fields splits the only line of an answer at colons.
func Fields(answer string, want int) ([]string, error) {
	line, err := Line(answer)
	if err != nil {
		return nil, err
	}
	f := strings.Split(line, ":")
	if len(f) != want {
		return nil, fmt.Errorf("the entry has %d fields, not %d", len(f), want)
	}
	return f, nil
}

// defaultShell stands for an empty field. Source: passwd(5).
const defaultShell = "/bin/sh"

// Parse reads an entry of passwd(5). The password field has no meaning here, and the
// comment may hold any bytes: old directories have Latin-1 in it.
func Parse(answer string) (job.Account, error) {
	f, err := Fields(answer, 7)
	if err != nil {
		return job.Account{}, err
	}
	var a job.Account
	shell := f[6]
	if shell == "" {
		shell = defaultShell
	}
	for _, step := range []struct {
		what string
		read func() error
	}{
		{"name", func() (err error) { a.Name, err = job.ParseUsername(f[0]); return err }},
		{"user id", func() (err error) { a.UID, err = job.ParseUID(f[2]); return err }},
		{"group id", func() (err error) { a.GID, err = job.ParseGID(f[3]); return err }},
		{"home directory", func() (err error) { a.Home, err = job.ParseAbsPath(f[5]); return err }},
		{"shell", func() (err error) { a.Shell, err = job.ParseAbsPath(shell); return err }},
	} {
		if err := step.read(); err != nil {
			return job.Account{}, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return a, nil
}

// Aging is the state of an account in shadow(5).
type Aging struct {
	// Known is false if there is no entry, as for accounts of a directory, or if this
	// process may not read it. Then the other fields have no meaning.
	Known bool
	// Locked is an account whose password was disabled on purpose: a "!" before
	// something. A lone "!", "!!" or "*" is an account that never had a password, as
	// useradd(8) creates it and as users who only use keys have it. usermod(8)
	// recommends to lock such an account by its expiry date.
	Locked bool
	// Expired is an account past its expiry date, or past the period in which an
	// expired password could be renewed.
	Expired bool
}
