package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestMissingArguments: a program that is started without its own name, or with
// another one, prints its usage and has no other effect (pkexec, CVE-2021-4034).
func TestMissingArguments(t *testing.T) {
	s := site.New(t)
	for _, program := range []string{s.Auth, s.Jacamar, filepath.Join(filepath.Dir(s.Jacamar), "jacamar-noauth")} {
		for name, argv := range map[string][]string{
			"no argument at all":     {},
			"an empty name":          {""},
			"a name with a line end": {"a\nb"},
			"a very long name":       {strings.Repeat("x", 100_000)},
			"nothing but the name":   {"jacamar"},
			"no such command":        {"jacamar", "no-such-command"},
			"an empty command":       {"jacamar", ""},
			"two dashes":             {"jacamar", "--"},
			"run without its files":  {"jacamar", "run", "--", "-u"},
			"one argument too many":  {"jacamar", "run", "a", "build_script", "b"},
			"an option for another":  {"jacamar", "--no-auth", "--no-auth"},
			"an environment's worth": slices.Repeat([]string{"config"}, 1000),
		} {
			t.Run(filepath.Base(program)+"/"+name, func(t *testing.T) {
				t.Parallel()
				out, status := started(t, program, argv)
				if status.ExitStatus() <= 0 || len(out) == 0 || len(out) > 200_000 || bytes.Contains(out, []byte("goroutine")) {
					t.Errorf("it ended with %d (signal %v) and printed %.500q", status.ExitStatus(), status.Signal(), out)
				}
			})
		}
	}
}

// started runs a program with exactly these arguments, which os/exec would fix.
func started(t *testing.T, program string, argv []string) ([]byte, syscall.WaitStatus) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	testutil.Must(t, err)
	defer null.Close()
	file, err := os.CreateTemp(t.TempDir(), "out")
	testutil.Must(t, err)
	defer file.Close()
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{Files: []uintptr{null.Fd(), file.Fd(), file.Fd()}})
	testutil.Must(t, err)
	hangs := time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	defer hangs.Stop()
	var status syscall.WaitStatus
	_, err = syscall.Wait4(pid, &status, 0, nil)
	testutil.Must(t, err)
	out, err := os.ReadFile(file.Name())
	testutil.Must(t, err)
	return out, status
}

// launched is a runner that starts the driver by a line of shell.
func launched(s *site.Site, line string) *fakerunner.Runner {
	r := s.Runner()
	for _, command := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		*command = append([]string{"/bin/bash", "-c", line + `; exec "$@"`, "bash"}, *command...)
	}
	return r
}

// TestClosedDescriptors starts the driver without some of its first three
// descriptors: no file that it opens may get one of these numbers. Without output there
// is no result and no job; whatever is missing, the next job succeeds.
func TestClosedDescriptors(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		for closed := 1; closed < 8; closed++ {
			line := ":"
			for fd := range 3 {
				if closed&(1<<fd) != 0 {
					line += fmt.Sprintf("; exec %d>&-", fd)
				}
			}
			t.Run(line, func(t *testing.T) {
				r := launched(s, line).Run(s.Job("echo in the script"))
				if output := closed&2 == 0; output != (r.Outcome == fakerunner.Success) {
					t.Errorf("the job ended as %s:\n%s", r.Outcome, all(r))
				}
				s.NoProcess(t, 20*time.Second)
			})
		}
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
	})
}

