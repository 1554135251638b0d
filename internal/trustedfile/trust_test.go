package trustedfile

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

const service = 998 // the uid of a service account

func TestOwners(t *testing.T) {
	for _, tc := range []struct {
		name    string
		owner   uint32
		account job.UID
		want    string
	}{
		{"root's own", 0, 0, ""},
		{"root's, read by the service account", 0, service, ""},
		{"the service account's own", service, service, ""},
		{"a user's, read by root", 1000, 0, "is owned by uid 1000, not by root"},
		{"the service account's, read by root", service, 0, "is owned by uid 998, not by root"},
		{"a user's, read by the service account", 1000, service, "is owned by uid 1000, not by root or uid 998"},
		{"nobody's", 65534, service, "is owned by uid 65534, not by root or uid 998"},
		{"the last id", 1<<32 - 1, 0, "is owned by uid 4294967295, not by root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, sticky := range []bool{false, true} {
				trust := Trust{Account: tc.account, Sticky: sticky}
				same(t, trust.fileFaults("/f", fileStat{Mode: unix.S_IFREG | 0o600, UID: tc.owner}, plain), tc.want)
				same(t, trust.directoryFaults("/d", fileStat{Mode: unix.S_IFDIR | 0o755, UID: tc.owner}), tc.want)
			}
		})
	}
}

