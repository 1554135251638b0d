package schedulers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/site"
)

// insideAccounts marks the process that TestAccountNames starts, in a mount
// namespace where there are accounts with the names of directory services.
const insideAccounts = "JACAMAR_TEST_ACCOUNTS"

// directoryAccounts are accounts as Active Directory, FreeIPA and others name them, with
// homes whose names have a meaning in a batch system's own syntax. A dollar sign
// is not among them: GitLab Runner expands it in the paths that it is given.
var directoryAccounts = []struct{ name, home string }{
	{`DOMAIN\user`, `DOMAIN\user`},
	{"user@realm.example", "user@realm.example/a,b%J"},
	{"Upper.Case-61_" + strings.Repeat("x", 47), "100%/{{id}}^array_index^"},
}

// TestAccountNames: a job of such an account is submitted, runs in its directories,
// can be cancelled, and is looked up when the result of the submission was lost.
func TestAccountNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: accounts of its own, in a mount namespace")
	}
	if os.Getenv(insideAccounts) == "" {
		again(t)
		return
	}
	atOnce(t, func(t *testing.T, c cluster) {
		for i, a := range directoryAccounts {
			if c.quick() && testing.Short() && (i > 0) != (c.executor == "pbs") {
				continue // one with a meaning in the batch system's own syntax
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				if c.fake != nil { // whose state is that of one user
					c = fakeCluster(t, c.kind)
				}
				accountWorks(t, c, a.name)
			})
		}
	})
}

// again runs this test in a namespace of its own.
func again(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v", "-test.run=^" + t.Name() + "$"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(self, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), insideAccounts+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) || strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%v\n%s", err, out)
	}
}

const firstUID = 1_900_000

// nameAccounts adds the accounts in this process's mount namespace. It returns a function
// that removes their homes.
func nameAccounts() (down func() error, err error) {
	dir := filepath.Join("/srv", fmt.Sprintf("jacamar-accounts-%d", os.Getpid()))
	down = func() error {
		// Other mounts below it are removed with it.
		return errors.Join(unix.Unmount("/etc", unix.MNT_DETACH), os.RemoveAll(dir))
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return down, fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "home"), 0o755); err != nil {
		return down, err
	}
	passwd, group, shadow := "", "", ""
	for i, a := range directoryAccounts {
		home, id := filepath.Join(dir, "home", a.home), firstUID+i
		err = errors.Join(err, os.MkdirAll(home, 0o755), os.Chown(home, id, id), os.Chmod(home, 0o700))
		passwd += fmt.Sprintf("%s:x:%d:%d:jacamar test user:%s:/bin/bash\n", a.name, id, id, home)
		group += fmt.Sprintf("%s:x:%d:\n", a.name, id)
		shadow += fmt.Sprintf("%s:!:19000:0:99999:7:::\n", a.name)
	}
	if err != nil {
		return down, err
	}
	return down, site.BeforeCopy(func() error {
		return extendEtc(dir, map[string]string{"passwd": passwd, "group": group, "shadow": shadow})
	})
}

// extendEtc mounts a copy with more lines in some files over /etc: a mount on one of the
// files would be removed when a process outside replaces the file.
func extendEtc(dir string, lines map[string]string) error {
	etc := filepath.Join(dir, "etc")
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot copy /etc: %w: %s", err, out)
	}
	for name, more := range lines {
		f, err := os.OpenFile(filepath.Join(etc, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(more)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return unix.Mount(etc, "/etc", "", unix.MS_BIND, "")
}

func accountWorks(t *testing.T, c cluster, name string) {
	s := c.site(t)
	var err error
	if s.Account, err = site.LookupAccount(name); err != nil {
		t.Fatal(err)
	}
	s.User = gitlab.User{ID: 8, Login: name, Email: "someone@example.org"}
	r := s.Runner()
	if c.kind == "sge" && strings.ContainsAny(name, `\@`) {
		site.Want(t, r.Run(newJob(s, "echo ran")), fakerunner.ScriptFailure, 1, "Grid Engine refused the job", "not allowed in objectname")
		return
	}
	j := newJob(s, `echo "on ${`+c.id+`:?} as $(id -un) in $HOME"; exit 7`)
	site.Want(t, r.Run(j), fakerunner.ScriptFailure, 7, "as "+name+" in "+s.Account.Home+"\n")
	c.once(t, batchName(r, j))
	j = parameters(newJob(s, "echo ran"), c.hold)
	e := r.Start(j)
	if err := e.AwaitOutput(await(t), "build_script", c.heldName); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	e.Cancel()
	site.Want(t, e.Wait(), fakerunner.Canceled, 0)
	c.gone(t, batchName(r, j))
	if c.fake == nil {
		return
	}
	if err := c.fake.Behave(fakeschedulers.Behaviour{KillWait: 0.5, Programs: map[string]fakeschedulers.Fault{c.submit: {After: "die", Times: c.submissions()}}}); err != nil {
		t.Fatal(err)
	}
	j = newJob(s, "sleep 3; echo ran")
	site.Want(t, r.Run(j), fakerunner.Success, 0, "searching for the job by name", "ran\n")
	c.once(t, batchName(r, j))
}

// submissions is how often the submit program is called for a job: once, and for its
// version before that.
func (c cluster) submissions() int {
	if c.executor == "pbs" {
		return 2
	}
	return 1
}
