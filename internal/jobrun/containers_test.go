package jobrun

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// engineText stands in for apptainer. Its images are text: the name, of which ~/images has the
// configuration. A container is a process of this host. ~/calls has how it was called.
const engineText = `#!/bin/bash
echo "$APPTAINER_DOCKER_USERNAME $*" >>~/calls
[[ $1 == --quiet ]] && shift
case $1 in
--version) echo apptainer version 1.6 ;;
build) [[ -e ~/wait ]] && { echo >~/wait; sleep 1000; }
	name=${@: -1}; name=${name##*/}; name=${name%%:*}
	[[ -e ~/images/$name ]] || { echo "manifest unknown" >&2; exit 255; }
	echo "$name" >"${@: -2:1}" ;;
sif) cat ~/images/"$(cat "$4")" ;;
exec) [[ $4 == cat ]] && { [[ $5 == /etc/passwd ]] && echo bob:x:7:8::/:/bin/sh; exit; }
	while [[ $1 != --pwd ]]; do shift; done
	shift 2
	while [[ $1 == -* ]]; do shift; done
	shift
	exec "$@" ;;
*) exit 1 ;;
esac
`

// inContainer is the request of the config stage of a job with image:, on a site whose engine
// is that of engineText.
func inContainer(t *testing.T) ipc.Request {
	t.Helper()
	r := newRequest(t)
	home := r.Account.Home.String()
	testutil.Must(t, os.Mkdir(filepath.Join(home, "images"), 0o700), os.WriteFile(filepath.Join(home, "apptainer"), []byte(engineText), 0o700))
	imageNamed(t, r, "tool", `{"User":"bob","Entrypoint":["/enter"],"Cmd":["sh"]}`)
	r.Settings.Container = &ipc.Container{
		Container: settings.Container{PullTimeout: time.Minute, CacheForm: settings.OverlayForm, TempDir: testutil.AbsPath(t, "/tmp"), ServicesNetwork: settings.ServicesPrivate, ServicesWait: time.Second},
		Mechanism: settings.Apptainer, Engine: settings.Engine{ApplicationPath: testutil.AbsPath(t, filepath.Join(home, "apptainer"))},
		Image: wanted(t, "registry.example.org/tool:1"), Policies: []image.PullPolicy{image.IfNotPresent},
	}
	return r
}

// imageNamed makes an image, with its configuration as a registry has it.
func imageNamed(t *testing.T, r ipc.Request, name, config string) {
	t.Helper()
	testutil.Must(t, os.WriteFile(filepath.Join(r.Account.Home.String(), "images", name), []byte(config), 0o600))
}

func wanted(t *testing.T, name string) *image.Request {
	t.Helper()
	r, err := image.Wish{Name: name}.Parse()
	testutil.Must(t, err)
	return &r
}

func service(t *testing.T, name string, aliases ...string) ipc.Service {
	t.Helper()
	s, err := image.ServiceWish{Wish: image.Wish{Name: name}, Alias: strings.Join(aliases, " ")}.Parse()
	testutil.Must(t, err)
	return ipc.Service{Service: s, Policies: []image.PullPolicy{image.IfNotPresent}}
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

// prepared runs config and prepare with changes to the request of a job in a container.
func prepared(t *testing.T, changes ...func(*ipc.Request)) (ipc.Request, ended) {
	t.Helper()
	r := inContainer(t)
	for _, change := range changes {
		change(&r)
	}
	r = configured(t, r)
	return r, serve(t, r, "")
}

func calls(t *testing.T, r ipc.Request) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Account.Home.String(), "calls"))
	testutil.Must(t, err)
	return string(text)
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

