package jobrun

import (
	"runtime"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/engines"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/settings"
)

// needsContainer reports whether a stage of the job runs in a container.
func needsContainer(c *ipc.Container) bool { return c != nil && (c.Image != nil || c.Runner != nil) }

// checkContainer reports whether every program that the job's container needs exists.
func (s stage) checkContainer() error {
	if !needsContainer(s.request.Settings.Container) {
		return nil
	}
	_, err := executor.FindEngine(s.request)
	return err
}

// prepareContainer fetches the job's images and decides how its containers start.
func (s stage) prepareContainer(log joblog.Writer) error {
	c := s.request.Settings.Container
	if !needsContainer(c) {
		return nil
	}
	_ = imagestore.Sweep(c.TempDir, s.request.Account.UID, time.Now().Add(sweepTime)) // a later sweep continues
	engine, err := executor.FindEngine(s.request)
	if err != nil {
		return err
	}
	noteModules(c.Modules, log)
	env, err := s.passedEnv(passedNames(c))
	if err != nil {
		return err
	}
	ofSite := matching(env, c.PassEnv)
	entries, err := s.fetchImages(engine, ofSite, log, wantedImages(c))
	if err != nil {
		return err
	}
	if c.Runner != nil {
		if err := s.settleRunner(engine, entries[0], ofSite); err != nil {
			return err
		}
		entries = entries[1:]
	}
	if c.Image == nil {
		return nil
	}
	return s.settleJob(engine, entries, env, ofSite, log)
}

// wantedImages are those of the runner's own scripts, of the job, and of its services.
func wantedImages(c *ipc.Container) (list []wantedImage) {
	if c.Runner != nil {
		list = append(list, wantedImage{Request: *c.Runner, policies: c.RunnerPolicies, ofSite: true})
	}
	if c.Image != nil {
		list = append(list, wantedImage{Request: *c.Image, policies: c.Policies})
	}
	for _, one := range c.Services {
		list = append(list, wantedImage{Request: one.Request, policies: one.Policies})
	}
	return list
}

// settleJob decides how the containers of the job's author start. entries are the images of
// the job and of its services.
func (s stage) settleJob(engine executor.Engine, entries []imagestore.Entry, env, ofSite []string, log joblog.Writer) error {
	c := s.request.Settings.Container
	options, err := s.engineOptions(engine)
	if err != nil {
		return err
	}
	override := c.Image.Entrypoint
	if override == nil {
		override = c.Engine.UserEntryPoint
	}
	settled, err := s.settle(entries[0], override, c.Image.User)
	if err != nil {
		return err
	}
	settled.Options, settled.Env, settled.Binds = options, env, addBinds(s.binds(), c.Modules)
	if settled.Services, err = s.settleServices(engine, entries[1:], ofSite, log); err != nil {
		return err
	}
	return imagestore.WriteSettled(s.request.Dirs.Scripts, s.rules(), container.SettledFile, settled)
}

// settleRunner decides how the containers of the runner's own scripts start.
func (s stage) settleRunner(engine executor.Engine, entry imagestore.Entry, env []string) error {
	of := s.request.Settings.Container.Engine
	options, err := engines.Options(engine, "general."+engine.Name()+".runner_options", of.RunnerOptions)
	if err != nil {
		return err
	}
	settled, err := s.settle(entry, of.RunnerEntryPoint, "")
	if err != nil {
		return siteImageError(engine, err)
	}
	settled.Options, settled.Env, settled.Binds = options, env, s.binds()
	return imagestore.WriteSettled(s.request.Dirs.Scripts, s.rules(), container.RunnerFile, settled)
}

// siteImageError is the failure of an image that the site has chosen: not the job's.
func siteImageError(engine executor.Engine, err error) error {
	return failure.Systemf("cannot use this resource's image for scripts of GitLab Runner: %w", err).
		WithHint("administrators: general.%s.runner_image", engine.Name())
}

// settle decides how containers of an image start, for an entrypoint instead of the
// image's own, nil for none, and a user, "" for the image's.
func (s stage) settle(entry imagestore.Entry, override []string, user string) (container.Settled, error) {
	settled := container.Settled{
		Engine: string(s.request.Settings.Container.Mechanism), Image: entry.Pinned(), Place: entry.Place, Config: entry.Config,
		Entrypoint: entry.Config.Command(override), Dash: entry.Dash(),
	}
	err := entry.CheckMachine(runtime.GOARCH)
	if err != nil {
		return settled, err
	}
	if settled.Shell, err = entry.Shell(); err != nil {
		return settled, err
	}
	settled.IDs, err = entry.IDs(user)
	return settled, err
}

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
