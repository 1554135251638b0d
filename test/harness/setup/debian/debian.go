// Package debian installs the Debian packages that a suite's real components need.
package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Need ensures that programs or libraries are installed: a map from the path of a file
// to its package. As root it installs missing ones; where it cannot, it skips the test
// with the reason.
func Need(t testing.TB, files map[string]string) {
	t.Helper()
	missing := Missing(files)
	switch {
	case len(missing) == 0:
		return
	case os.Geteuid() != 0:
		t.Skipf("needs root to install the packages %v", missing)
	case !exists("/usr/bin/apt-get"):
		t.Skipf("the packages %v are missing and there is no apt-get", missing)
	}
	if err := Install(missing); err != nil {
		t.Fatal(err)
	}
	if left := missingAfter(files); len(left) > 0 {
		t.Fatalf("the packages %v are installed and lack %v", missing, left)
	}
}

// Missing returns the packages of the files that are not there. A file may be a
// pattern of filepath.Match.
func Missing(files map[string]string) []string {
	var pkgs []string
	for file, pkg := range files {
		if !exists(file) {
			pkgs = append(pkgs, pkg)
		}
	}
	slices.Sort(pkgs)
	return slices.Compact(pkgs)
}

func missingAfter(files map[string]string) (left []string) {
	for file := range files {
		if !exists(file) {
			left = append(left, file)
		}
	}
	return left
}

// exists also takes a pattern, for libraries whose directory has the machine's
// architecture in it.
func exists(file string) bool {
	found, _ := filepath.Glob(file)
	return len(found) > 0
}

// Install needs root. It waits for other installing processes, starts no service and
// leaves the machine's name services unchanged.
func Install(pkgs []string) error {
	lock, err := os.OpenFile("/run/lock/jacamar-test-apt", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	allow, err := forbidServices()
	if err != nil {
		return err
	}
	defer allow()
	before, err := os.ReadFile(nsswitch)
	if err != nil {
		return err
	}
	return errors.Join(aptInstall(pkgs), restore(before))
}

const nsswitch = "/etc/nsswitch.conf"

func restore(before []byte) error {
	after, err := os.ReadFile(nsswitch)
	if err != nil || string(after) == string(before) {
		return err
	}
	return os.WriteFile(nsswitch, before, 0o644)
}

const policy = "/usr/sbin/policy-rc.d"

// forbidServices keeps packages from starting their daemons, unless the machine
// has a policy of its own (invoke-rc.d(8)).
func forbidServices() (allow func(), err error) {
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() { os.Remove(policy) }, errors.Join(err, f.Close())
}

// answers are the debconf values of packages: no database by default.
const answers = "slapd slapd/no_configuration boolean true\n"

func aptInstall(pkgs []string) error {
	preset := exec.Command("debconf-set-selections")
	preset.Stdin = strings.NewReader(answers)
	if out, err := preset.CombinedOutput(); err != nil {
		return fmt.Errorf("debconf-set-selections: %w: %s", err, out)
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, pkgs...)
	if apt(args) == nil {
		return nil
	}
	// A fresh machine has no package lists yet.
	return errors.Join(apt([]string{"update"}), apt(args))
}

// apt leaves the machine's logins as they are: no package adds to /etc/profile.d.
func apt(args []string) error {
	options := []string{"-q", "-o", "DPkg::Lock::Timeout=300", "-o", "DPkg::Options::=--path-exclude=/etc/profile.d/*"}
	cmd := exec.Command("apt-get", append(options, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %v: %w\n%s", args, err, out)
	}
	return nil
}
