package account

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// LoginsOff reports whether logins are switched off, as before a shutdown.
// Source: nologin(5), pam_nologin(8). A file that cannot be looked at counts as
// present.
func (n Names) LoginsOff() bool {
	for _, p := range n.nologin {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// shellsLimit bounds /etc/shells in bytes; real ones have a few hundred.
const shellsLimit = 64 << 10

// Shells returns the login shells of shells(5). Without that file they are those
// that getusershell(3) falls back to.
func (n Names) Shells() ([]job.AbsPath, error) {
	text, err := readAtMost(n.shells, shellsLimit)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = "/bin/sh\n/bin/csh\n", nil
	}
	if err != nil {
		return nil, failure.Privatef("cannot read the list of login shells: %w", err)
	}
	var shells []job.AbsPath
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		// Lines that are no path are skipped, as getusershell(3) does.
		if p, err := job.ParseAbsPath(strings.TrimSpace(line)); err == nil {
			shells = append(shells, p)
		}
	}
	return shells, nil
}

func readAtMost(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", err
	case int64(len(b)) > limit:
		return "", fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return string(b), nil
}
