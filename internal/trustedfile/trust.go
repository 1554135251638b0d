package trustedfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
)

// Trust defines whose files, directories and links are trusted. The zero value
// trusts only root, and no directory that others can write.
type Trust struct {
	// Account is a trusted owner in addition to root; 0 for none.
	Account job.UID
	// Sticky accepts a sticky directory of root that others can write, such as /tmp:
	// there only the owner of an entry can replace it. That is enough on the path to a
	// directory whose owner is checked as well. It is not enough for a file that
	// others could create before its owner does.
	Sticky bool
	// NoLinks refuses every symbolic link.
	NoLinks bool
}

// Self trusts root and the account of this process.
func Self() Trust { return Trust{Account: job.UID(os.Geteuid())} }

// Root trusts only root. It is for a process with more privileges than its account:
// files that the account can write must not control it.
func Root() Trust { return Trust{} }

// Jobs trusts root and one account, and accepts sticky directories of root. It is
// for the directories of the account's jobs.
func Jobs(account job.UID) Trust { return Trust{Account: account, Sticky: true} }

func (t Trust) trusts(owner uint32) bool { return owner == 0 || owner == uint32(t.Account) }

// exceedsAccount reports whether the process has rights that the trusted account
// lacks: then it must not follow links of that account.
func (t Trust) exceedsAccount() bool { return t.Account != job.UID(os.Geteuid()) }

// ownersText lists the trusted owners for a message.
func (t Trust) ownersText() string {
	if t.Account == 0 {
		return "root"
	}
	return fmt.Sprintf("root or uid %d", t.Account)
}

// fileFaults checks the file itself.
func (t Trust) fileFaults(path string, st fileStat, r fileRules) []Fault {
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return []Fault{{Path: path, Problem: "is " + typeName(kind) + ", not a regular file", Fix: "name a regular file by its real path"}}
	}
	faults := t.accessFaults(path, st)
	if st.Size > r.limit {
		faults = append(faults, *tooLong(path, r.limit))
	}
	if r.executable && st.Mode&0o111 == 0 {
		faults = append(faults, Fault{Path: path, Problem: fmt.Sprintf("is not executable (mode %04o)", st.Mode&0o7777), Fix: "run: chmod a+x " + quotePath(path)})
	}
	return faults
}

// directoryFaults checks a directory on the path or at its end.
func (t Trust) directoryFaults(path string, st fileStat) []Fault {
	sticky := st.Mode&unix.S_ISVTX != 0
	if t.Sticky && sticky && st.UID == 0 {
		return nil
	}
	faults := t.accessFaults(path, st)
	for i := range faults {
		switch {
		case !t.trusts(st.UID):
			// The directory of another account, such as a home, keeps its owner.
			faults[i].Fix = "keep it below directories that belong to root, or " + faults[i].Fix
		case t.Sticky && st.UID == 0:
			faults[i].Fix += ", or if others must make directories there: chmod +t " + quotePath(path)
		case !t.Sticky && sticky && st.Mode&0o002 != 0:
			// A directory for all users, such as /tmp, keeps its mode.
			faults[i].Fix = "keep the file elsewhere, below directories that only root can write"
		}
	}
	return faults
}

// mountedFaults checks the mount of an open directory that is on another device than
// the one above.
func (t Trust) mountedFaults(path string, fd int, device, above uint64) []Fault {
	return t.mountedFaultsBy(mounts.Mounter, path, fd, device, above)
}

// mountedFaultsBy is mountedFaults with a function that finds who mounted a directory.
func (t Trust) mountedFaultsBy(mounter func(fd int, device uint64) (uint32, bool), path string, fd int, device, above uint64) []Fault {
	if device == above {
		return nil
	}
	if uid, ok := mounter(fd, device); ok {
		return t.mountFaults(path, uid)
	}
	return nil
}

// mountFaults checks a FUSE mount: its daemon decides which owners and modes it shows.
func (t Trust) mountFaults(path string, mounter uint32) []Fault {
	if t.trusts(mounter) {
		return nil
	}
	return []Fault{t.foreignFault(path, "is a FUSE file system mounted by", mounter, "run: umount ")}
}

