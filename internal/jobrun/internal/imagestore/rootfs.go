package imagestore

import (
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/diskspace"
)

// Root is the root file system of an image in layers of an overlay, the topmost first. It
// is read without a mount.
type Root struct {
	layers []string
	// failed is the first error of the storage itself, which makes a file look missing.
	failed error
}

const (
	// maxLinks bounds the symbolic links that one path may have (path_resolution(7)).
	maxLinks = 40
	// maxText bounds a file that is read, in bytes.
	maxText = 1 << 20
)

// Root returns the root file system of an image that has layers, nil for others.
func (e Entry) Root() *Root {
	if len(e.Layers) == 0 {
		return nil
	}
	r := &Root{}
	for _, layer := range e.Layers {
		r.layers = append(r.layers, path.Join(e.Place.Path.String(), layer))
	}
	return r
}

// note keeps an error of the storage.
func (r *Root) note(err error) {
	if r.failed == nil && diskspace.IsStorageError(err) {
		r.failed = err
	}
}

// Err returns the first error of the storage, with which an answer may be wrong.
func (r *Root) Err() error {
	if r == nil || r.failed == nil {
		return nil
	}
	return diskspace.Explain("cannot read the image", r.layers[0], r.failed)
}

// Read returns the beginning of a regular file, "" where there is none.
func (r *Root) Read(name string) string {
	file, ok := r.find(name)
	if !ok {
		return ""
	}
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		r.note(err)
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	r.note(err)
	return string(text)
}

// Has reports whether there is a regular file of that name.
func (r *Root) Has(name string) bool {
	_, ok := r.find(name)
	return ok
}

// find returns the path on the host of a regular file in the image.
func (r *Root) find(name string) (string, bool) {
	rest := strings.Split(path.Clean("/" + name)[1:], "/")
	dirs, at := r.layers, "/" // the directories that make up the one at hand, and its name
	for links := 0; len(rest) > 0; {
		entry, below := r.lookUp(dirs, rest[0])
		switch {
		case entry.kind == unix.S_IFLNK && links < maxLinks:
			links++
			target := entry.target
			if !strings.HasPrefix(target, "/") {
				target = at + "/" + target
			}
			rest = append(strings.Split(path.Clean("/" + target)[1:], "/"), rest[1:]...)
			dirs, at = r.layers, "/"
		case entry.kind == unix.S_IFDIR:
			dirs, at, rest = below, path.Join(at, rest[0]), rest[1:]
		case entry.kind == unix.S_IFREG && len(rest) == 1:
			return entry.path, true
		default:
			return "", false
		}
	}
	return "", false
}

// overlayEntry is what a directory of an overlay shows under a name.
type overlayEntry struct {
	path   string
	kind   uint32 // of st_mode; 0 where there is nothing
	target string // of a symbolic link
}

// lookUp finds a name in the directories of the layers, the topmost first. A character
// device 0/0 hides what is below it, as any file does, and so does a directory with the
// attribute opaque (overlayfs.rst in the kernel's documentation). below are the directories
// of that name.
func (r *Root) lookUp(dirs []string, name string) (entry overlayEntry, below []string) {
	for _, dir := range dirs {
		p := dir + "/" + name
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			r.note(err)
			continue
		}
		kind := st.Mode & unix.S_IFMT
		switch {
		case kind != unix.S_IFDIR && entry.kind == unix.S_IFDIR:
			return entry, below
		case kind != unix.S_IFDIR:
			target, err := os.Readlink(p) // "" for anything but a link
			r.note(err)
			return overlayEntry{p, kind, target}, nil
		}
		entry.path, entry.kind, below = p, kind, append(below, p)
		if r.opaque(p) {
			return entry, below
		}
	}
	return entry, below
}

func (r *Root) opaque(dir string) bool {
	value := make([]byte, 8)
	n, err := unix.Lgetxattr(dir, "user.overlay.opaque", value)
	r.note(err)
	return string(value[:max(n, 0)]) == "y" // n is negative where there is none
}
