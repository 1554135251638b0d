package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/fuse"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestStorageWithoutModes (C9) uses a file system on which chmod has no effect and all
// files are open to all, as CIFS can be: each job is refused with that reason, and its
// files are removed.
func TestStorageWithoutModes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a directory by FUSE for all")
	}
	s := site.New(t)
	dir, ns := jobsDir(t, s), namespace.Start(t)
	source := filepath.Join(s.Dir, "source")
	testutil.Must(t, os.Mkdir(source, 0o755), os.Chmod(source, os.ModeSticky|0o777))
	fuse.Bind(t, ns, source, dir, "--chmod-ignore", "-p", "0777,a+t")
	for range 2 {
		r := s.RunnerInside(ns.Enter()...).Run(bare(s))
		site.Want(t, r, fakerunner.SystemFailure, 0)
		site.Shows(t, r, "cannot use "+filepath.Join(dir, s.Account.Name)+": a new directory there has mode 0777, and chmod does not change it", "the file system at "+dir+" (fuse) does not store modes")
		if left := below(t, source); len(left) > 0 {
			t.Errorf("left is %v", left)
		}
	}
}

// TestFileSystemOfAnotherAccount (C10): bob creates alice's directory and mounts a FUSE
// file system on it, which reports it as alice's and closed to others. In each deployment
// the job of alice is refused.
func TestFileSystemOfAnotherAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts as another account")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			bob, err := site.LookupAccount(s.Accounts.Bob)
			testutil.Must(t, err)
			base, ns := dataDir(t, s), namespace.Start(t)
			source := filepath.Join(s.Dir, "source")
			testutil.Must(t, made(base, 0o700, bob.UID, bob.GID), made(source, 0o755, bob.UID, bob.GID))
			fuse.BindAs(t, ns, bob.UID, bob.GID, source, base, fmt.Sprintf("--force-user=%d", s.Account.UID), "-p", "0700")
			r, launch := s.Runner(), ns.Enter() // to enter the namespace takes root
			if c := r.Credential; c != nil {
				launch = append(launch, "/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", c.UID), fmt.Sprintf("--regid=%d", c.GID), "--init-groups")
			}
			r.Hooks.Launch = func(string) []string { return launch }
			job := r.Run(bare(s))
			site.Want(t, job, fakerunner.SystemFailure, 0)
			site.Shows(t, job, fmt.Sprintf("cannot use %s: it is a FUSE file system mounted by %s, not by root or you: others could replace its content", base, bob.Name))
			if left := below(t, source); len(left) > 0 {
				t.Errorf("the job made %v", left)
			}
		})
	}
}
