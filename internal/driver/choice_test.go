package driver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

func offered(names ...string) (all []config.Module) {
	for _, name := range names {
		all = append(all, config.Module{Module: settings.Module{Name: settings.ModuleName(name)}, Podman: []string{"--podman=" + name}, Apptainer: []string{"--other"}})
	}
	return all
}

// What a job names is added to what its rule names, in the order of the names.
func TestChooseModules(t *testing.T) {
	site := offered("gpu", "mpi", "net")
	for _, tt := range []struct {
		rule         []settings.ModuleName
		wanted, want string
	}{
		{nil, "", ""},
		{nil, " , ", ""},
		{nil, "mpi", "mpi"},
		{[]settings.ModuleName{"gpu"}, "", "gpu"},
		{[]settings.ModuleName{"gpu"}, "mpi,net\n", "gpu mpi net"},
		{[]settings.ModuleName{"net", "gpu"}, "gpu\tmpi mpi net", "net gpu mpi"},
	} {
		chosen, err := chooseModules(site, tt.rule, tt.wanted)
		var names []string
		for _, m := range chosen {
			names = append(names, string(m.Name))
		}
		if got := strings.Join(names, " "); err != nil || got != tt.want {
			t.Errorf("%q, %q: %s, %v, want %s", tt.rule, tt.wanted, got, err, tt.want)
		}
	}
}

func TestUnknownModule(t *testing.T) {
	for text, tt := range map[string]struct {
		site []config.Module
		hint string
	}{
		"gpux":        {offered("gpu", "mpi"), "modules of this resource: gpu, mpi"},
		"gpu,Mpi":     {offered("gpu", "mpi"), "gpu, mpi"},
		"gpu;mpi":     {offered("gpu", "mpi"), "gpu, mpi"},
		"--privilege": {nil, "this resource has no modules"},
	} {
		_, err := chooseModules(tt.site, nil, text)
		var refused *ImageError
		if !errors.As(err, &refused) || failure.KindOf(err) != failure.Build || refused.Rule == "" || !strings.Contains(refused.err.Hint, tt.hint) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Only what the site offers is chosen, whatever a job names, and each module once.
func FuzzChooseModules(f *testing.F) {
	f.Add("gpu mpi")
	f.Add("gpu,,gpu\n-x")
	site := offered("gpu", "mpi")
	f.Fuzz(func(t *testing.T, wanted string) {
		chosen, err := chooseModules(site, []settings.ModuleName{"mpi"}, wanted)
		if err != nil {
			return
		}
		if len(chosen) < 1 || len(chosen) > len(site) || chosen[0].Name != "mpi" {
			t.Errorf("%q: %v", wanted, chosen)
		}
	})
}

// The request has the options of the site's engine alone, and none for a job on the host.
func TestModulesOfRequest(t *testing.T) {
	change := func(c *config.Config) {
		c.Container.Modules = offered("gpu", "mpi")
		c.Container.Rules = []config.ContainerRule{{Modules: []settings.ModuleName{"gpu"}}}
	}
	for fields, want := range map[string][]string{busybox: {"--podman=gpu", "--podman=mpi"}, "": nil} {
		s := contained(t, job.Run, fields, change)
		s.Env, _ = customexec.ParseEnviron([]string{"CUSTOM_ENV_JACAMAR_CI_CONTAINER_MODULES=mpi"})
		c, err := s.container(always)
		if err != nil {
			t.Fatal(err)
		}
		var options []string
		for _, m := range c.Modules {
			options = append(options, m.Options...)
		}
		if !slices.Equal(options, want) {
			t.Errorf("%q", options)
		}
	}
	s := contained(t, job.Config, busybox, change)
	s.Env, _ = customexec.ParseEnviron([]string{"CUSTOM_ENV_JACAMAR_CI_CONTAINER_MODULES=none"})
	if _, err := s.container(always); failure.KindOf(err) != failure.Build {
		t.Errorf("%v", err)
	}
}
