package apptainer

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
	return container.Session{State: testutil.AbsPath(t, "/tmp/jc.1"), Account: container.Account{UID: 7, GID: 8}, Program: "/usr/bin/apptainer"}
}

func TestRun(t *testing.T) {
	start := container.Start{
		Session: session(t), Place: container.Place{Form: container.SIF, Path: testutil.AbsPath(t, "/c/dir")},
		Inner: []string{"/entry", "sh", "-c", "text"}, Env: []string{"A=secret"}, IDs: image.IDs{UID: 1000, GID: 1001}, WorkDir: "/b",
		Binds: []container.Bind{{Source: "/b", Target: "/b"}, {Source: "/apps", Target: "/a", ReadOnly: true}}, Options: []string{"--nv"},
	}
	c := Apptainer{}.Run(start)
	want := `exec 'unshare' '--user' '--map-user=1000' '--map-group=1001' '--' '/usr/bin/apptainer' '--quiet' 'exec' '--compat' '--no-eval' '--cleanenv' ` +
		`'--workdir' '/tmp/jc.1/work' '--home' '/tmp/jc.1/home:/home/user' '--bind' '/b:/b' '--bind' '/apps:/a:ro' '--pwd' '/b' '--nv' "$file" "$@"` + "\n"
	if !strings.HasSuffix(c.Argv[2], want) {
		t.Errorf("got %s", c.Argv[2])
	}
	if got := c.Argv[3:]; !slices.Equal(got, []string{"run", "/tmp/jc.1/image", "/tmp/jc.1", "/entry", "sh", "-c", "text"}) {
		t.Errorf("got %q", got)
	}
	if !slices.Contains(c.Env, "APPTAINERENV_A=secret") || strings.Contains(strings.Join(c.Argv, " "), "secret") {
		t.Errorf("%q %q", c.Env, c.Argv)
	}
	start.IDs = image.IDs{}
	if root := (Apptainer{}).Run(start); strings.Contains(root.Argv[2], "unshare") || !strings.Contains(root.Argv[2], "home:/root'") {
		t.Errorf("root: %s", root.Argv[2])
	}
}

func TestFetch(t *testing.T) {
	ref, err := image.ParseReference("r.example.com/a:1")
	if err != nil {
		t.Fatal(err)
	}
	c := Apptainer{}.Fetch(container.Fetch{
		Session: session(t), Reference: ref, Platform: "linux/arm64", To: container.Place{Path: testutil.AbsPath(t, "/c/new")},
		Login: image.NewCredential("r.example.com", "u", job.NewSecret("pw-text")), CA: testutil.AbsPath(t, "/etc/ca.pem"),
	})[0]
	line := strings.Join(c.Argv, " ")
	if want := "unshare --user --map-user=7 --map-group=8 -- /usr/bin/apptainer --quiet build --mksquashfs-args -comp zstd -Xcompression-level 1 --arch arm64 /c/new docker://r.example.com/a:1"; line != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	for _, pair := range []string{"APPTAINER_CACHEDIR=/tmp/jc.1/cache", "APPTAINER_DOCKER_PASSWORD=pw-text", "SSL_CERT_FILE=/etc/ca.pem"} {
		if !slices.Contains(c.Env, pair) {
			t.Errorf("%q is not in %q", pair, c.Env)
		}
	}
}

func described(texts ...string) container.Reply {
	var b strings.Builder
	for i, text := range texts {
		b.WriteString("\n" + container.Separator + parts[i] + "\n" + text + "\n")
	}
	return container.Reply{Stdout: b.String()}
}

func TestParse(t *testing.T) {
	d, err := Apptainer{}.Parse(described(`{"User":"app","Env":["A=b"],"Entrypoint":["/e"]}`, "root:x:0:0::/:\n", "root:x:0:\n"))
	if err != nil || d.Config.User != "app" || d.Config.Entrypoint[0] != "/e" || !strings.HasPrefix(d.Passwd, "root:x:0:0") || !strings.HasPrefix(d.Group, "root:x:0:") {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := (Apptainer{}).Parse(described("", "", "")); err != nil || d.Config.User != "" {
		t.Errorf("an image of other origin: %+v, %v", d, err)
	}
	for _, r := range []container.Reply{{}, described("{}"), described("{", "", ""), described("7", "", ""), described(`{"Env":["A"]}`, "", "")} {
		if d, err := (Apptainer{}).Parse(r); err == nil {
			t.Errorf("%q: %+v", r.Stdout, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(described("{}", "", "").Stdout)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := (Apptainer{}).Parse(container.Reply{Stdout: text}); err != nil && d.Passwd != "" {
			t.Errorf("%+v", d)
		}
	})
}

func TestGrammar(t *testing.T) {
	g := Apptainer{}.Grammar()
	names := map[string]bool{}
	for _, o := range g {
		if names[o.Long] {
			t.Errorf("%s is there twice", o.Long)
		}
		names[o.Long] = true
	}
	if args, err := g.Parse([]string{"-B", "/a:/b", "--env=A=b", "--nv", "--overlay=/o"}); err != nil || len(args) != 4 {
		t.Errorf("%v, %v", args, err)
	}
	for _, word := range []string{"-e", "--pwd=/x", "--home=/x", "--fakeroot", "-C", "--compat"} {
		if args, err := g.Parse([]string{word}); err != nil || !args[0].Reserved {
			t.Errorf("%s is not reserved: %v, %v", word, args, err)
		}
	}
}

func TestFault(t *testing.T) {
	for code, want := range map[int]failure.Kind{1: failure.System, 255: failure.Build} {
		if got := (Apptainer{}).Fault(code); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
}
