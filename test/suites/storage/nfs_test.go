package storage

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/guest"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// guestVariable has, in the guest, the installation to use.
const guestVariable = "JACAMAR_TEST_GUEST"

// TestOnNFS (C7, C9) runs jobs whose data_dir is on NFS: the kernel's server and client,
// root_squash, attributes kept for a minute. The machine's own kernel may have
// neither, so a kernel of its own does it.
func TestOnNFS(t *testing.T) {
	if text := os.Getenv(guestVariable); text != "" {
		onNFS(t, text)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can be the root of a guest with NFS")
	}
	out := runInGuest(t, 6*time.Minute, nil, "-test.run=^TestOnNFS$", "-test.short="+strconv.FormatBool(testing.Short()))
	if !strings.Contains(out, "--- PASS: TestOnNFS/all_stages") {
		t.Error("the test has not passed there")
	}
}

// runInGuest runs this program in a guest with NFS, with this process's installation, and
// returns what it prints.
func runInGuest(t *testing.T, limit time.Duration, env []string, args ...string) string {
	t.Helper()
	debian.Need(t, guest.Programs())
	install, err := site.Installed()
	testutil.Must(t, err)
	given, err := json.Marshal(install)
	testutil.Must(t, err)
	s := site.New(t)
	program := filepath.Join(s.Dir, "storage.test")
	self, err := os.ReadFile("/proc/self/exe")
	testutil.Must(t, err, os.WriteFile(program, self, 0o755))
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	command := append([]string{program, "-test.v"}, args...)
	out, err := guest.Run(ctx, s.Dir, append(env, guestVariable+"="+string(given)), command...)
	t.Logf("in the guest:\n%s", out)
	testutil.Must(t, err)
	return out
}

// siteInGuest is a site of the installation that was given to the guest.
func siteInGuest(t *testing.T, given string) *site.Site {
	t.Helper()
	install := new(site.Install)
	testutil.Must(t, json.Unmarshal([]byte(given), install))
	s, err := install.Open()
	testutil.Must(t, err)
	t.Cleanup(func() { testutil.Must(t, s.Close()) })
	s.JudgeJobs(t)
	return s
}

func onNFS(t *testing.T, given string) {
	s := siteInGuest(t, given)
	one := newNode(t, "one", "127.0.0.1")
	t.Run("all stages", func(t *testing.T) { allStages(t, s, one) })
	if testing.Short() {
		t.Skip("two hosts take the guest half a minute: SHORT= runs them")
	}
	t.Run("life", func(t *testing.T) { life(t, s, place{mountPoint, one.enter()}) })
	dataDirAt(t, s, mountPoint, func(c site.Config) { c.Set("general", "limit_build_dir", true) })
	t.Run("two hosts", func(t *testing.T) { twoHosts(t, s, one, newNode(t, "two", "127.0.0.2")) })
}

// mountPoint is where each node has the export.
const mountPoint = "/mnt/nfs"

// node is a separate host for NFS and Jacamar: a client of the server, with a mount and
// caches of its own, and a host name.
type node struct{ pid int }

// newNode makes a node. The nodes of a guest have different names and addresses of the
// server: of two mounts of one client neither learns what the other writes, as the server
// does not recall a delegation for its own holder (RFC 8881, section 10.2).
func newNode(t *testing.T, name, server string) node {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "--uts", "bash", "-c", `hostname $1 && mkdir -p $2 &&
mount -i -t nfs4 -o addr=$3,clientaddr=127.0.0.1,vers=4.2,actimeo=60,nosharecache $3:/ $2 && echo up && exec sleep 10000`, "-", name, mountPoint, server)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	testutil.Must(t, err, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if n, _ := out.Read(make([]byte, 3)); n != 3 {
		t.Fatal("the node did not come up")
	}
	return node{cmd.Process.Pid}
}

// path is a path on the node.
func (n node) path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(n.pid), "root", path)
}

// enter is the command that runs another one on the node.
func (n node) enter() []string {
	return []string{"/usr/bin/nsenter", "--target", strconv.Itoa(n.pid), "--mount", "--uts", "--"}
}

// runner is a runner of the site on the node.
func (n node) runner(s *site.Site) *fakerunner.Runner { return s.RunnerInside(n.enter()...) }

// allStages runs a job with every stage, without sources. Its build directory
// is removed at its end, deep as it is. The guest is slow: the long run has more.
func allStages(t *testing.T, s *site.Site, n node) {
	base := dataDirAt(t, s, mountPoint, func(c site.Config) {
		c.Set("general", "static_builds_dir", true)
		c.Set("general", "static_builds_days", 0)
	})
	r := n.runner(s).Run(s.Job(deep))
	site.Want(t, r, fakerunner.Success, 0)
	site.Shows(t, r, "on one in "+mountPoint)
	if len(r.Calls) != 7 {
		t.Errorf("it had the stages %v", r.Stages())
	}
	for _, c := range r.Calls {
		t.Logf("%-28s %v", c.Stage, c.Duration.Round(time.Millisecond))
	}
	leaves(t, s, place{mountPoint, n.enter()}, base, "builds builds/.trash builds/static builds/static/t0kenXyz1 cache scripts scripts/.trash scripts/t0kenXyz1")
	if err := os.WriteFile(n.path(filepath.Join(base, "of-root")), nil, 0o600); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("root may write there: %v", err)
	}
	mounts, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid), "mounts"))
	testutil.Must(t, err)
	if !strings.Contains(string(mounts), "acregmin=60,acdirmin=60") {
		t.Errorf("the mounts are\n%s", mounts)
	}
}

// twoHosts has jobs of one project on two hosts, each of which keeps what it has
// read of the directories for a minute: claims are still visible at once.
func twoHosts(t *testing.T, s *site.Site, one, two node) {
	hold := filepath.Join(s.Dir, "hold")
	testutil.Must(t, os.WriteFile(hold, nil, 0o644))
	e := one.runner(s).Start(s.Job("while [ -e " + hold + " ]; do sleep 0.2; done"))
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	testutil.Must(t, e.AwaitOutput(ctx, "build_script", "$ while"))
	other := two.runner(s).Run(s.Job("true"))
	site.Want(t, other, fakerunner.Success, 0)
	testutil.Must(t, os.Remove(hold))
	r := e.Wait()
	site.Want(t, r, fakerunner.Success, 0)
	if other.BuildsDir == r.BuildsDir {
		t.Errorf("both jobs had %s", r.BuildsDir)
	}
	behind := two.runner(s).Run(s.Job("true"))
	site.Want(t, behind, fakerunner.Success, 0)
	if behind.BuildsDir != r.BuildsDir {
		t.Errorf("after the job in %s one on the other host had %s", r.BuildsDir, behind.BuildsDir)
	}
}
