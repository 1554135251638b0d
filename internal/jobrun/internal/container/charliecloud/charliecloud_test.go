package charliecloud

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
	return container.Session{State: testutil.AbsPath(t, "/tmp/jc.1"), Account: container.Account{UID: 7, GID: 8}, Program: "/usr/bin/ch-run"}
}

func TestRun(t *testing.T) {
	c := Charliecloud{}.Run(container.Start{
		Session: session(t), Place: container.Place{Form: container.Squashfs, Path: testutil.AbsPath(t, "/c/f.sqfs")},
		Inner: []string{"/entry", "sh", "-c", "text"}, Config: image.Config{Env: []string{"PATH=/bin", "A=image"}}, Env: []string{"A=secret"},
		IDs: image.IDs{UID: 1000, GID: 1001}, WorkDir: "/b",
		Binds: []container.Bind{{Source: "/b", Target: "/b"}, {Source: "/tmp/x", Target: "/tmp/x", ReadOnly: true}}, Options: []string{"--bind=/apps"},
	})
	want := strings.Fields(`/usr/bin/ch-run --write --no-passwd --private-tmp --unset-env=* --env-no-expand --set-env=/tmp/jc.1/env --uid=1000 --gid=1001
		--bind=/tmp/jc.1/tmp:/tmp --bind=/b:/b --bind=/tmp/jc.1/ro.1:/tmp/x --bind=/apps --cd=/b /tmp/jc.1/root -- /entry sh -c text`)
	if !slices.Equal(c.Argv[6:], want) {
		t.Errorf("got  %q\nwant %q", c.Argv[6:], want)
	}
	if !slices.Contains(c.Env, "jc_env=TERM='xterm'\nPATH='/bin'\nA='image'\nA='secret'") || !slices.Contains(c.Env, "jc_below_tmp=/tmp/x:x") {
		t.Errorf("%q", c.Env)
	}
	if strings.Contains(strings.Join(c.Argv, " "), "secret") {
		t.Errorf("a value is in argv: %q", c.Argv)
	}
}

func TestFetch(t *testing.T) {
	ref, err := image.ParseReference("busybox:1")
	if err != nil {
		t.Fatal(err)
	}
	all := Charliecloud{}.Fetch(container.Fetch{
		Session: session(t), Reference: ref, Platform: "linux/arm64", To: container.Place{Form: container.Squashfs, Path: testutil.AbsPath(t, "/c/new")},
		Login: image.NewCredential("docker.io", "u", job.NewSecret("pw-text")), CA: testutil.AbsPath(t, "/etc/ca.pem"),
	})
	argv, env := all[0].Argv, all[0].Env
	if !slices.Equal(argv[3:], []string{"fetch", "--auth", "--arch", "arm64"}) || strings.Contains(strings.Join(argv, " "), "pw-text") {
		t.Errorf("%q", argv)
	}
	for _, pair := range []string{"reference=library/busybox:1", "target=/c/new", "CH_IMAGE_PASSWORD=pw-text", "REQUESTS_CA_BUNDLE=/etc/ca.pem"} {
		if !slices.Contains(env, pair) {
			t.Errorf("%q is not in %q", pair, env)
		}
	}
}

// TestPrograms: only an image in one file needs the programs of such files.
func TestPrograms(t *testing.T) {
	for form, want := range map[container.Format]bool{container.Squashfs: true, container.Directory: false} {
		all := Charliecloud{}.Programs(form)
		if slices.Contains(all, "mksquashfs") != want || slices.Contains(all, "squashfuse") != want || !slices.Contains(all, "ch-run") {
			t.Errorf("%s: %q", form, all)
		}
	}
}

func TestGrammar(t *testing.T) {
	g := Charliecloud{}.Grammar()
	names := map[string]bool{}
	for _, o := range g {
		if names[o.Long] {
			t.Errorf("%s is there twice", o.Long)
		}
		names[o.Long] = true
	}
	if args, err := g.Parse([]string{"-b", "/a:/b", "--set-env=A=b", "-v", "--unset-env=X*"}); err != nil || len(args) != 4 {
		t.Errorf("%v, %v", args, err)
	}
	for _, word := range []string{"-w", "--write-fake", "--cd=/x", "-u0", "--gid=0", "--join", "-t"} {
		if args, err := g.Parse([]string{word}); err != nil || !args[0].Reserved {
			t.Errorf("%s is not reserved: %v, %v", word, args, err)
		}
	}
}

func TestFault(t *testing.T) {
	for code, want := range map[int]failure.Kind{1: failure.System, 72: failure.Build, 49: failure.Build, 64: failure.Build} {
		if got := (Charliecloud{}).Fault(code); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
}
