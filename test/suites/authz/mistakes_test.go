package authz

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// mistake is something that an administrator or a job's author gets wrong, and what each
// of them learns of it.
type mistake struct {
	name string
	// row is the row of rowsOfMistakes.
	row string
	// check is what jacamar-admin check has among its findings; "" where it must have
	// none, and unchecked where it does not look.
	check string
	// stanza replaces a text of the runner's config.toml by another: check finds it, and
	// no job is run.
	stanza [2]string
	// change is in the configuration, spoil in the files afterwards, and job and runner
	// replace those of the site.
	change func(*site.Site, site.Config)
	spoil  func(*testing.T, *site.Site)
	job    func(*site.Site) fakerunner.Job
	runner func(*site.Site, *fakerunner.Runner)

	// outcome and texts are what the runner reports, and what is in the job's log.
	outcome fakerunner.Outcome
	texts   []string
	// record is in the reason of a record of a failure or warning; "" where the
	// configuration, and with it the location of the log, cannot be read.
	record string
	// fix means that the record or the job's log has a command, after which the job
	// succeeds.
	fix bool
}

// unchecked are mistakes of a job, and faults that check finds by a job of an account.
const unchecked = "unchecked"

// row is a row of mistakes, of which check has one finding where they name no other.
func row(name, check string, all ...mistake) []mistake {
	for i := range all {
		all[i].row = name
		if all[i].check == "" {
			all[i].check = check
		}
	}
	return all
}

const (
	success = fakerunner.Success
	build   = fakerunner.ScriptFailure
	system  = fakerunner.SystemFailure
)

// general sets keys of that table.
func general(pairs ...any) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Set("general", pairs[i].(string), pairs[i+1])
		}
	}
}

// written replaces the text of the configuration.
func written(change func(text string) string) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) {
		t.Helper()
		text, err := os.ReadFile(s.ConfigFile)
		testutil.Must(t, err)
		testutil.Must(t, os.WriteFile(s.ConfigFile, []byte(change(string(text))), 0o644))
	}
}

// TestMistakes: each mistake is one failure of the right class, with one line and a hint
// for the user, the reason in the operator's log, nothing internal in the job's log, and
// no second attempt where it cannot help. Fixes are carried out.
func TestMistakes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: some mistakes are of files of other accounts")
	}
	t.Parallel()
	for i, m := range mistakes() {
		t.Run(m.row+"/"+m.name, func(t *testing.T) {
			t.Parallel()
			m.try(t, testing.Short() && i%8 > 0)
		})
	}
}

// mistakes are all that this suite makes.
func mistakes() []mistake {
	return slices.Concat(configurationMistakes(), installationMistakes(), runnerMistakes(), authorMistakes())
}

// try makes the mistake. In short mode check alone looks at most of those that are alike.
func (m mistake) try(t *testing.T, short bool) {
	s := newSibling(t)
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "state_dir", common(t).StateDir)
		c.Set("auth", "logging", logging(s))
		if m.change != nil {
			m.change(s, c)
		}
	}))
	if m.spoil != nil {
		m.spoil(t, s)
	}
	m.checked(t, s)
	if m.outcome == "" || short && m.alike() {
		return
	}
	r := m.run(t, s)
	site.Want(t, r, m.outcome, r.ExitCode, m.texts...)
	m.checkLog(t, s, r)
	text := m.recorded(t, s)
	if m.fix {
		carryOut(t, text)
		site.Want(t, m.run(t, s), success, 0)
	}
}

// alike reports a fault of the configuration, of which every one fails a job in the same
// place.
func (m mistake) alike() bool {
	return m.record == "" && len(m.texts) > 0 && m.texts[0] == misconfigured && m.check != unchecked
}

// checked runs jacamar-admin check, which has the finding, with a fix; a fix is not what
// the finding already has.
func (m mistake) checked(t *testing.T, s *site.Site) {
	t.Helper()
	if m.check == unchecked {
		return
	}
	var args []string
	if m.outcome == "" {
		args = append(args, "--runner-config", runnerFile(t, s, m.stanza[0], m.stanza[1], 0o600))
	}
	all := findings(t, s, args...)
	if m.check == clean && len(all) > 0 || m.check != clean && len(all) == 0 {
		t.Errorf("check has %+v, want %q", all, m.check)
	}
	found := m.check == clean
	for _, l := range all {
		found = found || strings.Contains(l.Text+"; fix: "+l.Fix, m.check)
		if l.Fix == "" || strings.Contains(l.Text+l.Fix, "goroutine") {
			t.Errorf("check has %+v", l)
		}
	}
	if !found {
		t.Errorf("check has %+v, want %q", all, m.check)
	}
}

func (m mistake) run(t *testing.T, s *site.Site) fakerunner.Result {
	t.Helper()
	r := s.Runner()
	if m.runner != nil {
		m.runner(s, r)
	}
	j := s.Job("id -un")
	if m.job != nil {
		j = m.job(s)
	}
	return r.Run(j)
}

// checkLog checks the form of the job's log.
func (m mistake) checkLog(t *testing.T, s *site.Site, r fakerunner.Result) {
	t.Helper()
	if n := configs(r); m.outcome == build && n != 1 {
		t.Errorf("the config stage was called %d times", n)
	}
	for _, c := range r.Calls {
		output := append(bytes.Clone(c.Stdout), c.Stderr...)
		if n := bytes.Count(output, []byte("ERROR: ")); n > 1 {
			t.Errorf("%s wrote %d errors:\n%s", c.Stage, n, output)
		}
		if c.Status != 0 && c.Stage != "cleanup" && !bytes.Contains(output, []byte("jacamar: ")) {
			t.Errorf("%s failed without a line: %q", c.Stage, output)
		}
	}
	for _, inside := range []string{s.ConfigFile, "goroutine", "--help", "panic"} {
		if strings.Contains(r.Trace, inside) && !strings.Contains(strings.Join(m.texts, " "), "needs one argument") {
			t.Errorf("the user reads %q:\n%s", inside, r.Trace)
		}
	}
	for line := range strings.Lines(r.Trace) {
		if strings.Contains(line, "ERROR: ") && strings.Contains(line, "jacamar") && strings.Count(line, "?") > 2 {
			t.Errorf("replaced characters in %q", line)
		}
	}
}

// recorded returns the reasons in the operator's log, which have the expected text.
func (m mistake) recorded(t *testing.T, s *site.Site) string {
	t.Helper()
	var reasons []string
	ends := 0
	for _, r := range records(t, s) {
		if r.Event == "job_end" {
			ends++
		}
		if r.Reason != "" && r.Event != "rule" {
			reasons = append(reasons, r.Rule+": "+r.Reason)
		}
	}
	text := strings.Join(reasons, "\n")
	if m.record == "" {
		return text
	}
	if !strings.Contains(text, m.record) {
		t.Errorf("no record has %q:\n%s", m.record, text)
	}
	if want := map[fakerunner.Outcome]int{build: 1, system: 3}[m.outcome]; ends != want {
		t.Errorf("%d records of the end of a job, want %d", ends, want)
	}
	return text
}

// command is a fix that a shell can carry out.
var command = regexp.MustCompile(`run: (ch(?:mod|own|grp) [^,:;]+)`)

// carryOut runs the first command of a text.
func carryOut(t *testing.T, text string) {
	t.Helper()
	m := command.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no command in %q", text)
	}
	line, _, _ := strings.Cut(m[1], "\n")
	if out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}
