package trustedfile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
)

// Trust is whose files, directories and links are believed. The zero value
// believes root alone, and no directory that others can write.
type Trust struct {
	// Account is one more owner beside root; 0 for none.
	Account job.UID
	// Sticky accepts a directory of root's that others can write when it is sticky,
	// as /tmp is: there each entry can be replaced by its own owner alone. That is
	// enough on the way to a directory whose owner is judged as well. It is not
	// enough for a file that others could make before its owner does.
	Sticky bool
	// NoLinks refuses every symbolic link.
	NoLinks bool
}

// Self believes root and the account of this process.
func Self() Trust { return Trust{Account: job.UID(os.Geteuid())} }

// Root believes root alone. It is for a process with more power than its account:
// what the account itself could write must not steer it.
func Root() Trust { return Trust{} }

// Jobs believes root and one account, and accepts sticky directories of root's: for
// the directories of the account's jobs.
func Jobs(account job.UID) Trust { return Trust{Account: account, Sticky: true} }

func (t Trust) trusts(owner uint32) bool { return owner == 0 || owner == uint32(t.Account) }

// exceedsAccount reports whether the process has rights that the trusted account has
// not: then no link of that account's may lead it anywhere.
func (t Trust) exceedsAccount() bool { return t.Account != job.UID(os.Geteuid()) }

// ownersText is for messages.
func (t Trust) ownersText() string {
	if t.Account == 0 {
		return "root"
	}
	return fmt.Sprintf("root or uid %d", t.Account)
}

// fileFaults judges the file itself.
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

// directoryFaults judges a directory on the way, or one that is wanted itself.
func (t Trust) directoryFaults(path string, st fileStat) []Fault {
	sticky := st.Mode&unix.S_ISVTX != 0
	if t.Sticky && sticky && st.UID == 0 {
		return nil
	}
	faults := t.accessFaults(path, st)
	for i := range faults {
		switch {
		case !t.trusts(st.UID):
			// Another account's directory, such as a home, must stay so.
			faults[i].Fix = "keep it below directories that belong to root, or " + faults[i].Fix
		case t.Sticky && st.UID == 0:
			faults[i].Fix += ", or if others must make directories there: chmod +t " + quotePath(path)
		case !t.Sticky && sticky && st.Mode&0o002 != 0:
			// A directory that is meant for all, such as /tmp, must stay so.
			faults[i].Fix = "keep the file elsewhere, below directories that only root can write"
		}
	}
	return faults
}

// mountedFaults judges the mount of an open directory, where another one begins there.
func (t Trust) mountedFaults(path string, fd int, device, above uint64) []Fault {
	if device == above {
		return nil
	}
	if uid, ok := mounts.Mounter(fd, device); ok {
		return t.mountFaults(path, uid)
	}
	return nil
}

// mountFaults judges a FUSE mount: its daemon decides what owners and modes it shows.
func (t Trust) mountFaults(path string, mounter uint32) []Fault {
	if t.trusts(mounter) {
		return nil
	}
	return []Fault{t.foreignFault(path, "is a FUSE file system mounted by", mounter, "run: umount ")}
}

// linkFaults judges a symbolic link by its owner, and by that of the directory it is
// in when the account must not lead this process: the mode of a link says nothing
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

// foreignFault is the fault of what belongs to an account that is not believed.
func (t Trust) foreignFault(path, whose string, account uint32, command string) Fault {
	return Fault{
		Path: path, UID: account, Relation: whose, Problem: fmt.Sprintf("%s uid %d, not by %s", whose, account, t.ownersText()), Fix: command + quotePath(path),
	}
}

// fileRules are what the caller asks of the file itself.
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
