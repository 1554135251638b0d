package driver

import (
	"slices"
	"strings"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// modulesVariable names modules that a job has in addition to those of its rule.
const modulesVariable = "JACAMAR_CI_CONTAINER_MODULES"

// chooseModules returns the modules of a rule and then those that the job names, separated
// by blanks or commas: each once, and only those that the site offers.
func chooseModules(offered []config.Module, ofRule []settings.ModuleName, wanted string) (chosen []config.Module, err error) {
	names := slices.Clone(ofRule)
	for _, name := range strings.FieldsFunc(wanted, func(r rune) bool { return strings.ContainsRune(" ,\t\n", r) }) {
		if !slices.ContainsFunc(offered, func(m config.Module) bool { return string(m.Name) == name }) {
			return nil, unknownModule(offered, name)
		}
		names = append(names, settings.ModuleName(name))
	}
	var seen []settings.ModuleName
	for _, name := range names {
		i := slices.IndexFunc(offered, func(m config.Module) bool { return m.Name == name })
		if i >= 0 && !slices.Contains(seen, name) {
			seen, chosen = append(seen, name), append(chosen, offered[i])
		}
	}
	return chosen, nil
}

func unknownModule(offered []config.Module, name string) error {
	err := failure.Buildf("the job names the container module %q in %s, and this resource has no such module", job.Clip(name), modulesVariable)
	if len(offered) == 0 {
		return &ImageError{"container.module", err.WithHint("remove %s: this resource has no modules", modulesVariable)}
	}
	var names []string
	for _, m := range offered {
		names = append(names, string(m.Name))
	}
	return &ImageError{"container.module", err.WithHint("modules of this resource: %s", strings.Join(names, ", "))}
}

// modulesOf are the modules for jacamar, with the options of the site's engine alone.
func modulesOf(engine settings.Mechanism, chosen []config.Module) (all []ipc.Module) {
	for _, m := range chosen {
		all = append(all, ipc.Module{Module: m.Module, Options: m.Options(engine)})
	}
	return all
}
