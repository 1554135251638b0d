package account

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// stub returns name services whose getent is the given shell script. It sees the
// database as $1 and the keys from $3 on.
func stub(t *testing.T, script string) Names {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "getent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return Names{
		getent: []string{filepath.Join(dir, "none"), program}, limit: 20 * time.Second, groupLimit: 20 * time.Second,
		nologin: []string{filepath.Join(dir, "etc"), filepath.Join(dir, "run")},
		shells:  filepath.Join(dir, "shells"),
	}
}

// answers returns a stub with one output for passwd and one for initgroups.
func answers(t *testing.T, passwd, initgroups string) Names {
	t.Helper()
	n := stub(t, `case $1 in passwd) cat "${0%/*}/passwd";; initgroups) cat "${0%/*}/initgroups";; *) exit 1;; esac`)
	dir := filepath.Dir(n.getent[1])
	for name, text := range map[string]string{"passwd": passwd, "initgroups": initgroups} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// stubFile reads a file that a stub wrote to its own directory.
func stubFile(t *testing.T, n Names, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(filepath.Dir(n.getent[1]), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
