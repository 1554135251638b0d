package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// confined makes jobs of a site gain no privilege.
func confined(c site.Config) { c.Set("auth", "no_new_privs", true) }

// outputOf runs a script and returns its output.
func outputOf(t *testing.T, s *site.Site, script string) string {
	t.Helper()
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": []byte(script + "\n")}
	res := s.Runner().Run(job)
	site.Want(t, res, fakerunner.Success, 0)
	call, _ := res.Call("build_script")
	return call.ScriptOutput()
}

// TestSetuidProgramsBehaveAsInALogin: a program that drops root in a login drops it in a
// job, and with no_new_privs has none to drop.
func TestSetuidProgramsBehaveAsInALogin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a program with a setuid bit")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			drop := compiled(t, s, "drop")
			if err := errors.Join(os.Chown(drop, 0, 0), os.Chmod(drop, os.ModeSetuid|os.ModeSetgid|0o755)); err != nil {
				t.Fatal(err)
			}
			script := drop + "; " + drop + " groups"
			asLogin := login(t, s, script)
			if !strings.Contains(asLogin, "began as root: 1\n") {
				t.Skipf("setuid bits have no effect below %s:\n%s", s.Dir, asLogin)
			}
			if got := outputOf(t, s, script); got != asLogin {
				t.Errorf("in a job:\n%s\nin a login:\n%s", got, asLogin)
			}
			if err := s.Reconfigure(quick, confined); err != nil {
				t.Fatal(err)
			}
			if got := outputOf(t, s, script); strings.Count(got, "began as root: 0\n") != 2 || strings.Contains(got, "made") {
				t.Errorf("with no_new_privs:\n%s", got)
			}
		})
	}
}

// modes are how jacamar is installed: by the packages, and by hand.
var modes = map[string]os.FileMode{"0711": 0o711, "0755": 0o755}

// installed gives a site programs of its own, with another mode of jacamar.
func installed(t *testing.T, s *site.Site, mode os.FileMode) {
	t.Helper()
	dir := filepath.Join(s.Dir, "installed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jacamar", "jacamar-noauth"} {
		to := filepath.Join(dir, name)
		if out, err := exec.Command("cp", filepath.Join(filepath.Dir(s.Jacamar), name), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Chmod(to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "jacamar"), mode); err != nil {
		t.Fatal(err)
	}
	if s.Auth == s.Jacamar {
		s.Auth = filepath.Join(dir, "jacamar")
	}
	s.Jacamar = filepath.Join(dir, "jacamar")
}

// TestJobCannotControlJacamar: neither its own nor that of another job of the same user,
// nor, where they have the same account, the parents of these.
func TestJobCannotControlJacamar(t *testing.T) {
	for _, d := range site.Deployments() {
		for name, mode := range modes {
			t.Run(d.Name+"/"+name, func(t *testing.T) {
				s := openInstalled(t, d, mode)
				attack := compiled(t, s, "attack")
				other, up := longJob(t, s)
				defer func() {
					other.Cancel()
					other.Wait()
				}()
				got := outputOf(t, s, attack)
				attacked := map[string]bool{}
				for line := range strings.Lines(got) {
					if pid, _, ok := strings.Cut(line, " "); ok && pid != "attacked" {
						attacked[pid] = true
					}
				}
				if strings.Contains(got, "WON") || len(attacked) < 2 || !attacked[up] || !strings.Contains(got, ", won 0\n") {
					t.Errorf("it attacked %v, among them %s, and printed\n%s", attacked, up, got)
				}
			})
		}
	}
}

// openInstalled opens a site with such a jacamar.
func openInstalled(t *testing.T, d site.Deployment, mode os.FileMode) *site.Site {
	t.Helper()
	if d.Name != "sudo" {
		s := d.Open(t, quick)
		installed(t, s, mode)
		if err := s.Reconfigure(quick); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can write sudo rules")
	}
	// The rule is for the program's path.
	s := site.New(t)
	installed(t, s, mode)
	if err := errors.Join(s.ServeBySudo(t), s.Reconfigure(quick)); err != nil {
		t.Fatal(err)
	}
	return s
}

// longJob is a job under way, with the process id of its jacamar.
func longJob(t *testing.T, s *site.Site) (*fakerunner.Execution, string) {
	t.Helper()
	job := s.Job()
	job.Raw = map[string][]byte{"build_script": []byte("echo jacamar $PPID is up\nsleep 1000\n")}
	e := s.Runner().Start(job)
	if err := e.AwaitOutput(t.Context(), "build_script", "is up\n"); err != nil {
		t.Fatal(err)
	}
	pid := regexp.MustCompile(`jacamar (\d+) is up`).FindStringSubmatch(e.Trace())
	if pid == nil {
		t.Fatalf("no jacamar in\n%s", e.Trace())
	}
	return e, pid[1]
}

// TestJacamarUndumpableFromStart: a process of the user attacks every jacamar as early as
// it can. With the mode of the packages no attack succeeds.
func TestJacamarUndumpableFromStart(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := openInstalled(t, d, 0o711)
			if os.Geteuid() != 0 {
				t.Skip("the file is the account's own, which can read it whatever its mode")
			}
			attack := compiled(t, s, "attack")
			watch := exec.Command("/usr/bin/setpriv", "--reuid="+s.Account.Name, "--regid="+fmt.Sprint(s.Account.GID), "--init-groups", "--",
				attack, fmt.Sprint(attacks))
			var out strings.Builder
			watch.Stdout = &out
			input, err := watch.StdinPipe()
			if err == nil {
				err = watch.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- watch.Wait() }()
			for jobs, running := 0, true; running; jobs++ {
				if jobs == attackedJobs {
					input.Close()
					err, running = <-ended, false
				} else {
					site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
				}
				select {
				case err = <-ended:
					running = false
				default:
				}
			}
			input.Close()
			var found, won int
			_, counts, _ := strings.Cut(out.String(), "attacked ")
			if _, scanned := fmt.Sscanf(counts, "%d, won %d", &found, &won); err != nil || scanned != nil || found == 0 || won != 0 {
				t.Errorf("%v, and it printed\n%s", err, out.String())
			}
		})
	}
}

