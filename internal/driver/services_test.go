package driver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

const withServices = `,"image":{"name":"busybox"},"services":[{"name":"postgres:15","alias":"db","pull_policy":["if-not-present"],` +
	`"variables":[{"key":"PGUSER","value":"$OPEN-${NONE}-$$"},{"key":"RAW","value":"$OPEN","raw":true},{"key":"OPEN","value":"own"}]}],` +
	`"variables":[{"key":"OPEN","value":"x","public":true},{"key":"SECRET","value":"x"},{"key":"with space","public":true}]`

func TestServices(t *testing.T) {
	s := contained(t, job.Run, withServices, nil)
	s.Env, _ = customexec.ParseEnviron([]string{"CUSTOM_ENV_OPEN=expanded", "CUSTOM_ENV_SECRET=secret", "CUSTOM_ENV_CI_DEBUG_SERVICES=true"})
	c, err := s.container(always)
	if err != nil || len(c.Services) != 1 || !c.DebugServices {
		t.Fatalf("%+v, %v", c, err)
	}
	one := c.Services[0]
	var env []string
	for _, v := range one.Env {
		env = append(env, v.String())
	}
	if want := []string{"OPEN=own", "PGUSER=expanded--$", "RAW=$OPEN"}; !slices.Equal(env, want) {
		t.Errorf("%q", env)
	}
	if one.Label() != "db" || len(one.Policies) != 1 {
		t.Errorf("%+v", one)
	}
}

func TestDebugServices(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "1": true, "": false, "false": false, "0": false, "yes": false} {
		s := contained(t, job.Run, withServices, nil)
		s.Env = environ(t, "CUSTOM_ENV_CI_DEBUG_SERVICES="+value)
		if c, err := s.container(always); err != nil || c.DebugServices != want {
			t.Errorf("%q: %v, %v", value, c.DebugServices, err)
		}
	}
}

// Without a container, with services off and in cleanup there are none.
func TestNoServices(t *testing.T) {
	for name, s := range map[string]*Session{
		"host":    contained(t, job.Run, strings.Replace(withServices, `{"name":"busybox"}`, "null", 1), nil),
		"off":     contained(t, job.Run, withServices, func(c *config.Config) { c.Container.ServicesNetwork = settings.ServicesOff }),
		"cleanup": contained(t, job.Cleanup, withServices, nil),
	} {
		if c, err := s.container(always); err != nil || c.Services != nil {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestServiceErrors(t *testing.T) {
	named := func(service string) string { return `,"image":{"name":"busybox"},"services":[` + service + `]` }
	for want, tt := range map[string]struct {
		fields string
		change func(*config.Config)
	}{
		"the image has no name":  {named(`{"name":""}`), nil},
		"not the name of a host": {named(`{"name":"a","alias":"b/c"}`), nil},
		"is not a variable name": {named(`{"name":"a","variables":[{"key":"a b","value":"c"}]}`), nil},
		"the job has 2 services": {named(`{"name":"a"},{"name":"b"}`), func(c *config.Config) { c.Container.ServicesLimit = 1 }},
		"not allowed for services": {named(`{"name":"a"}`), func(c *config.Config) {
			c.Container.Rules = []config.ContainerRule{{Services: []glob.Pattern{pattern(t, "r.example.com/**")}}}
		}},
		"pull_policy always is not allowed":  {named(`{"name":"a","pull_policy":["always"]}`), nil},
		"of the job's services are longer":   {named(`{"name":"a","variables":[{"key":"A","value":"` + strings.Repeat("x", longestServiceEnv) + `"}]}`), nil},
		"the command of the image docker.io": {named(`{"name":"a","command":["` + strings.Repeat("x", 9<<10) + `"]}`), nil},
	} {
		_, err := contained(t, job.Config, tt.fields, tt.change).container(always)
		var refused *ImageError
		if !errors.As(err, &refused) || refused.Rule == "" || failure.KindOf(err) != failure.Build || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
