package install

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/logview"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/repo/docs"
)

var (
	updateLogs = flag.Bool("update-logs", false, "write docs/job-log.md")
	logsDir    = flag.String("logs-dir", "", "keep the unchanged logs in this directory")
)

// sampleJob is a job whose log is on the page.
type sampleJob struct {
	title, what string
	script      []string
	slurm       bool
	change      func(fakerunner.Job) fakerunner.Job
	configure   func(site.Config, *site.Site)
}

func unchanged(j fakerunner.Job) fakerunner.Job { return j }

func sampleJobs() []sampleJob {
	plain := func(site.Config, *site.Site) {}
	return []sampleJob{
		{"A job that succeeds", "With a message of the site (`job_message`), and a login profile that prints.", []string{"echo hello"}, false, unchanged, func(c site.Config, _ *site.Site) {
			c.Set("general", "job_message", "Maintenance on Friday from 08:00.")
		}},
		{"A script that fails", "The exit code is the script's own.", []string{"echo hello", "exit 3"}, false, unchanged, plain},
		{"A job in a batch system", "Its details are in a section that GitLab folds.", []string{"echo hello"}, true, func(j fakerunner.Job) fakerunner.Job {
			return site.WithVariable(j, "SCHEDULER_PARAMETERS", "-n 1")
		}, plain},
		{"Arguments that are refused", "", []string{"echo hello"}, true, func(j fakerunner.Job) fakerunner.Job {
			return site.WithVariable(j, "SCHEDULER_PARAMETERS", "--output=mine.txt")
		}, plain},
		{"A job without a token", "The lines can be copied into the job.", []string{"echo hello"}, false, func(j fakerunner.Job) fakerunner.Job { return site.WithToken(j, "") }, plain},
		{"A token for another audience", "", []string{"echo hello"}, false, unchanged, func(c site.Config, _ *site.Site) {
			c.Set("general", "jwt_required_aud", "https://hpc.example.com")
		}},
		{"A user who may not run jobs", "The reason is in the operator's log only. The job is not repeated.", []string{"echo hello"}, false, unchanged, func(c site.Config, s *site.Site) {
			c.Set("auth", "user_blocklist", []string{s.Account.Name})
		}},
	}
}

// TestJobLogs compares docs/job-log.md with the logs of jobs.
func TestJobLogs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the sample is of an account that is not the runner's")
	}
	slurm, data := clusters(t, "slurm")["slurm"], sharedDataDir(t)
	s := site.New(t)
	greet(t, s)
	var page strings.Builder
	page.WriteString(logHead + "\n" + logview.Style + "\n")
	for i, sample := range sampleJobs() {
		other := s.NewSibling(t, func(c site.Config) {
			if sample.slurm {
				settle(c, site.Config{"general": {"executor": "slurm", "data_dir": "$HOME"}, "auth": {"downscope": "setuid"}, "batch": {}}, s, data, slurm)
			}
			sample.configure(c, s)
		})
		runner := other.Runner()
		r := runner.Run(sample.change(other.Job(sample.script...)))
		escapes(t, r.Trace)
		fmt.Fprintf(&page, "\n## %s\n\n", sample.title)
		if sample.what != "" {
			fmt.Fprintf(&page, "%s\n\n", sample.what)
		}
		page.WriteString(logview.HTML(logview.WithRunnerColors(readable(r.Trace, other))))
		if *logsDir != "" {
			if err := os.WriteFile(filepath.Join(*logsDir, fmt.Sprintf("%d.log", i)), []byte(r.Trace), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(top, "docs/job-log.md")
	if *updateLogs {
		docs.Hold(t, true, path, page.String())
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stable(string(committed)), stable(page.String())); diff != "" {
		t.Errorf("%s is not what jobs write (-committed +written); -update-logs writes it again:\n%s", path, diff)
	}
}

// greet gives the account a login profile that prints.
func greet(t *testing.T, s *site.Site) {
	t.Helper()
	profile := filepath.Join(s.Account.Home, ".bash_profile")
	if err := os.WriteFile(profile, []byte("echo 'Welcome to the cluster.'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(profile) })
}

// stable removes the lines that depend on the response time of a batch system, and on
// files that a test that was killed has left in the account's home.
func stable(page string) string {
	return regexp.MustCompile(`(?m)^.*(?:Slurm job 1[ :]|>nodes: |>ran: |>waited: |an earlier job of yours).*\n`).ReplaceAllString(page, "")
}

const logHead = `# What a job's log looks like

Logs of jobs in the test suite, in the colours of GitLab and with its sections: select one to fold or unfold it. Names, numbers and times are replaced by
fixed ones. The lines of GitLab Runner itself are shortened, as printed by the suite's fake runner.

Lines that begin with ` + "`jacamar:`" + ` are Jacamar's: cyan for information, yellow for warnings, red for errors. All others are the runner's and the script's.
`

// known are the escape sequences that GitLab's log view supports: colours,
// and "erase line", which marks its sections. Source:
// https://docs.gitlab.com/ci/jobs/job_logs/
var (
	known   = regexp.MustCompile("\x1b\\[[0-9;]*m|\x1b\\[0?K|section_(?:start|end):[0-9]+:[a-z_]+(?:\\[collapsed=true\\])?\r\x1b\\[0K")
	control = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]")
)

// escapes fails the test for a sequence that GitLab's log view does not support.
func escapes(t *testing.T, trace string) {
	t.Helper()
	if left := control.FindString(known.ReplaceAllString(trace, "")); left != "" {
		t.Errorf("the log has the control character %q:\n%q", left, trace)
	}
	if starts, ends := strings.Count(trace, "section_start:"), strings.Count(trace, "section_end:"); starts != ends {
		t.Errorf("%d sections begin and %d end", starts, ends)
	}
	if on, off := regexp.MustCompile("\x1b\\[[0-9;]*[1-9][0-9;]*m").FindAllString(trace, -1), strings.Count(trace, "\x1b[0m")+strings.Count(trace, "\x1b[0;m"); len(on) != off {
		t.Errorf("%d colours begin and %d end", len(on), off)
	}
}

// readable is the log with fixed values for what differs from run to run.
func readable(trace string, s *site.Site) string {
	host, _ := os.Hostname()
	text := strings.NewReplacer(s.Account.Home, "/home/alice", s.Account.Name, "alice", s.Accounts.Runner, "gitlab-runner", host, "login1", s.Dir, "/srv/site").Replace(trace)
	for pattern, same := range map[string]string{
		`\b[0-9]{5,}\b`: "4711", `Jacamar [^)\s]+\)`: "Jacamar 0.1.0)", `driver jacamar \S+\.\.\.`: "driver jacamar 0.1.0...", `\b[0-9.]+(?:ms|µs|s)\b`: "1s", `cpu [0-9:.]+`: "cpu 00:01", `of a process: [0-9.]+ MiB`: "of a process: 5.9 MiB",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, same)
	}
	return strings.TrimRight(text, "\n") + "\n"
}
