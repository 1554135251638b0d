package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	got := missing([]tool{{"sh", "dash"}, {"no-such-program", "nsp"}, {"/bin/sh", "dash"}, {"/nonexistent/x", "x"}})
	if len(got) != 2 || got[0].debian != "nsp" || got[1].debian != "x" {
		t.Errorf("missing %v", got)
	}
}

// TestMissingGit runs the check where neither git nor apt-get is
// on PATH.
func TestMissingGit(t *testing.T) {
	bin := t.TempDir()
	for _, program := range []string{"bash", "getent"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	err := ensureTools(required())
	if err == nil || !strings.Contains(err.Error(), "git not found: install the package git") {
		t.Errorf("got %v", err)
	}
}

func TestToolchainIsReadable(t *testing.T) {
	dir, err := os.MkdirTemp("", "demo-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "go", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := openToOthers(bin); err == nil || !strings.Contains(err.Error(), dir+" has mode 0700") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := openToOthers(bin); err != nil {
		t.Error(err)
	}
}
