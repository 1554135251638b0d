package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// refused checks that a job failed on the resource's side, with one line for its
// user and without internals, and that no script of it ran and no file is left.
func refused(t *testing.T, s *site.Site, r fakerunner.Result) {
	t.Helper()
	site.Want(t, r, fakerunner.SystemFailure, 0)
	if strings.Contains(r.Trace, "$ echo never") {
		t.Errorf("the script ran; the log:\n%s", r.Trace)
	}
	call, _ := r.Call("config")
	if len(call.Stdout) != 0 {
		t.Errorf("config printed %q", call.Stdout)
	}
	lines := strings.Split(strings.TrimSpace(string(call.Stderr)), "\n")
	if len(lines) > 2 || !strings.Contains(lines[0], "ERROR: ") {
		t.Errorf("the user reads %q", call.Stderr)
	}
	for _, internal := range []string{s.ConfigFile, "JOB_RESPONSE_FILE", "goroutine", ".go:", "response.json"} {
		if strings.Contains(string(call.Stderr), internal) {
			t.Errorf("the user reads of %q: %q", internal, call.Stderr)
		}
	}
	s.NoProcess(t, 0)
}

// unpaused is a runner that does not pause between its tries.
func unpaused(s *site.Site) *fakerunner.Runner {
	r := s.Runner()
	r.RetryPause = -1
	return r
}

func TestHostileJobResponse(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		for name, spoil := range map[string]func(file string, text []byte) error{
			"missing":        func(f string, _ []byte) error { return os.Remove(f) },
			"empty":          func(f string, _ []byte) error { return os.WriteFile(f, nil, 0o600) },
			"truncated":      func(f string, text []byte) error { return os.WriteFile(f, text[:len(text)/2], 0o600) },
			"100 MiB":        func(f string, text []byte) error { return os.Truncate(f, 100<<20) },
			"not JSON":       func(f string, _ []byte) error { return os.WriteFile(f, []byte("<html>"), 0o600) },
			"id as text":     replace(`"id":`, `"id":"1","was":`),
			"id negative":    replace(`"id":`, `"id":-1,"was":`),
			"id twice":       replace(`"id":`, `"id":1,"id":`),
			"other writable": func(f string, _ []byte) error { return os.Chmod(f, 0o666) },
			"symbolic link":  func(f string, _ []byte) error { return link(f) },
			"FIFO":           func(f string, _ []byte) error { return fifo(f) },
			"directory":      func(f string, _ []byte) error { return directory(f) },
		} {
			t.Run(name, func(t *testing.T) {
				r := unpaused(s)
				r.Hooks.TempDir = func(dir string) {
					file := filepath.Join(dir, "response.json")
					text, err := os.ReadFile(file)
					if err == nil {
						err = spoil(file, text)
					}
					if err != nil {
						t.Error(err)
					}
				}
				refused(t, s, r.Run(s.Job("echo never")))
			})
		}
	})
}

func replace(old, new string) func(string, []byte) error {
	return func(file string, text []byte) error {
		return os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
	}
}

func link(file string) error {
	if err := os.Rename(file, file+".real"); err != nil {
		return err
	}
	return os.Symlink(file+".real", file)
}

func fifo(file string) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	return unix.Mkfifo(file, 0o600)
}

func directory(file string) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	return os.Mkdir(file, 0o700)
}

func TestHostileConfiguration(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		good, err := os.ReadFile(s.ConfigFile)
		if err != nil {
			t.Fatal(err)
		}
		write := func(text string) func(string) error {
			return func(f string) error { return os.WriteFile(f, []byte(text), 0o644) }
		}
		for name, spoil := range map[string]func(file string) error{
			"missing":           os.Remove,
			"directory":         directory,
			"FIFO":              fifo,
			"symbolic link":     link,
			"writable by group": func(f string) error { return os.Chmod(f, 0o664) },
			"writable by all":   func(f string) error { return os.Chmod(f, 0o646) },
			"parent writable":   func(f string) error { return os.Chmod(filepath.Dir(f), 0o777) },
			"empty":             write(""),
			"wrong TOML":        write("[general\n"),
			"unknown key":       write(string(good) + "\n[surprise]\na = 1\n"),
			"relative data_dir": write(strings.Replace(string(good), "data_dir = \"", "data_dir = \"relative", 1)),
			"wrong unit":        write(strings.Replace(string(good), "[general]", "[general]\nkill_timeout = \"5 apples\"", 1)),
		} {
			t.Run(name, func(t *testing.T) {
				if err := spoil(s.ConfigFile); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					os.RemoveAll(s.ConfigFile)
					os.Chmod(filepath.Dir(s.ConfigFile), 0o755)
					if err := s.Reconfigure(); err != nil {
						t.Fatal(err)
					}
				})
				refused(t, s, unpaused(s).Run(s.Job("echo never")))
			})
		}
	})
}

func TestFullDataDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(full); parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=64k,nr_inodes=4,mode=1777"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(full, unix.MNT_DETACH) })
	privileged(t, func(t *testing.T, s *site.Site) {
		r := unpaused(s).Run(s.Job("echo never"))
		site.Want(t, r, fakerunner.SystemFailure, 0)
		if !strings.Contains(r.Trace, "no space left on device") || !strings.Contains(r.Trace, "is full: 4 of 4 files and directories") {
			t.Errorf("the log has no message about it:\n%s", r.Trace)
		}
	}, func(c site.Config) { c.Set("general", "data_dir", full) })
}

func TestTenJobsAtOnce(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		const jobs = 10
		results := make(chan fakerunner.Result, jobs)
		for range jobs {
			job := s.Job("mkdir mine", "sleep 1", "rmdir mine")
			go func() { results <- r.Run(job) }()
		}
		dirs := map[string]bool{}
		for range jobs {
			res := <-results
			site.Want(t, res, fakerunner.Success, 0)
			if dirs[res.BuildsDir] {
				t.Errorf("two jobs had the directory %s", res.BuildsDir)
			}
			dirs[res.BuildsDir] = true
		}
		again := r.Run(s.Job("true"))
		if !dirs[again.BuildsDir] {
			t.Errorf("a later job has the new directory %s, though ten are free", again.BuildsDir)
		}
	})
}

// TestDirectoryOfDeadRunnerIsReused claims a directory by a runner that is killed
// before cleanup.
func TestDirectoryOfDeadRunnerIsReused(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		job := s.Job()
		job.Script = []string{"echo in $CI_BUILDS_DIR.", "echo under way", "sleep 1000"}
		cmd, text := underWay(t, s, job)
		if live := s.Runner().Run(s.Job("true")); strings.Contains(text, "in "+live.BuildsDir+".") {
			t.Errorf("while a job ran another one had its directory, %s", live.BuildsDir)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s.NoProcess(t, 20*time.Second)
		if next := s.Runner().Run(s.Job("true")); !strings.Contains(text, "in "+next.BuildsDir+".") {
			t.Errorf("after it was killed the next job had %s; the killed one printed\n%s", next.BuildsDir, text)
		}
	}, quick)
}
