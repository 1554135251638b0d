package trustedfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

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