// TestLinks: the owner of a link counts; a process with more rights than the account
// also refuses a link that the account could have created.
func TestLinks(t *testing.T) {
	self := job.UID(os.Geteuid())
	own, other := uint32(self), self+4242
	for _, tc := range []struct {
		name            string
		trust           Trust
		link, directory uint32
		want            string
	}{
		{"root's", Self(), 0, 0, ""},
		{"root's, in the account's directory", Self(), 0, own, ""},
		{"the account's own", Self(), own, own, ""},
		{"another's", Trust{Account: self}, uint32(other), 0, "is owned by uid "},
		{"root's, for another account", Trust{Account: other}, 0, 0, ""},
		{"the other account's", Trust{Account: other}, uint32(other), 0, "is a symbolic link that uid "},
		{"in a directory of the other account's", Trust{Account: other}, 0, uint32(other), "is a symbolic link that uid "},
		{"a stranger's, for another account", Trust{Account: other}, uint32(other) + 1, 0, "is owned by uid "},
		{"a stranger's, for root alone", Root(), uint32(other), 0, "is owned by uid "},
		{"no links", Trust{NoLinks: true}, 0, 0, "is a symbolic link"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.trust.linkFaults("/l", fileStat{Mode: unix.S_IFLNK | 0o777, UID: tc.link}, fileStat{Mode: unix.S_IFDIR | 0o755, UID: tc.directory})
			if (len(got) == 0) != (tc.want == "") || (len(got) > 0 && !strings.HasPrefix(got[0].Problem, tc.want)) {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
			if len(got) > 0 && (got[0].Fix == "" || got[0].Path != "/l" || got[0].UID != tc.link) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestMounts: the account that mounted a FUSE file system counts as an owner.
func TestMounts(t *testing.T) {
	for _, tc := range []struct {
		trust   Trust
		mounter uint32
		want    string
	}{
		{Root(), 0, ""},
		{Jobs(1000), 1000, ""},
		{Jobs(1000), 0, ""},
		{Jobs(1000), 1001, "is a FUSE file system mounted by uid 1001, not by root or uid 1000"},
		{Root(), 1000, "is a FUSE file system mounted by uid 1000, not by root"},
	} {
		got := tc.trust.mountFaults("/m", tc.mounter)
		if (len(got) == 0) != (tc.want == "") || (len(got) > 0 && (got[0].Problem != tc.want || got[0].UID != tc.mounter || got[0].Fix != "run: umount /m")) {
			t.Errorf("%+v, want %q", got, tc.want)
		}
	}
}

func TestMountedFaults(t *testing.T) {
	for _, tt := range []struct {
		name          string
		device, above uint64
		uid           uint32
		fuse          bool
		want          int
	}{
		{"the same file system", 1, 1, 4242, true, 0},
		{"no FUSE", 2, 1, 0, false, 0},
		{"FUSE of root", 2, 1, 0, true, 0},
		{"FUSE of another account", 2, 1, 4242, true, 1},
	} {
		mounter := func(fd int, device uint64) (uint32, bool) {
			if fd != 7 || device != tt.device {
				t.Errorf("%s: descriptor %d, device %d", tt.name, fd, device)
			}
			return tt.uid, tt.fuse
		}
		if got := Self().mountedFaultsBy(mounter, "/d", 7, tt.device, tt.above); len(got) != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestStickyDirectories: only those of root, and only if sticky ones are accepted.
// TestMountedFaults: only a mount is judged, by the account that mounted it.
func TestStickyDirectories(t *testing.T) {
	jobs := Jobs(1000)
	for _, tc := range []struct {
		name  string
		trust Trust
		mode  uint32
		uid   uint32
		want  string // problem and fix
	}{
		{"root's", jobs, 0o1777, 0, ""},
		{"root's, for a group", jobs, 0o1770, 0, ""},
		{"root's, for a file", Root(), 0o1777, 0, "is writable by group and others (mode 1777); keep the file elsewhere, below directories that only root can write"},
		{"root's, for a group, for a file", Root(), 0o1775, 0, "is writable by group (mode 1775); run: chmod g-w /d"},
		{"the account's own", jobs, 0o1777, 1000, "is writable by group and others (mode 1777); run: chmod go-w /d"},
		{"another's", jobs, 0o1777, 4242, "is owned by uid 4242, not by root or uid 1000; keep it below directories that belong to root, or run: chown root /d; " +
			"is writable by group and others (mode 1777); keep it below directories that belong to root, or run: chmod go-w /d"},
		{"another's, for a file", Root(), 0o1755, 4242, "is owned by uid 4242, not by root; keep it below directories that belong to root, or run: chown root /d"},
		{"not sticky", jobs, 0o777, 0, "is writable by group and others (mode 0777); run: chmod go-w /d, or if others must make directories there: chmod +t /d"},
		{"not sticky, for a file", Root(), 0o777, 0, "is writable by group and others (mode 0777); run: chmod go-w /d"},
		{"of a group, setgid", jobs, 0o2770, 0, "is writable by group (mode 2770); run: chmod g-w /d, or if others must make directories there: chmod +t /d"},
		{"the account's own, of a group", jobs, 0o775, 1000, "is writable by group (mode 0775); run: chmod g-w /d"},
		{"the account's own", jobs, 0o755, 1000, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, f := range tc.trust.directoryFaults("/d", fileStat{Mode: unix.S_IFDIR | tc.mode, UID: tc.uid}) {
				got = append(got, f.Problem, f.Fix)
				if f.UID != tc.uid || f.Path != "/d" {
					t.Errorf("%+v", f)
				}
			}
			if strings.Join(got, "; ") != tc.want {
				t.Errorf("got  %q\nwant %q", strings.Join(got, "; "), tc.want)
			}
		})
	}
}

// TestModes tries each of the 4096 modes: only the two write bits decide.
func TestModes(t *testing.T) {
	for mode := range uint32(0o10000) {
		bad := mode&0o022 != 0
		file := Root().fileFaults("/f", fileStat{Mode: unix.S_IFREG | mode}, plain)
		dir := Root().directoryFaults("/d", fileStat{Mode: unix.S_IFDIR | mode})
		if (len(file) == 1) != bad || (len(dir) == 1) != bad {
			t.Errorf("mode %04o: %v %v", mode, file, dir)
		}
		run := Root().fileFaults("/f", fileStat{Mode: unix.S_IFREG | mode}, fileRules{executable: true})
		if wantRun := mode&0o111 == 0; (len(run) == len(file)+1) != wantRun {
			t.Errorf("mode %04o, executable: %v", mode, run)
		}
	}
}

func TestTypes(t *testing.T) {
	for kind, name := range map[uint32]string{
		unix.S_IFDIR: "a directory", unix.S_IFLNK: "a symbolic link", unix.S_IFIFO: "a FIFO", unix.S_IFSOCK: "a socket",
		unix.S_IFBLK: "a device", unix.S_IFCHR: "a device", 0: "of an unknown type",
	} {
		same(t, Root().fileFaults("/f", fileStat{Mode: kind | 0o600}, plain), "is "+name+", not a regular file")
	}
}

func TestAllFaultsOfOneFile(t *testing.T) {
	got := Root().fileFaults("/f", fileStat{Mode: unix.S_IFREG | 0o666, UID: 7, Size: 11}, fileRules{limit: 10, executable: true})
	same(t, got, "is owned by uid 7, not by root", "is writable by group and others (mode 0666)", "is longer than 10 bytes", "is not executable (mode 0666)")
}

func TestFaultQuotesOddPaths(t *testing.T) {
	f := Fault{File: "/a b/\x1b[31mf", Path: "/a b", Problem: "is bad", Fix: "fix it"}
	if got, want := f.Error(), `cannot trust "/a b/\x1b[31mf": its directory "/a b" is bad: fix it`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	root := Fault{File: "/f", Path: "/", Problem: "is bad", Fix: "fix it"}
	if got, want := root.Error(), "cannot trust /f: its directory / is bad: fix it"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSameAs(t *testing.T) {
	f := Fault{Path: "/a", Problem: "is one", Fix: "fix it"}
	for _, tt := range []struct {
		other Fault
		want  bool
	}{
		{Fault{Path: "/a", Problem: "is one"}, true},
		{Fault{Path: "/a", Problem: "is another"}, false},
		{Fault{Path: "/b", Problem: "is one"}, false},
	} {
		if got := f.sameAs(tt.other); got != tt.want {
			t.Errorf("%+v: %v", tt.other, got)
		}
	}
}

func same(t *testing.T, got []Fault, want ...string) {
	t.Helper()
	var problems []string
	for _, f := range got {
		problems = append(problems, f.Problem)
	}
	if strings.Join(problems, "; ") != strings.Join(want, "; ") {
		t.Errorf("got %q, want %q", problems, want)
	}
}

func TestQuotePath(t *testing.T) {
	const plain = "/azAZ09_.@+,:-/x"
	if got := quotePath(plain); got != plain {
		t.Errorf("%s became %s", plain, got)
	}
	for _, r := range " \t\n\"'`$&;|<>(){}[]*?!#~\\^%=é\u202e" {
		if path := "/a" + string(r); quotePath(path) == path {
			t.Errorf("%q is not quoted", path)
		}
	}
}
