package runas

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// trustedDir makes a directory whose parents can all be trusted.
func trustedDir(t testing.TB) string {
	t.Helper()
	dir := testutil.HomeDir(t)
	probe := filepath.Join(dir, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if faults := trustedfile.Self().Check(testutil.AbsPath(t, probe)); len(faults) > 0 {
		t.Skipf("the home of this account is not trusted itself: %v", &faults[0])
	}
	return dir
}

// script writes a validation script with the given text.
func script(t testing.TB, text string) Script {
	t.Helper()
	path := filepath.Join(trustedDir(t), "validate")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Script{Path: testutil.AbsPath(t, path), Trust: trustedfile.Self(), limit: time.Minute}
}

func bash(t testing.TB, body string) Script {
	t.Helper()
	return script(t, "#!/bin/bash\n"+body+"\n")
}

func alice() claims.Identity {
	return claims.Identity{
		JobID: 9, Project: claims.Project{ID: 7, Path: "hpc/solver"}, Source: claims.Project{ID: 8, Path: "fork/solver"},
		Namespace: claims.Namespace{ID: 5, Path: "hpc"}, Pipeline: claims.Pipeline{ID: 70, Source: "push"},
		User: claims.User{ID: 42, Login: "alice", Email: "alice@site.example", Identities: []claims.External{
			{Provider: "saml-main", ExternUID: "A 1"}, {Provider: "ldapmain", ExternUID: "uid=al,dc=site"},
		}},
		Ref: claims.Ref{Name: "$(id)", Protected: true}, Token: claims.Token{Issuer: "https://gitlab.site.example"},
	}
}

func run(t testing.TB, s Script, user, target string) (Approval, error) {
	t.Helper()
	wanted := job.Username{}
	if target != "" {
		wanted = testutil.Username(t, target)
	}
	return s.Run(t.Context(), alice(), testutil.Username(t, user), wanted)
}

// refused checks that err is of the kind, that its text for the operator has the
// parts, and that there is no approval.
func refused(t testing.TB, a Approval, err error, kind failure.Kind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted as %+v", a)
	}
	if a != (Approval{}) {
		t.Errorf("an error came with %+v", a)
	}
	if k := failure.KindOf(err); k != kind {
		t.Errorf("kind %s, want %s", k, kind)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q\nhas no %q", err, p)
		}
	}
	var f *failure.Error
	if !errors.As(err, &f) {
		t.Errorf("the error is a %T", err)
	}
}
