package safedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/lockwait"
	"jacamar-ci/internal/noreplace"
)

// File opens a regular file in f. It follows no link, and blocks only for a lease; flags
// are those of open(2). The error is unix.ENOENT when there is none.
func (f *Dir) File(name string, flags int) (*os.File, error) {
	file, _, err := f.FileStat(name, flags)
	return file, err
}

// FileStat is File, and returns what was known of the file when it was opened.
func (f *Dir) FileStat(name string, flags int) (file *os.File, st unix.Stat_t, err error) {
	if err := checkName(name); err != nil {
		return nil, st, err
	}
	fd, err := openFile(f.fd, name, flags)
	if errors.Is(err, unix.EACCES) {
		var was uint32
		if fd, was, err = reopen(f.fd, name, unix.S_IFREG, 0o600, flags|unix.O_NONBLOCK|unix.O_NOCTTY); err == nil {
			f.rules.noteRestored(f.PathOf(name), was)
		}
	}
	if errors.Is(err, unix.ENOENT) {
		return nil, st, err
	}
	if err != nil {
		return nil, st, diskspace.Explain("cannot open "+f.PathOf(name), f.path.String(), err)
	}
	if err := eintr.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, st, failure.Systemf("cannot use %s: it is not a regular file", f.PathOf(name))
	}
	return os.NewFile(uintptr(fd), f.PathOf(name)), st, nil
}

// OpenForLock opens an existing file by its path, for nothing but a lock. It follows no
// link at its end, and never blocks.
func OpenForLock(path string) (*os.File, error) {
	fd, err := eintr.Openat(unix.AT_FDCWD, path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Create makes an empty file, unless there is a file of that name.
func (f *Dir) Create(name string) error {
	file, err := f.File(name, unix.O_WRONLY|unix.O_CREAT)
	if err != nil {
		return err
	}
	return file.Close()
}

// Read returns the content of a file of at most limit bytes.
func (f *Dir) Read(name string, limit int64) ([]byte, error) {
	file, err := f.File(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, diskspace.Explain("cannot read "+f.PathOf(name), f.path.String(), err)
	case int64(len(text)) > limit:
		return nil, failure.Systemf("cannot use %s: longer than %d bytes", f.PathOf(name), limit)
	}
	return text, nil
}

// Write replaces a file atomically: a reader gets the old text or the new one, and a full
// disk leaves the old one. Several processes may write the file: the last one counts.
//
// The text is first in NAME.new. Where another process has or removes that file, or a killed
// one has left it, the text is first in NAME.PID-TIME.new, and what is old of both is removed.
func (f *Dir) Write(name string, text []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	temporary := name + ".new"
	err := f.replace(name, temporary, text)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) {
		f.removeOldTemporary(name)
		err = f.replace(name, fmt.Sprintf("%s.%d-%d.new", name, os.Getpid(), time.Now().UnixNano()), text)
	}
	if err != nil {
		return diskspace.Explain("cannot write "+f.PathOf(name), f.path.String(), err)
	}
	return nil
}

// temporaryTime is longer than any process needs for a new file.
const temporaryTime = time.Hour

// RemoveTemporary removes what killed processes have left of writes of a file, as Remove does:
// NAME.new also where another process may be writing it, which uses another name then.
func (f *Dir) RemoveTemporary(name string, until time.Time) error {
	f.removeOldTemporary(name)
	return f.Remove(name+".new", until)
}

// removeOldTemporary removes those that no process can be writing any more.
func (f *Dir) removeOldTemporary(name string) {
	entries, _ := f.Names()
	for _, entry := range entries {
		rest, ok := strings.CutPrefix(entry, name+".")
		if !ok || strings.TrimLeft(rest, "0123456789-.") != "new" {
			continue
		}
		if changed := f.ModTime(entry); !changed.IsZero() && time.Since(changed) > temporaryTime {
			_ = unix.Unlinkat(f.fd, entry, 0)
		}
	}
}

// replace replaces a file by a new one that has the temporary name first. What this call
// creates is regular. The error is unix.EEXIST where another process has the temporary one,
// and unix.ENOENT where it has removed that, or the directory.
func (f *Dir) replace(name, temporary string, text []byte) error {
	fd, err := openFile(f.fd, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), f.PathOf(temporary))
	_, err = file.Write(text)
	// Over NFS the error of a full disk may appear only here.
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = eintr.Retry(func() error { return unix.Renameat(f.fd, temporary, f.fd, name) })
	}
	if err != nil {
		_ = unix.Unlinkat(f.fd, temporary, 0)
	}
	return err
}

