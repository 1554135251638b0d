package scheduler_test

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/cobalt"
	"jacamar-ci/internal/jobrun/internal/scheduler/flux"
	"jacamar-ci/internal/jobrun/internal/scheduler/lsf"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
	"jacamar-ci/internal/jobrun/internal/scheduler/sge"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
)

var all = map[string]scheduler.Scheduler{
	"cobalt": cobalt.Cobalt{}, "flux": flux.Flux{}, "lsf": lsf.LSF{}, "pbs": pbs.PBS{}, "sge": sge.SGE{}, "slurm": slurm.Slurm{},
}

// A scheduler's package has no effects, and is short.
func TestSchedulersArePureAndShort(t *testing.T) {
	allowed := []string{"cmp", "encoding/json", "fmt", "math", "path", "regexp", "slices", "strconv", "strings", "time", "jacamar-ci/internal/job", "jacamar-ci/internal/jobrun/internal/scheduler"}
	for name := range all {
		files, _ := filepath.Glob(filepath.Join(name, "*.go"))
		lines := 0
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(text), "\n")
			parsed, err := parser.ParseFile(token.NewFileSet(), f, text, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range parsed.Imports {
				if path, _ := strconv.Unquote(i.Path.Value); !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", f, path)
				}
			}
		}
		if lines == 0 || lines > 600 {
			t.Errorf("%s has %d lines, want at most 600", name, lines)
		}
	}
}

// The engine names no scheduler.
func TestEngineNamesNoScheduler(t *testing.T) {
	files, _ := filepath.Glob("../batch/*.go")
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for name := range all {
			if strings.Contains(string(text), "scheduler/"+name) || strings.Contains(string(text), `"`+name+`"`) {
				t.Errorf("%s names %s", f, name)
			}
		}
	}
}

// Every scheduler keeps a hostile path one word, and the script last.
func TestSubmitCommands(t *testing.T) {
	spec := scheduler.Spec{Name: "ci-r-1", Script: "/d e/job", Output: "/d e/100%/log", Dir: "/h"}
	for name, s := range all {
		argv := s.Submit(spec, nil).Argv
		if last := argv[len(argv)-1]; last != spec.Script && last != "'"+spec.Script+"'" {
			t.Errorf("%s: %q does not end in the script", name, argv)
		}
		if !strings.Contains(strings.Join(argv, " "), spec.Name) {
			t.Errorf("%s: %q lacks the name", name, argv)
		}
		g := s.Grammar()
		// The grammar reserves the options that the engine sets.
		own, err := g.Parse(argv[slices.IndexFunc(argv, func(w string) bool { return strings.HasPrefix(w, "-") }) : len(argv)-1])
		if err != nil {
			t.Errorf("%s cannot read its own options: %v", name, err)
		}
		reserved := 0
		for _, a := range own {
			if a.Reserved {
				reserved++
			}
		}
		if reserved < 3 {
			t.Errorf("%s reserves %d of its own options: %q", name, reserved, argv)
		}
	}
}

// No output, a killed command or noise is never an end, nor an absence.
func TestNoReplyIsUnknown(t *testing.T) {
	killed := scheduler.Reply{Err: errors.New("timed out"), Stdout: "x"}
	for name, s := range all {
		for i, q := range s.Queries("1", true) {
			for what, r := range map[string]scheduler.Reply{
				"killed": killed, "noise": {Stdout: "\x00\xff noise\n"}, "a message": {Code: 3, Stderr: "something else went wrong\n"},
			} {
				if got := schedulertest.Describe(q.Parse(r)); got != "unknown" {
					t.Errorf("%s, query %d, %s: %s", name, i, what, got)
				}
			}
		}
		for what, r := range map[string]scheduler.Reply{"killed": killed, "nothing": {}, "noise": {Stdout: "\x00 noise 12 a\n"}} {
			if got := s.ParseSubmit(r); got.Outcome != scheduler.Uncertain {
				t.Errorf("%s: submission with reply %s: %+v", name, what, got)
			}
		}
		if f, ok := s.(scheduler.Finder); ok {
			if found, err := f.ParseFind(killed); err == nil {
				t.Errorf("%s: a killed list is %v", name, found)
			}
		}
	}
}

