package jobrun

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func bind(t *testing.T, text string) (b settings.Bind) {
	t.Helper()
	if err := b.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return b
}

// settledOf is what prepare has decided; ok is false where it has decided nothing.
func settledOf(t *testing.T, r ipc.Request, name string) (s container.Settled, ok bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dirs.Scripts.String(), name))
	if os.IsNotExist(err) {
		return s, false
	}
	testutil.Must(t, err)
	s, err = container.ParseSettled(text)
	testutil.Must(t, err)
	return s, true
}

func targets(binds []container.Bind) (all []string) {
	for _, b := range binds {
		all = append(all, b.Target)
	}
	return all
}

// TestSettled: what prepare decides for the containers of the author's scripts and for those of
// the runner's own.
func TestSettled(t *testing.T) {
	r, e := prepared(t, func(r *ipc.Request) {
		c := r.Settings.Container
		imageNamed(t, *r, "runner", `{"Entrypoint":["/runner"]}`)
		imageNamed(t, *r, "db", `{"Cmd":["serve"],"ExposedPorts":{"5432/tcp":{}}}`)
		c.Runner, c.RunnerPolicies = wanted(t, "registry.example.org/runner"), []image.PullPolicy{image.IfNotPresent}
		c.Services = []ipc.Service{service(t, "registry.example.org/db", "db"), service(t, "registry.example.org/other/db", "db second")}
		c.Services[1].Env = variables(t, "HEALTHCHECK_TCP_PORT=1")
		c.Binds = []settings.Bind{bind(t, "/opt/site:/opt/site:ro")}
		c.Engine.CustomOptions, c.Engine.RunnerOptions = []string{"--nv"}, []string{"--rocm"}
		c.PassEnv = []settings.Names{"SITE_ONE", "FAB_*", "HOM*", "UNSET"}
		c.Modules = []ipc.Module{{Module: settings.Module{Name: "mpi", Binds: []settings.Bind{bind(t, "/opt/mpi")}, PassEnv: []settings.Names{"MPI_*", "SITE_ONE"}}, Options: []string{"--no-mount", "tmp"}}}
		c.Arguments = []ipc.BatchArguments{{Variable: "APPTAINER_PARAMETERS", Text: []byte("--hostname node")}}
		profile := filepath.Join(r.Account.Home.String(), ".bash_profile")
		testutil.Must(t, os.WriteFile(profile, []byte("unset BASH_ENV; export SITE_ONE=1 FAB_A='a b' MPI_X=m OTHER=no\n"), 0o600))
	})
	if e.result.Failed() || !strings.Contains(e.log, "Modules of the container: mpi") || !strings.Contains(e.log, "have a network of their own") ||
		!strings.Contains(e.log, "the alias db of the service") || strings.Contains(e.log, "exposes no port") {
		t.Fatalf("%+v\n%s", e.result, e.log)
	}
	s, ok := settledOf(t, r, container.SettledFile)
	if !ok || s.Engine != "apptainer" || !slices.Equal(s.Entrypoint, []string{"/enter"}) || s.IDs != (image.IDs{UID: 7, GID: 8}) ||
		!slices.Equal(s.Options, []string{"--nv", "--no-mount", "tmp", "--hostname", "node"}) || !slices.Equal(s.Env, []string{"SITE_ONE=1", "FAB_A=a b", "MPI_X=m"}) {
		t.Errorf("%+v", s)
	}
	dirs := []string{r.Dirs.Builds.String(), r.Dirs.Cache.String(), r.Dirs.Scripts.String(), "/opt/site"}
	if !slices.Equal(targets(s.Binds), append(slices.Clone(dirs), "/opt/mpi")) || !s.Binds[3].ReadOnly {
		t.Errorf("%+v", s.Binds)
	}
	if s.Services == nil || !s.Services.Private || s.Services.Wait != time.Second || len(s.Services.List) != 2 {
		t.Fatalf("%+v", s.Services)
	}
	one, two := s.Services.List[0], s.Services.List[1]
	if !slices.Equal(one.Argv, []string{"serve"}) || !slices.Equal(one.Ports, []uint16{5432}) || !slices.Contains(one.Aliases, "db") || slices.Contains(two.Aliases, "db") || !slices.Contains(two.Aliases, "second") {
		t.Errorf("%+v\n%+v", one, two)
	}
	if !slices.Equal(one.Options, []string{"--nv"}) || !slices.Equal(one.Env, []string{"SITE_ONE=1", "FAB_A=a b"}) || slices.Contains(targets(one.Binds), r.Dirs.Scripts.String()) || len(one.Binds) != len(dirs)-1 {
		t.Errorf("%+v", one)
	}
	own, ok := settledOf(t, r, container.RunnerFile)
	if !ok || !slices.Equal(own.Entrypoint, []string{"/runner"}) || !slices.Equal(own.Options, []string{"--rocm"}) || !slices.Equal(targets(own.Binds), dirs) || own.Services != nil || !slices.Equal(own.Env, []string{"SITE_ONE=1", "FAB_A=a b"}) {
		t.Errorf("%+v", own)
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestSettledAlone: each of the two images of a job without the other.
func TestSettledAlone(t *testing.T) {
	r, _ := prepared(t)
	_, own := settledOf(t, r, container.RunnerFile)
	if s, ok := settledOf(t, r, container.SettledFile); !ok || own || len(s.Env) > 0 || s.Services != nil || len(s.Options) > 0 {
		t.Errorf("%+v, %v", s, own)
	}
	r, _ = prepared(t, func(r *ipc.Request) {
		c := r.Settings.Container
		c.Runner, c.RunnerPolicies, c.Image = c.Image, c.Policies, nil
	})
	_, ok := settledOf(t, r, container.SettledFile)
	if s, own := settledOf(t, r, container.RunnerFile); ok || !own || s.IDs.UID != 7 {
		t.Errorf("%+v, %v", s, ok)
	}
	r, e := prepared(t, func(r *ipc.Request) { r.Settings.Container.Image = nil })
	if _, ok := settledOf(t, r, container.SettledFile); ok || e.result.Failed() {
		t.Errorf("%+v", e.result)
	}
	if _, err := os.Stat(filepath.Join(r.Account.Home.String(), "calls")); err == nil {
		t.Error("a job without an image has called the engine")
	}
}

// TestEntrypoints: the job's entrypoint is used before the site's, and that before the image's.
func TestEntrypoints(t *testing.T) {
	for _, tt := range []struct{ site, job, want []string }{
		{nil, nil, []string{"/enter"}},
		{[]string{"/site"}, nil, []string{"/site"}},
		{[]string{"/site"}, []string{"/job"}, []string{"/job"}},
		{[]string{"/site"}, []string{""}, nil},
	} {
		r, e := prepared(t, func(r *ipc.Request) {
			r.Settings.Container.Engine.UserEntryPoint, r.Settings.Container.Image.Entrypoint = tt.site, tt.job
		})
		if s, ok := settledOf(t, r, container.SettledFile); !ok || !slices.Equal(s.Entrypoint, tt.want) {
			t.Errorf("%+v: %+v, %+v", tt, s.Entrypoint, e.result)
		}
	}
}

// TestPrepareFails: whose failure it is, and what the user reads.
func TestPrepareFails(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*ipc.Request)
		kind   string
		want   string
	}{
		"no such image": {func(r *ipc.Request) { r.Settings.Container.Image = wanted(t, "registry.example.org/none") }, "build", "none"},
		"no such image of the site": {func(r *ipc.Request) {
			r.Settings.Container.Runner, r.Settings.Container.RunnerPolicies = wanted(t, "registry.example.org/none"), r.Settings.Container.Policies
		}, "system", "cannot use this resource's image for scripts of GitLab Runner: "},
		"no such image of a service":   {withService(t, "none", "", nil), "build", "none"},
		"an image's own user":          {func(r *ipc.Request) { imageNamed(t, *r, "tool", `{"User":"carol"}`) }, "build", "carol"},
		"a user that the image lacks":  {func(r *ipc.Request) { r.Settings.Container.Image.User = "carol" }, "build", "carol"},
		"a user that the site's lacks": {ofSite(t, `{"User":"carol"}`), "system", "cannot use this resource's image for scripts of GitLab Runner: "},
		"an option that is reserved":   {func(r *ipc.Request) { r.Settings.Container.Engine.CustomOptions = []string{"--fakeroot"} }, "system", "general.apptainer.custom_options"},
		"one of the runner's":          {runnerOptions(t), "system", "general.apptainer.runner_options"},
		"one of a module": {func(r *ipc.Request) {
			r.Settings.Container.Modules = []ipc.Module{{Module: settings.Module{Name: "mpi"}, Options: []string{"--fakeroot"}}}
		}, "system", "module mpi"},
		"one of the job": {func(r *ipc.Request) {
			r.Settings.Container.Arguments = []ipc.BatchArguments{{Variable: "APPTAINER_PARAMETERS", Text: []byte("--fakeroot")}}
		}, "build", "APPTAINER_PARAMETERS"},
		"a service that runs nothing":     {withService(t, "tool", `{}`, nil), "build", "has nothing to run"},
		"a service's user":                {withService(t, "db", `{"Cmd":["serve"],"User":"carol"}`, nil), "build", "carol"},
		"a service's port":                {withService(t, "db", `{"Cmd":["serve"]}`, []string{"HEALTHCHECK_TCP_PORT=x"}), "build", "is not the number of a port"},
		"logins that cannot be read":      {func(r *ipc.Request) { r.Settings.Container.AuthConfig = []byte("{") }, "build", "cannot use the CI variable DOCKER_AUTH_CONFIG: "},
		"variables that cannot be read":   {brokenLogin(t, "exec true"), "system", "cannot read the variables of container.pass_env: "},
		"values that cannot be read":      {brokenLogin(t, "[[ -e ~/once ]] && exec true; export A=1; touch ~/once"), "system", "cannot read the variables of container.pass_env: "},
		"images that others can write to": {func(r *ipc.Request) { r.Settings.Container.CacheDir = openCache(t, *r) }, "system", "/open/alice: others may enter it (mode 0777)"},
	} {
		r, e := prepared(t, tt.change)
		if e.result.Kind != tt.kind || !strings.Contains(e.result.Reason, tt.want) || strings.Contains(e.log, "network of their own") {
			t.Errorf("%s: %+v\n%s", name, e.result, e.log)
		}
		if _, ok := settledOf(t, r, container.SettledFile); ok {
			t.Errorf("%s: a run stage would start a container", name)
		}
		succeeds(t, ofStage(r, job.Cleanup, ""), "")
	}
}

