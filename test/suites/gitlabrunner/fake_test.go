package gitlabrunner_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// play runs a job and cancels it once its log has the text, if there is one.
type play func(ctx context.Context, j fakerunner.Job, cancel string) (report, error)

// setUp is a site with repositories in its GitLab.
func setUp(t *testing.T) (*site.Site, repositories) {
	t.Helper()
	s := site.New(t)
	return s, addRepositories(t, s)
}

// bench is what the scenarios run on.
type bench struct {
	site  *site.Site
	repos repositories
	play  play
	// ours picks the processes that must have ended after a job.
	ours site.Match
	// one reports that the runner reports every exit code as 1.
	one bool
	// distrusted reports that a submodule's clone does not trust the server.
	distrusted bool
}

func (b bench) run(t *testing.T) {
	for _, sc := range append(scenarios, sources...) {
		t.Run(sc.name, func(t *testing.T) {
			if sc.submodules && b.distrusted {
				t.Skip("this runner is too old to clone submodules from a server with a CA of its own")
			}
			b.try(t, sc)
			site.NoProcess(t, 20*time.Second, b.ours)
		})
	}
	t.Run("ten jobs at once", func(t *testing.T) {
		b.together(t)
		site.NoProcess(t, 20*time.Second, b.ours)
	})
}

func (b bench) try(t *testing.T, sc scenario) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	r, err := b.play(ctx, sc.job(b.site, b.repos), sc.cancel)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.trace)
	}
	code := sc.code
	if b.one && code != 0 {
		code = 1
	}
	if r.outcome != sc.outcome || (r.code != code && sc.outcome == fakerunner.ScriptFailure) {
		t.Errorf("reported as %s with exit code %d, want %s, %d\n%s", r.outcome, r.code, sc.outcome, code, r.trace)
	}
	for _, text := range sc.shows {
		if !strings.Contains(r.trace, text) {
			t.Errorf("no %q in the job log:\n%s", text, r.trace)
		}
	}
	for _, text := range sc.hides {
		if strings.Contains(r.trace, text) {
			t.Errorf("%q is in the job log:\n%s", text, r.trace)
		}
	}
}

// together runs ten jobs of one project at once, each of which would find files of
// another one in its directory.
func (b bench) together(t *testing.T) {
	const n = 10
	script := []string{`[ ! -e mine ]; echo $CI_JOB_ID > mine; sleep 0.3; [ "$(cat mine)" = $CI_JOB_ID ]; rm mine; echo "dir=$PWD;"`}
	var mu sync.Mutex
	dirs := map[string]bool{}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
			defer stop()
			r, err := b.play(ctx, b.site.Job(script...), "")
			if err != nil || r.outcome != fakerunner.Success {
				t.Errorf("%s %v\n%s", r.outcome, err, r.trace)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			dirs["/"+between(r.trace, "dir=/", ";")] = true
		})
	}
	all.Wait()
	for dir := range dirs {
		if path.Base(dir) != "project" {
			t.Errorf("a job ran in %q", dir)
		}
	}
}

func between(text, before, behind string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, behind)
	return text
}

func TestFakeRunner(t *testing.T) {
	s, repos := setUp(t)
	runner := s.Runner()
	play := func(ctx context.Context, j fakerunner.Job, cancel string) (report, error) {
		e := runner.Start(j)
		if cancel != "" {
			if err := e.AwaitOutput(ctx, "build_script", "\n"+cancel); err != nil {
				e.Abort()
				return report{trace: e.Wait().Trace}, err
			}
			e.Cancel()
		}
		select {
		case <-e.Done():
		case <-ctx.Done():
			e.Abort()
			return report{trace: e.Wait().Trace}, fmt.Errorf("the job did not end: %w", ctx.Err())
		}
		r := e.Wait()
		for _, c := range r.Calls {
			if c.Stage == "cleanup" && c.Err != nil {
				return report{trace: r.Trace}, fmt.Errorf("the cleanup failed: %w: %s", c.Err, c.Stderr)
			}
		}
		return report{r.Outcome, r.ExitCode, r.Trace}, nil
	}
	bench{site: s, repos: repos, play: play, ours: s.Own()}.run(t)
}
