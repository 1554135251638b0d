package containers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

// program writes a script that all accounts can run.
func (r *rig) program(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(r.site.Dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// usesProgram makes the site use another program for its engine.
func (r *rig) usesProgram(t *testing.T, path string) {
	t.Helper()
	r.reconfigure(t, func(c site.Config) {
		c.Set("general", r.engine.name, site.Table{"application_path": path})
	})
}

// An engine that is missing, too old, or prints anything but what it should: the system
// has failed, and the job's log names the program.
func TestBrokenEngines(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42") // its image is there
		for _, b := range r.brokenEngines(t) {
			t.Run(b.name, func(t *testing.T) {
				r.usesProgram(t, b.program)
				r.failsWith(t, r.plain("bb:1"), b.start, b.text)
				if r.engine.name == "charliecloud" && b.name != "missing" {
					return // another program fetches
				}
				r.failsWith(t, r.plain("entry:1"), fakerunner.SystemFailure, b.text)
			})
		}
	})
}

// brokenEngine is a program instead of an engine.
type brokenEngine struct {
	name, program string
	// start is the outcome of a job whose image is there.
	start fakerunner.Outcome
	text  string
}

func (r *rig) brokenEngines(t *testing.T) []brokenEngine {
	unknown, missing := `echo "Error: unknown flag: $1" >&2; exit 125`, filepath.Join(r.site.Dir, "no", "such")
	return []brokenEngine{
		{"missing", missing, fakerunner.SystemFailure, "application_path"},
		{"no program", r.site.Dir, fakerunner.SystemFailure, "application_path"},
		{"too old", r.program(t, "old", unknown), outcomeOf(r.engine.name == "podman"), "unknown flag"},
		// Its exit code is that of an entrypoint that does not start the script.
		{"garbage", r.program(t, "garbage", "head -c 300000 /dev/urandom; head -c 3000 /dev/urandom >&2; exit 0"), fakerunner.ScriptFailure, ""},
		{"garbage and a failure", r.program(t, "failing", "head -c 300000 /dev/urandom >&2; exit 1"), outcomeOf(r.engine.name != "charliecloud"), ""},
		{"endless output", r.program(t, "endless", `[ "$1" = --version ] || yes`), "", ""},
		{"killed", r.program(t, "dying", "kill -9 $$"), fakerunner.SystemFailure, "was killed"},
	}
}

// outcomeOf is the outcome by whose fault it is: the system's, or the image's.
func outcomeOf(system bool) fakerunner.Outcome {
	if system {
		return fakerunner.SystemFailure
	}
	return fakerunner.ScriptFailure
}

// failsWith requires that a job fails before its script, with one line about the reason.
func (r *rig) failsWith(t *testing.T, j fakerunner.Job, outcome fakerunner.Outcome, texts ...string) {
	t.Helper()
	if outcome == "" {
		return
	}
	result := r.run(t, j)
	if result.Outcome != outcome || strings.Contains(result.Trace, "ran 42") || !strings.Contains(result.Trace, "jacamar: ERROR: ") || strings.Contains(result.Trace, "goroutine ") {
		t.Errorf("%s, want %s; the job log:\n%.5000q", result.Outcome, outcome, result.Trace)
	}
	site.Shows(t, result, texts...)
}

// A host that makes no user namespaces, by its limit, by the setting of Debian's kernels
// or by a filter: the system has failed, and the line names it.
func TestNoUserNamespaces(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for name, number := range map[string]unix.Errno{"user.max_user_namespaces=0": unix.ENOSPC, "unprivileged_userns_clone=0": unix.EPERM} {
			t.Run(name, func(t *testing.T) {
				r.withoutNamespaces(t, number)
				defer func() { r.runner.Hooks.Launch = nil }()
				r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "unshare", "user namespaces")
			})
		}
		t.Run("block_calls", func(t *testing.T) {
			r.reconfigure(t, func(c site.Config) {
				c.Set("auth", "no_new_privs", true)
				c.Set("auth", "seccomp", site.Table{"block_calls": []string{"unshare"}})
			})
			r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "unshare", "user namespaces")
		})
	})
}

// withoutNamespaces makes unshare(1) of a cell fail with an error.
func (r *rig) withoutNamespaces(t *testing.T, number unix.Errno) {
	t.Helper()
	const cell = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP
	filter := syscalls.Refusing(t, syscalls.Refusal{Call: unix.SYS_UNSHARE, Errno: number, Values: []uint32{cell, cell | unix.CLONE_NEWNET}})
	r.runner.Hooks.Launch = func(string) []string { return filter }
}

// Where the image is there already, the start of the script fails in the same way.
func TestNoUserNamespacesAtTheStart(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42")
		r.withoutNamespaces(t, unix.ENOSPC)
		r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "unshare")
	})
}

// Without a device for FUSE, which an ordinary account may open, engines that mount files
// report it; the others do not need it.
func TestNoFUSEDevice(t *testing.T) {
	refuses := func(t *testing.T, r *rig) {
		r.mode(t, "/dev/fuse", 0o600)
		r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "/dev/fuse")
	}
	onHost(t, func(t *testing.T, r *rig) {
		if r.engine.name != "podman" {
			refuses(t, r)
			return
		}
		r.mode(t, "/dev/fuse", 0o600)
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42")
	})
	t.Run("podman in one file", func(t *testing.T) { refuses(t, openRig(t, inOneFile(), onShell, squashfs)) })
}

// mode changes the mode of a device that is this process's own, until the test ends.
func (r *rig) mode(t *testing.T, device string, mode os.FileMode) {
	t.Helper()
	if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || !strings.Contains(string(text), " "+device+" ") {
		t.Skipf("%s is the machine's own: %v", device, err)
	}
	info, err := os.Stat(device)
	if err == nil {
		err = os.Chmod(device, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(device, info.Mode().Perm()); err != nil {
			t.Error(err)
		}
	})
}

// newuidmap and newgidmap are not needed, nor are other programs with privileges.
func TestNoProgramsWithPrivileges(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for _, file := range []string{"/usr/bin/newuidmap", "/usr/bin/newgidmap", "/usr/bin/fusermount", "/usr/bin/fusermount3"} {
			r.hide(t, file)
		}
		for _, c := range whole() {
			if c.name == "exit 0" || strings.Contains(c.name, "user of the image") {
				t.Run(c.name, func(t *testing.T) { c.play(t, r) })
			}
		}
	})
}
