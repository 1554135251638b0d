package authz

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// entry is a call of the driver by any account.
type entry struct {
	s       *site.Site
	program string
	as      *site.Account // nil is this process's own
}

// config calls the config stage with a configuration; extra files become the
// descriptors from 3 on.
func (e entry) config(t *testing.T, configuration string, extra ...*os.File) (stdout, stderr string, err error) {
	t.Helper()
	j := e.s.Job("id -un")
	dir, merr := os.MkdirTemp(e.s.Dir, "runner")
	testutil.Must(t, merr)
	response := filepath.Join(dir, "response.json")
	testutil.Must(t, os.WriteFile(response, j.Response(), 0o600))
	cmd := exec.Command(e.program, "config", "--configuration", configuration)
	cmd.Env = []string{"JOB_RESPONSE_FILE=" + response, "BUILD_FAILURE_EXIT_CODE=1", "SYSTEM_FAILURE_EXIT_CODE=2"}
	cmd.Stdin, cmd.Dir, cmd.ExtraFiles = os.Stdin, "/", extra
	if e.as != nil {
		testutil.Must(t, errors.Join(os.Chown(dir, int(e.as.UID), int(e.as.GID)), os.Chown(response, int(e.as.UID), int(e.as.GID))))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: e.as.UID, Gid: e.as.GID, Groups: e.as.Groups}}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Fatal("the driver hangs")
	}
	return out.String(), errs.String(), err
}

// TestConfigurationFile: A1, only a regular file of root's that only root can change is a
// configuration, by whatever path.
func TestConfigurationFile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		root  bool
		spoil func(t *testing.T, s *site.Site) (path string, extra []*os.File)
		well  bool
	}{
		{name: "A1 as it should be", spoil: func(_ *testing.T, s *site.Site) (string, []*os.File) { return s.ConfigFile, nil }, well: true},
		{name: "A1 link", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Symlink(s.ConfigFile, s.Dir+"/link.toml"))
			return s.Dir + "/link.toml", nil
		}},
		{name: "A1 FIFO", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, syscall.Mkfifo(s.Dir+"/fifo", 0o600))
			return s.Dir + "/fifo", nil
		}},
		{name: "A1 standard input", spoil: func(*testing.T, *site.Site) (string, []*os.File) { return "/dev/stdin", nil }},
		{name: "A1 descriptor", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			f, err := os.Open(s.ConfigFile)
			testutil.Must(t, err)
			return "/proc/self/fd/3", []*os.File{f}
		}},
		{name: "A1 descriptor by another name", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			f, err := os.Open(s.ConfigFile)
			testutil.Must(t, err)
			return "/dev/fd/3", []*os.File{f}
		}},
		{name: "A1 device", spoil: func(*testing.T, *site.Site) (string, []*os.File) { return "/dev/zero", nil }},
		{name: "A1 directory", spoil: func(_ *testing.T, s *site.Site) (string, []*os.File) { return s.Dir, nil }},
		{name: "A1 missing", spoil: func(_ *testing.T, s *site.Site) (string, []*os.File) { return s.Dir + "/missing", nil }},
		{name: "A1 relative", spoil: func(_ *testing.T, s *site.Site) (string, []*os.File) {
			return strings.TrimPrefix(s.ConfigFile, "/"), nil
		}},
		{name: "A1 climbing", spoil: func(_ *testing.T, s *site.Site) (string, []*os.File) {
			return s.Dir + "/../" + filepath.Base(s.Dir) + "/jacamar.toml", nil
		}},
		{name: "A1 empty name", spoil: func(*testing.T, *site.Site) (string, []*os.File) { return "", nil }},
		{name: "A1 writable by others", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chmod(s.ConfigFile, 0o646))
			return s.ConfigFile, nil
		}},
		{name: "A1 writable by group", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chmod(s.ConfigFile, 0o664))
			return s.ConfigFile, nil
		}},
		{name: "A1 directory writable by others", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chmod(s.Dir, 0o757))
			return s.ConfigFile, nil
		}},
		{name: "A1 sticky directory", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chmod(s.Dir, 0o777|os.ModeSticky))
			return s.ConfigFile, nil
		}},
		{name: "A1 parent writable by group", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			below := s.Dir + "/a"
			testutil.Must(t, os.MkdirAll(below+"/b", 0o755))
			testutil.Must(t, os.Rename(s.ConfigFile, below+"/b/jacamar.toml"))
			testutil.Must(t, os.Chmod(below, 0o775))
			return below + "/b/jacamar.toml", nil
		}},
		{name: "A1 of another owner", root: true, spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chown(s.ConfigFile, 4242, 0))
			return s.ConfigFile, nil
		}},
		{name: "A1 directory of another owner", root: true, spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Chown(s.Dir, 4242, 0))
			return s.ConfigFile, nil
		}},
		{name: "A1 empty", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Truncate(s.ConfigFile, 0))
			return s.ConfigFile, nil
		}},
		{name: "A1 64 MiB", spoil: func(t *testing.T, s *site.Site) (string, []*os.File) {
			testutil.Must(t, os.Truncate(s.ConfigFile, 64<<20))
			return s.ConfigFile, nil
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.root && os.Geteuid() != 0 {
				t.Skip("needs root: it gives a file to another account")
			}
			s := newSibling(t)
			path, extra := tc.spoil(t, s)
			for _, f := range extra {
				defer f.Close()
			}
			stdout, stderr, err := entry{s: s, program: s.Auth}.config(t, path, extra...)
			switch {
			case tc.well && (err != nil || !strings.HasPrefix(stdout, `{"builds_dir"`)):
				t.Errorf("%v: %q, %q", err, stdout, stderr)
			case !tc.well && (err == nil || stdout != "" || strings.Contains(stderr, s.Dir)):
				t.Errorf("%v: %q, %q", err, stdout, stderr)
			case !tc.well && !strings.Contains(stderr, misconfigured) && path != "":
				t.Errorf("the user reads %q", stderr)
			}
		})
	}
}

