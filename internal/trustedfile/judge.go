package trustedfile

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// rules are what the caller asks of the file itself.
type rules struct {
	limit      int64 // longest size in bytes
	executable bool
}

func judgeFile(path string, st facts, euid uint32, r rules) []Fault {
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return []Fault{{Path: path, Problem: "is " + typeName(kind) + ", not a regular file", Mend: "name a regular file by its real path"}}
	}
	faults := judgeAccess(path, st, euid)
	if st.Size > r.limit {
		faults = append(faults, *tooLong(path, r.limit))
	}
	if r.executable && st.Mode&0o111 == 0 {
		faults = append(faults, Fault{Path: path, Problem: fmt.Sprintf("is not executable (mode %04o)", st.Mode&0o7777), Mend: "run: chmod a+x " + show(path)})
	}
	return faults
}

func judgeDirectory(path string, st facts, euid uint32) []Fault {
	faults := judgeAccess(path, st, euid)
	for i := range faults {
		// A directory that is meant for all, such as /tmp, must stay so.
		if st.Mode&unix.S_ISVTX != 0 && st.Mode&0o002 != 0 {
			faults[i].Mend = "keep the file elsewhere, below directories that only root can write"
		}
	}
	return faults
}

// judgeLink looks at the owner alone: nobody can write a link, and Linux gives
// every link mode 0777 (symlink(7)).
func judgeLink(path string, st facts, euid uint32) []Fault {
	if trusted(st.UID, euid) {
		return nil
	}
	return []Fault{ownerFault(path, st.UID, euid, "run: chown -h root ")}
}

func judgeAccess(path string, st facts, euid uint32) (faults []Fault) {
	if !trusted(st.UID, euid) {
		faults = append(faults, ownerFault(path, st.UID, euid, "run: chown root "))
	}
	if who, bits := writers(st.Mode); who != "" {
		faults = append(faults, Fault{
			Path: path, Problem: fmt.Sprintf("is writable by %s (mode %04o)", who, st.Mode&0o7777),
			Mend: "run: chmod " + bits + " " + show(path),
		})
	}
	return faults
}

func trusted(owner, euid uint32) bool { return owner == 0 || owner == euid }

func ownerFault(path string, owner, euid uint32, command string) Fault {
	wanted := "root"
	if euid != 0 {
		wanted = fmt.Sprintf("root or uid %d", euid)
	}
	return Fault{Path: path, Problem: fmt.Sprintf("is owned by uid %d, not by %s", owner, wanted), Mend: command + show(path)}
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
