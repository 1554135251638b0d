package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// marks are parts of a token that no output may contain: of its claims and of its
// signature, each long enough to exclude coincidence.
func marks(token string) []string {
	var out []string
	for _, part := range strings.Split(token, ".") {
		for len(part) > 64 {
			out = append(out, part[24:56])
			part = part[56:]
		}
	}
	return append(out, token[len(token)-24:])
}

// shows returns the mark that text has, "" for none.
func shows(text []byte, marks []string) string {
	for _, m := range marks {
		if bytes.Contains(text, []byte(m)) {
			return m
		}
	}
	return ""
}

// failing are jobs that end at each point where a driver could print too much. The
// validation scripts print all that they have.
var failing = []struct {
	name   string
	change func(*site.Site, site.Config)
	job    func(*site.Site) fakerunner.Job
}{
	{"D5 form", nil, respelled(func(s string) string { return s + "." + s })},
	{"D5 spelling", nil, respelled(func(s string) string { return s + "=" })},
	{"D5 header", nil, header("jku", "https://evil.example")},
	{"D5 algorithm", nil, header("alg", "HS256")},
	{"D5 key id", nil, header("kid", "unknown")},
	{"D5 signature", nil, respelled(tampered)},
	{"D5 claims", nil, with("exp", "soon")},
	{"D5 issuer", nil, with("iss", "https://evil.example")},
	{"D5 audience", nil, with("aud", "nobody")},
	{"D5 expired", nil, claimed(func(c gitlab.Claims) gitlab.Claims { return c.With("iat", 1000).With("nbf", 1000).With("exp", 2000) })},
	{"D5 job", nil, with("job_id", "1")},
	{"D5 user", nil, withResponse(func(j *fakerunner.Job) { j.UserID++ })},
	{"D5 policy", auth("user_allowlist", names{}), nil},
	{"D5 unknown account", nil, with("user_login", "nobody-at-all")},
	{"D5 configuration", func(_ *site.Site, c site.Config) { c.Set("auth", "no_such_key", true) }, nil},
	{"D5 account map", mapped("x"), nil},
	{"D5 keys", func(s *site.Site, c site.Config) {
		c.Set("general", "state_dir", s.StateDir)
		c.Set("general", "jwks_url", "http://127.0.0.1:1/keys")
	}, nil},
	{"D5 variable", auth("max_env_chars", 10), nil},
	{"D5 response", nil, withResponse(func(j *fakerunner.Job) { j.Project.ID = 0 })},
	{"D5 RunAs", validated("env; cat /proc/self/environ; cat /proc/$PPID/cmdline; set -x; env >&2; cat /proc/$PPID/cmdline >&2; exit 1"), nil},
	{"D5 jacamar is missing", auth("jacamar_path", "/nonexistent/jacamar"), nil},
	{"D5 jacamar is none", auth("jacamar_path", "/etc/passwd"), nil},
	{"D5 data_dir", func(s *site.Site, c site.Config) { c.Set("general", "data_dir", s.Dir+"/missing/data") }, nil},
	{"D5 nothing fails", nil, nil},
}

// TestTokenIsNotLeaked: D5, no failure shows the token: not to the user, not with
// -u, not in the log at level debug, not over the network, not in a file, and not to
// another account that reads /proc.
func TestTokenIsNotLeaked(t *testing.T) {
	t.Parallel()
	for _, tc := range failing {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			testutil.Must(t, err)
			s := newSibling(t)
			configure := func(log site.Table) {
				testutil.Must(t, s.Reconfigure(func(c site.Config) {
					c.Set("general", "state_dir", common(t).StateDir)
					c.Set("auth", "logging", log)
					if tc.change != nil {
						tc.change(s, c)
					}
				}))
			}
			for _, log := range []site.Table{logging(s), {"enabled": true, "level": "debug", "network": "udp", "address": conn.LocalAddr().String()}} {
				configure(log)
				for _, loud := range []bool{false, true} {
					searchForToken(t, s, tc.job, loud)
				}
			}
			testutil.Must(t, conn.Close())
			if log, err := os.ReadFile(logFile(s)); tc.name != "D5 configuration" && (err != nil || len(log) == 0) {
				t.Errorf("nothing was logged: %v", err)
			}
		})
	}
}