// serviced is a site, without keys yet, whose runner is an ordinary account that
// has the program with capabilities.
func serviced(t *testing.T) (*site.Site, site.Account) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a program capabilities")
	}
	t.Parallel()
	s := keyless(t)
	testutil.Must(t, s.ServeAs(s.Accounts.Runner))
	runner, err := site.LookupAccount(s.Accounts.Runner)
	testutil.Must(t, err)
	return s, runner
}

// TestPrivilegedProgram: A1, only the runner's account can run the program with
// capabilities, and it accepts only root's configuration.
func TestPrivilegedProgram(t *testing.T) {
	s, runner := serviced(t)
	bob, err := site.LookupAccount(s.Accounts.Bob)
	testutil.Must(t, err)
	nobody, err := site.LookupAccount("nobody")
	testutil.Must(t, err)

	for name, who := range map[string]site.Account{"A1 another service may not run it": nobody, "A1 a user may not run it": bob} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := (entry{s, s.Auth, &who}).config(t, s.ConfigFile); !errors.Is(err, syscall.EACCES) {
				t.Errorf("%v, want that it cannot be executed", err)
			}
		})
	}
	t.Run("A1 the runner may run it", func(t *testing.T) {
		if stdout, stderr, err := (entry{s, s.Auth, &runner}).config(t, s.ConfigFile); err != nil {
			t.Errorf("%v: %q, %q", err, stdout, stderr)
		}
	})

	// A program that was installed wrongly: every account may run it.
	open := filepath.Join(s.Dir, "open")
	testutil.Must(t, exec.Command("cp", "--preserve=all", s.Auth, open).Run())
	testutil.Must(t, os.Chmod(open, 0o755))
	if out, err := exec.Command("getcap", open).Output(); err != nil || !strings.Contains(string(out), "cap_setuid") {
		t.Fatalf("%q, %v: the copy has no capabilities", out, err)
	}
	own := func(t *testing.T, who site.Account) string {
		dir := filepath.Join(s.Dir, "own-"+who.Name)
		testutil.Must(t, os.MkdirAll(dir, 0o755))
		text, err := os.ReadFile(s.ConfigFile)
		testutil.Must(t, err)
		file := filepath.Join(dir, "jacamar.toml")
		testutil.Must(t, os.WriteFile(file, bytes.ReplaceAll(text, []byte(s.StateDir), []byte(dir+"/state")), 0o644))
		testutil.Must(t, errors.Join(os.Chown(dir, int(who.UID), int(who.GID)), os.Chown(file, int(who.UID), int(who.GID))))
		return file
	}
	for name, who := range map[string]site.Account{"A1 a user's own configuration": bob, "A1 the runner's own configuration": runner} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, err := (entry{s, open, &who}).config(t, own(t, who))
			if err == nil || stdout != "" || !strings.Contains(stderr, misconfigured) {
				t.Errorf("%v: %q, %q", err, stdout, stderr)
			}
		})
	}
	t.Run("A1 root's file in the runner's directory", func(t *testing.T) {
		file := own(t, runner)
		testutil.Must(t, os.Chown(file, 0, 0))
		if stdout, _, err := (entry{s, open, &runner}).config(t, file); err == nil {
			t.Errorf("accepted: %q", stdout)
		}
	})
	t.Run("A1 a later stage names another configuration", func(t *testing.T) {
		file := own(t, runner)
		cmd := exec.Command(s.Auth, "prepare")
		cmd.Env = []string{fmt.Sprintf("JACAMAR_CI_STATE=2 %064d %s {}", 0, url.PathEscape(file))}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: runner.UID, Gid: runner.GID}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), misconfigured) {
			t.Errorf("%v: %q", err, out)
		}
	})
}
