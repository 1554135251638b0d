package website

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/test/harness/browser"
)

var updatePictures = flag.Bool("update-pictures", false, "write the pictures of docs/pictures that a browser takes")

// statusPage is the page of jacamar-admin status, with jobs that were invented for the
// documentation.
func statusPage(t *testing.T) []byte {
	t.Helper()
	now := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	live := func(id, project, account, executor, stage string, ago time.Duration) status.Job {
		return status.Job{
			Host: "login1", ID: id, Project: project, Account: account, Executor: executor, State: "running", Stage: stage,
			Began: now.Add(-ago), Last: now, Directory: "/scratch/ci/" + account + "/builds/t0kenXyz1/000",
		}
	}
	ended := func(id, project, account, exit string, code int, ago time.Duration, cpu float64, peak, disk int64) status.Job {
		return status.Job{Host: "login1", ID: id, Project: project, Account: account, Exit: exit, Code: code, Last: now.Add(-ago), CPU: cpu, Peak: peak << 20, Disk: disk << 20}
	}
	batch := live("48213", "climate/model", "alice", "slurm", "step_script", 42*time.Minute)
	batch.BatchID, batch.Phase, batch.Node = "991204", "running", "node[017-020]"
	quiet := live("48190", "fluids/solver", "bob", "shell", "", 3*time.Hour)
	quiet.State = "ghost"
	page := status.Snapshot{
		Schema: status.Schema, Made: now, Hosts: []string{"login1"},
		Attention: []status.Notice{{ID: "ghost", What: "1 job of an account has lost its runner", Do: "jacamar-admin show 48190"}},
		Live:      []status.Job{quiet, batch, live("48221", "climate/tools", "carol", "shell", "get_sources", 20*time.Second)},
		Ended: []status.Job{
			ended("48219", "climate/model", "alice", "ok", 0, 4*time.Minute, 812, 2100, 940), ended("48207", "fluids/solver", "bob", "build", 7, 31*time.Minute, 95, 340, 120),
			ended("48199", "climate/tools", "carol", "ok", 0, 58*time.Minute, 14, 88, 12),
		},
		Failures: []status.Count{{Name: "build", Count: 1}},
		Refusals: []status.Count{{Name: "user_allowlist", Count: 2}},
		Usage:    []status.Usage{{Account: "alice", Jobs: 31, Failed: 2, CPU: 42200, Wall: 15300, Disk: 940 << 20}, {Account: "bob", Jobs: 9, Failed: 4, CPU: 1900, Wall: 2400, Disk: 120 << 20}},
	}
	var text bytes.Buffer
	if err := page.Page(&text, false); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// TestStatusPage: the page that jacamar-admin writes keeps the rules of the
// documentation's pages. With -update-pictures its picture is taken for them.
func TestStatusPage(t *testing.T) {
	b, text := browser.Start(t), statusPage(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	t.Cleanup(server.Close)
	for _, v := range views() {
		p := b.Open(t, v.View)
		p.Load(server.URL)
		checkRules(t, p, v.String())
		p.Settle()
		for _, request := range p.Requests {
			if !strings.HasPrefix(request, server.URL) {
				t.Errorf("the page asks for %s", request)
			}
		}
	}
	if !*updatePictures {
		return
	}
	p := b.Open(t, browser.View{Width: 1360, Height: 820})
	p.Load(server.URL)
	if err := os.WriteFile(filepath.Join(top, "docs/pictures/status.png"), p.Screenshot(), 0o644); err != nil {
		t.Fatal(err)
	}
}
