package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// layout is where the directories of a job are, and the job's expected result.
type layout struct {
	// make creates the files below dir, for jobs of alice, and returns data_dir.
	make func(dir string, alice, bob site.Account) (dataDir string, err error)
	// builds is CUSTOM_CI_BUILDS_DIR below dir, "" for none.
	builds string
	why    string // in the job log; "" is accepted
	fix    string // in the line behind it
}

// made is a directory of a mode and an owner.
func made(path string, mode uint32, uid, gid uint32) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chown(path, int(uid), int(gid)); err != nil {
		return err
	}
	return unix.Chmod(path, mode)
}

// layouts are those in which another user could redirect the runner's scripts, and those
// in which none can.
var layouts = map[string]layout{
	"for all, sticky": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", made(d+"/data", 0o1777, 0, 0)
	}},
	"for a group, sticky": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", made(d+"/data", 0o3775, 0, a.GID)
	}},
	"made before by root": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o755, 0, 0), made(d+"/data/"+a.Name, 0o700, a.UID, a.GID))
	}},
	"setgid": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o2755, 0, b.GID), made(d+"/data/"+a.Name, 0o2700, a.UID, b.GID))
	}},
	"root's link": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/link", first(made(d+"/data", 0o1777, 0, 0), os.Symlink("data", d+"/link"))
	}},
	"own link for a base": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o755, 0, 0), made(d+"/scratch", 0o1777, 0, 0), made(d+"/scratch/x", 0o700, a.UID, a.GID),
			os.Symlink(d+"/scratch/x", d+"/data/"+a.Name), os.Lchown(d+"/data/"+a.Name, int(a.UID), int(a.GID)))
	}},
	"for a group, not sticky": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", made(d+"/data", 0o2770, 0, a.GID)
	}, why: "/data, on the way to it, is writable by group (mode 2770): others could replace its content", fix: "tell the administrators of this resource: run: chmod g-w "},
	"below a directory for all": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/open/data", first(made(d+"/open/data", 0o1777, 0, 0), made(d+"/open", 0o777, 0, 0))
	}, why: "/open, on the way to it, is writable by group and others (mode 0777)", fix: "chmod +t "},
	"of another owner, sticky": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", made(d+"/data", 0o1777, b.UID, b.GID)
	}, why: "/data, on the way to it, is owned by BOB, not by root or you", fix: "tell the administrators of this resource: keep it below directories that belong to root"},
	"below another owner's": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/bob/data", first(made(d+"/bob/data", 0o1777, 0, 0), made(d+"/bob", 0o755, b.UID, b.GID))
	}, why: "/bob, on the way to it, is owned by BOB, not by root or you"},
	"by a link of another's": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/link", first(made(d+"/data", 0o1777, 0, 0), os.Symlink("data", d+"/link"), os.Lchown(d+"/link", int(b.UID), int(b.GID)))
	}, why: "/link, on the way to it, is owned by BOB, not by root or you"},
	"own link to a writable place": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o755, 0, 0), made(d+"/open", 0o777, 0, 0), made(d+"/open/x", 0o700, a.UID, a.GID),
			os.Symlink(d+"/open/x", d+"/data/"+a.Name), os.Lchown(d+"/data/"+a.Name, int(a.UID), int(a.GID)))
	}, why: "/open, on the way to it, is writable by group and others (mode 0777)"},
	"taken by another": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o1777, 0, 0), made(d+"/data/"+a.Name, 0o700, b.UID, b.GID))
	}, why: "owned by BOB, not by you", fix: "an administrator can then create it for you: mkdir -m 0700 "},
	"own builds": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o1777, 0, 0), made(d+"/own", 0o755, a.UID, a.GID))
	}, builds: "own/builds/deep"},
	"own builds, writable by the group": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o1777, 0, 0), made(d+"/own", 0o775, a.UID, a.GID))
	}, builds: "own/builds", why: "/own, on the way to it, is writable by group (mode 0775): others could replace its content", fix: "run: chmod g-w "},
	"own builds in a project's directory": {make: func(d string, a, b site.Account) (string, error) {
		return d + "/data", first(made(d+"/data", 0o1777, 0, 0), made(d+"/project", 0o2770, b.UID, a.GID), made(d+"/project/mine", 0o700, a.UID, a.GID))
	}, builds: "project/mine", why: "/project, on the way to it, is owned by BOB, not by root or you"},
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestPathToTheDirectories (C10): where others could replace a directory on the path of
// jobs' directories, in each deployment, the job does not run there, and its log names the
// directory and the fix. Where the fix is chmod, the test runs it, and the job runs.
func TestPathToTheDirectories(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make directories of other accounts")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			bob, err := site.LookupAccount(s.Accounts.Bob)
			testutil.Must(t, err)
			for name, l := range layouts {
				t.Run(name, func(t *testing.T) { judged(t, s, l, bob) })
			}
		})
	}
}

// bare is a job of one script, which needs no directory.
func bare(s *site.Site) fakerunner.Job {
	job := s.Job()
	job.Bare, job.Raw = true, map[string][]byte{"build_script": []byte("true\n")}
	return job
}

func judged(t *testing.T, s *site.Site, l layout, bob site.Account) {
	dir := filepath.Join(s.Dir, strings.NewReplacer(" ", "-", ",", "", "'", "", "/", "-").Replace(t.Name()))
	testutil.Must(t, os.Mkdir(dir, 0o755))
	dataDir, err := l.make(dir, s.Account, bob)
	testutil.Must(t, err)
	dataDirAt(t, s, dataDir, func(c site.Config) { c.Set("general", "custom_build_dir", true) })
	job := bare(s)
	if l.builds != "" {
		job = site.WithVariable(job, "CUSTOM_CI_BUILDS_DIR", filepath.Join(dir, l.builds))
	}
	r := s.Runner().Run(job)
	if l.why == "" {
		site.Want(t, r, fakerunner.Success, 0)
		return
	}
	outcome, code := fakerunner.SystemFailure, 0
	if l.builds != "" {
		outcome, code = fakerunner.ScriptFailure, 1
	}
	site.Want(t, r, outcome, code)
	site.Shows(t, r, strings.ReplaceAll(l.why, "BOB", bob.Name), l.fix)
	if _, prepared := r.Call("prepare"); prepared {
		t.Error("the job was prepared there")
	}
}

// TestGroupWritableHome (C10): others of the group could replace the directories
// of jobs in it, which sshd refuses too. The message has the fix.
func TestGroupWritableHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			info, err := os.Stat(s.Account.Home)
			testutil.Must(t, err)
			t.Cleanup(func() { testutil.Must(t, os.Chmod(s.Account.Home, info.Mode())) })
			job := bare(s)
			testutil.Must(t, os.Chmod(s.Account.Home, 0o770))
			r := s.Runner().Run(job)
			site.Want(t, r, fakerunner.SystemFailure, 0)
			site.Shows(t, r, s.Account.Home+", on the way to it, is writable by group (mode 0770)", "run: chmod g-w "+s.Account.Home)
			testutil.Must(t, os.Chmod(s.Account.Home, 0o750))
			site.Want(t, s.Runner().Run(job), fakerunner.Success, 0)
		})
	}
}
