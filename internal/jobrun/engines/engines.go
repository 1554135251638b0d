// Package engines has the container engines by their names in the configuration. It
// is outside jobrun's internal directory because jacamar-admin judges a site's options as
// a job does.
package engines

import (
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/container/apptainer"
	"jacamar-ci/internal/jobrun/internal/container/charliecloud"
	"jacamar-ci/internal/jobrun/internal/container/podman"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/settings"
)

// Find returns the engine of a mechanism, nil for none, which stores images in the form.
func Find(m settings.Mechanism, form settings.CacheForm) container.Engine {
	return map[settings.Mechanism]container.Engine{
		settings.Podman: podman.Podman{Squashfs: form == settings.SquashfsForm}, settings.Charliecloud: charliecloud.Charliecloud{}, settings.Apptainer: apptainer.Apptainer{},
	}[m]
}

// Programs are those that a mechanism needs, the engine's own first.
func Programs(m settings.Mechanism, form settings.CacheForm) []string {
	e := Find(m, form)
	return e.Programs(e.Formats()[0])
}

// Options returns a site's options of a start as separate words. name is the part of the
// configuration that they are from.
func Options(e container.Engine, name string, words []string) ([]string, error) {
	args, _, err := e.Grammar().Resolve(scheduler.Request{Rules: []scheduler.Rule{{Name: name, Words: words}}})
	return scheduler.Words(args), err
}

// CheckOptions is the error of Options for a mechanism, which has to be known.
func CheckOptions(m settings.Mechanism, name string, words []string) error {
	_, err := Options(Find(m, settings.OverlayForm), name, words)
	return err
}
