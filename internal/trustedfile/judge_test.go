package trustedfile

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const service = 998 // the effective uid of a service account

func TestOwners(t *testing.T) {
	for _, tc := range []struct {
		name        string
		owner, euid uint32
		want        string
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
			same(t, judgeFile("/f", facts{Mode: unix.S_IFREG | 0o600, UID: tc.owner}, tc.euid, plain), tc.want)
			same(t, judgeDirectory("/d", facts{Mode: unix.S_IFDIR | 0o755, UID: tc.owner}, tc.euid), tc.want)
			same(t, judgeLink("/l", facts{Mode: unix.S_IFLNK | 0o777, UID: tc.owner}, tc.euid), tc.want)
		})
	}
}

// TestModes tries each of the 4096 modes: only the two write bits decide.
func TestModes(t *testing.T) {
	for mode := range uint32(0o10000) {
		bad := mode&0o022 != 0
		file := judgeFile("/f", facts{Mode: unix.S_IFREG | mode}, 0, plain)
		dir := judgeDirectory("/d", facts{Mode: unix.S_IFDIR | mode}, 0)
		if (len(file) == 1) != bad || (len(dir) == 1) != bad {
			t.Errorf("mode %04o: %v %v", mode, file, dir)
		}
		run := judgeFile("/f", facts{Mode: unix.S_IFREG | mode}, 0, rules{executable: true})
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
		same(t, judgeFile("/f", facts{Mode: kind | 0o600}, 0, plain), "is "+name+", not a regular file")
	}
}

func TestAllFaultsOfOneFile(t *testing.T) {
	got := judgeFile("/f", facts{Mode: unix.S_IFREG | 0o666, UID: 7, Size: 11}, 0, rules{limit: 10, executable: true})
	same(t, got, "is owned by uid 7, not by root", "is writable by group and others (mode 0666)", "is longer than 10 bytes", "is not executable (mode 0666)")
}

func TestFaultQuotesOddPaths(t *testing.T) {
	f := Fault{File: "/a b/\x1b[31mf", Path: "/a b", Problem: "is bad", Mend: "mend it"}
	if got, want := f.Error(), `cannot trust "/a b/\x1b[31mf": its directory "/a b" is bad: mend it`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	root := Fault{File: "/f", Path: "/", Problem: "is bad", Mend: "mend it"}
	if got, want := root.Error(), "cannot trust /f: its directory / is bad: mend it"; got != want {
		t.Errorf("got %s, want %s", got, want)
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

func TestShowQuotesWhatAShellWouldRead(t *testing.T) {
	const plain = "/azAZ09_.@+,:-/x"
	if got := show(plain); got != plain {
		t.Errorf("%s became %s", plain, got)
	}
	for _, r := range " \t\n\"'`$&;|<>(){}[]*?!#~\\^%=é\u202e" {
		if path := "/a" + string(r); show(path) == path {
			t.Errorf("%q is not quoted", path)
		}
	}
}
