package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/linefile"
)

const (
	liveDir = "live"
	dayDir  = "days"
	markDir = "marks"

	// maxLiveFile bounds a live file in bytes, and maxDayFile the file of a day: further
	// refusals are not recorded, so that a flood of them does not fill the disk.
	maxLiveFile = 64 << 10
	maxDayFile  = 64 << 20

	dirMode  = 0o750 // the group of the journal may read
	fileMode = 0o640
)

// Journal is one host's part of a journal.
type Journal struct {
	host *os.File // the host's directory
	path string
	dir  job.AbsPath // that of all hosts
}

// Open opens the journal of a host in dir and creates the host's part. dir must exist
// and belong to the account as which this process writes files.
func Open(dir job.AbsPath, host string) (*Journal, error) {
	if !validHost(host) {
		return nil, fmt.Errorf("cannot write a journal: %q is not a valid host name", job.Clip(host))
	}
	top, err := openDirectory(unix.AT_FDCWD, dir.String(), dir.String())
	if err != nil {
		return nil, err
	}
	defer unix.Close(top)
	own := path.Join(dir.String(), host)
	fd, err := subdirectory(top, host, own)
	if err != nil {
		return nil, err
	}
	return &Journal{os.NewFile(uintptr(fd), own), own, dir}, nil
}

// Close closes the journal.
func (j *Journal) Close() { j.host.Close() }

func validHost(host string) bool {
	return host != "" && len(host) <= 64 && host[0] != '.' && !strings.ContainsAny(host, "/\x00") && job.Printable(host) == host
}

// subdirectory opens a directory in parent and creates it if it is missing.
func subdirectory(parent int, name, shown string) (int, error) {
	if err := unix.Mkdirat(parent, name, dirMode); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("cannot create %s: %w", shown, err)
	}
	return openDirectory(parent, name, shown)
}

// subdirectory opens a directory of the host and creates it if it is missing.
func (j *Journal) subdirectory(name string) (int, error) {
	return subdirectory(int(j.host.Fd()), name, path.Join(j.path, name))
}

// openDirectory opens a directory in parent that only this account can change.
func openDirectory(parent int, name, shown string) (int, error) {
	fd, err := eintr.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return -1, fmt.Errorf("cannot open %s: %w", shown, err)
	}
	if err := checkOwner(fd, shown, unix.S_IFDIR); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// checkOwner refuses files that another account could have placed: a different owner,
// write access for others, an unexpected type, a second hard link.
func checkOwner(fd int, shown string, kind uint32) error {
	return checkOwnedBy(unix.Geteuid(), fd, shown, kind)
}

func checkOwnedBy(owner, fd int, shown string, kind uint32) error {
	var st unix.Stat_t
	if err := eintr.Fstat(fd, &st); err != nil {
		return fmt.Errorf("cannot examine %s: %w", shown, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return fmt.Errorf("cannot use %s: unexpected type of file", shown)
	case st.Uid != 0 && int(st.Uid) != owner:
		return fmt.Errorf("cannot use %s: %w", shown, foreignError{int(st.Uid), owner})
	case st.Mode&0o022 != 0:
		return fmt.Errorf("cannot use %s: mode %04o lets others write it", shown, st.Mode&0o7777)
	case kind == unix.S_IFREG && st.Nlink == 0:
		return fmt.Errorf("cannot use %s: %w", shown, errUnlinked)
	case kind == unix.S_IFREG && st.Nlink != 1:
		return fmt.Errorf("cannot use %s: it has %d hard links", shown, st.Nlink)
	}
	return nil
}

// errUnlinked is why an open file is not used: another process has removed or replaced it
// since it was opened.
var errUnlinked = errors.New("it was removed meanwhile")

// unlinkedTries bounds how often a name is opened again that others replace all the time.
const unlinkedTries = 1000

// named calls open until what it opens still has its name.
func named[F any](open func() (F, error)) (f F, err error) {
	for range unlinkedTries {
		if f, err = open(); !errors.Is(err, errUnlinked) {
			break
		}
	}
	return f, err
}

// foreignError is why a file of another account is not used: that account may have put it
// there.
type foreignError struct{ is, want int }

func (e foreignError) Error() string {
	return fmt.Sprintf("owned by uid %d, not by uid %d", e.is, e.want)
}

// Live is the open file of one live job. While it is open, a read lock on its first
// byte shows readers that a stage runs. The lock ends with this process, also if it is
// killed.
type Live struct {
	journal *Journal
	key     Key
	file    *os.File
}

// Create creates the file of a job, or continues that of an earlier attempt of the same
// job's config stage.
func (j *Journal) Create(k Key, first ...Event) (*Live, error) {
	return j.open(liveDir, k, unix.O_CREAT, first)
}

// Resume continues the file of a job. A missing one is fs.ErrNotExist.
func (j *Journal) Resume(k Key, first ...Event) (*Live, error) { return j.open(liveDir, k, 0, first) }

func (j *Journal) open(dir string, k Key, flags int, first []Event) (*Live, error) {
	file, err := named(func() (*os.File, error) { return j.openLocked(dir, k, flags) })
	if err != nil {
		return nil, err
	}
	l := &Live{j, k, file}
	if err := l.Append(first...); err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

// openLocked opens and locks the file of a job. errUnlinked means that another process has
// ended the job before the file was locked.
func (j *Journal) openLocked(dir string, k Key, flags int) (*os.File, error) {
	file, err := j.file(dir, k.String(), flags)
	if err != nil {
		return nil, err
	}
	if err = lock(file, unix.F_RDLCK, ErrTaken); err == nil {
		err = checkOwner(int(file.Fd()), file.Name(), unix.S_IFREG)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// lock locks the first byte of a file until it is closed, without waiting. Its error is
// taken where another process has a lock that excludes this one.
func lock(file *os.File, kind int16, taken error) error {
	want := unix.Flock_t{Type: kind, Start: 0, Len: 1}
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &want)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return taken
	case err != nil:
		return fmt.Errorf("cannot lock %s: %w", file.Name(), err)
	}
	return nil
}

// file opens a file of the journal for reading and appending. It is in a directory, or
// for dir "" in that of the host.
func (j *Journal) file(dir, name string, flags int) (*os.File, error) {
	shown, parent := path.Join(j.path, dir, name), int(j.host.Fd())
	if dir != "" {
		below, err := j.subdirectory(dir)
		if err != nil {
			return nil, err
		}
		defer unix.Close(below)
		parent = below
	}
	return named(func() (*os.File, error) { return openFile(parent, name, shown, flags) })
}

func openFile(parent int, name, shown string, flags int) (*os.File, error) {
	// O_NONBLOCK: a FIFO in its place must not block this process.
	fd, err := eintr.Openat(parent, name, unix.O_RDWR|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|flags)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", shown, err)
	}
	file := os.NewFile(uintptr(fd), shown)
	if err := checkOwner(fd, shown, unix.S_IFREG); err != nil {
		file.Close()
		return nil, err
	}
	if flags&unix.O_CREAT != 0 {
		// The group must be able to read, whatever the umask is.
		if err := unix.Fchmod(fd, fileMode); err != nil {
			file.Close()
			return nil, fmt.Errorf("cannot set the mode of %s: %w", shown, err)
		}
	}
	return file, nil
}

// Append adds events, each by one write. If the file is full, it adds a last event that
// reports the missing ones.
func (l *Live) Append(events ...Event) error {
	size, err := l.file.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("cannot append to %s: %w", l.file.Name(), err)
	}
	for _, e := range events {
		e.Context.Job = l.key.Job
		line, err := e.line()
		if err != nil {
			return err
		}
		if size+int64(len(line)) > maxLiveFile-maxLine {
			return l.markTruncated(size, e)
		}
		n, err := linefile.Append(l.file, line)
		if err != nil {
			return fmt.Errorf("cannot append to %s: %w", l.file.Name(), err)
		}
		size += int64(n)
	}
	return nil
}

