package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTable: modes, owners, capabilities and paths of the packages are those of
// the committed table.
func TestTable(t *testing.T) {
	for _, name := range flavours {
		t.Run(name, func(t *testing.T) {
			file := packages(t, name)
			want, err := os.ReadFile(filepath.Join(top, "rpm", name+".files"))
			if err != nil {
				t.Fatal(err)
			}
			got := must(t, filepath.Join(top, "rpm/verify"), "list", file)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestVerifyDetectsDifferences: a table with other values is an error, so that make rpm
// cannot pass by accident.
func TestVerifyDetectsDifferences(t *testing.T) {
	file := packages(t, "jacamar-ci-caps")
	table, err := os.ReadFile(filepath.Join(top, "rpm/jacamar-ci-caps.files"))
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"cap_setgid,cap_setuid=ep": "-", "-r-xr-x---": "-r-xr-xr-x", "root:gitlab-runner": "root:root", "/opt/jacamar/bin/jacamar\n": ""} {
		wrong := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(table), from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := run("", filepath.Join(top, "rpm/verify"), "package", wrong, file); err == nil {
			t.Errorf("%s for %s went unnoticed", to, from)
		}
	}
}

// TestReproducible builds a second time, in another directory and with other settings of Go.
func TestReproducible(t *testing.T) {
	first := map[string]string{}
	for _, name := range flavours {
		first[name] = digest(t, packages(t, name))
	}
	dir := t.TempDir()
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOAMD64", "v2")
	if err := build(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range flavours {
		if again := digest(t, find(t, dir, name, ".rpm")); again != first[name] || len(again) != 64 {
			t.Errorf("the payloads of two builds of %s: %s and %s", name, first[name], again)
		}
	}
}

func digest(t *testing.T, file string) string {
	t.Helper()
	return must(t, "rpm", "-qp", "--qf", "%{PAYLOADDIGEST}", file)
}

// TestTarball: it has the tree, built with settings of its own, and the bill of materials
// lists the linked modules.
func TestTarball(t *testing.T) {
	needRPM(t)
	dist := t.TempDir()
	t.Setenv("GOFLAGS", "-trimpath -gcflags=-N")
	t.Setenv("GOAMD64", "v2")
	if _, err := run(top, "make", "--no-print-directory", "tarball", "sbom", "DIST="+dist); err != nil {
		t.Fatal(err)
	}
	archive, err := filepath.Glob(dist + "/*-linux-*.tar.gz")
	if err != nil || len(archive) != 1 {
		t.Fatal(archive, err)
	}
	list := must(t, "tar", "--list", "--verbose", "--numeric-owner", "--file", archive[0])
	for _, want := range []string{"-rwxr-xr-x 0/0", "-rwxr-x--- 0/0", "jacamar/bin/jacamar-auth\n", "jacamar/bin/jacamar-admin\n", "jacamar/share/man/man8/jacamar-admin.8\n"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	must(t, "tar", "--extract", "--file", archive[0], "--directory", dist)
	settings := must(t, "go", "version", "-m", filepath.Join(dist, "jacamar/bin/jacamar-auth"))
	if strings.Contains(settings, "-gcflags") || strings.Contains(settings, "GOAMD64=v2") {
		t.Errorf("the settings of the person who builds are in the program:\n%s", settings)
	}
	bill := must(t, "cat", find(t, dist, "jacamar-ci", ".cdx.json"))
	for _, want := range []string{"pkg:golang/std@1.", "pkg:golang/github.com/BurntSushi/toml@", "pkg:golang/golang.org/x/sys@"} {
		if !strings.Contains(bill, want) {
			t.Errorf("no %s in\n%s", want, bill)
		}
	}
}

// TestUninstall: make uninstall removes what make install installed.
func TestUninstall(t *testing.T) {
	needRPM(t)
	dest := t.TempDir()
	for _, target := range []string{"install", "uninstall"} {
		if _, err := run(top, "make", "--no-print-directory", target, "DESTDIR="+dest, "PREFIX=/opt/x"); err != nil {
			t.Fatal(err)
		}
		files := strings.Fields(must(t, "find", dest, "-type", "f"))
		if installed := len(files) > 0; installed != (target == "install") {
			t.Errorf("after make %s: %v", target, files)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err != nil || strings.Contains(string(text), "@PREFIX@") {
				t.Errorf("%s: %v, or its prefix is not filled in", f, err)
			}
		}
	}
}