// linkFaults checks a symbolic link by its owner and, if this process exceeds the
// account, by the owner of its directory. The mode of a link is not used
// (symlink(7)).
func (t Trust) linkFaults(path string, link, directory fileStat) []Fault {
	switch {
	case t.NoLinks:
		return []Fault{{Path: path, UID: link.UID, Problem: "is a symbolic link", Fix: "name the real path"}}
	case !t.trusts(link.UID):
		return []Fault{t.ownerFault(path, link.UID, "run: chown -h root ")}
	case t.exceedsAccount() && (link.UID != 0 || directory.UID != 0):
		return []Fault{{Path: path, UID: link.UID, Problem: fmt.Sprintf("is a symbolic link that uid %d can change", t.Account), Fix: "name the real path"}}
	}
	return nil
}

func (t Trust) accessFaults(path string, st fileStat) (faults []Fault) {
	if !t.trusts(st.UID) {
		faults = append(faults, t.ownerFault(path, st.UID, "run: chown root "))
	}
	if who, bits := writers(st.Mode); who != "" {
		faults = append(faults, Fault{
			Path: path, UID: st.UID, Problem: fmt.Sprintf("is writable by %s (mode %04o)", who, st.Mode&0o7777),
			Fix: "run: chmod " + bits + " " + quotePath(path),
		})
	}
	return faults
}

func (t Trust) ownerFault(path string, owner uint32, command string) Fault {
	return t.foreignFault(path, "is owned by", owner, command)
}

// foreignFault is the fault of a file of an untrusted account.
func (t Trust) foreignFault(path, relation string, account uint32, command string) Fault {
	return Fault{
		Path: path, UID: account, Relation: relation, Problem: fmt.Sprintf("%s uid %d, not by %s", relation, account, t.ownersText()), Fix: command + quotePath(path),
	}
}

// fileRules are the caller's requirements on the file itself.
type fileRules struct {
	limit      int64 // longest size in bytes
	executable bool
}

func writers(mode uint32) (who, bits string) {
	switch mode & 0o022 {
	case 0o020:
		return "group", "g-w"
	case 0o002:
		return "others", "o-w"
	case 0o022:
		return "group and others", "go-w"
	}
	return "", ""
}

func typeName(kind uint32) string {
	switch kind {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFBLK, unix.S_IFCHR:
		return "a device"
	}
	return "of an unknown type"
}

// Fault is one reason not to trust a file, and what to do about it.
type Fault struct {
	File     string // the requested file
	Path     string // what is at fault: the file, or a directory or link on its path
	Problem  string // predicate for Path: "is writable by group (mode 0775)"
	Fix      string // a command or a sentence
	UID      uint32 // owner of Path, if the problem is about that
	Relation string // if Path belongs to another account, the predicate that the account's name completes: "is owned by"
	Err      error  // the system's error, if that is the reason
}

// Error returns the fault as one line.
func (f *Fault) Error() string {
	verb, subject := "trust", "it"
	if f.Err != nil {
		verb = "open"
	}
	if f.Path != f.File {
		subject = quotePath(f.Path)
		if strings.HasPrefix(f.File, strings.TrimSuffix(f.Path, "/")+"/") {
			subject = "its directory " + subject
		}
	}
	return fmt.Sprintf("cannot %s %s: %s %s: %s", verb, quotePath(f.File), subject, f.Problem, f.Fix)
}

// Unwrap returns the system's error, so that errors.Is(err, fs.ErrNotExist) holds.
func (f *Fault) Unwrap() error { return f.Err }

func (f Fault) sameAs(other Fault) bool { return f.Path == other.Path && f.Problem == other.Problem }

func systemFault(path string, err error) Fault {
	f := Fault{Path: path, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Problem, f.Fix = "does not exist", "create it or correct the path"
	case errors.Is(err, fs.ErrPermission):
		f.Problem, f.Fix = "is not accessible to this account", "give the account that runs jacamar-auth the right to read it"
	case errors.Is(err, unix.ELOOP):
		f.Problem, f.Fix = "is one of too many symbolic links", "name the file by its real path"
	default:
		f.Problem, f.Fix = "cannot be read: "+err.Error(), "look at the file system"
	}
	return f
}

func tooLong(path string, limit int64) *Fault {
	return &Fault{File: path, Path: path, Problem: fmt.Sprintf("is longer than %d bytes", limit), Fix: "name the right file or shorten it"}
}

// quotePath quotes a path that a shell or a terminal would interpret.
func quotePath(path string) string {
	special := func(r rune) bool {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./@+,:-", r)
		return !plain
	}
	if strings.ContainsFunc(path, special) {
		return strconv.Quote(path)
	}
	return path
}
