package pbs

import (
	"errors"
	"slices"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/schedulertest"
)

var errLate = errors.New("killed")

func TestForVersion(t *testing.T) {
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  variant
	}{
		"OpenPBS 23":      {scheduler.Reply{Stdout: "pbs_version = 23.06.06\n"}, direct},
		"PBS 2020":        {scheduler.Reply{Stdout: "pbs_version = 2020.1.1\n"}, direct},
		"PBS 18":          {scheduler.Reply{Stdout: "pbs_version = 18.1.4\n"}, direct},
		"PBS 14":          {scheduler.Reply{Stdout: "pbs_version = 14.1.0\n"}, 0},
		"PBS before":      {scheduler.Reply{Stdout: "pbs_version = PBSPro_13.0.0\n"}, 0},
		"Torque":          {scheduler.Reply{Stderr: "Version: 6.1.2\nCommit: x\n"}, torque},
		"older Torque":    {scheduler.Reply{Stderr: "version: 2.5.13\n"}, torque},
		"nothing":         {scheduler.Reply{}, 0},
		"a failure":       {scheduler.Reply{Code: 1, Stdout: "pbs_version = 23.06.06\n"}, 0},
		"failing Torque":  {scheduler.Reply{Code: 1, Stderr: "Version: 6.1.2\n"}, 0},
		"not ended":       {scheduler.Reply{Err: errLate, Stdout: "pbs_version = 23.06.06\n"}, 0},
		"both, as in a 9": {scheduler.Reply{Stdout: "pbs_version = 14.1.0\n", Stderr: "Version: 6.1.2\n"}, torque},
	} {
		if got := (PBS{}).ForVersion(tt.reply); got != (PBS{variant: tt.want}) {
			t.Errorf("%s: %+v, want %d", name, got, tt.want)
		}
	}
}

// TestSubmitOutput: only a PBS that writes the file itself gets it, and only a path that it
// uses unchanged.
func TestSubmitOutput(t *testing.T) {
	for _, tt := range []struct {
		variant        variant
		output         string
		direct, single bool // -k doe, -f
	}{
		{direct, "/home/a_b-c.d/e+f@g=h~i%j", true, true},
		{direct, "/home/a:b", false, true},
		{direct, "/home/a b", false, true},
		{direct, "/home/ä", false, true},
		{0, "/home/a", false, true},
		{torque, "/home/a", false, false},
	} {
		argv := PBS{tt.variant}.Submit(scheduler.Spec{Name: "n", Output: tt.output, Script: "s"}, nil).Argv
		if slices.Contains(argv, "doe") != tt.direct || slices.Contains(argv, tt.output) != tt.direct || slices.Contains(argv, "/dev/null") == tt.direct || slices.Contains(argv, "-f") != tt.single {
			t.Errorf("%+v: %q", tt, argv)
		}
	}
}

// TestScriptArguments: -F has a value in Torque only.
func TestScriptArguments(t *testing.T) {
	for v, want := range map[variant]bool{0: false, direct: false, torque: true} {
		_, err := PBS{v}.Grammar().Parse([]string{"-F"})
		if (err != nil) != want {
			t.Errorf("%d: -F alone: %v", v, err)
		}
	}
}

func TestFindCommand(t *testing.T) {
	for _, tt := range []struct{ user, name string }{{"alice", "ci"}, {"alice", ""}, {"a@b", "ci"}, {"a,b", ""}} {
		argv := PBS{}.Find(tt.user, tt.name).Argv
		plain := tt.user == "alice"
		if slices.Contains(argv, "-u") != plain || slices.Contains(argv, tt.user) != plain || slices.Contains(argv, "-N") != (tt.name != "") {
			t.Errorf("%+v: %q", tt, argv)
		}
	}
}

func TestParseOwner(t *testing.T) {
	const text = "Job Id: 64.pbs1\n    Job_Name = ci-r-1\n    Job_Owner = a@b@login1\n    job_state = Q\n"
	for name, tt := range map[string]struct {
		reply      scheduler.Reply
		user, name string
		fails      bool
	}{
		"a job":              {scheduler.Reply{Stdout: text}, "a@b", "ci-r-1", false},
		"no owner":           {scheduler.Reply{Stdout: "Job Id: 64.pbs1\n"}, "", "", false},
		"it has ended":       {scheduler.Reply{Code: 153, Stderr: "qstat: Unknown Job Id 64.pbs1\n"}, "", "", false},
		"down":               {scheduler.Reply{Code: 255, Stderr: "qstat: cannot connect to server pbs1 (errno=15010)\n"}, "", "", true},
		"not ended":          {scheduler.Reply{Stdout: text, Err: errLate}, "", "", true},
		"a job, and failure": {scheduler.Reply{Stdout: text, Code: 1}, "", "", true},
	} {
		user, job, err := PBS{}.ParseOwner(tt.reply)
		if user != tt.user || job != tt.name || (err != nil) != tt.fails {
			t.Errorf("%s: %q %q %v", name, user, job, err)
		}
	}
}

