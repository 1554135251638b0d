package account

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// oneLine returns the only line of an answer, without its end.
func oneLine(out string) (string, error) {
	line, rest, ok := strings.Cut(out, "\n")
	switch {
	case !ok:
		return "", fmt.Errorf("the answer is cut off")
	case rest != "":
		return "", fmt.Errorf("the answer has more than one line")
	}
	return line, nil
}

// fields splits the one line of an answer at colons.
func fields(out string, want int) ([]string, error) {
	line, err := oneLine(out)
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

// parsePasswd reads an entry of passwd(5). The password field means nothing here,
// and the comment may hold any bytes, since old directories have Latin-1 in it.
func parsePasswd(out string) (job.Account, error) {
	f, err := fields(out, 7)
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

// parseInitgroups reads "name  gid gid …", the form of getent's initgroups_keys:
// the name padded to 21 columns and a space before each id.
func parseInitgroups(out string, name job.Username) ([]job.GID, error) {
	line, err := oneLine(out)
	if err != nil {
		return nil, err
	}
	list, ok := strings.CutPrefix(line, name.String())
	if !ok || (list != "" && list[0] != ' ') {
		return nil, fmt.Errorf("the answer is about another name")
	}
	var gids []job.GID
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' }) {
		gid, err := job.ParseGID(word)
		if err != nil {
			return nil, fmt.Errorf("group id: %w", err)
		}
		gids = append(gids, gid)
	}
	return gids, nil
}
