package trustedfile

import "golang.org/x/sys/unix"

// rules are what the caller asks of the file itself.
type rules struct {
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
