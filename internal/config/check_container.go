package config

import (
	"slices"
	"strings"

	"jacamar-ci/internal/settings"
)

// longestTemp bounds container.temp_dir in bytes: podman(1) refuses a runroot of more than
// 50 characters, and the rest is needed below it.
const longestTemp = 30

func checkContainer(c *Config) (faults []Fault) {
	used := c.General.RunMechanism != ""
	faults = slices.Concat(
		when(used && c.General.Executor != settings.Shell, "general.run_mechanism", "works with executor = %q only", settings.Shell),
		when(c.Container.PullTimeout == 0, "container.pull_timeout", "may not be zero"),
		when(c.Container.PullPolicy != nil && len(c.Container.PullPolicy) == 0, "container.pull_policy", "is empty: name at least one policy"),
		when(len(c.Container.TempDir.String()) > longestTemp, "container.temp_dir", "is longer than %d characters", longestTemp),
		when(strings.Contains(c.Container.TempDir.String()+c.Container.CacheDir.String(), ":"), "container.cache_dir", "or temp_dir has a colon, which mounts cannot have"),
	)
	return faults
}

// warnContainer finds keys about containers that have no effect.
func warnContainer(c *Config) []Fault {
	none := c.General.RunMechanism == ""
	p := &c.General.Podman
	return slices.Concat(
		when(none && (!p.DefaultImage.IsZero() || len(p.CustomOptions) > 0 || !p.ApplicationPath.IsZero()), "general.podman", "has no effect without run_mechanism"),
		when(none && (c.Container.ImageRequired || len(c.Container.Rules) > 0), "container", "has no effect without run_mechanism: jobs run on the host"),
		when(p.DisableContainerRemoval, "general.podman.disable_container_removal", "has no effect: a start leaves no container behind"),
		when(!none && c.Container.ImageRequired && !p.DefaultImage.IsZero(), "container.image_required", "has no effect: jobs without an image run in default_image"),
	)
}
