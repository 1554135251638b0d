package driver

import (
	"os"
	"slices"

	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// debugServices is GitLab's variable that shows the output of services in the job's log.
const debugServices = "CI_DEBUG_SERVICES"

// longestServiceEnv bounds the variables of all services of a job, in bytes.
const longestServiceEnv = 256 << 10

// addServices adds the services of a job in a container.
func (s *Session) addServices(c *ipc.Container, facts customexec.Containers, matches Matches) error {
	site := s.Site.Container
	if site.ServicesNetwork == settings.ServicesOff || len(facts.Services) == 0 {
		return nil
	}
	if n := len(facts.Services); site.ServicesLimit > 0 && n > site.ServicesLimit {
		return &ImageError{"services_limit", failure.Buildf("the job has %d services, and this resource allows %d", n, site.ServicesLimit).
			WithHint("remove services from .gitlab-ci.yml, or start some of them in one image")}
	}
	rule, name, err := s.containerRule(matches)
	if err != nil {
		return err
	}
	total := 0
	for _, wanted := range facts.Services {
		one, err := s.service(wanted, facts.Public, s.imageRule(rule, name))
		if err != nil {
			return err
		}
		for _, v := range one.Env {
			total += len(v.String())
		}
		c.Services = append(c.Services, one)
	}
	if total > longestServiceEnv {
		return &ImageError{"services", failure.Buildf("the variables of the job's services are longer than %d KiB", longestServiceEnv>>10).
			WithHint("shorten variables in .gitlab-ci.yml, or have fewer services")}
	}
	text, _ := s.Env.Variable(debugServices)
	c.DebugServices = text == "true" || text == "1"
	return nil
}

func (s *Session) service(wanted customexec.Service, public []string, rule image.Rule) (one ipc.Service, err error) {
	one.Service, err = wanted.Parse()
	if err == nil {
		one.Env, err = s.serviceEnv(wanted, public)
	}
	if err != nil {
		return one, &ImageError{"service_name", failure.Buildf("cannot use a service of the job: %w", err).WithHint("correct services: in .gitlab-ci.yml")}
	}
	if !rule.PermitsService(one.Reference) {
		return one, &ImageError{rule.Name, failure.Buildf("the image %s is not allowed for services of this job", one.Reference).
			WithHint("allowed on this resource: %s", rule.AllowedServices())}
	}
	one.Policies, err = s.pullPolicies(one.PullPolicy)
	return one, err
}

// serviceEnv are the job's public variables, as the runner expanded them, and the
// service's own.
func (s *Session) serviceEnv(wanted customexec.Service, public []string) (env []job.Env, err error) {
	values := map[string]string{}
	for _, name := range public {
		values[name], _ = s.Env.Variable(name)
	}
	own := map[string]string{}
	for _, v := range wanted.Variables {
		if own[v.Name] = v.Value; !v.Raw {
			own[v.Name] = os.Expand(v.Value, s.expansion)
		}
	}
	names := slices.Clone(public)
	for _, v := range wanted.Variables {
		values[v.Name] = own[v.Name]
		if !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	for _, name := range names {
		pair, err := job.ParseEnv(name + "=" + values[name])
		_, given := own[name]
		switch {
		case err == nil:
			env = append(env, pair)
		case given:
			return nil, err
		}
	}
	return env, nil
}

// expansion is the value of a variable in the value of another one, as the runner
// replaces it (common/variables.go, Get): $$ is a dollar sign.
func (s *Session) expansion(name string) string {
	if name == "$" {
		return name
	}
	value, _ := s.Env.Variable(name)
	return value
}