func (l *Live) markTruncated(size int64, e Event) error {
	if size > maxLiveFile-maxLine {
		return nil // it has its last event
	}
	line, err := Event{Time: e.Time, Name: Truncated, Context: Context{Job: l.key.Job}}.line()
	if err != nil {
		return err
	}
	line = append(line[:len(line)-1], []byte(strings.Repeat(" ", maxLine-len(line))+"\n")...)
	_, err = l.file.Write(line)
	return err
}

// Began is when the rules allowed the job, zero if the file does not have it.
func (l *Live) Began() time.Time {
	for _, e := range l.Events() {
		if e.Name == Granted {
			return e.When()
		}
	}
	return time.Time{}
}

// Events returns the events of the job until now, as far as they can be read.
func (l *Live) Events() []Event {
	text, _ := liveText(l.file)
	return parseEvents(text)
}

// liveText reads the whole file of a live job.
func liveText(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file.Name(), err)
	}
	text := make([]byte, min(info.Size(), maxLiveFile))
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return text[:n], fmt.Errorf("cannot read %s: %w", file.Name(), err)
	}
	return text[:n], nil
}

// Close closes the job's file and releases its lock.
func (l *Live) Close() error { return l.file.Close() }

// End appends the last event, copies all lines to the file of the day and removes the
// live file. If it is interrupted, both files have the job, which readers handle.
func (l *Live) End(last Event) error {
	defer l.file.Close()
	if err := l.Append(last); err != nil {
		return err
	}
	text, err := liveText(l.file)
	if err != nil {
		return err
	}
	if err := l.journal.appendDay(last.Time, text, false); err != nil {
		return err
	}
	if err := l.journal.remove(liveDir, l.key); err != nil {
		return fmt.Errorf("cannot remove %s: %w", l.file.Name(), err)
	}
	return nil
}

// Refuse records a refused job.
func (j *Journal) Refuse(e Event) error {
	line, err := e.line()
	if err != nil {
		return err
	}
	return j.appendDay(e.Time, line, true)
}

func dayFile(t time.Time) string { return t.UTC().Format(time.DateOnly) + ".jsonl" }

// appendDay adds lines to the file of the day. It omits optional lines once that file
// is large.
func (j *Journal) appendDay(when float64, lines []byte, optional bool) error {
	file, err := j.file(dayDir, dayFile(time.Unix(int64(when), 0)), unix.O_CREAT)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || optional && info.Size() > maxDayFile {
		return err
	}
	if _, err := linefile.Append(file, lines); err != nil {
		return fmt.Errorf("cannot append to %s: %w", file.Name(), err)
	}
	return nil
}
