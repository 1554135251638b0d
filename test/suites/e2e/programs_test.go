package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// compiled builds a C program of testdata, static, where all accounts can run it.
func compiled(t testing.TB, s *site.Site, name string) string {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/gcc": "gcc", "/usr/include/stdio.h": "libc6-dev"})
	target := filepath.Join(s.Dir, name)
	if out, err := exec.Command("/usr/bin/gcc", "-O1", "-static", "-o", target, filepath.Join("testdata", name+".c")).CombinedOutput(); err != nil {
		t.Fatalf("%s.c: %v\n%s", name, err, out)
	}
	if err := os.Chmod(target, 0o755); err != nil {
		t.Fatal(err)
	}
	return target
}

// postureProgram builds test/harness/posture for a site.
func postureProgram(t testing.TB, s *site.Site) string {
	t.Helper()
	target := filepath.Join(s.Dir, "posture")
	cmd := exec.Command("go", "build", "-o", target, "jacamar-ci/test/harness/posture")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(target, 0o755); err != nil {
		t.Fatal(err)
	}
	return target
}

// served runs jobs, one after the other, under one service that passes on all it can
// (test/harness/posture), with a login uid unless that is empty.
func served(t testing.TB, s *site.Site, posture, login string, jobs ...fakerunner.Job) (results []fakerunner.Result) {
	t.Helper()
	uid, gid, groups := os.Getuid(), os.Getgid(), []uint32{0}
	if service := s.Service(); service != nil {
		uid, gid, groups = int(service.UID), int(service.GID), service.Groups
	}
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(groups), " ", ","), "[]")
	argv := []string{"service", fmt.Sprint(uid), fmt.Sprint(gid), list, login, "/bin/bash", "-c", `for order; do "$0" <"$order" || exit; done`}
	for i, job := range jobs {
		cmd, err := s.Detached(s.Runner(), job)
		if err != nil {
			t.Fatal(err)
		}
		order, err := io.ReadAll(cmd.Stdin)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			argv = append(argv, cmd.Path)
		}
		file := filepath.Join(t.TempDir(), "order")
		if err := errors.Join(os.WriteFile(file, order, 0o644), open(filepath.Dir(file))); err != nil {
			t.Fatal(err)
		}
		argv = append(argv, file)
	}
	cmd := exec.Command(posture, argv...)
	cmd.Env = s.Runner().Environ
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r fakerunner.Result
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		results = append(results, r)
	}
	if len(results) != len(jobs) {
		t.Fatalf("%d results of %d jobs\n%s", len(results), len(jobs), errs.String())
	}
	return results
}

// open lets all accounts enter a directory of the test, and its parents.
func open(dir string) (err error) {
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		err = errors.Join(err, os.Chmod(dir, 0o755))
	}
	return err
}

// login runs a command as the site's account, in a session that PAM opens, or as an
// ordinary user in a login shell.
func login(t testing.TB, s *site.Site, command string) string {
	t.Helper()
	// A service that accepts logins has the nice value 0; the tests may have another.
	argv := []string{"/bin/sh", "-c", `renice -n 0 -p $$ >/dev/null && exec "$@"`, "sh", "/bin/su", "-l", s.Account.Name, "-c", command}
	if os.Geteuid() != 0 {
		argv = []string{"/bin/bash", "--login", "-c", command}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return string(out)
}
