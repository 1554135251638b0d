package authz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// counted serves valid keys and counts the requests.
func counted(asked *atomic.Int32, down *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		gitlab.JSON(gitlab.Set(base.site.GitLab.Login.JWK(), base.site.GitLab.CI.JWK())).ServeHTTP(w, r)
	})
}

// TestKeysAreFetchedOncePerJob: a job of a dozen stages sends one request to the server,
// and the next job none.
func TestKeysAreFetchedOncePerJob(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var down atomic.Bool
	s := served(t, counted(&asked, &down))
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")
	down.Store(true)
	ran(t, s, s.Runner().Run(s.Job("id -un")), "") // H11 down, with fresh cached keys
	if n := asked.Load(); n != 1 {
		t.Errorf("the server got %d requests", n)
	}
}

// TestInventedKeyIDs: H2, tokens with invented ids do not flood the server. While the
// server was not queried for an id, the token is not refused.
func TestInventedKeyIDs(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var down atomic.Bool
	s := served(t, counted(&asked, &down))
	for range 3 {
		attempt{rule: "token: key"}.judge(t, s, s.Runner().Run(header("kid", "made-up")(s)))
	}
	testutil.Must(t, os.Remove(logFile(s)))
	attempt{line: unknownYet}.judge(t, s, s.Runner().Run(header("kid", "made-up-too")(s)))
	ends := events(t, s, "stage_end")
	if len(ends) == 0 || ends[0].Exit != "system" || !strings.Contains(ends[0].Reason, `its key "made-up-too" is not among those fetched `) {
		t.Errorf("recorded %+v", ends)
	}
	if n := asked.Load(); n > 2 {
		t.Errorf("the server got %d requests", n)
	}
}

const unknownYet = "ERROR: this CI resource has not fetched the key of the job's id_token yet"

// TestRotation: H11, the key of a token that config accepted is withdrawn before
// the next stage; and a new key is found.
func TestRotation(t *testing.T) {
	t.Parallel()
	var rotated atomic.Bool
	s := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := base.site.GitLab.CI
		if !rotated.Load() {
			key = foreign()
		}
		gitlab.JSON(gitlab.Set(key.JWK())).ServeHTTP(w, r)
	}))
	sign := func(k *gitlab.Key) fakerunner.Job {
		j := s.Job("id -un")
		return site.WithToken(j, gitlab.Sign(k.Header(), s.GitLab.Claims(j, s.User), gitlab.RS256(k)))
	}
	r := s.Runner()
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "config" {
			rotated.Store(true)
		}
	}
	ran(t, s, r.Run(sign(foreign())), "") // with the cached keys
	age(t, s, 2*time.Minute)
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")
	warned := func() (n int) {
		for _, w := range events(t, s, "warning") {
			if strings.Contains(w.Reason, "all keys changed at once, from "+foreign().ID+" (fetched ") && w.Level == "warning" {
				n++
			}
		}
		return n
	}
	if warned() != 1 {
		t.Errorf("recorded %+v", events(t, s, "warning"))
	}
	// Whatever server answered there, the former keys stay valid for their day.
	ran(t, s, s.Runner().Run(sign(foreign())), "")
	out, err := exec.Command(s.Admin, "keys", "refresh", "--forget", "--configuration", s.ConfigFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	age(t, s, 2*time.Minute)
	testutil.Must(t, os.Remove(logFile(s)))
	attempt{rule: "token: key"}.judge(t, s, s.Runner().Run(sign(foreign())))
}

// TestRefreshRecordsChangedKeys: the timer's call writes a record for the operator.
func TestRefreshRecordsChangedKeys(t *testing.T) {
	t.Parallel()
	var other atomic.Bool
	s := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := base.site.GitLab.CI
		if other.Load() {
			key = foreign()
		}
		gitlab.JSON(gitlab.Set(key.JWK())).ServeHTTP(w, r)
	}))
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")
	other.Store(true)
	if out, err := exec.Command(s.Admin, "keys", "refresh", "--configuration", s.ConfigFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if w := events(t, s, "warning"); len(w) != 1 || !strings.Contains(w[0].Reason, "all keys changed at once") {
		t.Errorf("recorded %+v", w)
	}
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")
}

// kept is the file with the cached keys.
func kept(t *testing.T, s *site.Site) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.StateDir, "keys-*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v, want one file of keys", files, err)
	}
	return files[0]
}

// age makes the cached keys older.
func age(t *testing.T, s *site.Site, by time.Duration) {
	t.Helper()
	file := kept(t, s)
	text, err := os.ReadFile(file)
	testutil.Must(t, err)
	var fields map[string]json.RawMessage
	testutil.Must(t, json.Unmarshal(text, &fields))
	for _, name := range []string{"fetched", "tried"} {
		var at int64
		testutil.Must(t, json.Unmarshal(fields[name], &at))
		fields[name] = json.RawMessage(fmt.Sprint(at - int64(by.Seconds())))
	}
	text, err = json.Marshal(fields)
	testutil.Must(t, err)
	testutil.Must(t, os.WriteFile(file, text, 0o600))
}

