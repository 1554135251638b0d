package image

import (
	"encoding/json"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
)

func TestPaths(t *testing.T) {
	var allowed []Paths
	if err := json.Unmarshal([]byte(`["/apps/images/**","/home/*/image.sif"]`), &allowed); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"/apps/images/a.sif": true, "/apps/images/a/b": true, "/home/u/image.sif": true,
		"/apps/image/a.sif": false, "/home/u/v/image.sif": false, "/Apps/images/a.sif": false, "/x/apps/images/a": false, "/": false,
	} {
		path, err := job.ParseAbsPath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := PermitsPath(allowed, path); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if PermitsPath(nil, job.AbsPath{}) {
		t.Error("no pattern permits a path")
	}
	if text, err := json.Marshal(allowed); err != nil || string(text) != `["/apps/images/**","/home/*/image.sif"]` {
		t.Errorf("%s, %v", text, err)
	}
	for _, text := range []string{"", "apps/**", "/", "//a", "/a**"} {
		if err := new(Paths).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestPathRequest(t *testing.T) {
	r, err := Wish{Name: "/apps//images/a.sif"}.Parse()
	if err != nil || r.Name() != "/apps/images/a.sif" || !r.Reference.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), "reference") {
		t.Errorf("%s, %v", text, err)
	}
	var again Request
	if err := json.Unmarshal(text, &again); err != nil || again.Path != r.Path {
		t.Errorf("%+v, %v", again, err)
	}
	for _, name := range []string{"/apps/../etc", "/a\x01b", "/" + strings.Repeat("x", 5000)} {
		if r, err := (Wish{Name: name}).Parse(); err == nil {
			t.Errorf("%q: %+v", name, r)
		}
	}
}
