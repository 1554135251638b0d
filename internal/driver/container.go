package driver

import (
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// engineArguments are the variables with the job's own options of a start in a container.
var engineArguments = map[settings.Mechanism]string{
	settings.Podman: "JACAMAR_CI_PODMAN_ARGS", settings.Charliecloud: "JACAMAR_CI_CHARLIECLOUD_ARGS", settings.Apptainer: "JACAMAR_CI_APPTAINER_ARGS",
}

// container is for sites with containers; nil for the others. A cleanup needs no image,
// and must not fail because of it.
func (s *Session) container(matches Matches) (*ipc.Container, error) {
	g := s.Site.General
	if g.RunMechanism == "" {
		return nil, nil
	}
	c := &ipc.Container{Container: s.Site.Container.Container, Mechanism: g.RunMechanism, Engine: g.Engine().Engine}
	if s.Call.Stage == job.Cleanup {
		return c, nil
	}
	facts, err := s.Facts.Containers()
	if err != nil {
		return nil, failure.Privatef("cannot read the job response: %w", err)
	}
	if c.Runner = s.runnerImage(); c.Runner != nil {
		if c.RunnerPolicies, err = s.pullPolicies(nil); err != nil {
			return nil, err
		}
	}
	modules, _ := s.Env.Variable(modulesVariable)
	choice, err := s.ChooseImage(facts.Image, modules, matches)
	c.Policies, c.Modules = choice.Policies, modulesOf(g.RunMechanism, choice.Modules)
	if c.Image = choice.Request; c.Image != nil {
		s.Image = c.Image.Name()
	}
	if err != nil {
		return nil, err
	}
	if s.Call.Stage == job.Prepare && (c.Image != nil || c.Runner != nil) {
		c.Registries, c.AuthConfig = registries(facts), s.authConfig(facts)
	}
	if c.Image == nil {
		return c, nil
	}
	if !c.Image.Path.IsZero() {
		c.LocalImages = s.Site.Container.LocalImages
	}
	name := engineArguments[g.RunMechanism]
	if text, ok := s.Env.Variable(name); ok {
		c.Arguments = append(c.Arguments, ipc.BatchArguments{Variable: name, Text: []byte(job.Cut(text, longestText))})
	}
	if err := s.addServices(c, facts, matches); err != nil {
		return nil, err
	}
	return c, nil
}

// runnerImage is the site's image of the runner's own scripts, nil where they run on the
// host.
func (s *Session) runnerImage() *image.Request {
	e := s.Site.General.Engine()
	if e.RunnerImage.IsZero() || e.StepScriptOnly {
		return nil
	}
	return &image.Request{Reference: e.RunnerImage}
}

// modulesOf are the modules for jacamar, with the options of the site's engine alone.
func modulesOf(engine settings.Mechanism, chosen []config.Module) (all []ipc.Module) {
	for _, m := range chosen {
		all = append(all, ipc.Module{Module: m.Module, Options: m.Options(engine)})
	}
	return all
}

func registries(facts customexec.Containers) (all []ipc.Registry) {
	for _, r := range facts.Registries {
		all = append(all, ipc.Registry{URL: r.URL, User: r.User, Password: []byte(r.Password.Reveal())})
	}
	return all
}

// authConfig is the job's DOCKER_AUTH_CONFIG: as the runner expanded it, or the content of
// a variable of type file.
func (s *Session) authConfig(facts customexec.Containers) []byte {
	if facts.File {
		return []byte(job.Cut(facts.AuthConfig.Reveal(), longestText+1))
	}
	if text := s.variable(authConfig, longestText+1); text != nil {
		return text
	}
	return []byte(facts.AuthConfig.Reveal())
}
