package privdrop

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/internal/settings"
)

// TestFailedStarts: faults of the installation name the file and what to do, and are not
// failures that a second attempt could avoid.
func TestFailedStarts(t *testing.T) {
	grant, _ := granted(t)
	account, _ := grant.Account()
	closed := filepath.Join(t.TempDir(), "jacamar")
	if err := os.WriteFile(closed, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		err  error
		kind failure.Kind
		want string
	}{
		{closed, unix.EACCES, failure.Config, closed + " has mode 0700: install the programs where every account may enter"},
		{"/bin/true", unix.EACCES, failure.Config, "run: namei -l /bin/true as root"},
		{closed, unix.ENOEXEC, failure.Config, "install the package for this machine"},
		{"/nonexistent/jacamar", unix.ENOENT, failure.Config, "install all programs from one package"},
		{"/bin/true", unix.ENOMEM, failure.System, "cannot start /bin/true as alice: cannot allocate memory"},
	} {
		err := Launcher{Jacamar: program(t, c.path)}.notStarted(account, c.err)
		if failure.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot start "+c.path+" as alice: ") || !errors.Is(err, c.err) && c.kind == failure.System {
			t.Errorf("%s, %v: %v, want %q", c.path, c.err, err, c.want)
		}
	}
}

// TestSudoThatRefuses: only sudo's own failure is explained, in its words.
func TestSudoThatRefuses(t *testing.T) {
	grant, _ := granted(t)
	refused := func(status int, text string) error {
		return failure.Privatef("%w", &monitor.StartError{Status: status, Text: text})
	}
	for _, c := range []struct {
		strategy settings.Downscope
		err      error
		kind     failure.Kind
		want     string
	}{
		{settings.Sudo, refused(1, "sudo: a password is required\nmore"), failure.Config, "as alice (sudo: a password is required): the sudo rule must allow it"},
		{settings.Sudo, refused(2, "jacamar: broken"), failure.System, "jacamar ended without a result (exit status 2): jacamar: broken"},
		{settings.Sudo, refused(1, ""), failure.System, "jacamar ended without a result (exit status 1)"},
		{settings.Setuid, refused(1, "x"), failure.System, "jacamar ended without a result (exit status 1): x"},
		{settings.Sudo, failure.Exit(1), failure.Build, "exit code 1"},
	} {
		err := Launcher{Strategy: c.strategy, Jacamar: program(t, "/opt/jacamar")}.Explain(grant, c.err)
		if failure.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.err, err, c.want)
		}
	}
	if err := (Launcher{Strategy: settings.Sudo}).Explain(grant, nil); err != nil {
		t.Error(err)
	}
}