// Lock keeps other processes that call it from the directory for as long as the caller needs,
// at most until the deadline. It excludes none where the file system has no locks for
// directories, as NFS.
func (f *Dir) Lock(deadline time.Time) (unlock func()) {
	_ = lockwait.Poll(deadline, lockPause, func() error { return unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB) })
	return func() { _ = unix.Flock(f.fd, unix.LOCK_UN) }
}

const lockPause = 20 * time.Millisecond

// RemoveEmpty removes an empty directory.
func (f *Dir) RemoveEmpty(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return eintr.Retry(func() error { return unix.Unlinkat(f.fd, name, unix.AT_REMOVEDIR) })
}

// Lacks reports whether a directory in f certainly has no file of that name, by one call: it
// follows a link in the place of the directory, and proves nothing of what is there.
func (f *Dir) Lacks(dir, file string) bool {
	var st unix.Stat_t
	return errors.Is(eintr.Fstatat(f.fd, dir+"/"+file, &st), unix.ENOENT)
}

// IsNamed reports whether name is still the name of an open file. Over NFS another host may
// have removed the file: its name stays in this host's cache for a minute (ac in nfs(5)), but
// after a lock the server is asked about the file itself.
func (f *Dir) IsNamed(name string, file *os.File) bool {
	var opened, named unix.Stat_t
	return eintr.Fstat(int(file.Fd()), &opened) == nil && opened.Nlink > 0 &&
		eintr.Fstatat(f.fd, name, &named) == nil && named.Ino == opened.Ino && named.Dev == opened.Dev
}

// IsRemoved reports whether an error is of a file or a directory that is not there, or that
// another process has removed since it was opened: over NFS, one of another host.
func IsRemoved(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESTALE) }

// ModTime is when an entry last changed; the zero time when there is none.
func (f *Dir) ModTime(name string) time.Time {
	var st unix.Stat_t
	if eintr.Fstatat(f.fd, name, &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Unix())
}

// Entry is what is known of an entry of a directory.
type Entry struct {
	Dir bool
	// Used is when its content was last changed or read, as far as the file system
	// records it (relatime in mount(8)).
	Used time.Time
}

// Stat examines an entry of f. It follows no link.
func (f *Dir) Stat(name string) (Entry, error) {
	if err := checkName(name); err != nil {
		return Entry{}, err
	}
	var st unix.Stat_t
	if err := eintr.Fstatat(f.fd, name, &st); err != nil {
		return Entry{}, err
	}
	changed, read := time.Unix(st.Mtim.Unix()), time.Unix(st.Atim.Unix())
	if read.After(changed) && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		changed = read // listing a directory is no use of it
	}
	return Entry{Dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, Used: changed}, nil
}

// Touch sets the time of an entry of f to now.
func (f *Dir) Touch(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return eintr.Retry(func() error { return unix.UtimesNanoAt(f.fd, name, nil, unix.AT_SYMLINK_NOFOLLOW) })
}

// Names lists the entries of f.
func (f *Dir) Names() (names []string, err error) {
	_, err = unix.Seek(f.fd, 0, unix.SEEK_SET)
	for buffer, n := make([]byte, 32<<10), 1; err == nil && n > 0; {
		err = eintr.Retry(func() (err error) {
			n, err = unix.Getdents(f.fd, buffer)
			return err
		})
		for e := range parseDirents(buffer[:max(n, 0)]) {
			names = append(names, e.name)
		}
	}
	if err != nil {
		return nil, diskspace.Explain(fmt.Sprintf("cannot list %s", f.path), f.path.String(), err)
	}
	return names, nil
}

// Move moves an entry of f to another directory of the same file system. The error is
// unix.EEXIST when that has an entry of the new name, and unix.ENOENT when f has no such
// entry.
func (f *Dir) Move(name string, to *Dir, newName string) error {
	for _, n := range []string{name, newName} {
		if err := checkName(n); err != nil {
			return err
		}
	}
	err := noreplace.Rename(f.fd, name, to.fd, newName)
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) {
		return err
	}
	return diskspace.Explain(fmt.Sprintf("cannot move %s to %s", f.PathOf(name), to.PathOf(newName)), f.path.String(), err)
}

// leaseTime is longer than the kernel lets another process keep a lease on a file that
// is being opened (lease-break-time of proc_sys_fs(5), 45 s).
const leaseTime, leasePause = 50 * time.Second, 20 * time.Millisecond

// openFile opens a file without blocking on a FIFO. It waits for the lease of another
// process, such as Samba, or this host's own NFS server on behalf of a client: a lease
// makes a non-blocking open fail (EWOULDBLOCK in open(2)).
func openFile(dir int, name string, flags int) (fd int, err error) {
	err = lockwait.Poll(time.Now().Add(leaseTime), leasePause, func() (err error) {
		fd, err = eintr.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
		return err
	})
	return fd, err
}
