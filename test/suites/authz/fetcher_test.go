package authz

import (
	"net/http"
	"net/http/httptest"
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

// TestFetcherIsTrusted: the keys from jacamar-keys decide who a user is, so it is run
// only where no other account could have replaced it.
func TestFetcherIsTrusted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(t *testing.T, keys string)
		want   string // "" means that it is run
	}{
		"A1 as it was installed":   {func(*testing.T, string) {}, ""},
		"A1 missing":               {func(t *testing.T, keys string) { testutil.Must(t, os.Remove(keys)) }, "jacamar-keys is missing: install all programs from one package"},
		"A1 for its group":         {func(t *testing.T, keys string) { testutil.Must(t, os.Chmod(keys, 0o775)) }, "jacamar-keys: it is writable by group"},
		"A1 for all":               {func(t *testing.T, keys string) { testutil.Must(t, os.Chmod(keys, 0o757)) }, "jacamar-keys: it is writable by others"},
		"A1 a link":                {func(t *testing.T, keys string) { relink(t, keys) }, "jacamar-keys: it is a symbolic link"},
		"A1 a directory for all":   {func(t *testing.T, keys string) { testutil.Must(t, os.Chmod(filepath.Dir(keys), 0o777)) }, "is writable by group and others"},
		"A1 another program of it": {func(t *testing.T, keys string) { replace(t, keys) }, "has another version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := keyless(t)
			bin := filepath.Join(s.Dir, "bin")
			testutil.Must(t, os.Mkdir(bin, 0o755))
			for _, program := range []string{"jacamar-auth", "jacamar-keys", "jacamar"} {
				testutil.Must(t, exec.Command("cp", filepath.Join(filepath.Dir(s.Auth), program), bin).Run())
			}
			s.Auth = filepath.Join(bin, "jacamar-auth")
			tc.change(t, filepath.Join(bin, "jacamar-keys"))
			c, _ := once(t, s)
			if (c.Status == 0) != (tc.want == "") {
				t.Errorf("status %d: %s", c.Status, c.Stderr)
			}
			ends := events(t, s, "stage_end")
			if len(ends) != 1 || !strings.Contains(ends[0].Reason, tc.want) {
				t.Errorf("recorded %+v, want the reason %q", ends, tc.want)
			}
		})
	}
}

func relink(t *testing.T, keys string) {
	testutil.Must(t, os.Rename(keys, keys+".old"))
	testutil.Must(t, os.Symlink(keys+".old", keys))
}

func replace(t *testing.T, keys string) {
	testutil.Must(t, os.Remove(keys))
	testutil.Must(t, testutil.WriteProgram(keys, []byte("#!/bin/sh\ncat "+keys+"\n"), 0o755))
}

// TestFetcherOfTheServiceAccount: A1, with file capabilities jacamar-auth can do more
// than the account that starts it, which must not decide who a user is.
func TestFetcherOfTheServiceAccount(t *testing.T) {
	s, runner := serviced(t)
	keys := filepath.Join(filepath.Dir(s.Auth), "jacamar-keys")
	testutil.Must(t, os.Chown(keys, int(runner.UID), int(runner.GID)))
	if stdout, stderr, err := (entry{s, s.Auth, &runner}).config(t, s.ConfigFile); err == nil || stdout != "" || !strings.Contains(stderr, misconfigured) {
		t.Errorf("%v: %q, %q", err, stdout, stderr)
	}
	testutil.Must(t, os.Chown(keys, 0, 0))
	if _, stderr, err := (entry{s, s.Auth, &runner}).config(t, s.ConfigFile); err != nil {
		t.Errorf("root's own: %v: %q", err, stderr)
	}
}

// TestFetcherEndsWithTheStage stops a config stage that waits for a server, in the
// two ways that a runner has: no process of it remains.
func TestFetcherEndsWithTheStage(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"E1 SIGTERM": syscall.SIGTERM, "E4 SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() }))
			t.Cleanup(server.Close)
			s := keyless(t, atAnyPort(server.URL+"/keys"))
			j, response := s.Job("id -un"), filepath.Join(s.Dir, "response.json")
			testutil.Must(t, os.WriteFile(response, j.Response(), 0o600))
			cmd := exec.Command(s.Auth, "config", "--configuration", s.ConfigFile)
			cmd.Env = []string{"JOB_RESPONSE_FILE=" + response}
			testutil.Must(t, cmd.Start())
			<-asked
			testutil.Must(t, cmd.Process.Signal(signal))
			if err := cmd.Wait(); err == nil {
				t.Error("it succeeded")
			}
			site.NoProcess(t, 20*time.Second, site.Marked(server.URL))
		})
	}
}
