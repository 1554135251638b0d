package account

import (
	"os/user"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

// BenchmarkLookup measures the lookup of a config stage: two parallel calls of getent.
func BenchmarkLookup(b *testing.B) {
	me, err := user.Current()
	if err != nil {
		b.Skipf("this process has no account: %v", err)
	}
	name := testutil.Username(b, me.Username)
	for b.Loop() {
		if _, err := System(nil, nil).Lookup(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
}
