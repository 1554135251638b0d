package policy

import (
	"testing"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/passwd"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func globs(t testing.TB, patterns ...string) []glob.Pattern {
	t.Helper()
	list := []glob.Pattern{}
	for _, p := range patterns {
		g, err := glob.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	return list
}

// good returns a job of alice that every rule accepts, on a site with usual rules.
func good(t testing.TB) input {
	t.Helper()
	alice := testutil.Username(t, "alice")
	return input{
		id: claims.Identity{
			Project:  claims.Project{ID: 7, Path: "hpc/solver"},
			Pipeline: claims.Pipeline{ID: 70, Source: "push"},
			User:     claims.User{ID: 42, Login: "alice", Email: "alice@site.example"},
			Ref:      claims.Ref{Name: "main"},
		},
		candidate: Candidate{login: alice},
		facts: Facts{
			Account: job.Account{
				Name: alice, UID: 1001, GID: 2001, Groups: job.GIDs{50, 2001},
				Home: testutil.AbsPath(t, "/home/alice"), Shell: testutil.AbsPath(t, "/bin/bash"),
			},
			Aging: passwd.Aging{Known: true}, Owner: alice,
			Shells: []job.AbsPath{testutil.AbsPath(t, "/bin/sh"), testutil.AbsPath(t, "/bin/bash")}, Service: 998,
		},
		rules: Rules{Source: settings.UserLogin, MinUID: 1000},
	}
}

func (m input) decide() (Grant, Decision) { return Decide(m.id, m.candidate, m.facts, m.rules) }

func allow(entries ...string) List[string] { return List[string]{Set: true, Entries: entries} }

// stepOf returns the step of a rule and fails the test if there is none.
func stepOf(t testing.TB, d Decision, r Rule) Step {
	t.Helper()
	for _, s := range d.Steps {
		if s.Rule == r {
			return s
		}
	}
	t.Fatalf("no step %s in %+v", r, d.Steps)
	return Step{}
}
