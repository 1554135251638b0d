package imagestore

import (
	"os"
	"reflect"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/test/harness/testutil"
)

// TestDash: scripts run in the first shell of the table, which is dash where its path leads to
// dash.
func TestDash(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"no shell":         {map[string]string{"etc/passwd": "x"}, false},
		"dash":             {map[string]string{"bin/sh": "-> dash", "bin/dash": "x"}, true},
		"bash":             {map[string]string{"bin/bash": "x"}, false},
		"bash before dash": {map[string]string{"bin/bash": "x", "bin/sh": "-> dash", "bin/dash": "x"}, false},
		"sh is bash":       {map[string]string{"bin/sh": "-> bash", "bin/bash": "x"}, false},
		"another shell":    {map[string]string{"bin/sh": "x"}, false},
	} {
		r := layers(t, tt.files)
		e := Entry{Place: container.Place{Path: testutil.AbsPath(t, r.layers[0])}, Layers: []string{"."}}
		if got := e.Dash(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCheckMachine: an image runs on machines of its architecture, and on those that run its
// programs too. The platform of a job's choice is not judged.
func TestCheckMachine(t *testing.T) {
	for _, tt := range []struct {
		platform, arch, machine string
		want                    bool
	}{
		{"", "amd64", "amd64", true},
		{"", "386", "amd64", true},
		{"", "arm", "arm64", true},
		{"", "", "amd64", true},
		{"", "amd64", "386", false},
		{"", "arm64", "amd64", false},
		{"", "arm", "amd64", false},
		{"", "ppc64le", "arm64", false},
		{"", "amd64", "riscv64", false},
		{"linux/arm64", "arm64", "amd64", true},
	} {
		e := Entry{Platform: tt.platform, Config: image.Config{Architecture: tt.arch}}
		if err := e.CheckMachine(tt.machine); (err == nil) != tt.want || (err != nil && failure.KindOf(err) != failure.Build) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestSettledTravels from prepare to the later stages. What is missing or damaged is an error.
func TestSettledTravels(t *testing.T) {
	scripts, rules := privateDir(t), safedir.Rules{Owner: uid()}
	want := container.Settled{Engine: "podman", Image: "busybox:1", Place: container.Place{Form: container.Store, Path: testutil.AbsPath(t, "/store")}, Shell: "sh"}
	if err := WriteSettled(scripts, rules, "container", want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSettled(scripts, rules, "container"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	testutil.Must(t, os.WriteFile(scripts.String()+"/damaged", []byte("{"), 0o600))
	missing := testutil.AbsPath(t, scripts.String()+"/missing")
	for name, read := range map[string]func() (container.Settled, error){
		"no file":      func() (container.Settled, error) { return ReadSettled(scripts, rules, "other") },
		"damaged":      func() (container.Settled, error) { return ReadSettled(scripts, rules, "damaged") },
		"no directory": func() (container.Settled, error) { return ReadSettled(missing, rules, "container") },
	} {
		if got, err := read(); failure.KindOf(err) != failure.System || got.Engine != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if err := WriteSettled(missing, rules, "container", want); err == nil {
		t.Error("it was written to a missing directory")
	}
}
