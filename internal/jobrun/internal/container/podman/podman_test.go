package podman

import (
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
)

var _ container.Engine = Podman{}

func abs(t *testing.T, s string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func reference(t *testing.T, s string) image.Reference {
	t.Helper()
	r, err := image.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const globalsText = "podman --root ROOT --runroot /tmp/jc.1/run --tmpdir /tmp/jc.1/tmp --cgroup-manager cgroupfs --events-backend none " +
	"--storage-driver overlay --storage-opt ignore_chown_errors=true "

func TestRun(t *testing.T) {
	s := container.Start{
		Session: container.Session{State: abs(t, "/tmp/jc.1"), Account: container.Account{UID: 1001, GID: 100}},
		Place:   container.Place{Form: container.Store, Path: abs(t, "/images"), Reference: reference(t, "busybox:1")},
		Inner:   []string{"/entry", "sh", "-c", "x"}, Env: []string{"JACAMAR_CI_SHELL=true", "LD_PRELOAD=/x", "http_proxy=http://u:p@h"},
		UID: 1000, GID: 1000, WorkDir: "/b", Binds: []container.Bind{{Source: "/b", Target: "/b"}, {Source: "/apps", Target: "/opt", ReadOnly: true}},
		Options: []string{"--device=/dev/x"}, Descriptors: 2,
	}
	want := strings.Replace(globalsText, "ROOT", "/tmp/jc.1/root", 1) +
		"--storage-opt additionalimagestore=/images run --rm --network=host --cgroups=disabled --log-driver=passthrough --pull=never --http-proxy=false " +
		"--preserve-fds=2 --user=1000:1000 --uidmap=1000:0:1 --gidmap=1000:0:1 --volume=/b:/b --volume=/apps:/opt:ro --workdir=/b " +
		"--env=JACAMAR_CI_SHELL --env=LD_PRELOAD=/x --env=http_proxy --device=/dev/x --entrypoint=/entry docker.io/library/busybox:1 sh -c x"
	c := Podman{}.Run(s)
	if got := strings.Join(c.Argv, " "); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	wantEnv := "_CONTAINERS_USERNS_CONFIGURED=done _CONTAINERS_ROOTLESS_UID=1001 _CONTAINERS_ROOTLESS_GID=100 XDG_RUNTIME_DIR=/tmp/jc.1 TMPDIR=/tmp/jc.1 " +
		"JACAMAR_CI_SHELL=true http_proxy=http://u:p@h"
	if got := strings.Join(c.Env, " "); got != wantEnv {
		t.Errorf("\n%s\nwant\n%s", got, wantEnv)
	}
	s.UID, s.GID = 0, 0
	if got := strings.Join(Podman{}.Run(s).Argv, " "); strings.Contains(got, "uidmap") || !strings.Contains(got, "--user=0:0") {
		t.Errorf("as root: %s", got)
	}
}

func TestFetch(t *testing.T) {
	f := container.Fetch{
		Session: container.Session{State: abs(t, "/tmp/jc.1"), Account: container.Account{UID: 1001, GID: 100}}, Reference: reference(t, "r.example.com/a:1"),
		To: container.Place{Path: abs(t, "/images")}, AuthFD: 5, CA: abs(t, "/ca.pem"),
	}
	cs := Podman{}.Fetch(f)
	want := strings.Replace(globalsText, "ROOT", "/images", 1) + "pull --quiet --authfile /proc/self/fd/5 docker://r.example.com/a:1"
	if len(cs) != 1 || strings.Join(cs[0].Argv, " ") != want || cs[0].Env[len(cs[0].Env)-1] != "SSL_CERT_FILE=/ca.pem" {
		t.Errorf("%q", cs)
	}
}

func TestParse(t *testing.T) {
	if _, _, err := (Podman{}).Parse(container.Reply{Code: 125, Stderr: "Error: no such image"}); err == nil || !strings.Contains(err.Error(), "no such image") {
		t.Error(err)
	}
	text := `[{"Digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","Architecture":"amd64","Config":{"Cmd":["sh"]}}]`
	if c, d, err := (Podman{}).Parse(container.Reply{Stdout: text}); err != nil || c.Cmd[0] != "sh" || !strings.HasPrefix(d, "sha256:") {
		t.Errorf("%v %q %v", c, d, err)
	}
}

func TestFault(t *testing.T) {
	for code, want := range map[int]failure.Kind{125: failure.System, 126: failure.Build, 127: failure.Build, 1: failure.System, 137: failure.System} {
		if got := (Podman{}).Fault(code); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
}
