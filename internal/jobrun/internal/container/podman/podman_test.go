package podman

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/test/harness/testutil"
)

func session(t *testing.T) container.Session {
	return container.Session{State: testutil.AbsPath(t, "/tmp/jc.1"), Account: container.Account{UID: 7, GID: 8}, Program: "/usr/bin/podman", Linked: true}
}

func TestRun(t *testing.T) {
	c := Podman{}.Run(container.Start{
		Session: session(t), Place: container.Place{Form: container.Store, Path: testutil.AbsPath(t, "/c/s"), ID: "abc"},
		Inner: []string{"/entry \"x\"", "sh", "-c", "text"}, Env: []string{"A=secret"}, IDs: image.IDs{UID: 1000, GID: 1001},
		WorkDir: "/b", Binds: []container.Bind{{Source: "/b", Target: "/b"}, {Source: "/apps", Target: "/a", ReadOnly: true}},
		Options: []string{"--shm-size=1g"}, Descriptors: 2,
	})
	want := strings.Fields(`setsid /usr/bin/podman --root /tmp/jc.1/root --runroot /tmp/jc.1/c --tmpdir /tmp/jc.1/t --storage-driver overlay --runtime crun
		--storage-opt ignore_chown_errors=true --storage-opt additionalimagestore=/tmp/jc.1/image --cgroup-manager cgroupfs --events-backend none
		run --rm --pull=never --network=host --cgroups=disabled --log-driver=passthrough --http-proxy=false --security-opt=label=disable
		--preserve-fds=2 --workdir /b --uidmap 1000:0:1 --gidmap 1001:0:1 --user 1000:1001 --volume /b:/b --volume /apps:/a:ro --env A
		--shm-size=1g --entrypoint`)
	want = append(want, `["/entry \"x\""]`, "abc", "sh", "-c", "text")
	if !slices.Equal(c.Argv, want) {
		t.Errorf("got  %q\nwant %q", c.Argv, want)
	}
	for _, pair := range []string{"A=secret", "_CONTAINERS_ROOTLESS_UID=7", "_CONTAINERS_ROOTLESS_GID=8", "XDG_RUNTIME_DIR=/tmp/jc.1"} {
		if !slices.Contains(c.Env, pair) {
			t.Errorf("%q is not in %q", pair, c.Env)
		}
	}
	if root := (Podman{}).Run(container.Start{Session: session(t), Inner: []string{"sh"}}); strings.Contains(strings.Join(root.Argv, " "), "uidmap") {
		t.Errorf("root needs no map: %q", root.Argv)
	}
}

func TestFetch(t *testing.T) {
	ref, err := image.ParseReference("r.example.com/a:1@sha256:" + strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	login := image.NewCredential("r.example.com", "u", job.NewSecret("pw-text"))
	all := Podman{}.Fetch(container.Fetch{
		Session: session(t), Reference: ref, Platform: "linux/arm64", To: container.Place{Path: testutil.AbsPath(t, "/c/new")}, Login: login, AuthFD: 3, CA: testutil.AbsPath(t, "/etc/ca.pem"),
	})
	line := strings.Join(all[0].Argv, " ")
	for _, part := range []string{"--root /c/new", " pull --authfile /proc/self/fd/3 --platform linux/arm64 docker://r.example.com/a@sha256:00"} {
		if !strings.Contains(line, part) {
			t.Errorf("%q is not in %s", part, line)
		}
	}
	if text := line + strings.Join(all[0].Env, " "); strings.Contains(text, "pw-text") || !strings.Contains(text, "SSL_CERT_FILE=/etc/ca.pem") {
		t.Error(text)
	}
}

func TestParse(t *testing.T) {
	id := strings.Repeat("a", 64)
	text := `[{"Id":"` + id + `","Digest":"sha256:` + id + `","Size":12,"Architecture":"amd64","Config":{"User":"app","Env":["A=b"]},
		"GraphDriver":{"Name":"overlay","Data":{"LowerDir":"/s/overlay/2/diff:/s/overlay/1/diff","UpperDir":"/s/overlay/3/diff"}}}]`
	d, err := Podman{}.Parse(container.Reply{Stdout: text})
	if err != nil || d.ID != id || d.Size != 12 || d.Config.User != "app" || strings.Join(d.Layers, " ") != "/s/overlay/3/diff /s/overlay/2/diff /s/overlay/1/diff" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{"", "{}", "[]", "[{}]", "[{},{}]", `[1]`, `[{"Id":"` + id + `"}]`, strings.Replace(text, "A=b", "A", 1), strings.Replace(text, id, id[1:], 1), strings.Replace(text, id, "A"+id[1:], 1)} {
		if d, err := (Podman{}).Parse(container.Reply{Stdout: text}); err == nil {
			t.Errorf("%q: %+v", text, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[{"Id":"1","Digest":"x","Config":{}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := (Podman{}).Parse(container.Reply{Stdout: text}); err == nil && (!isID(d.ID) || !image.IsDigest(d.Digest)) {
			t.Errorf("%+v", d)
		}
	})
}

func TestGrammar(t *testing.T) {
	g := Podman{}.Grammar()
	names := map[string]bool{}
	for _, o := range g {
		if names[o.Long] {
			t.Errorf("%s is there twice", o.Long)
		}
		names[o.Long] = true
	}
	args, err := g.Parse([]string{"-v", "/a:/b", "--env=A=b", "--privileged", "--init=true", "--device", "nvidia.com/gpu=all"})
	if err != nil || len(args) != 5 {
		t.Errorf("%v, %v", args, err)
	}
	for _, word := range []string{"-d", "--rm", "--name=x", "--entrypoint=x", "--userns=host", "-u0", "--root=/x", "--preserve-fds=9", "--pull=always", "-it"} {
		args, err := g.Parse([]string{word})
		if err != nil || !args[0].Reserved {
			t.Errorf("%s is not reserved: %v, %v", word, args, err)
		}
	}
	if _, err := g.Parse([]string{"busybox"}); err == nil {
		t.Error("an image is accepted as an option")
	}
}

func TestFault(t *testing.T) {
	for code, want := range map[int]failure.Kind{1: failure.System, 125: failure.System, 126: failure.Build, 127: failure.Build, 3: failure.Build} {
		if got := (Podman{}).Fault(code); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
}