// TestServicesOfAJob: the log has what a service does not get, and which is not waited for.
func TestServicesOfAJob(t *testing.T) {
	for _, tt := range []struct {
		config  string
		wait    time.Duration
		network settings.ServicesNetwork
		env     []string
		want    []string
	}{
		{`{"Cmd":["serve"]}`, time.Second, settings.ServicesPrivate, nil, []string{"exposes no port", "network of their own"}},
		{`{"Cmd":["serve"]}`, 0, settings.ServicesPrivate, nil, []string{"network of their own"}},
		{`{"Cmd":["serve"],"ExposedPorts":{"1/tcp":{}}}`, time.Second, settings.ServicesHost, nil, nil},
		{`{"Cmd":["serve"],"ExposedPorts":{"1/tcp":{}}}`, 0, settings.ServicesHost, []string{"LD_PRELOAD=x"}, []string{"does not get the variables LD_PRELOAD"}},
	} {
		r, e := prepared(t, withService(t, "db", tt.config, tt.env), func(r *ipc.Request) {
			r.Settings.Container.ServicesWait, r.Settings.Container.ServicesNetwork = tt.wait, tt.network
		})
		var got []string
		for _, line := range []string{"exposes no port", "does not get the variables LD_PRELOAD", "network of their own"} {
			if strings.Contains(e.log, line) {
				got = append(got, line)
			}
		}
		s, _ := settledOf(t, r, container.SettledFile)
		if !slices.Equal(got, tt.want) || s.Services == nil || s.Services.Private != (tt.network == settings.ServicesPrivate) {
			t.Errorf("%+v: %q, %+v", tt, got, s.Services)
		}
	}
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
		"an image for another machine": {func(r *ipc.Request) { imageNamed(t, *r, "tool", `{"User":"carol"}`) }, "build", "carol"},
		"a user that the image lacks":  {func(r *ipc.Request) { r.Settings.Container.Image.User = "carol" }, "build", "carol"},
		"a user that the site's lacks": {ofSite(t, `{"User":"carol"}`), "system", "cannot use this resource's image for scripts of GitLab Runner: "},
		"an option that is reserved":   {func(r *ipc.Request) { r.Settings.Container.Engine.CustomOptions = []string{"--fakeroot"} }, "system", "general.apptainer.custom_options"},
		"one of the runner's":          {runnerOptions(t), "system", "general.apptainer.runner_options"},
		"one of a module": {func(r *ipc.Request) {
			r.Settings.Container.Modules = []ipc.Module{{Module: settings.Module{Name: "mpi"}, Options: []string{"--fakeroot"}}}
		}, "system", "module mpi"},
		"one of the job": {func(r *ipc.Request) {
			r.Settings.Container.Arguments = []ipc.BatchArguments{{Variable: "A", Text: []byte("--fakeroot")}}
		}, "build", "A"},
		"a service that runs nothing":     {withService(t, "tool", `{}`, nil), "build", "has nothing to run"},
		"a service's user":                {withService(t, "db", `{"Cmd":["serve"],"User":"carol"}`, nil), "build", "carol"},
		"a service's port":                {withService(t, "db", `{"Cmd":["serve"]}`, []string{"HEALTHCHECK_TCP_PORT=x"}), "build", "is not the number of a port"},
		"logins that cannot be read":      {func(r *ipc.Request) { r.Settings.Container.AuthConfig = []byte("{") }, "build", "cannot use the CI variable DOCKER_AUTH_CONFIG: "},
		"variables that cannot be read":   {brokenLogin(t, "exec true"), "system", "cannot read the variables of container.pass_env: "},
		"values that cannot be read":      {brokenLogin(t, "[[ -e ~/once ]] && exec true; export A=1; touch ~/once"), "system", "cannot read the variables of container.pass_env: "},
		"images that others can write to": {func(r *ipc.Request) { r.Settings.Container.CacheDir = openCache(t, *r) }, "system", ""},
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

func withService(t *testing.T, name, config string, env []string) func(*ipc.Request) {
	return func(r *ipc.Request) {
		if config != "" {
			imageNamed(t, *r, name, config)
		}
		one := service(t, "registry.example.org/"+name)
		one.Env = variables(t, env...)
		r.Settings.Container.Services = []ipc.Service{one}
	}
}

func variables(t *testing.T, pairs ...string) (all []job.Env) {
	t.Helper()
	for _, pair := range pairs {
		e, err := job.ParseEnv(pair)
		testutil.Must(t, err)
		all = append(all, e)
	}
	return all
}

func ofSite(t *testing.T, config string) func(*ipc.Request) {
	return func(r *ipc.Request) {
		imageNamed(t, *r, "runner", config)
		r.Settings.Container.Runner, r.Settings.Container.RunnerPolicies = wanted(t, "registry.example.org/runner"), r.Settings.Container.Policies
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

// TestCacheDir: the site chooses where images are.
func TestCacheDir(t *testing.T) {
	for _, chosen := range []bool{false, true} {
		r, e := prepared(t, func(r *ipc.Request) {
			if chosen {
				dir := filepath.Join(r.Account.Home.String(), "cache")
				testutil.Must(t, os.Mkdir(dir, 0o755))
				r.Settings.Container.CacheDir = testutil.AbsPath(t, dir)
			}
		})
		place := filepath.Join(r.Dirs.Base.String(), "images")
		if chosen {
			place = filepath.Join(r.Account.Home.String(), "cache/alice")
		}
		if s, ok := settledOf(t, r, container.SettledFile); !ok || !strings.HasPrefix(s.Place.Path.String(), place+"/") {
			t.Errorf("%s: %+v %+v", place, s.Place, e.result)
		}
	}
}

// TestStoppedFetch: a job that is stopped while its image is fetched reports that.
func TestStoppedFetch(t *testing.T) {
	r := configured(t, inContainer(t))
	gate := filepath.Join(r.Account.Home.String(), "wait")
	testutil.Must(t, syscall.Mkfifo(gate, 0o600))
	c := begin(t, r, "")
	_, err := os.ReadFile(gate)
	testutil.Must(t, err, c.conn.Terminate())
	if e := c.end(); e.result.Kind != "build" || e.result.Reason != "the job was stopped while its image was fetched" {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	testutil.Must(t, os.Remove(gate))
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestLogins: a login is from the job's variable, then the account's file, then GitLab.
func TestLogins(t *testing.T) {
	auths := func(user string) []byte {
		return fmt.Appendf(nil, `{"auths":{"registry.example.org":{"username":%q,"password":"p"}},"credsStore":"program"}`, user)
	}
	for _, tt := range []struct {
		ofJob, ofAccount string
		want             string
	}{
		{"", "", "gitlab"},
		{"", "account", "account"},
		{"", "broken", "gitlab"},
		{"job", "account", "job"},
	} {
		r, e := prepared(t, func(r *ipc.Request) {
			c := r.Settings.Container
			c.Registries = []ipc.Registry{{URL: "registry.example.org", User: "gitlab", Password: []byte("p")}}
			if tt.ofJob != "" {
				c.AuthConfig = auths(tt.ofJob)
			}
			file := filepath.Join(r.Account.Home.String(), ".docker/config.json")
			testutil.Must(t, os.Mkdir(filepath.Dir(file), 0o700))
			switch tt.ofAccount {
			case "account":
				testutil.Must(t, os.WriteFile(file, auths("account"), 0o600))
			case "broken":
				testutil.Must(t, os.WriteFile(file, []byte("{"), 0o600))
			}
		})
		if !strings.Contains(calls(t, r), "\n"+tt.want+" --quiet build") && !strings.HasPrefix(calls(t, r), tt.want+" --quiet build") {
			t.Errorf("%+v: %s\n%s", tt, calls(t, r), e.log)
		}
		if strings.Contains(e.log, "DOCKER_AUTH_CONFIG: credsStore is ignored") != (tt.ofJob != "") {
			t.Errorf("%+v: %s", tt, e.log)
		}
	}
}

// localImage makes an image that is a directory, and of which each command is the host's.
func localImage(t *testing.T, r *ipc.Request) *image.Request {
	t.Helper()
	dir := filepath.Join(r.Account.Home.String(), "local")
	testutil.Must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.WriteFile(filepath.Join(dir, "bin/sh"), nil, 0o755))
	var allowed image.Paths
	testutil.Must(t, allowed.UnmarshalText([]byte(r.Account.Home.String()+"/**")))
	r.Settings.Container.LocalImages = []image.Paths{allowed}
	return &image.Request{Path: testutil.AbsPath(t, dir)}
}

// TestLocalImage: an image that is a path is used where it is.
func TestLocalImage(t *testing.T) {
	r, e := prepared(t, func(r *ipc.Request) { r.Settings.Container.Image = localImage(t, r) })
	s, ok := settledOf(t, r, container.SettledFile)
	if !ok || s.Place.Path.String() != filepath.Join(r.Account.Home.String(), "local") || s.Place.Form != container.Directory {
		t.Errorf("%+v, %+v\n%s", s, e.result, e.log)
	}
}

// TestScriptInContainer: a script runs in what prepare has settled, the author's and the
// runner's own each in theirs.
func TestScriptInContainer(t *testing.T) {
	r, e := prepared(t, func(r *ipc.Request) {
		r.Settings.Container.Image = localImage(t, r)
		r.Settings.Container.Runner = r.Settings.Container.Image
	})
	if e.result.Failed() {
		t.Fatalf("%+v\n%s", e.result, e.log)
	}
	if e := succeeds(t, ofStage(r, job.Run, job.BuildScript), "echo hello"); !strings.Contains(e.log, "hello\n") {
		t.Error(e.log)
	}
	if e := serve(t, ofStage(r, job.Run, job.BuildScript), "exit 9"); e.result.Code != 9 {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	for sub, name := range map[job.SubStage]string{job.BuildScript: container.SettledFile, "upload_artifacts_on_success": container.RunnerFile} {
		file := filepath.Join(r.Dirs.Scripts.String(), name)
		text, err := os.ReadFile(file)
		testutil.Must(t, err, os.WriteFile(file, []byte("{"), 0o600))
		if e := serve(t, ofStage(r, job.Run, sub), "echo hello"); e.result.Kind != "system" || strings.Contains(e.log, "hello") {
			t.Errorf("%s: %+v\n%s", name, e.result, e.log)
		}
		testutil.Must(t, os.WriteFile(file, text, 0o600))
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestSubmittedContainer: a script for a container on a node is not submitted without what
// prepare has settled, or without the engine.
func TestSubmittedContainer(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil     func(ipc.Request) error
		submitted bool
	}{
		"as it should be": {func(ipc.Request) error { return nil }, true},
		"nothing is settled": {func(r ipc.Request) error {
			return os.Remove(filepath.Join(r.Dirs.Scripts.String(), container.SettledFile))
		}, false},
		"no engine": {func(r ipc.Request) error { return os.Remove(r.Settings.Container.Engine.ApplicationPath.String()) }, false},
	} {
		r, _ := prepared(t)
		testutil.Must(t, tt.spoil(r))
		r = submitting(t, r, noteSubmission)
		e := serve(t, ofStage(r, job.Run, job.BuildScript), "true")
		if e.result.Kind == "" || strings.HasPrefix(called(t, r), "called") != tt.submitted {
			t.Errorf("%s: %+v\n%s", name, e.result, e.log)
		}
	}
}

// TestReleasedImage: after the cleanup of a job no image is kept for it.
func TestReleasedImage(t *testing.T) {
	r, _ := prepared(t)
	images := filepath.Join(r.Dirs.Base.String(), "images")
	used := func() (of []string) {
		testutil.Must(t, filepath.WalkDir(images, func(path string, _ os.DirEntry, err error) error {
			if strings.HasSuffix(path, "."+r.Job.Runner+"-"+r.Job.ID.String()+".use") {
				of = append(of, path)
			}
			return err
		}))
		return of
	}
	before := used()
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	if after := used(); len(before) == 0 || len(after) > 0 {
		t.Errorf("%q, then %q", before, after)
	}
	r.Dirs = ipc.Dirs{} // of a config stage that failed
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestRunnersImage: gitlab-runner is looked for where the runner's own scripts run.
func TestRunnersImage(t *testing.T) {
	for _, own := range []bool{false, true} {
		_, e := prepared(t, func(r *ipc.Request) {
			r.Job.Helper, r.Job.Path = true, []byte("/nonexistent")
			if own {
				ofSite(t, `{}`)(r)
			}
		})
		if strings.Contains(e.log, "gitlab-runner is not in your PATH") == own || e.result.Failed() {
			t.Errorf("%v: %+v\n%s", own, e.result, e.log)
		}
	}
}

// TestNoEngine: a job that needs a container needs the engine from its config stage on, and
// another one does not.
func TestNoEngine(t *testing.T) {
	r := inContainer(t)
	r.Settings.Container.Engine.ApplicationPath = testutil.AbsPath(t, "/nonexistent/apptainer")
	if e := serve(t, r, ""); e.result.Kind != "system" || !strings.Contains(e.result.Reason, `cannot use run_mechanism "apptainer": `) {
		t.Errorf("%+v", e.result)
	}
	r.Settings.Container.Runner, r.Settings.Container.Image = r.Settings.Container.Image, nil
	if e := serve(t, r, ""); e.result.Kind != "system" {
		t.Errorf("the runner's: %+v", e.result)
	}
	r.Settings.Container.Runner = nil
	succeeds(t, r, "")
}

// TestUnusedServices: a job reads why its services are not started.
func TestUnusedServices(t *testing.T) {
	one := []ipc.Service{{}}
	for _, tt := range []struct {
		services bool
		c        *ipc.Container
		want     string
	}{
		{false, nil, ""},
		{true, nil, "on this resource"},
		{true, &ipc.Container{Services: one}, ""},
		{true, &ipc.Container{Container: settings.Container{ServicesNetwork: settings.ServicesPrivate}}, "without image:"},
		{true, &ipc.Container{Container: settings.Container{ServicesNetwork: settings.ServicesOff}}, "on this resource"},
		{true, &ipc.Container{Image: &image.Request{}, Container: settings.Container{ServicesNetwork: settings.ServicesOff}}, "on this resource"},
		{true, &ipc.Container{Image: &image.Request{}, Container: settings.Container{ServicesNetwork: settings.ServicesPrivate}}, "on this resource"},
	} {
		got := unusedServices(ipc.Request{Job: ipc.Job{Services: tt.services}, Settings: ipc.Settings{Container: tt.c}})
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			text, _ := json.Marshal(tt.c)
			t.Errorf("%v %s: %q, want %q", tt.services, text, got, tt.want)
		}
	}
}
