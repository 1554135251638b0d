package gitlab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner/gitlab"
)

// runnerCall is one request of a runner; it returns status, header and body.
func runnerCall(t *testing.T, s *gitlab.Server, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client(t, s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestCoordinator(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	if code, _, _ := runnerCall(t, s, "POST", "/api/v4/jobs/request", "{}"); code != http.StatusNoContent {
		t.Errorf("an empty queue answers %d", code)
	}
	j := job
	j.Token = "tok"
	a := s.Assign(j)
	code, _, body := runnerCall(t, s, "POST", "/api/v4/jobs/request", "{}")
	var got struct {
		ID     int64
		Inputs []any
	}
	if err := json.Unmarshal([]byte(body), &got); code != http.StatusCreated || err != nil || got.ID != j.ID {
		t.Fatalf("%d, job %d, %v", code, got.ID, err)
	}
	if code, _, _ := runnerCall(t, s, "POST", "/api/v4/jobs/request", "{}"); code != http.StatusNoContent {
		t.Errorf("a job is handed out twice: %d", code)
	}

	patch := func(piece, at, token string) (int, http.Header) {
		code, header, _ := runnerCall(t, s, "PATCH", "/api/v4/jobs/101/trace", piece, "JOB-TOKEN", token, "Content-Range", at)
		return code, header
	}
	if code, h := patch("hello ", "0-5", "tok"); code != http.StatusAccepted || h.Get("Range") != "0-6" || h.Get("Job-Status") != "running" {
		t.Errorf("first piece: %d %v", code, h)
	}
	if code, _ := patch("x", "0-0", "other"); code != http.StatusForbidden {
		t.Errorf("another token: %d", code)
	}
	if code, _ := patch("x", "9-9", "tok"); code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a gap: %d", code)
	}
	a.Cancel()
	if _, h := patch("world", "6-10", "tok"); h.Get("Job-Status") != "canceling" {
		t.Errorf("a canceled job is %q", h.Get("Job-Status"))
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := a.AwaitTrace(ctx, "hello world"); err != nil {
		t.Error(err)
	}
	if code, _, _ := runnerCall(t, s, "PUT", "/api/v4/jobs/101", `{"token":"tok","state":"failed","failure_reason":"script_failure","exit_code":7}`); code != http.StatusOK {
		t.Errorf("update: %d", code)
	}
	r, err := a.Wait(ctx)
	if err != nil || r != (gitlab.Report{State: "failed", Reason: "script_failure", ExitCode: 7, Trace: "hello world"}) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestWaitForMissingRunner(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	if _, err := s.Assign(job).Wait(ctx); err == nil {
		t.Error("a job ended without a runner")
	}
}

func TestArtifactsNeedAToken(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	s.Admit("tok")
	for _, tt := range []struct {
		method, token string
		want          int
	}{{"GET", "other", 403}, {"GET", "tok", 404}, {"POST", "other", 403}, {"POST", "tok", 400}} {
		if code, _, _ := runnerCall(t, s, tt.method, "/api/v4/jobs/5/artifacts", "", "JOB-TOKEN", tt.token); code != tt.want {
			t.Errorf("%s with %s: %d, want %d", tt.method, tt.token, code, tt.want)
		}
	}
	if !bytes.Equal(s.Artifacts(5), nil) {
		t.Error("something was stored")
	}
}
