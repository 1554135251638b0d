package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// thisRunner is the process that calls the stages of a place, and otherRunner one that lives.
func thisRunner() *proctree.Process  { return process(os.Getpid()) }
func otherRunner() *proctree.Process { return process(1) }

// deadRunner is a process that has ended.
func deadRunner() *proctree.Process {
	p := thisRunner()
	p.Start++
	return p
}

func process(pid int) *proctree.Process {
	p, _ := proctree.Find(pid)
	return &p
}

// begun is what the journal has of a job of alice's after its config stage.
func (p *place) begun(owner *proctree.Process) []journal.Event {
	uid := job.UID(aliceUID)
	at := time.Now().Add(-time.Minute / 2)
	return []journal.Event{
		journal.At(at, journal.Granted, journal.Context{Job: 7, ProjectID: 12, Account: "alice", UID: &uid, Runner: "runner", Timeout: 60, Owner: owner, Rule: "default"}),
		journal.At(at, journal.Stage, journal.Context{Stage: "config"}),
		journal.At(at, journal.Settled, journal.Context{Base: p.path("base"), Builds: p.path("base/builds"), Scripts: p.path("base/scripts/runner/7")}),
		journal.At(at, journal.StageEnd, journal.Context{Stage: "config", Exit: "ok"}),
	}
}

// live adds a live job to the journal, which a stage has open until done is called.
func (p *place) live(k journal.Key, events ...journal.Event) (done func()) {
	p.t.Helper()
	testutil.Must(p.t, os.MkdirAll(p.path("state/journal"), 0o700))
	j, err := journal.Open(p.abs("state/journal"), hostName(p.t))
	testutil.Must(p.t, err)
	live, err := j.Create(k, events...)
	testutil.Must(p.t, err)
	return func() { testutil.Must(p.t, live.Close()); j.Close() }
}

// age makes the files of live jobs old.
func (p *place) age() {
	p.t.Helper()
	files, err := filepath.Glob(p.path("state/journal/*/live/*"))
	testutil.Must(p.t, err)
	for _, file := range files {
		testutil.Must(p.t, os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)))
	}
}

func (p *place) key() journal.Key { return journal.Key{UID: aliceUID, Project: 12, Job: 7} }

// warnings are those of the log.
func (p *place) warnings() (text string) {
	p.t.Helper()
	for _, r := range p.records() {
		if r["event"] == "warning" {
			text += r["reason"].(string) + "\n"
		}
	}
	return text
}

// abandoned are jobs that a cleanup finds in the journal only.
type abandoned struct {
	prepare func(*place)
	status  int
	ran     bool // jacamar has run
	lives   int  // live jobs at the end, -1 where the journal has none
	noted   bool // the one live job has a reason why its cleanup failed
	reason  string
	warning string
}

// TestCleanupWithoutState: a cleanup without a usable state cleans up after the job that this
// runner began, by the journal. Where it finds none, it fails only if there was a state.
func TestCleanupWithoutState(t *testing.T) {
	change := func(key, value string) func(*place) {
		return func(p *place) {
			p.live(p.key(), p.begun(thisRunner())...)()
			p.state = "damaged"
			p.config[key] = value
		}
	}
	const unusable = "another version of Jacamar"
	for name, tt := range map[string]abandoned{
		"no job":                 {func(*place) {}, 0, false, 0, false, "", ""},
		"no job, damaged state":  {func(p *place) { p.state = "damaged" }, systemFailed, false, 0, false, unusable, ""},
		"without a state":        {func(p *place) { p.live(p.key(), p.begun(thisRunner())...)() }, 0, true, 0, false, "", ""},
		"a damaged state":        {change("general.name", `"x"`), 0, true, 0, false, "", unusable},
		"of another runner":      {func(p *place) { p.live(p.key(), p.begun(otherRunner())...)(); p.state = "damaged" }, systemFailed, false, 1, false, unusable, ""},
		"of a runner that ended": {func(p *place) { p.live(p.key(), p.begun(deadRunner())...)(); p.state = "damaged" }, systemFailed, false, 1, false, unusable, ""},
		"a stage runs":           {func(p *place) { p.t.Cleanup(p.live(p.key(), p.begun(thisRunner())...)); p.state = "damaged" }, systemFailed, false, 1, false, unusable, "a stage of it runs"},
		"without a journal":      {change("auth.journal.enabled", "false"), systemFailed, false, 1, false, unusable, ""},
		"without a helper":       {change("auth.helper_account", `"alice"`), systemFailed, false, 1, false, unusable, ""},
		"without a response":     {func(p *place) { change("general.name", `"x"`)(p); testutil.Must(p.t, os.Remove(p.path("response"))) }, systemFailed, false, 1, false, unusable, ""},
		"two jobs": {func(p *place) {
			p.live(p.key(), p.begun(thisRunner())...)()
			p.live(journal.Key{UID: 5003, Project: 12, Job: 7}, p.begun(thisRunner())...)()
		}, 0, false, 2, false, "", ""},
		"of another project": {func(p *place) { p.live(journal.Key{UID: aliceUID, Project: 13, Job: 7}, p.begun(thisRunner())...)() }, 0, false, 1, false, "", ""},
		"it fails": {func(p *place) {
			p.live(p.key(), p.begun(thisRunner())...)()
			p.answers(job.Cleanup, ipc.Result{Kind: "system", Reason: "the disk is away"})
		}, systemFailed, true, 1, true, "the disk is away", ""},
		"a journal that is none": {func(p *place) { p.write("state/journal", ""); p.state = "damaged" }, systemFailed, false, -1, false, unusable, "cannot write the journal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			tt.prepare(p)
			p.configure()
			p.wantCleanedUp(tt, p.run(job.Cleanup))
		})
	}
}

