package podman

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/test/harness/testutil"
)

// An image in a file is fetched by one command, whose words survive the shell, and started
// as a root file system with the variables of its configuration.
func TestInOneFile(t *testing.T) {
	ref, err := image.ParseReference("r.example.com/a:1")
	if err != nil {
		t.Fatal(err)
	}
	to := container.Place{Form: container.Squashfs, Path: testutil.AbsPath(t, "/c/it's/file")}
	all := Podman{Squashfs: true}.Fetch(container.Fetch{Session: session(t), Reference: ref, Platform: "linux/arm64", To: to, AuthFD: 3, CA: testutil.AbsPath(t, "/etc/ca.pem")})
	if len(all) != 1 || len(all[0].Argv) != 3 {
		t.Fatalf("%q", all)
	}
	for _, part := range []string{"'--root' '/tmp/jc.1/root'", "'pull' '--authfile' '/proc/self/fd/3' '--platform' 'linux/arm64' 'docker://r.example.com/a:1'", `'/c/it'\''s/file'`} {
		if text := all[0].Argv[2]; !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if text := all[0].Argv[2]; strings.Contains(text, "additionalimagestore") || strings.Count(text, "@") != strings.Count(text, "\"$@\"") {
		t.Errorf("%s", text)
	}
	if !slices.Contains(all[0].Env, "SSL_CERT_FILE=/etc/ca.pem") {
		t.Errorf("%q", all[0].Env)
	}
	c := Podman{Squashfs: true}.Run(container.Start{
		Session: session(t), Place: to, Inner: []string{"sh"}, Config: image.Config{Env: []string{"A=of image", "PATH=/image"}}, Env: []string{"A=secret"}, WorkDir: "/b",
	})
	line := strings.Join(c.Argv, "\n")
	if !strings.Contains(line, "\n--env=A=of image\n--env=PATH=/image\n--env\nA\n") || !strings.Contains(line, "\n--rootfs\n/tmp/jc.1/rootfs") || strings.Contains(line, "secret") {
		t.Errorf("%q", c.Argv)
	}
}

// The form decides what is fetched, and what must be installed.
func TestForms(t *testing.T) {
	for _, p := range []Podman{{}, {Squashfs: true}} {
		form := p.Formats()[0]
		if (form == container.Squashfs) != p.Squashfs || slices.Contains(p.Local(), container.Squashfs) != p.Squashfs || slices.Contains(p.Programs(form), "squashfuse") != p.Squashfs {
			t.Errorf("%+v: %s, %q, %q", p, form, p.Local(), p.Programs(form))
		}
		if c := p.Describe(session(t), container.Place{Form: form}, image.Reference{}); slices.Contains(c.Argv, "inspect") == p.Squashfs {
			t.Errorf("%+v describes an image by %q", p, c.Argv)
		}
	}
}
