package driver

import (
	"errors"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// contained is a stage of a job with these fields in its response, on a site with podman.
func contained(t *testing.T, stage job.Stage, fields string, change func(*config.Config)) *Session {
	t.Helper()
	s := &Session{Site: site(t)}
	s.Call.Stage = stage
	s.Site.General.RunMechanism = settings.Podman
	if change != nil {
		change(&s.Site)
	}
	var err error
	if s.Facts, err = customexec.ParseResponse([]byte(`{"id":1,"job_info":{"project_id":1}` + fields + `}`)); err != nil {
		t.Fatal(err)
	}
	if s.Env, err = customexec.ParseEnviron([]string{"CUSTOM_ENV_DOCKER_AUTH_CONFIG=expanded", "CUSTOM_ENV_JACAMAR_CI_PODMAN_ARGS=--init"}); err != nil {
		t.Fatal(err)
	}
	return s
}

const busybox = `,"image":{"name":"busybox"},"credentials":[{"type":"registry","url":"r","username":"u","password":"pw"}],` +
	`"variables":[{"key":"DOCKER_AUTH_CONFIG","value":"raw"}]`

func TestContainer(t *testing.T) {
	s := contained(t, job.Run, busybox, nil)
	c, err := s.container(always)
	if err != nil || c.Image.Reference.String() != "docker.io/library/busybox:latest" || s.Image != c.Image.Reference.String() {
		t.Fatalf("%+v, %v", c, err)
	}
	if len(c.Arguments) != 1 || string(c.Arguments[0].Text) != "--init" || len(c.Policies) != 1 {
		t.Errorf("%+v", c)
	}
	if c.Registries != nil || c.AuthConfig != nil {
		t.Error("logins are in the request of a run stage")
	}
	c, err = contained(t, job.Prepare, busybox, nil).container(always)
	if err != nil || len(c.Registries) != 1 || string(c.AuthConfig) != "expanded" {
		t.Errorf("prepare: %+v, %v", c, err)
	}
	c, err = contained(t, job.Prepare, strings.Replace(busybox, `"raw"`, `"content","file":true`, 1), nil).container(always)
	if err != nil || string(c.AuthConfig) != "content" {
		t.Errorf("a variable of type file: %q, %v", c.AuthConfig, err)
	}
	if c, err := contained(t, job.Run, busybox, func(c *config.Config) { c.General.RunMechanism = "" }).container(always); c != nil || err != nil {
		t.Errorf("without run_mechanism: %+v, %v", c, err)
	}
}

// A cleanup does not fail because of an image.
func TestContainerCleanup(t *testing.T) {
	c, err := contained(t, job.Cleanup, `,"image":{"name":"a b"}`, func(c *config.Config) { c.Container.ImageRequired = true }).container(always)
	if err != nil || c == nil || c.Image != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestNoImage(t *testing.T) {
	c, err := contained(t, job.Run, "", nil).container(always)
	if err != nil || c.Image != nil {
		t.Errorf("on the host: %+v, %v", c, err)
	}
	byDefault := func(c *config.Config) {
		c.General.Podman.DefaultImage, _ = image.ParseReference("r.example.com/base:1")
		c.Container.ImageRequired = true
		c.Container.Rules = rules(t, "other/*")
	}
	c, err = contained(t, job.Run, "", byDefault).container(always)
	if err != nil || c.Image.Reference.String() != "r.example.com/base:1" {
		t.Errorf("default_image: %+v, %v", c, err)
	}
}

func rules(t *testing.T, images ...string) []config.ContainerRule {
	t.Helper()
	r := config.ContainerRule{Required: true}
	for _, text := range images {
		r.Images = append(r.Images, pattern(t, text))
	}
	return []config.ContainerRule{r, {}}
}

func TestImageErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		fields, want string
		change       func(*config.Config)
	}{
		"name":             {`,"image":{"name":"a b"}`, "cannot use the job's image", nil},
		"rule":             {busybox, "not allowed", func(c *config.Config) { c.Container.Rules = rules(t, "r.example.com/**") }},
		"required":         {"", "names no image", func(c *config.Config) { c.Container.ImageRequired = true }},
		"required by rule": {"", "names no image", func(c *config.Config) { c.Container.Rules = rules(t) }},
		"policy":           {`,"image":{"name":"a","pull_policy":["always"]}`, "pull_policy always is not allowed", nil},
	} {
		_, err := contained(t, job.Config, tt.fields, tt.change).container(always)
		var refused *ImageError
		if !errors.As(err, &refused) || refused.Rule == "" || failure.KindOf(err) != failure.Build || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := errors.New("wrong")
	s := contained(t, job.Config, busybox, func(c *config.Config) { c.Container.Rules = rules(t) })
	if _, err := s.container(func(config.Matcher) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("%v", err)
	}
	if _, err := contained(t, job.Config, `,"image":{"name":7}`, nil).container(always); failure.KindOf(err) != failure.System || err == nil {
		t.Errorf("a malformed response: %v", err)
	}
}

// A path is an image where the site allows it, whatever the rules for images in registries.
func TestPathAsImage(t *testing.T) {
	const named = `,"image":{"name":"/apps/images/a.sif"}`
	allow := func(c *config.Config) {
		c.Container.Rules = rules(t, "other/*")
		c.Container.LocalImages = make([]image.Paths, 1)
		if err := c.Container.LocalImages[0].UnmarshalText([]byte("/apps/*/*")); err != nil {
			t.Fatal(err)
		}
	}
	s := contained(t, job.Run, named, allow)
	c, err := s.container(always)
	if err != nil || c.Image.Path.String() != "/apps/images/a.sif" || len(c.LocalImages) != 1 || s.Image != "/apps/images/a.sif" {
		t.Errorf("%+v, %v", c, err)
	}
	for name, change := range map[string]func(*config.Config){
		"container.local_images": nil,
		"/apps/*/*":              func(c *config.Config) { allow(c) },
	} {
		fields := named
		if change != nil {
			fields = strings.Replace(named, "/apps", "/home", 1)
		}
		_, err := contained(t, job.Run, fields, change).container(always)
		var refused *ImageError
		if !errors.As(err, &refused) || refused.Rule != "local_images" || failure.KindOf(err) != failure.Build || !strings.Contains(refused.err.Hint, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The runner's own scripts have the site's image in all jobs, also those without one, and
// in none where only the job's script is to be in a container.
func TestRunnerImage(t *testing.T) {
	change := func(only bool) func(*config.Config) {
		return func(c *config.Config) {
			c.General.Podman.RunnerImage, _ = image.ParseReference("r.example.com/runner:1")
			c.General.Podman.StepScriptOnly = only
			c.Container.Rules = rules(t, "docker.io/library/*")
			c.Container.Rules[0].Required = false
		}
	}
	for _, fields := range []string{busybox, ""} {
		c, err := contained(t, job.Prepare, fields, change(false)).container(always)
		if err != nil || c.Runner == nil || c.Runner.Reference.String() != "r.example.com/runner:1" || len(c.RunnerPolicies) != 1 || c.AuthConfig == nil {
			t.Errorf("%q: %+v, %v", fields, c, err)
		}
		if c, err = contained(t, job.Run, fields, change(true)).container(always); err != nil || c.Runner != nil {
			t.Errorf("%q, step_script_only: %+v, %v", fields, c, err)
		}
	}
	if c, err := contained(t, job.Cleanup, busybox, change(false)).container(always); err != nil || c.Runner != nil {
		t.Errorf("cleanup: %+v, %v", c, err)
	}
}