// wantCleanedUp compares the end of a cleanup. One that succeeds ends the record.
func (p *place) wantCleanedUp(want abandoned, o outcome) {
	t := p.t
	t.Helper()
	s, ran := p.sent(job.Cleanup)
	_, reason := p.refusal(0)
	if o.status != want.status || ran != want.ran || !strings.Contains(reason, want.reason) || (want.reason == "") != (reason == "") ||
		!strings.Contains(p.warnings(), want.warning) || (want.warning == "") != (p.warnings() == "") {
		t.Errorf("status %d, jacamar has run: %v, %q, %q: %s", o.status, ran, reason, p.warnings(), o.errs)
	}
	if r := s.Request; ran && (!r.Ghost || !r.MayRun || r.Job.Owner != proctree.Process{} || r.Job.Runner != "runner" || r.Job.Timeout != 60 || s.UID != aliceUID || r.Measure != measureLimit) {
		t.Errorf("%+v", r)
	}
	if want.lives < 0 {
		return
	}
	lives := p.lives()
	if len(lives) != want.lives {
		t.Errorf("%d live jobs, want %d", len(lives), want.lives)
	}
	if len(lives) == 1 && (lives[0].Unsettled() != "") != want.noted {
		t.Errorf("its cleanup failed: %q", lives[0].Unsettled())
	}
}

// TestCleanupUnverified: what a site changes during a job so that its token cannot be verified
// any more refuses the stages, and the job is cleaned up all the same, by the journal. A state
// that does not fit is refused in cleanup too.
func TestCleanupUnverified(t *testing.T) {
	set := func(key, value string) func(*place) { return func(p *place) { p.config[key] = value } }
	const kept = "auth.journal.enabled"
	for name, tt := range map[string]struct {
		change func(*place)
		ran    bool
		reason string
	}{
		"another audience":       {set("general.jwt_required_aud", `"https://elsewhere.example.org"`), true, "elsewhere"},
		"another variable":       {set("general.jwt_env_variable", `"OTHER_TOKEN"`), true, "OTHER_TOKEN"},
		"another GitLab":         {set("general.gitlab_server", `"https://elsewhere.example.org"`), true, "cannot fetch keys"},
		"another token":          {func(p *place) { p.claims["jti"] = "another"; p.respond() }, false, "the config stage accepted"},
		"another key":            {func(p *place) { p.removeState("*seal*") }, false, "was replaced"},
		"another downscope":      {set("auth.downscope", `"none"`), false, "auth.downscope changed"},
		"without a journal then": {func(p *place) { set("general.jwt_env_variable", `"OTHER_TOKEN"`)(p); p.config[kept] = "false" }, false, "OTHER_TOKEN"},
		"no job there":           {func(p *place) { set("general.jwt_env_variable", `"OTHER_TOKEN"`)(p); p.removeState("journal/*/live/*") }, false, "OTHER_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.wantSuccess(job.Config)
			tt.change(p)
			p.configure()
			if o := p.run(job.Prepare); o.status == 0 {
				t.Errorf("prepare succeeded: %s", o.out)
			}
			known := len(p.records())
			o := p.run(job.Cleanup)
			_, ran := p.sent(job.Cleanup)
			_, reason := p.refusal(known)
			if ran != tt.ran || (o.status == 0) != tt.ran || !strings.Contains(reason+p.warnings(), tt.reason) {
				t.Errorf("status %d, jacamar has run: %v, %q, %q", o.status, ran, reason, p.warnings())
			}
			if live := len(p.lives()); ran && live != 0 {
				t.Errorf("%d live jobs", live)
			}
		})
	}
}