func runnerOptions(t *testing.T) func(*ipc.Request) {
	return func(r *ipc.Request) {
		ofSite(t, `{}`)(r)
		r.Settings.Container.Engine.RunnerOptions = []string{"--fakeroot"}
	}
}

func brokenLogin(t *testing.T, profile string) func(*ipc.Request) {
	return func(r *ipc.Request) {
		testutil.Must(t, os.WriteFile(filepath.Join(r.Account.Home.String(), ".bash_profile"), []byte("unset BASH_ENV\n"+profile+"\n"), 0o600))
		r.Settings.Container.PassEnv = []settings.Names{"A"}
	}
}

func openCache(t *testing.T, r ipc.Request) job.AbsPath {
	dir := filepath.Join(r.Account.Home.String(), "open")
	testutil.Must(t, os.MkdirAll(filepath.Join(dir, "alice"), 0o755), os.Chmod(filepath.Join(dir, "alice"), 0o777))
	return testutil.AbsPath(t, dir)
}

// A target has one source: the last one that names it.
func TestAddBinds(t *testing.T) {
	got := addBinds([]container.Bind{{Source: "/a", Target: "/a"}, {Source: "/opt/one", Target: "/opt"}}, []ipc.Module{
		{Module: settings.Module{Binds: []settings.Bind{bind(t, "/opt/two:/opt:ro"), bind(t, "/b")}}},
		{Module: settings.Module{Binds: []settings.Bind{bind(t, "/c:/b")}}},
	})
	want := []container.Bind{{Source: "/a", Target: "/a"}, {Source: "/opt/two", Target: "/opt", ReadOnly: true}, {Source: "/c", Target: "/b"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestMatching(t *testing.T) {
	got := matching([]string{"A=1", "NV_X=2", "NVX=3", "B=A"}, []settings.Names{"A", "NV_*"})
	if !slices.Equal(got, []string{"A=1", "NV_X=2"}) {
		t.Errorf("%q", got)
	}
}