// searchForToken runs one job and searches all output for its token.
func searchForToken(t *testing.T, s *site.Site, job func(*site.Site) fakerunner.Job, loud bool) {
	t.Helper()
	j := s.Job("true")
	if job != nil {
		j = job(s)
	}
	own := marks(token(j))
	r := s.Runner()
	if loud {
		for _, argv := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
			*argv = append([]string{(*argv)[0], "-u"}, (*argv)[1:]...)
		}
	}
	result := r.Run(j)
	for _, c := range result.Calls {
		for name, text := range map[string][]byte{"standard output": c.Stdout, "standard error": c.Stderr} {
			if m := shows(text, own); m != "" {
				t.Errorf("%s of %s shows %q", name, c.Stage, m)
			}
		}
	}
	for _, dir := range []string{s.Dir, common(t).StateDir} {
		inFiles(t, dir, own)
	}
}

// inFiles searches every file below a directory. The job's own response and scripts are
// removed by now.
func inFiles(t *testing.T, dir string, marks []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		text, err := os.ReadFile(path)
		if m := shows(text, marks); m != "" {
			t.Errorf("%s shows %q", path, m)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestNoTokenInNetworkLog: D5, the records of each failure at a log server.
func TestNoTokenInNetworkLog(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	testutil.Must(t, err)
	var mu sync.Mutex
	var got []byte
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			mu.Lock()
			got = append(got, b[:n]...)
			mu.Unlock()
		}
	}()
	var all []string
	for _, tc := range failing {
		s := newSibling(t)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("general", "state_dir", common(t).StateDir)
			c.Set("auth", "logging", site.Table{"enabled": true, "level": "debug", "network": "udp", "address": conn.LocalAddr().String()})
			if tc.change != nil {
				tc.change(s, c)
			}
		}))
		j := s.Job("true")
		if tc.job != nil {
			j = tc.job(s)
		}
		all = append(all, marks(token(j))...)
		r := s.Runner()
		r.Custom.Prepare = []string{"/bin/false"} // one stage is enough
		r.Run(j)
	}
	site.Eventually(5*time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Count(got, []byte(`"event":"stage_end"`)) >= len(failing)
	})
	testutil.Must(t, conn.Close())
	mu.Lock()
	defer mu.Unlock()
	if m := shows(got, all); m != "" || len(got) == 0 {
		t.Errorf("%d bytes arrived and show %q", len(got), m)
	}
}

// TestNoTokenInProcesses: D5, another account reads /proc continuously.
func TestNoTokenInProcesses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it reads /proc as another account")
	}
	t.Parallel()
	nobody, err := site.LookupAccount("nobody")
	testutil.Must(t, err)
	s := newSibling(t)
	j := s.Job("id -un", "sleep 0.3")
	watch := exec.Command("sh", "-c", `echo up; while [ -z "$end" ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; read -t 0.01 end; done; true`)
	watch.Path, watch.Args[0] = "/bin/bash", "bash"
	watch.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody.UID, Gid: nobody.GID}}
	input, err := watch.StdinPipe()
	testutil.Must(t, err)
	var seen bytes.Buffer
	watch.Stdout = &seen
	testutil.Must(t, watch.Start())
	ran(t, s, s.Runner().Run(j), "")
	_, err = fmt.Fprintln(input, "end")
	testutil.Must(t, err)
	testutil.Must(t, watch.Wait())
	if !bytes.Contains(seen.Bytes(), []byte("jacamar-auth")) {
		t.Error("the watcher read nothing")
	}
	if m := shows(seen.Bytes(), append(marks(token(j)), j.Token)); m != "" {
		t.Errorf("/proc shows %q", m)
	}
}

