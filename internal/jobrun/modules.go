package jobrun

import (
	"slices"
	"strings"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
)

// noteModules names the modules of the job's containers in its log.
func noteModules(modules []ipc.Module, log joblog.Writer) {
	var names []string
	for _, m := range modules {
		names = append(names, string(m.Name))
	}
	if len(names) > 0 {
		log.Note("Modules of the container: %s", strings.Join(names, ", "))
	}
}

// passedNames are the variables of the login shell that the containers of the job's scripts
// have.
func passedNames(c *ipc.Container) []settings.Names {
	names := slices.Clone(c.PassEnv)
	for _, m := range c.Modules {
		names = append(names, m.PassEnv...)
	}
	return names
}

// matching are the variables among env that the names stand for.
func matching(env []string, names []settings.Names) (found []string) {
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if slices.ContainsFunc(names, func(n settings.Names) bool { return n.Match(name) }) {
			found = append(found, pair)
		}
	}
	return found
}

// addBinds adds the binds of modules. A target that is there already has the later source:
// engines refuse two binds of one target.
func addBinds(binds []container.Bind, modules []ipc.Module) []container.Bind {
	for _, m := range modules {
		for _, b := range bindsOf(m.Binds) {
			binds = append(slices.DeleteFunc(binds, func(o container.Bind) bool { return o.Target == b.Target }), b)
		}
	}
	return binds
}

// bindsOf are binds of the configuration.
func bindsOf(list []settings.Bind) (all []container.Bind) {
	for _, b := range list {
		all = append(all, container.Bind{Source: b.Source.String(), Target: b.Target.String(), ReadOnly: b.ReadOnly})
	}
	return all
}