// TestNullIsAFile: where /dev/null is a file, as when root's programs create it after it was
// removed, no job runs.
func TestNullIsAFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts")
	}
	s := site.New(t)
	file := filepath.Join(s.Dir, "null")
	testutil.Must(t, os.WriteFile(file, nil, 0o666), os.Chmod(file, 0o666))
	r := s.Runner()
	r.Hooks.Launch = func(string) []string {
		return []string{"/usr/bin/unshare", "--mount", "/bin/sh", "-c", `mount --bind "$0" /dev/null; exec "$@"`, file}
	}
	refused(t, s, r.Run(s.Job("echo never")))
	if text, err := os.ReadFile(file); err != nil || len(text) > 0 {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// TestInheritedDescriptors starts the driver with open files of the runner's: the
// job has none of them (runc, CVE-2024-21626), and neither has jacamar, which shows
// its descriptors to root alone.
func TestInheritedDescriptors(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		secret := filepath.Join(s.Dir, "leaked")
		testutil.Must(t, os.WriteFile(secret, []byte("leaked"), 0o644))
		foreign := []string{secret, s.Dir, "/"}
		line := fmt.Sprintf("exec 3<%[1]s 7</ 8<%[2]s 9>>/dev/null 63<%[1]s 200<%[1]s", secret, s.Dir)
		e := site.Begin(t, launched(s, line), s.Job(), "ls -l /proc/self/fd | sed 's/^/job: /'\n[ -r /proc/$PPID/environ ] && echo readable.\necho parent: $PPID.\necho under way\nsleep 1000\n")
		_, pid, _ := strings.Cut(e.Trace(), "parent: ")
		pid, _, _ = strings.Cut(pid, ".")
		var jacamar map[string]string
		if os.Geteuid() == 0 { // no other account may list them
			jacamar = openFiles(t, pid)
		}
		e.Abort()
		trace := e.Wait().Trace
		if strings.Contains(trace, "readable.") {
			t.Error("the job can read the environment of its jacamar")
		}
		for fd, to := range jacamar {
			if slices.Contains(foreign, to) {
				t.Errorf("jacamar has %s, which is %s", fd, to)
			}
		}
		seen := len(jacamar)
		for line := range strings.Lines(trace) {
			_, to, found := strings.Cut(strings.TrimSpace(line), " -> ")
			if !found || !strings.HasPrefix(line, "job: l") {
				continue
			}
			seen++
			own := descriptor(line) <= 2 || strings.HasPrefix(to, "/proc/") // the last is ls's
			if !own || slices.Contains(foreign, to) {
				t.Errorf("the job has %s", strings.TrimSpace(line))
			}
		}
		if seen < 4 || os.Geteuid() == 0 && len(jacamar) < 3 {
			t.Errorf("jacamar has %q, and the log is:\n%s", jacamar, trace)
		}
	}, quick)
}

// openFiles are the descriptors of a process and what they are.
func openFiles(t *testing.T, pid string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", pid, "fd"))
	testutil.Must(t, err)
	files := map[string]string{}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc", pid, "fd", e.Name())); err == nil { // else it was closed just now
			files[e.Name()] = to
		}
	}
	return files
}

// descriptor is the number in a line of ls -l.
func descriptor(line string) (n int) {
	before, _, _ := strings.Cut(line, " -> ")
	fields := strings.Fields(before)
	_, err := fmt.Sscan(fields[len(fields)-1], &n)
	if err != nil {
		return -1
	}
	return n
}

// attackParents tries, from inside the job, every way to control or read a process on each of
// its ancestors except its own jacamar; and to write to the program of each.
const attackParents = `p=$PPID; own=1; seen=0
while [ "$p" -gt 1 ] && seen=$((seen + 1)); do
  name=$(cat /proc/$p/comm)
  ( exec 9>>/proc/$p/exe ) 2>/dev/null && echo "reached: the program of $name"
  if [ $own = 0 ]; then
    for f in mem environ maps auxv; do ( exec 9<"/proc/$p/$f" && read -r -n 1 -u 9 ) 2>/dev/null && echo "reached: $f of $name"; done
    for f in exe cwd root; do readlink "/proc/$p/$f" >/dev/null && echo "reached: $f of $name"; done
    ls "/proc/$p/fd" >/dev/null 2>&1 && echo "reached: descriptors of $name"
    for sig in 0 STOP KILL; do kill -$sig "$p" 2>/dev/null && echo "reached: $name by signal $sig"; done
  fi
  own=0; p=$(awk '/^PPid:/ { print $2 }' "/proc/$p/status")
done
echo "ancestors: $seen"
`

// TestJobCannotReachItsParents: not the memory, descriptors or program of any
// privileged process (runc, CVE-2019-5736 and CVE-2016-9962), and no signal either.
func TestJobCannotReachItsParents(t *testing.T) {
	for _, name := range []string{"root", "capabilities", "sudo"} {
		t.Run(name, func(t *testing.T) {
			s := deployment(t, name).Open(t)
			j := s.Job()
			j.Raw = map[string][]byte{"build_script": []byte(attackParents)}
			r := s.Runner().Run(j)
			site.Want(t, r, fakerunner.Success, 0)
			if strings.Contains(r.Trace, "reached: ") || !strings.Contains(r.Trace, "ancestors: ") || strings.Contains(r.Trace, "ancestors: 1\n") {
				t.Errorf("the log:\n%s", r.Trace)
			}
		})
	}
}