// TestHookRefuses: a hook refuses with a text of its own, which may be that of another error.
func TestHookRefuses(t *testing.T) {
	const text = "qsub: Maximum number of jobs already in queue ci\n"
	for name, tt := range map[string]struct {
		reply scheduler.Reply
		want  scheduler.Outcome
	}{
		"a hook":            {scheduler.Reply{Code: 15169 & 0xff, Stderr: text}, scheduler.Refused},
		"no hook":           {scheduler.Reply{Code: 1, Stderr: text}, scheduler.Full},
		"a hook, not ended": {scheduler.Reply{Code: 15169 & 0xff, Stderr: text, Err: errLate}, scheduler.Uncertain},
		"without a text":    {scheduler.Reply{Code: 15169 & 0xff, Stdout: "64.pbs1\n"}, scheduler.Uncertain},
	} {
		if got := (PBS{}).ParseSubmit(tt.reply); got.Outcome != tt.want {
			t.Errorf("%s: %+v, want %v", name, got, tt.want)
		}
	}
}

// TestAbsence: what counts as no job, for each form of the query.
func TestAbsence(t *testing.T) {
	const usage, unknown, none, text = "qstat: invalid option -- 'F'\nusage: qstat\n", "qstat: Unknown Job Id 64\n", `{"timestamp":1}`, "Job Id: 64.pbs1\n    job_state = R\n"
	for name, tt := range map[string]struct {
		reply               scheduler.Reply
		json, text, history string
	}{
		"no JSON":                {scheduler.Reply{Code: 2, Stderr: usage}, "missing", "unknown", "missing"},
		"usage, but success":     {scheduler.Reply{Stderr: usage}, "unknown", "unknown", "unknown"},
		"usage, not ended":       {scheduler.Reply{Code: 2, Stderr: usage, Err: errLate}, "unknown", "unknown", "unknown"},
		"unknown":                {scheduler.Reply{Code: 153, Stderr: unknown}, "missing", "missing", "missing"},
		"unknown, not ended":     {scheduler.Reply{Code: 153, Stderr: unknown, Err: errLate}, "unknown", "unknown", "unknown"},
		"an object for none":     {scheduler.Reply{Code: 153, Stdout: none, Stderr: unknown}, "missing", "unknown", "unknown"},
		"the same, not ended":    {scheduler.Reply{Code: 153, Stdout: none, Stderr: unknown, Err: errLate}, "unknown", "unknown", "unknown"},
		"an object, and silence": {scheduler.Reply{Code: 153, Stdout: none}, "unknown", "unknown", "unknown"},
		"half an object":         {scheduler.Reply{Code: 153, Stdout: `{"Jobs":`, Stderr: unknown}, "unknown", "unknown", "unknown"},
		"a job and unknown":      {scheduler.Reply{Code: 153, Stdout: jsonOf(`"job_state":"R"`), Stderr: unknown}, "unknown", "unknown", "unknown"},
		"a job":                  {scheduler.Reply{Stdout: text}, "unknown", "running", "running"},
		"a job, failed":          {scheduler.Reply{Stdout: text, Code: 1}, "unknown", "unknown", "unknown"},
		"two jobs":               {scheduler.Reply{Stdout: text + text}, "unknown", "unknown", "unknown"},
	} {
		for i, parse := range []func(scheduler.Reply) scheduler.State{parseJSON, parseText, parseHistory} {
			if got, want := schedulertest.Describe(parse(tt.reply)), []string{tt.json, tt.text, tt.history}[i]; got != want {
				t.Errorf("%s, parser %d: %s, want %s", name, i, got, want)
			}
		}
	}
}

// TestStartAndReason: both come from whichever attribute has them.
func TestStartAndReason(t *testing.T) {
	begin := time.Date(2026, 11, 20, 18, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		`"job_state":"R","stime":"Fri Nov 20 18:00:00 2026"`:                             begin,
		`"job_state":"R","stime":"soon","start_time":"` + begin.Format(time.ANSIC) + `"`: begin,
		`"job_state":"R","stime":"soon"`:                                                 {},
	} {
		if got := parseJSON(scheduler.Reply{Stdout: jsonOf(text)}).Start; !got.Equal(want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{`"job_state":"Q"`: "Q", `"job_state":"Q","comment":"a hook's"`: "a hook's"} {
		if got := parseJSON(scheduler.Reply{Stdout: jsonOf(text)}).Reason.Name; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