// attacks are how many jacamars are attacked at most, and attackedJobs how many jobs
// that may take: each has several, and most end before a busy machine shows them.
const attacks, attackedJobs = 20, 60

// threads shows flag and filter of all threads of a shell's parent, each once.
const threads = `sed -nE 's/^(NoNewPrivs|Seccomp):\s*//p' /proc/$PPID/task/*/status | paste -d' ' - - | sort -u`

// TestConfinementCoversJacamar: in each stage that runs a script, every thread of
// jacamar is as confined as the job; where it runs commands of a batch system none is.
func TestConfinementCoversJacamar(t *testing.T) {
	lists := func(c site.Config) {
		c.Set("auth", "seccomp", site.Table{"block_calls": []string{"ptrace", "bpf"}})
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick, confined)
			for name, change := range map[string]func(site.Config){
				"flag and filter": func(site.Config) {}, "lists": lists,
				"the flag alone": func(c site.Config) { c.Set("auth", "seccomp", site.Table{"disabled": true}) },
			} {
				if err := s.Reconfigure(quick, confined, change); err != nil {
					t.Fatal(err)
				}
				expected := "1 2\n"
				if name == "the flag alone" {
					expected = "1 0\n"
				}
				job := s.Job()
				job.AfterScript = []string{"true"}
				job.Raw = map[string][]byte{}
				for _, stage := range []string{"get_sources", "build_script", "after_script"} {
					job.Raw[stage] = []byte(threads + "\n")
				}
				res := s.Runner().Run(job)
				site.Want(t, res, fakerunner.Success, 0)
				for stage := range job.Raw {
					if call, _ := res.Call(stage); call.ScriptOutput() != expected {
						t.Errorf("%s, %s: jacamar has %q, want %q", name, stage, call.Stdout, expected)
					}
				}
			}
		})
	}
}

// TestOpenMemoryIsRefused: with fs.suid_dumpable 1 the kernel lets an account attach to
// the program that becomes it; the value is that of a mount namespace of the test's own.
func TestOpenMemoryIsRefused(t *testing.T) {
	s := deployment(t, "root").Open(t, quick)
	for value, refused := range map[string]bool{"1": true, "2": false} {
		file := filepath.Join(s.Dir, "suid_dumpable")
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := under(s, "/usr/bin/unshare", "--mount", "/bin/sh", "-c", `mount --bind "`+file+`" /proc/sys/fs/suid_dumpable && exec "$0" "$@"`)
		res := r.Run(s.Job("echo $((40 + 2))."))
		if ran := strings.Contains(res.Trace, "\n42."); ran == refused {
			t.Errorf("%s: the script ran: %v:\n%s", value, ran, all(res))
		}
		if named := strings.Contains(all(res), "fs.suid_dumpable is 1"); named != refused {
			t.Errorf("%s: named %v:\n%s", value, named, all(res))
		}
	}
}
