package config

import (
	"slices"
	"strings"
)

// longestTemp bounds container.temp_dir in bytes: podman(1) refuses a runroot of more than
// 50 characters, and the rest is needed below it.
const longestTemp = 30

func checkContainer(c *Config) []Fault {
	return slices.Concat(
		when(c.Container.PullTimeout == 0, "container.pull_timeout", "may not be zero"),
		when(c.Container.PullPolicy != nil && len(c.Container.PullPolicy) == 0, "container.pull_policy", "is empty: name at least one policy"),
		when(len(c.Container.TempDir.String()) > longestTemp, "container.temp_dir", "is longer than %d characters", longestTemp),
		when(c.Container.CacheDays < 0, "container.cache_days", "may not be negative"),
		when(c.Container.ServicesLimit < 0, "container.services_limit", "may not be negative"),
		when(strings.Contains(c.Container.TempDir.String()+c.Container.CacheDir.String(), ":"), "container.cache_dir", "or temp_dir has a colon, which mounts cannot have"),
	)
}

// warnContainer finds keys about containers that have no effect.
func warnContainer(c *Config) []Fault {
	none := c.General.RunMechanism == ""
	var faults []Fault
	for m, e := range c.General.Engines() {
		table := "general." + string(m)
		unused := m != c.General.RunMechanism && (!e.DefaultImage.IsZero() || len(e.CustomOptions) > 0 || !e.ApplicationPath.IsZero())
		faults = append(faults, when(unused, table, "has no effect without run_mechanism = %q", m)...)
		faults = append(faults, when(e.DisableContainerRemoval, table+".disable_container_removal", "has no effect: a start leaves no container behind")...)
	}
	return slices.Concat(faults,
		when(none && (c.Container.ImageRequired || len(c.Container.Rules) > 0), "container", "has no effect without run_mechanism: jobs run on the host"),
		when(!none && c.Container.ImageRequired && !c.General.Engine().DefaultImage.IsZero(), "container.image_required", "has no effect: jobs without an image run in default_image"),
	)
}