// TestCachedKeys: H12, cached keys that cannot be trusted are fetched again; where the
// server is down as well, the job does not run.
func TestCachedKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		root    bool
		spoil   func(t *testing.T, s *site.Site, file string)
		trusted bool // with the server down
		line    string
	}{
		{name: "H12 unchanged", spoil: func(*testing.T, *site.Site, string) {}, trusted: true},
		{name: "H12 older than a day", spoil: func(t *testing.T, s *site.Site, _ string) { age(t, s, 25*time.Hour) }, trusted: true},
		{name: "H12 older than a week", spoil: func(t *testing.T, s *site.Site, _ string) { age(t, s, 169*time.Hour) }},
		{name: "H12 of tomorrow", spoil: func(t *testing.T, s *site.Site, _ string) { age(t, s, -24*time.Hour) }},
		{name: "H12 written by others", spoil: func(t *testing.T, _ *site.Site, f string) { testutil.Must(t, os.Chmod(f, 0o666)) }},
		{name: "H12 written by group", spoil: func(t *testing.T, _ *site.Site, f string) { testutil.Must(t, os.Chmod(f, 0o660)) }},
		{name: "H12 cut off", spoil: func(t *testing.T, _ *site.Site, f string) { testutil.Must(t, os.Truncate(f, 200)) }},
		{name: "H12 empty", spoil: func(t *testing.T, _ *site.Site, f string) { testutil.Must(t, os.Truncate(f, 0)) }},
		{name: "H12 a link", spoil: func(t *testing.T, s *site.Site, f string) {
			testutil.Must(t, os.Rename(f, s.Dir+"/moved"))
			testutil.Must(t, os.Symlink(s.Dir+"/moved", f))
		}},
		{name: "H12 a FIFO", spoil: func(t *testing.T, _ *site.Site, f string) {
			testutil.Must(t, os.Remove(f))
			testutil.Must(t, syscall.Mkfifo(f, 0o600))
		}},
		{name: "H12 of another server", spoil: func(t *testing.T, _ *site.Site, f string) {
			text, err := os.ReadFile(f)
			testutil.Must(t, err)
			testutil.Must(t, os.WriteFile(f, bytes.Replace(text, []byte("127.0.0.1"), []byte("127.0.0.2"), 1), 0o600))
		}},
		{name: "H12 of another owner", root: true, spoil: func(t *testing.T, _ *site.Site, f string) { testutil.Must(t, os.Chown(f, 4242, 4242)) }},
		{name: "H12 directory written by others", spoil: func(t *testing.T, s *site.Site, _ string) { testutil.Must(t, os.Chmod(s.StateDir, 0o777)) }, line: misconfigured},
		{name: "H12 directory of another owner", root: true, spoil: func(t *testing.T, s *site.Site, _ string) { testutil.Must(t, os.Chown(s.StateDir, 4242, 4242)) }, line: misconfigured},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.root && os.Geteuid() != 0 {
				t.Skip("needs root: it gives a file to another account")
			}
			var asked atomic.Int32
			var down atomic.Bool
			s := served(t, counted(&asked, &down))
			prime := s.Runner().Run(s.Job("id -un"))
			if prime.Outcome != fakerunner.Success {
				t.Fatal(output(prime))
			}
			tc.spoil(t, s, kept(t, s))
			testutil.Must(t, os.Remove(logFile(s)))
			down.Store(true)
			runner := s.Runner()
			if tc.line != "" {
				runner.Judge = nil // cleanup reports the log, whose counter is in that directory
			}
			r := runner.Run(s.Job("id -un"))
			switch {
			case tc.trusted:
				ran(t, s, r, "")
			case tc.line != "":
				attempt{line: tc.line}.judge(t, s, r)
				return
			default:
				attempt{line: failed}.judge(t, s, r)
			}
			down.Store(false)
			if !tc.trusted {
				forgetFailure(t, s)
			}
			ran(t, s, s.Runner().Run(s.Job("id -un")), "")
		})
	}
}

// forgetFailure ends the minute after a failed request in which none is sent, and removes
// its records.
func forgetFailure(t *testing.T, s *site.Site) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.StateDir, "keys-*.json"))
	testutil.Must(t, err)
	for _, f := range files {
		testutil.Must(t, os.Remove(f))
	}
	testutil.Must(t, os.Remove(logFile(s)))
}

// TestRefreshKeys: root's timer fetches the keys for a service account that cannot even
// read them.
func TestRefreshKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it caches the keys for another account")
	}
	t.Parallel()
	var asked atomic.Int32
	var down atomic.Bool
	s := served(t, counted(&asked, &down))
	testutil.Must(t, s.ServeAs(s.Accounts.Runner))
	keepLog(t, s)
	refresh := func() (string, error) {
		out, err := exec.Command(s.Admin, "keys", "refresh", "--configuration", s.ConfigFile).CombinedOutput()
		return string(out), err
	}
	if out, err := refresh(); err != nil || !strings.Contains(out, "2 keys kept in "+s.StateDir) {
		t.Fatalf("%v: %s", err, out)
	}
	down.Store(true)
	if out, err := refresh(); err == nil || !strings.Contains(out, "cannot fetch keys") {
		t.Errorf("%v: %s", err, out)
	}
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")
}