// Every hint is a valid argument.
func TestAdvice(t *testing.T) {
	for name, s := range all {
		a, ok := s.(scheduler.Hinter)
		if !ok {
			continue
		}
		words, err := scheduler.Split(a.Advice(scheduler.TimeLimit))
		if err != nil || len(words) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Grammar().Parse(words); err != nil {
			t.Errorf("%s advises an option that it rejects: %v", name, err)
		}
	}
}

// garble replaces every letter of a reply by the same one. It reports whether the reply
// contained letters: an empty reply has a meaning for some.
func garble(r scheduler.Reply) (scheduler.Reply, bool) {
	replace := func(text string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsLetter(c) {
				return 'x'
			}
			return c
		}, text)
	}
	r.Stdout, r.Stderr = replace(r.Stdout), replace(r.Stderr)
	return r, strings.Contains(r.Stdout, "x") || (r.Code != 0 && strings.Contains(r.Stderr, "x"))
}

// fuzz tests the property of every parser: no panic, no impossible state, and output that
// cannot be parsed is Unknown, neither a state nor an absence.
func fuzz(f *testing.F, name string, seeds ...string) {
	s := all[name]
	for _, seed := range seeds {
		f.Add(seed, "", 0)
	}
	files, _ := filepath.Glob(filepath.Join(name, "testdata", "*", "*.txt"))
	for _, file := range files {
		if _, r, err := schedulertest.ReadCall(file); err == nil {
			f.Add(r.Stdout, r.Stderr, r.Code)
		}
	}
	f.Fuzz(func(t *testing.T, stdout, stderr string, code int) {
		r := scheduler.Reply{Stdout: stdout, Stderr: stderr, Code: code}
		noise, some := garble(r)
		for _, q := range s.Queries("1", true) {
			if err := schedulertest.Validate(q.Parse(r)); err != nil {
				t.Error(err)
			}
			if got := schedulertest.Describe(q.Parse(noise)); some && got != "unknown" {
				t.Errorf("%s: %+v is %s, want unknown", q.Argv[0], noise, got)
			}
		}
		if sub := s.ParseSubmit(r); (sub.Outcome == scheduler.Accepted) != (sub.ID != "") || strings.ContainsAny(string(sub.ID), " \n-") && sub.ID[0] == '-' {
			t.Errorf("submission %+v", sub)
		}
		if finder, ok := s.(scheduler.Finder); ok {
			found, _ := finder.ParseFind(r)
			for _, job := range found {
				if err := schedulertest.Validate(job.State); err != nil || job.ID == "" || job.ID[0] == '-' {
					t.Errorf("found %+v: %v", job, err)
				}
			}
		}
		if a, ok := s.(scheduler.Accountant); ok {
			if u := a.ParseUsage(r); u.Elapsed < 0 || u.CPU < 0 || u.Memory < 0 {
				t.Errorf("usage %+v", u)
			}
		}
	})
}

func FuzzSlurm(f *testing.F) { fuzz(f, "slurm") }

func FuzzSGE(f *testing.F) { fuzz(f, "sge") }

func FuzzPBS(f *testing.F) {
	fuzz(f, "pbs", "12.server\n", `{"Jobs":{"1.s":{"job_state":"F","Exit_status":7}}}`, "Job Id: 1.s\n    job_state = E\n    Exit_status = -29\n")
}

func FuzzFlux(f *testing.F) {
	fuzz(f, "flux", "ƒKcHzA3\n", "f1|n|INACTIVE|FAILED|3||16|1.5||n1||\n", "f1|n|SCHED|||||0||||\n")
}

func FuzzLSF(f *testing.F) {
	fuzz(f, "lsf", "Job <1> is submitted to queue <q>.\n", `{"RECORDS":[{"JOBID":"1","STAT":"EXIT","EXIT_REASON":"TERM_RUNLIMIT: x"}]}`,
		"Job <1>, User <a>\nFri: Submitted from host\nFri: Exited with exit code 7.\nFri: Completed <exit>; TERM_MEM\n                     LIMIT: job\n",
		`{"RECORDS":[{"JOBID":"1","STAT":"PSUSP","PEND_REASON":"Job was suspended by the user while pending;"}]}`, `{"RECORDS":[{"JOBID":"1","ERROR":"Job <1> is not found"}]}`)
}

func FuzzCobalt(f *testing.F) {
	fuzz(f, "cobalt", "12\n", "JobID  JobName  State    Location  \n====\n1      ci-a     running  n1        \n", "JobID  JobName  State      Location  \n====\n1      ci-a     dep_fail   None  \n")
}