// TestCleanupNeedsAConfiguration: without one in the arguments, a cleanup without a usable state
// does nothing.
func TestCleanupNeedsAConfiguration(t *testing.T) {
	p := newPlace(t)
	p.live(p.key(), p.begun(thisRunner())...)()
	if o := p.call("cleanup", "", "", ""); o.status != 0 {
		t.Errorf("without a state: %+v", o)
	}
	p.state = "damaged"
	if o := p.call("cleanup", "", "", ""); o.status != systemFailed {
		t.Errorf("with a damaged one: %+v", o)
	}
	testutil.Must(t, os.Remove(p.path("jacamar.toml")))
	p.state = ""
	if o := p.run(job.Cleanup); o.status != systemFailed {
		t.Errorf("with a configuration that is missing: %+v", o)
	}
	if _, ran := p.sent(job.Cleanup); ran || len(p.lives()) != 1 {
		t.Error("it was cleaned up")
	}
}

// TestReap: only a job that nothing else cleans up after is cleaned up, as the account that the
// journal has for it.
func TestReap(t *testing.T) {
	account := func(name string, uid job.UID) func(*place) {
		return func(p *place) {
			events := p.begun(deadRunner())
			events[0].Context.Account = name
			p.live(journal.Key{UID: uid, Project: 12, Job: 7}, events...)()
		}
	}
	dead := func(p *place) { p.live(p.key(), p.begun(deadRunner())...)() }
	with := func(key, value string) func(*place) { return func(p *place) { dead(p); p.config[key] = value } }
	for name, tt := range map[string]abandoned{
		"abandoned":            {dead, 0, true, 0, false, "", ""},
		"of a live runner":     {func(p *place) { p.live(p.key(), p.begun(otherRunner())...)() }, systemFailed, false, 1, false, "its runner lives", ""},
		"of an unknown runner": {func(p *place) { p.live(p.key(), p.begun(nil)...)() }, systemFailed, false, 1, false, "its runner lives", ""},
		"a stage runs":         {func(p *place) { p.t.Cleanup(p.live(p.key(), p.begun(deadRunner())...)) }, systemFailed, false, 1, false, "cannot clean up after job 7: a stage of it runs", ""},
		"not live":             {func(p *place) { p.live(journal.Key{UID: 5003, Project: 12, Job: 7}, p.begun(deadRunner())...)() }, systemFailed, false, 1, false, "the journal of this host has no live job 7 of uid 5001", ""},
		"no configuration":     {func(p *place) { dead(p); p.config = map[string]string{"general.executor": "x"} }, systemFailed, false, 1, false, "", ""},
		"no helper":            {with("auth.helper_account", `"carol"`), systemFailed, false, 1, false, "cannot use auth.helper_account carol", ""},
		"no journal":           {with("auth.journal.enabled", "false"), systemFailed, false, 1, false, "there is no journal", ""},
		"not granted":          {func(p *place) { p.live(p.key())(); p.age() }, 0, false, 0, false, "", "the journal has no beginning of job 7 of uid 5001"},
		"a name that is none":  {account("-", aliceUID), systemFailed, false, 1, true, "cannot use the journal", ""},
		"an unknown account":   {account("nosuch", aliceUID), buildFailed, false, 1, true, "nosuch", ""},
		"another's name":       {account("carol", aliceUID), systemFailed, false, 1, true, "the account carol has the uid 5003 now, and had 5001", ""},
		"a base that is none": {func(p *place) {
			events := p.begun(deadRunner())
			events[2].Context.Base = "relative"
			p.live(p.key(), events...)()
		}, systemFailed, false, 1, true, "cannot use the journal", ""},
		"it fails": {func(p *place) {
			dead(p)
			p.answers(job.Cleanup, ipc.Result{Kind: "system", Reason: "the disk is away"})
		}, systemFailed, true, 1, true, "the disk is away", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			tt.prepare(p)
			p.configure()
			p.wantCleanedUp(tt, p.call("reap", p.path("jacamar.toml"), p.key().String(), ""))
		})
	}
}
