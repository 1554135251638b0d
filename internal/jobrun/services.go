package jobrun

import (
	"runtime"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/settings"
)

// unusedServices explains why the services of a job are not started, "" where they are or
// where it has none.
func unusedServices(r ipc.Request) string {
	c := r.Settings.Container
	switch {
	case !r.Job.Services || c != nil && len(c.Services) > 0:
		return ""
	case c != nil && c.Image == nil && c.ServicesNetwork != settings.ServicesOff:
		return "services: has no effect for a job without image:, which runs on the host: no service is started"
	}
	return "services: has no effect on this resource: no service is started for the job"
}

// settleServices decides how the job's services start, nil for a job without services.
func (s stage) settleServices(engine executor.Engine, entries []imagestore.Entry, env []string, log joblog.Writer) (*container.Services, error) {
	c := s.request.Settings.Container
	if len(c.Services) == 0 {
		return nil, nil
	}
	options, err := s.siteOptions(engine)
	if err != nil {
		return nil, err
	}
	all := &container.Services{Private: c.ServicesNetwork == settings.ServicesPrivate, Debug: c.DebugServices, Wait: c.ServicesWait}
	for i, aliases := range freeAliases(c.Services, log) {
		one, err := s.settleService(c.Services[i], entries[i], env, log)
		if err != nil {
			return nil, err
		}
		one.Aliases, one.Options = aliases, options
		all.List = append(all.List, one)
		if len(one.Ports) == 0 && all.Wait > 0 {
			log.Warn("the image of the service %s exposes no port: the script does not wait for the service (its variable HEALTHCHECK_TCP_PORT names a port)", one.Label)
		}
	}
	if err := executor.CheckPrograms(all.Programs()); err != nil {
		return nil, failure.Systemf("cannot start the services of a job: %w", err).
			WithHint("the resource's administrators install the program, or set container.services")
	}
	if all.Private {
		log.Note("The script and its services have a network of their own: they reach each other, and nothing outside of it")
	}
	return all, all.CheckPorts()
}

// freeAliases are the aliases of each service without those that an earlier one has.
func freeAliases(services []ipc.Service, log joblog.Writer) [][]string {
	var list []image.Service
	for _, one := range services {
		list = append(list, one.Service)
	}
	free, taken := image.FreeAliases(list)
	for _, line := range taken {
		log.Warn("%s", line)
	}
	return free
}

// settleService decides how a service starts. It has the directories of the script, but
// for that of the job's scripts.
func (s stage) settleService(wanted ipc.Service, entry imagestore.Entry, env []string, log joblog.Writer) (one container.Service, err error) {
	one = container.Service{
		Label: wanted.Label(), Place: entry.Place, Config: entry.Config, Argv: entry.Config.ServiceCommand(wanted.Service),
	}
	pairs := slices.Clone(env)
	for _, v := range wanted.Env {
		pairs = append(pairs, v.String())
	}
	var refused []string
	if one.Env, refused = container.ServiceEnv(pairs); len(refused) > 0 {
		log.Warn("the service %s does not get the variables %s, which its container engine uses itself", one.Label, strings.Join(refused, ", "))
	}
	scripts := s.request.Dirs.Scripts.String()
	one.Binds = slices.DeleteFunc(s.binds(), func(b container.Bind) bool { return b.Source == scripts })
	if len(one.Argv) == 0 {
		return one, failure.Buildf("the service %s has nothing to run: its image %s has neither an entrypoint nor a command", one.Label, entry.Reference).
			WithHint("write command: for the service in .gitlab-ci.yml")
	}
	if err = entry.CheckMachine(runtime.GOARCH); err != nil {
		return one, err
	}
	if one.IDs, err = entry.IDs(wanted.User); err != nil {
		return one, err
	}
	one.Ports, err = container.ServicePorts(one.Config, one.Env)
	return one, err
}
