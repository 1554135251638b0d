package config

import (
	"strings"

	"jacamar-ci/internal/settings"
)

// longestTemp bounds container.temp_dir in bytes: podman(1) refuses a runroot of more than
// 50 characters, and the rest is needed below it.
const longestTemp = 30

func checkContainer(c *Config, f *findings) {
	f.when(c.Container.PullTimeout == 0, "container.pull_timeout", "may not be zero")
	f.when(c.Container.PullPolicy != nil && len(c.Container.PullPolicy) == 0, "container.pull_policy", "is empty: name at least one policy")
	f.when(len(c.Container.TempDir.String()) > longestTemp, "container.temp_dir", "is longer than %d characters", longestTemp)
	f.when(c.Container.CacheDays < 0, "container.cache_days", "may not be negative")
	f.when(c.Container.ServicesLimit < 0, "container.services_limit", "may not be negative")
	f.when(strings.Contains(c.Container.TempDir.String()+c.Container.CacheDir.String(), ":"), "container.cache_dir", "or temp_dir has a colon, which mounts cannot have")
	checkModules(c.Container, f)
}

// checkModules refuses a name that two modules have, and one in a rule that none has.
func checkModules(c Container, f *findings) {
	seen := map[settings.ModuleName]bool{}
	for i, m := range c.Modules {
		f.when(m.Name != "" && seen[m.Name], entryKey("container.module", i)+".name", "%q is the name of another module as well", m.Name)
		seen[m.Name] = true
	}
	for i, rule := range c.Rules {
		for j, name := range rule.Modules {
			key := entryKey(entryKey("container.rule", i)+".modules", j)
			f.when(name != "" && !seen[name], key, "there is no [[container.module]] with the name %q", name)
		}
	}
}

// warnContainer finds keys about containers that have no effect.
func warnContainer(c *Config, f *findings) {
	none := c.General.RunMechanism == ""
	warnModules(c, f)
	for m, e := range c.General.Engines() {
		table := "general." + string(m)
		unused := m != c.General.RunMechanism && (!e.DefaultImage.IsZero() || len(e.CustomOptions) > 0 || !e.ApplicationPath.IsZero())
		f.when(unused, table, "has no effect without run_mechanism = %q", m)
		warnRunnerImage(table, e, f)
		f.when(e.DisableContainerRemoval, table+".disable_container_removal", "has no effect: a start leaves no container behind")
	}
	f.when(none && (c.Container.ImageRequired || len(c.Container.Rules) > 0 || len(c.Container.Modules) > 0), "container", "has no effect without run_mechanism: jobs run on the host")
	f.when(!none && c.Container.ImageRequired && !c.General.Engine().DefaultImage.IsZero(), "container.image_required", "has no effect: jobs without an image run in default_image")
}

// warnModules finds modules that add nothing to a container of the site's engine.
func warnModules(c *Config, f *findings) {
	for i, m := range c.Container.Modules {
		empty := len(m.Options(c.General.RunMechanism)) == 0 && len(m.Binds) == 0 && len(m.PassEnv) == 0
		f.when(c.General.RunMechanism != "" && empty, entryKey("container.module", i), "adds nothing to containers of %s", c.General.RunMechanism)
	}
}

// warnRunnerImage finds keys about the runner's own scripts that have no effect.
func warnRunnerImage(table string, e Engine, f *findings) {
	none := e.RunnerImage.IsZero()
	f.when(!none && e.StepScriptOnly, table+".runner_image", "has no effect with step_script_only: the runner's own scripts run on the host")
	f.when(none && len(e.RunnerOptions) > 0, table+".runner_options", "has no effect without runner_image")
	f.when(none && len(e.RunnerEntryPoint) > 0, table+".runner_entry_point", "has no effect without runner_image")
}
