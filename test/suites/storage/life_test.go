package storage

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/fuse"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// place is storage for jobs as the driver sees it, which may be in a mount namespace
// or under a filter of system calls.
type place struct {
	dir   string
	enter []string
}

// deep makes a path of more directories than a removal keeps open at once.
const deep = `mkdir -p "$CI_BUILDS_DIR/$(printf 'd/%.0s' $(seq 100))" && chmod 500 "$CI_BUILDS_DIR/d"`

// life runs jobs that create and remove directories in all ways, and asserts that no file
// remains that should be removed. Each job is checked as well: all its stages end with 0,
// and its cleanup prints nothing.
func life(t *testing.T, s *site.Site, p place) {
	t.Helper()
	base := filepath.Join(p.dir, s.Account.Name)
	t.Run("whole job", func(t *testing.T) {
		dataDirAt(t, s, p.dir, func(c site.Config) {
			c.Set("general", "static_builds_dir", true)
			c.Set("general", "static_builds_days", 0)
		})
		job := wholeJob(t, s)
		job.Script = append(job.Script, deep)
		r := s.RunnerInside(p.enter...).Run(job)
		site.Want(t, r, fakerunner.Success, 0)
		site.Shows(t, r, "the note reads hello", "tidied up", "201 Created")
		leaves(t, s, p, base, "builds builds/.trash builds/static builds/static/t0kenXyz1 cache scripts scripts/.trash scripts/t0kenXyz1")
	})
	t.Run("surplus directories", func(t *testing.T) { surplus(t, s, p, base) })
}

// surplus runs two jobs at once where one build directory may remain, and stops one of
// them, whose file variables the driver has to remove.
func surplus(t *testing.T, s *site.Site, p place, base string) {
	dataDirAt(t, s, p.dir, func(c site.Config) {
		c.Set("general", "limit_build_dir", true)
		c.Set("general", "max_build_dir", 1)
		c.Set("general", "kill_timeout", "20s")
	})
	hold := s.Job(`echo "holds $SECRET"`, "sleep 1000")
	hold.Variables = append(hold.Variables, fakerunner.Variable{Key: "SECRET", Value: "x", File: true})
	r := s.RunnerInside(p.enter...)
	first := r.Start(hold)
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	testutil.Must(t, first.AwaitOutput(ctx, "build_script", "\nholds "))
	second := r.Start(hold)
	testutil.Must(t, second.AwaitOutput(ctx, "build_script", "\nholds "))
	second.Abort()
	site.Want(t, second.Wait(), fakerunner.Aborted, 0)
	first.Abort()
	site.Want(t, first.Wait(), fakerunner.Aborted, 0)
	leaves(t, s, p, base, "builds builds/.trash builds/project_12 builds/project_12/000 builds/project_12/000/group "+
		"builds/project_12/000/group/project builds/static builds/static/t0kenXyz1 cache scripts scripts/.trash scripts/t0kenXyz1")
}

// leaves compares what is left below the base, without the contents of the cache and
// the files of claims, with what should be.
func leaves(t *testing.T, s *site.Site, p place, base, want string) {
	t.Helper()
	argv := slices.Concat(p.enter, []string{
		"/usr/bin/setpriv", "--reuid=" + strconv.Itoa(int(s.Account.UID)), "--regid=" + strconv.Itoa(int(s.Account.GID)), "--clear-groups",
		"/usr/bin/find", base, "-mindepth", "1", "-path", base + "/cache/*", "-prune", "-o", "-name", ".claims*", "-o", "-printf", `%P\n`,
	})
	if os.Geteuid() != 0 {
		argv = argv[slices.Index(argv, "/usr/bin/find"):]
	}
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	testutil.Must(t, err)
	found := strings.Fields(string(out))
	slices.Sort(found)
	if got := strings.Join(found, " "); got != want {
		t.Errorf("left is %s\nwant    %s", got, want)
	}
}

// jobsDir creates the data directory of a site.
func jobsDir(t *testing.T, s *site.Site) string {
	t.Helper()
	return filepath.Dir(dataDir(t, s))
}

// TestLifeOnLocalStorage (C9) is the reference for the others.
func TestLifeOnLocalStorage(t *testing.T) {
	s := site.New(t)
	life(t, s, place{dir: jobsDir(t, s)})
}

// TestLifeOnTmpfs (C9) is without a disk.
func TestLifeOnTmpfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a tmpfs")
	}
	s := site.New(t)
	dir, ns := jobsDir(t, s), namespace.Start(t)
	_, err := ns.Run("mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", dir)
	testutil.Must(t, err)
	life(t, s, place{dir, ns.Enter()})
}

// TestLifeOnBindfs (C9) is on FUSE, which has no rename with flags, and which gives the
// group all rights on new files, as access control lists of cluster file
// systems do.
func TestLifeOnBindfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a directory by FUSE for all")
	}
	s := site.New(t)
	dir, ns := jobsDir(t, s), namespace.Start(t)
	source := filepath.Join(s.Dir, "source")
	testutil.Must(t, os.Mkdir(source, 0o755), os.Chmod(source, os.ModeSticky|0o777))
	fuse.Bind(t, ns, source, dir, "--create-with-perms=g+rwx")
	life(t, s, place{dir, ns.Enter()})
}

// refusals are calls that file systems, kernels or containers refuse and that jobs
// do not need.
var refusals = map[string]syscalls.Refusal{
	"rename with flags: EINVAL":     {Call: unix.SYS_RENAMEAT2, Errno: unix.EINVAL, Argument: 4, Nonzero: true},
	"rename with flags: EOPNOTSUPP": {Call: unix.SYS_RENAMEAT2, Errno: unix.EOPNOTSUPP, Argument: 4, Nonzero: true},
	"renameat2: ENOSYS":             {Call: unix.SYS_RENAMEAT2, Errno: unix.ENOSYS},
	"renameat2: EPERM":              {Call: unix.SYS_RENAMEAT2, Errno: unix.EPERM},
	"statx: ENOSYS":                 {Call: unix.SYS_STATX, Errno: unix.ENOSYS},
	"times of one's choice: EPERM":  {Call: unix.SYS_UTIMENSAT, Errno: unix.EPERM, Argument: 2, Nonzero: true},
	"open file locks: EINVAL":       {Call: unix.SYS_FCNTL, Errno: unix.EINVAL, Argument: 1, Values: []uint32{unix.F_OFD_SETLK, unix.F_OFD_GETLK, unix.F_OFD_SETLKW}},
	"inotify: ENOSYS":               {Call: unix.SYS_INOTIFY_ADD_WATCH, Errno: unix.ENOSYS},
	"quotas: ENOSYS":                {Call: unix.SYS_QUOTACTL, Errno: unix.ENOSYS},
}

// TestLifeWithoutSomeCalls (C9) has one call after the other refused.
func TestLifeWithoutSomeCalls(t *testing.T) {
	for name, refusal := range refusals {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !strings.Contains(name, "EINVAL") && !strings.Contains(name, "renameat2: ENOSYS") {
				t.Skip("each takes three seconds: SHORT= runs them")
			}
			enter := syscalls.Refusing(t, refusal)
			s := site.New(t)
			life(t, s, place{jobsDir(t, s), enter})
		})
	}
}
