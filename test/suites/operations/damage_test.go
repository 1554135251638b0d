package operations

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// damages are what can become of a file of the state directory.
func damages() map[string]func(file string) error {
	return map[string]func(file string) error{
		"foreign":   func(f string) error { return os.Chown(f, 4242, 4242) },
		"writable":  func(f string) error { return os.Chmod(f, 0o666) },
		"directory": func(f string) error { return errors.Join(os.Remove(f), os.Mkdir(f, 0o700)) },
		"FIFO":      func(f string) error { return errors.Join(os.Remove(f), syscall.Mkfifo(f, 0o600)) },
		"link":      func(f string) error { return errors.Join(os.Remove(f), os.Symlink("/etc/hostname", f)) },
		"long":      func(f string) error { return os.WriteFile(f, make([]byte, 100_000), 0o600) },
		"empty":     func(f string) error { return os.WriteFile(f, nil, 0o600) },
	}
}

// directoryDamages are what can become of a directory in it; aside is a free name next to it.
func directoryDamages() map[string]func(dir, aside string) error {
	return map[string]func(dir, aside string) error{
		"foreign":  func(d, _ string) error { return os.Chown(d, 4242, 4242) },
		"writable": func(d, _ string) error { return os.Chmod(d, 0o777) },
		"file":     func(d, aside string) error { return errors.Join(os.Rename(d, aside), os.WriteFile(d, nil, 0o600)) },
		"link":     func(d, aside string) error { return errors.Join(os.Rename(d, aside), os.Symlink(aside, d)) },
	}
}

// keyFix is the command that check prints for keys that cannot be used.
var keyFix = regexp.MustCompile(`run: (rm -r \S+/(?:seal\.key|keys-\w+\.json))`)

// asService is the command that check prints where root cannot judge the state.
var asService = regexp.MustCompile(`run it as the service: (runuser .*)`)

// TestDamagedState: whenever a job fails or warns because of a file or a directory in the
// state directory, check fails and names it; and whenever check does not fail, the job
// succeeds without a warning.
func TestDamagedState(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("auth", "logging", site.Table{"enabled": true})
			c.Set("auth", "concurrency", site.Table{"total": 50})
		}))
		path, open := gate(t)
		e := site.Begin(t, s.Runner(), s.Job(), waits(path))
		defer func() { open(); e.Wait() }()
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
		does(t, s, "drain", "--message", "new cables", "--allow", s.Account.Name)
		files, dirs := stateFiles(t, s)
		for _, file := range files {
			for name, damage := range damages() {
				t.Run(filepath.Base(file)+" "+name, func(t *testing.T) { damaged(t, s, file, damage) })
			}
		}
		for _, dir := range dirs {
			for name, damage := range directoryDamages() {
				t.Run(filepath.Base(dir)+" "+name, func(t *testing.T) { damagedDirectory(t, s, dir, damage) })
			}
		}
	})
}

// stateFiles are the files and the directories in the state directory. The operator's log is
// not among them: it has what the test reads.
func stateFiles(t *testing.T, s *site.Site) (files, dirs []string) {
	t.Helper()
	testutil.Must(t, filepath.WalkDir(s.StateDir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.Name() == "operator.log" || path == s.StateDir:
		case d.IsDir():
			dirs = append(dirs, path)
		case d.Type().IsRegular():
			files = append(files, path)
		}
		return err
	}))
	if len(files) < 6 || len(dirs) < 5 {
		t.Fatalf("only %q and %q", files, dirs)
	}
	return files, dirs
}

func damagedDirectory(t *testing.T, s *site.Site, dir string, damage func(dir, aside string) error) {
	var was syscall.Stat_t
	aside := dir + ".aside"
	testutil.Must(t, syscall.Stat(dir, &was), damage(dir, aside))
	defer func() {
		if _, err := os.Lstat(aside); err == nil {
			testutil.Must(t, os.RemoveAll(dir), os.Rename(aside, dir))
		}
		testutil.Must(t, os.Chown(dir, int(was.Uid), int(was.Gid)), syscall.Chmod(dir, was.Mode))
	}()
	judged(t, s, dir)
}

func damaged(t *testing.T, s *site.Site, file string, damage func(string) error) {
	aside := filepath.Join(t.TempDir(), "aside")
	testutil.Must(t, exec.Command("/bin/cp", "-p", file, aside).Run(), damage(file))
	defer func() {
		testutil.Must(t, os.RemoveAll(file), exec.Command("/bin/cp", "-p", aside, file).Run())
	}()
	judged(t, s, file)
}

// judged compares what a job and check make of a damage.
func judged(t *testing.T, s *site.Site, file string) {
	t.Helper()
	checked := admin(t, s, "check")
	if fix := asService.FindStringSubmatch(checked.text); fix != nil {
		cmd := exec.Command("/bin/sh", "-c", strings.Replace(fix[1], "jacamar-admin", s.Admin, 1))
		text, _ := cmd.CombinedOutput() // its status is judged
		checked = result{cmd.ProcessState.ExitCode(), string(text)}
	}
	r := s.Runner()
	r.Judge = nil // a warning of cleanup is one of the things to find
	begun := recordsOf(t, s)
	result := r.Run(s.Job("true"))
	warned := strings.Contains(strings.TrimPrefix(recordsOf(t, s), begun), `"level":"warning"`) || strings.Contains(result.Trace, "WARNING: cannot write")
	fails := strings.Contains(checked.text, filepath.Base(file)) && checked.status == 2
	if hurt := warned || result.Outcome != fakerunner.Success; hurt && !fails {
		t.Errorf("the job: %s, with a warning: %v; check: %d\n%s", result.Outcome, warned, checked.status, checked.text)
	} else if !hurt && fails && !strings.Contains(file, "/live/") {
		t.Errorf("check fails and the job runs without a warning:\n%s", checked.text)
	}
	if fix := keyFix.FindStringSubmatch(checked.text); fix != nil {
		testutil.Must(t, exec.Command("/bin/sh", "-c", fix[1]).Run())
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
	}
}

func recordsOf(t *testing.T, s *site.Site) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
	testutil.Must(t, err)
	return string(text)
}
