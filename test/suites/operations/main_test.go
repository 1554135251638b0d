// Package operations runs jobs through the built programs in every deployment with
// authorization, and compares what jacamar-admin reports of them, and does to them,
// with what happened.
package operations

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// limit is how long anything that a test waits for may take.
const limit = 30 * time.Second

// deployments runs a test in each deployment with a journal of its own.
func deployments(t *testing.T, test func(t *testing.T, s *site.Site)) {
	t.Helper()
	for _, d := range site.Deployments() {
		if !slices.Contains([]string{"root", "capabilities", "sudo"}, d.Name) {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, func(c site.Config) { c.Set("auth", "logging", site.Table{"enabled": true}) })
			test(t, s)
		})
	}
}

// someDeployments is deployments, and in short mode the deployment root alone.
func someDeployments(t *testing.T, test func(t *testing.T, s *site.Site)) {
	t.Helper()
	deployments(t, func(t *testing.T, s *site.Site) {
		if testing.Short() && s.Service() != nil {
			t.Skip("short mode: the deployment root alone")
		}
		test(t, s)
	})
}

// journal is the directory of this host's part of the journal.
func journal(t *testing.T, s *site.Site) string {
	t.Helper()
	host, err := os.Hostname()
	testutil.Must(t, err)
	return filepath.Join(s.StateDir, "journal", host)
}

// result is an ended jacamar-admin.
type result struct {
	status int
	text   string
}

// admin runs a command of jacamar-admin as root.
func admin(t *testing.T, s *site.Site, args ...string) result {
	t.Helper()
	args = append(args[:1:1], append([]string{"--configuration", s.ConfigFile}, args[1:]...)...)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Admin, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// does is admin for a command that must succeed.
func does(t *testing.T, s *site.Site, args ...string) string {
	t.Helper()
	r := admin(t, s, args...)
	if r.status != 0 {
		t.Fatalf("jacamar-admin %v: status %d: %s", args, r.status, r.text)
	}
	return r.text
}

// row is a job as jacamar-admin lists it.
type row struct {
	Job                                            string
	Account, Project, Executor, State, Stage, Exit string
	Directory, Reason                              string
	Code                                           int
	CPU                                            float64 `json:"cpu_seconds"`
	Peak                                           int64   `json:"peak_bytes"`
	Disk                                           int64   `json:"disk_bytes"`
	Partial                                        bool    `json:"disk_partial"`
}

// list returns the jobs that a call of `jobs --json` prints, by their number.
func list(t *testing.T, s *site.Site, args ...string) map[int64]row {
	t.Helper()
	var rows []row
	text := does(t, s, append([]string{"jobs", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	jobs := map[int64]row{}
	for _, r := range rows {
		id, err := strconv.ParseInt(r.Job, 10, 64)
		testutil.Must(t, err)
		jobs[id] = r
	}
	if len(jobs) != len(rows) {
		t.Errorf("a job is listed twice: %s", text)
	}
	return jobs
}

// waits is a script that runs until the file is made.
func waits(gate string) string {
	return "echo under way\nuntil [ -e " + gate + " ]; do sleep 0.1; done\n"
}

// gate is a file that ends the scripts which wait for it.
func gate(t *testing.T) (path string, open func()) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "jacamar-gate-")
	testutil.Must(t, err, os.Chmod(dir, 0o755))
	path = filepath.Join(dir, "gate")
	open = func() { _ = os.WriteFile(path, nil, 0o644) }
	t.Cleanup(func() { open(); os.RemoveAll(dir) })
	return path, open
}

// stages are the names of the calls, in their order.
func stages(r fakerunner.Result) (names []string) {
	for _, c := range r.Calls {
		names = append(names, c.Stage)
	}
	return names
}

// reads fails the test unless a line of a job's log has the text.
func reads(t *testing.T, r fakerunner.Result, text string) {
	t.Helper()
	for line := range strings.Lines(r.Trace) {
		if strings.Contains(line, text) {
			return
		}
	}
	t.Errorf("the job's log has no %q:\n%s", text, r.Trace)
}

// until waits for a fact that another process brings about.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	if !site.Eventually(limit, fact) {
		t.Fatalf("not within %s: %s", limit, what)
	}
}

// own are the site's live processes.
func own(t *testing.T, s *site.Site) []site.Process {
	t.Helper()
	all, err := site.Find(s.Own())
	testutil.Must(t, err)
	return all
}