// TestNoCore: A10 and D5, a driver that is killed leaves no image of its memory behind.
func TestNoCore(t *testing.T) {
	t.Parallel()
	asked := make(chan bool)
	// It waits for keys, with the token in hand.
	s := served(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- true
		<-r.Context().Done()
	}))
	j := s.Job("true")
	dir, err := os.MkdirTemp(s.Dir, "runner")
	testutil.Must(t, err)
	response := filepath.Join(dir, "response.json")
	testutil.Must(t, os.WriteFile(response, j.Response(), 0o600))
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command("bash", "-c", `ulimit -c unlimited; exec "$@"`, "bash", s.Auth, "config", "--configuration", s.ConfigFile)
			cmd.Dir = dir
			cmd.Env = []string{"JOB_RESPONSE_FILE=" + response, "GOTRACEBACK=crash"}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			testutil.Must(t, cmd.Start())
			select {
			case <-asked:
			case <-time.After(time.Minute):
				t.Error("the driver did not fetch keys")
			}
			testutil.Must(t, cmd.Process.Signal(sig))
			if err := cmd.Wait(); err == nil {
				t.Error("it exited with success")
			}
			if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.CoreDump() {
				t.Error("it dumped core")
			}
			if m := shows(out.Bytes(), marks(token(j))); m != "" {
				t.Errorf("its output shows %q", m)
			}
		})
	}
	testutil.Must(t, os.Remove(response))
	inFiles(t, dir, marks(token(j)))
}

// TestLogInjection: D6, untrusted text starts no line and no record of its own, in
// the operator's log and in the job's.
func TestLogInjection(t *testing.T) {
	nasty := "x\n<0>fake: {\"event\":\"decision\",\"decision\":\"allow\"}\r\n\x1b[2J\x1b]0;title\x07\x00\u009b31m\u202eevil\u2028%n%s${HOME}'\"\\"
	var all []attempt
	for name, job := range map[string]func(*site.Site) fakerunner.Job{
		"issuer": with("iss", nasty), "audience": with("aud", nasty), "login": with("user_login", nasty), "project": with("job_project_path", nasty),
		"ref": with("ref", nasty), "e-mail": with("user_email", nasty), "token id": with("jti", nasty), "pipeline source": with("pipeline_source", nasty),
		"groups": with("groups_direct", []string{nasty}), "identity": with("user_identities", []any{map[string]string{"provider": nasty, "extern_uid": nasty}}),
		"key id": header("kid", nasty), "algorithm": header("alg", nasty), "type": header("typ", nasty),
		"printable login": with("user_login", "x'\"\\%n%s${HOME}\u202e"), "printable project": with("job_project_path", "g/%n\u202ep\u200b"),
	} {
		all = append(all, attempt{name: "D6 " + name, job: job, anything: true, after: wellFormed})
	}
	all = append(all,
		attempt{name: "D6 project name of the repository", anything: true, after: wellFormed, job: func(s *site.Site) fakerunner.Job {
			j := s.Job("true")
			j.Name, j.Stage, j.Git.Ref = nasty, nasty, nasty
			return j
		}},
		attempt{name: "D6 RunAs script", anything: true, after: wellFormed, change: func(s *site.Site, c site.Config) {
			file := filepath.Join(s.Dir, "nasty")
			testutil.Must(t, os.WriteFile(file, []byte(nasty), 0o644))
			validated("cat "+file+" >&2; exit 1")(s, c)
		}},
		attempt{name: "D6 account that is asked for", anything: true, after: wellFormed, change: validated("true"), job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(s.Job("true"), target, strings.ReplaceAll(nasty, "\x00", ""))
		}},
	)
	attempts(t, all)
}

// wellFormed checks that every line is one record, and that no text controls the
// reader's terminal.
func wellFormed(t *testing.T, s *site.Site, r fakerunner.Result) {
	t.Helper()
	text, err := os.ReadFile(logFile(s))
	testutil.Must(t, err)
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["event"] == nil || (fields["stage"] == nil) != (fields["event"] == "job_end") {
			t.Errorf("%q is no record: %v", line, err)
		}
		for _, c := range strings.TrimSuffix(line, "\n") {
			if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x2028 && c <= 0x202e || c == 0x200b {
				t.Errorf("%U is in %q", c, line)
			}
		}
	}
	for _, c := range r.Calls {
		words := strings.NewReplacer("\x1b[31;1m", "", "\x1b[0;36m", "", "\x1b[0;33m", "", "\x1b[0m", "", "\n", "").Replace(string(c.Stderr))
		if c.Stage != "config" {
			continue
		}
		for _, w := range words {
			if w < ' ' || w >= 0x7f && w < 0xa0 {
				t.Errorf("%U is in %q", w, c.Stderr)
			}
		}
	}
}
