package auth

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// asAdmin uses an installation as jacamar-admin does, and prints what it finds.
func asAdmin(configuration string) int {
	ctx := context.Background()
	i, err := Open(configuration, View{})
	if err == nil {
		err = i.Load()
	}
	if err == nil {
		err = i.FindHelper()
	}
	fmt.Println("opened:", err, i.File())
	if err != nil {
		return 1
	}
	fmt.Println("key:", i.TryKey(ctx))
	script, ok := i.RunAs()
	c, decision := policy.Choose(claims.Identity{User: claims.User{ID: 7, Login: "alice"}}, policy.Rules{Source: settings.UserLogin})
	if !ok || !decision.Allowed {
		return 1
	}
	c, err = i.Validate(ctx, script, c, job.Username{})
	fmt.Printf("validated: %v %q\n", err, c.Login())
	return 0
}

// TestInstallation: an administrator gets what a stage would find, and the same errors.
func TestInstallation(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*place)
		want   []string
	}{
		"in order":            {func(*place) {}, []string{"opened: <nil> /srv", "key: <nil>", `validated: <nil> "carol"`}},
		"no configuration":    {func(p *place) { os.Remove(p.path("jacamar.toml")) }, []string{"opened: cannot"}},
		"a damaged key":       {func(p *place) { testutil.Must(p.t, os.WriteFile(p.path("state/seal.key"), []byte("short"), 0o600)) }, []string{"key: cannot use"}},
		"no state of its own": {func(p *place) { testutil.Must(p.t, os.Chmod(p.path("state"), 0o777)) }, []string{"key: cannot use the state directory"}},
		"a refusal":           {func(p *place) { p.program("runas", "#!/bin/sh\nexit 1\n") }, []string{"validated: ", `did not accept the call`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.program("runas", `#!/bin/sh
echo '{"username":"carol"}'
`)
			with("auth.runas.validation_script", quoted(p.path("runas")))(p)
			tt.change(p)
			o := p.call("administer", p.path("jacamar.toml"), "", "")
			for _, text := range tt.want {
				if !strings.Contains(o.out, text) {
					t.Errorf("%+v, want %q", o, text)
				}
			}
		})
	}
}
