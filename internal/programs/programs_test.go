package programs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

func TestSibling(t *testing.T) {
	want, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got, err := own()
	if err != nil || got.String() != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	sibling, err := Sibling("jacamar")
	if err != nil || sibling.String() != filepath.Join(filepath.Dir(want), "jacamar") {
		t.Errorf("%s, %v", sibling, err)
	}
}

func TestUntrusted(t *testing.T) {
	path, err := job.ParseAbsPath("/opt/jacamar")
	if err != nil {
		t.Fatal(err)
	}
	if err := Untrusted("run jobs", path, nil); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		fault trustedfile.Fault
		want  string
	}{
		"missing":  {trustedfile.Fault{Err: fs.ErrNotExist}, "cannot run jobs: /opt/jacamar is missing: install all programs from one package"},
		"writable": {trustedfile.Fault{Problem: "is writable by group"}, "is writable by group"},
	} {
		err := Untrusted("run jobs", path, []trustedfile.Fault{tt.fault})
		if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