// TestTerminalOfTheCaller starts the driver from a terminal that is not among its
// descriptors: the job does not have it (TIOCSTI: CVE-2005-4890, CVE-2023-28339).
func TestTerminalOfTheCaller(t *testing.T) {
	const terminal = `exec 5>&1 6>&2; line=$(printf '%q ' "$@"); set -- /usr/bin/script -qec "exec $line </dev/null >&5 2>&6" /dev/null`
	const opens = `if ( exec 9<>/dev/tty ) 2>/dev/null; then echo there is a terminal; else echo there is none; fi`
	if _, err := os.Stat("/usr/bin/script"); err != nil {
		t.Skip("script (bsdutils) is not installed: it makes the terminal")
	}
	out, err := exec.Command("/bin/bash", "-c", terminal+`; exec "$@"`, "bash", "/bin/bash", "-c", opens).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("there is a terminal")) {
		t.Fatalf("no terminal could be made: %v: %s", err, out)
	}
	privileged(t, func(t *testing.T, s *site.Site) {
		r := launched(s, terminal).Run(s.Job(opens))
		site.Want(t, r, fakerunner.Success, 0)
		if !strings.Contains(r.Trace, "\nthere is none") {
			t.Errorf("the log:\n%s", r.Trace)
		}
	})
}

// TestTextIsNeverACommand gives names and addresses of a job the form of commands
// (gitlab-runner, GHSA-cxfq-cc8j-j2pp and CVE-2020-13347; Torque, CVE-2013-4495).
// Whatever the job's result, none is run by any account.
func TestTextIsNeverACommand(t *testing.T) {
	s := site.New(t)
	marks := filepath.Join(s.Dir, "marks")
	testutil.Must(t, os.Mkdir(marks, 0o755))
	testutil.Must(t, os.Chmod(marks, 0o777))
	for i, form := range []string{"$(touch %s)", "`touch %s`", "; touch %s;", "'; touch %s; '", "\"; touch %s; \"", "main\ntouch %s\n", "| touch %s", "--exec=touch %s", "-oProxyCommand=touch %s"} {
		text := fmt.Sprintf(form, filepath.Join(marks, fmt.Sprint(i)))
		t.Run(form, func(t *testing.T) {
			j := s.Job("true")
			j.Name, j.Stage, j.Git.Ref, j.Project.FullPath = text, text, text, text
			for _, name := range []string{
				"CI_JOB_NAME", "CI_COMMIT_REF_NAME", "CI_PROJECT_PATH", "CI_SERVER_URL", "CI_RUNNER_SHORT_TOKEN", "CI_BUILDS_DIR", "CI_PROJECT_DIR",
				"RUNNER_TEMP_PROJECT_DIR", "SCHEDULER_PARAMETERS", "DOCKER_AUTH_CONFIG", "GITLAB_USER_LOGIN", "JACAMAR_CI_NO_PROFILE", "CI_JOB_TIMEOUT",
			} {
				j.Variables = append(j.Variables, fakerunner.Variable{Key: name, Value: text, Raw: true})
			}
			// A claim with a line end is refused; the others pass.
			r := unpaused(s).Run(s.WithClaims(j, s.GitLab.Claims(j, s.User)))
			if fine := !strings.Contains(text, "\n"); fine != (r.Outcome == fakerunner.Success) {
				t.Errorf("the job ended as %s:\n%s", r.Outcome, all(r))
			}
			if left, err := os.ReadDir(marks); err != nil || len(left) > 0 {
				t.Errorf("it was run: %v, %v", left, err)
			}
		})
	}
}

// TestNoPrivilegedOpenOfUserFiles watches every file name that the driver
// passes to the kernel during a job: only jacamar uses
// names below the user's home, where the job's files are.
func TestNoPrivilegedOpenOfUserFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("without another account there is no home that is the user's alone")
	}
	debian.Need(t, map[string]string{"/usr/bin/strace": "strace"})
	s := site.New(t)
	calls := filepath.Join(s.Dir, "calls")
	r := s.Runner()
	for _, command := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		*command = append([]string{"/usr/bin/strace", "-f", "-qq", "-Y", "-A", "-o", calls, "-e", "trace=%file"}, *command...)
	}
	site.Want(t, r.Run(s.Job("echo $PWD >here")), fakerunner.Success, 0)
	text, err := os.ReadFile(calls)
	testutil.Must(t, err)
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, "<")
		name, call, _ := strings.Cut(rest, ">")
		seen[name]++
		if !strings.Contains(call, `"`+s.Account.Home) {
			continue
		}
		seen["home of "+name]++
		if name == "jacamar-auth" {
			t.Errorf("%s", strings.TrimSpace(call))
		}
	}
	if seen["jacamar-auth"] < 100 || seen["home of jacamar"] == 0 || seen["home of bash"] == 0 {
		t.Errorf("that was not a job: %v", seen)
	}
}
