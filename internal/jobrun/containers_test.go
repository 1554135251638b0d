package jobrun

import (
	"fmt"
	"os"
	"path/filepath"
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

func ofSite(t *testing.T, config string) func(*ipc.Request) {
	return func(r *ipc.Request) {
		imageNamed(t, *r, "runner", config)
		r.Settings.Container.Runner, r.Settings.Container.RunnerPolicies = wanted(t, "registry.example.org/runner"), r.Settings.Container.Policies
	}
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
		if !strings.Contains("\n"+calls(t, r), "\n"+tt.want+" --quiet build") {
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
