package gitlab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"jacamar-ci/test/harness/fakerunner"
)

// Assignment is a job that waits for an official runner, or runs in one.
// Source: https://docs.gitlab.com/development/cicd/ and the runner's network
// package: jobs/request, jobs/:id/trace and jobs/:id.
type Assignment struct {
	job fakerunner.Job

	mu       sync.Mutex
	changed  chan struct{}
	state    string
	reason   string
	code     int
	trace    []byte
	canceled bool
	taken    bool
}

// Report is how a runner reported a job.
type Report struct {
	// State is success or failed, Reason and ExitCode are set for failed.
	State    string
	Reason   string
	ExitCode int
	Trace    string
}

// Assign puts a job into the queue.
func (s *Server) Assign(job fakerunner.Job) *Assignment {
	a := &Assignment{job: job, changed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, a)
	return a
}

// Cancel is a user's click on "cancel". The runner gets it in the
// response to its next report.
func (a *Assignment) Cancel() { a.update(func() { a.canceled = true }) }

// Wait returns the runner's report.
func (a *Assignment) Wait(ctx context.Context) (Report, error) {
	err := a.await(ctx, "the end of the job", func() bool { return a.state == "success" || a.state == "failed" })
	a.mu.Lock()
	defer a.mu.Unlock()
	return Report{State: a.state, Reason: a.reason, ExitCode: a.code, Trace: string(a.trace)}, err
}

// AwaitTrace waits until the job log has text in it.
func (a *Assignment) AwaitTrace(ctx context.Context, text string) error {
	return a.await(ctx, fmt.Sprintf("%q in the job log", text), func() bool { return strings.Contains(string(a.trace), text) })
}

func (a *Assignment) update(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *Assignment) await(ctx context.Context, what string, holds func() bool) error {
	for {
		a.mu.Lock()
		ok, changed := holds(), a.changed
		a.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
}

// status is the job's state in responses to the runner.
func (a *Assignment) status() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.canceled {
		return "canceling"
	}
	return "running"
}

func (s *Server) coordinate(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v4/runners/verify", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":%d,"token":"glrt-test","token_expires_at":null}`, RunnerID)
	})
	mux.HandleFunc("POST /api/v4/jobs/request", s.request)
	mux.HandleFunc("PATCH /api/v4/jobs/{id}/trace", s.patchTrace)
	mux.HandleFunc("PUT /api/v4/jobs/{id}", s.putJob)
}

// request assigns the oldest job.
func (s *Server) request(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.queue {
		if !a.taken {
			a.taken = true
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(a.job.Request())
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// assignment finds the job that a runner's call is about, and refuses a call
// without the job's token.
func (s *Server) assignment(w http.ResponseWriter, r *http.Request, token string) *Assignment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.queue {
		if text(a.job.ID) == r.PathValue("id") && a.job.Token == token {
			return a
		}
	}
	http.Error(w, "403 Forbidden", http.StatusForbidden)
	return nil
}

// patchTrace appends a piece of the job log.
func (s *Server) patchTrace(w http.ResponseWriter, r *http.Request) {
	a := s.assignment(w, r, r.Header.Get("JOB-TOKEN"))
	if a == nil {
		return
	}
	piece, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	first, _, _ := strings.Cut(r.Header.Get("Content-Range"), "-")
	start, err := strconv.Atoi(first)
	if err != nil {
		http.Error(w, "no Content-Range", http.StatusBadRequest)
		return
	}
	code := http.StatusAccepted
	a.update(func() {
		if start > len(a.trace) {
			code = http.StatusRequestedRangeNotSatisfiable
			return
		}
		a.trace = append(a.trace[:start], piece...)
	})
	w.Header().Set("Job-Status", a.status())
	w.Header().Set("X-GitLab-Trace-Update-Interval", "1")
	w.Header().Set("Range", fmt.Sprintf("0-%d", a.length()))
	w.WriteHeader(code)
}

func (a *Assignment) length() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.trace)
}

// putJob stores the runner's report of the job's state.
func (s *Server) putJob(w http.ResponseWriter, r *http.Request) {
	var report struct {
		Token         string `json:"token"`
		State         string `json:"state"`
		FailureReason string `json:"failure_reason"`
		ExitCode      int    `json:"exit_code"`
	}
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := s.assignment(w, r, report.Token)
	if a == nil {
		return
	}
	w.Header().Set("Job-Status", a.status())
	a.update(func() { a.state, a.reason, a.code = report.State, report.FailureReason, report.ExitCode })
	_, _ = io.WriteString(w, "true")
}
