package jobrun

import (
	"slices"
	"testing"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
)

func bind(t *testing.T, text string) (b settings.Bind) {
	t.Helper()
	if err := b.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return b
}

// A target has one source: the last one that names it.
func TestAddBinds(t *testing.T) {
	got := addBinds([]container.Bind{{Source: "/a", Target: "/a"}, {Source: "/opt/one", Target: "/opt"}}, []ipc.Module{
		{Module: settings.Module{Binds: []settings.Bind{bind(t, "/opt/two:/opt:ro"), bind(t, "/b")}}},
		{Module: settings.Module{Binds: []settings.Bind{bind(t, "/c:/b")}}},
	})
	want := []container.Bind{{Source: "/a", Target: "/a"}, {Source: "/opt/two", Target: "/opt", ReadOnly: true}, {Source: "/c", Target: "/b"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestMatching(t *testing.T) {
	got := matching([]string{"A=1", "NV_X=2", "NVX=3", "B=A"}, []settings.Names{"A", "NV_*"})
	if !slices.Equal(got, []string{"A=1", "NV_X=2"}) {
		t.Errorf("%q", got)
	}
}
