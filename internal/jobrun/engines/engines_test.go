package engines

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/settings"
)

func TestFind(t *testing.T) {
	for _, m := range []settings.Mechanism{settings.Podman, settings.Charliecloud, settings.Apptainer} {
		if e := Find(m, settings.OverlayForm); e == nil || e.Name() != string(m) {
			t.Errorf("%s: %v", m, e)
		}
	}
	if p := Programs(settings.Podman, settings.SquashfsForm); p[0] != "podman" || !slices.Contains(p, "mksquashfs") {
		t.Errorf("%q", p)
	}
	if e := Find("docker", ""); e != nil {
		t.Errorf("%v", e)
	}
}

func TestOptions(t *testing.T) {
	words, err := Options(Find(settings.Podman, settings.SquashfsForm), "x", []string{"--device", "nvidia.com/gpu=all", "-e", "A=b"})
	if err != nil || !slices.Equal(words, []string{"--device", "nvidia.com/gpu=all", "-e", "A=b"}) {
		t.Errorf("%q, %v", words, err)
	}
	for m, list := range map[settings.Mechanism]string{settings.Podman: "--name=x", settings.Charliecloud: "image", settings.Apptainer: "--workdir=/"} {
		if err := CheckOptions(m, "module gpu", []string{list}); err == nil || !strings.Contains(err.Error(), "the site's module gpu") {
			t.Errorf("%s: %v", m, err)
		}
	}
}
