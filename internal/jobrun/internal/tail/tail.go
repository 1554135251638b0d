// Package tail reads a log that another machine writes.
//
// It polls the open file often, and reopens the path at intervals: only open(2) makes a
// network file system query its server (nfs(5), close-to-open). A notification only
// shortens the wait; there are none for a remote writer.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reopenEvery is the longest time between two openings of the path: about the time after
// which a network file system shows a remote writer's bytes.
const reopenEvery = time.Second

// stepBytes bounds one call of CopyNew, so that a large output does not block its caller.
const stepBytes = 8 << 20

// Log reads one growing file. The zero value is not usable; call New.
type Log struct {
	path     string
	file     *os.File
	offset   int64
	opened   time.Time
	refused  bool // something other than a regular file was found at path
	replaced bool // another file was found at path
	buf      []byte
}

// Change is an unexpected change of a log.
type Change uint8

// The changes. Reading continues after each.
const (
	NoChange Change = iota
	// Truncated: the file became shorter; it is read from its start.
	Truncated
	// Replaced: another regular file has the name; it is read from its start.
	Replaced
	// Refused: something other than a regular file has the name. The first file is still
	// read, and the change is reported once.
	Refused
)

// New reads the file at path, which need not exist yet.
func New(path string) *Log { return &Log{path: path, buf: make([]byte, 64<<10)} }

// Close closes the file.
func (l *Log) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

// CopyNew copies to w what was added since the last call and returns how much. An error is
// one of writing to w, or of reading the open file.
func (l *Log) CopyNew(w io.Writer) (n int64, c Change, err error) {
	if l.file != nil {
		if n, c, err = l.copy(w); n > 0 || c != NoChange || err != nil {
			return n, c, err
		}
	}
	if l.file != nil && time.Since(l.opened) < reopenEvery {
		return 0, NoChange, nil
	}
	return l.copyReopened(w)
}

// copyReopened reopens the path and copies what was added.
func (l *Log) copyReopened(w io.Writer) (int64, Change, error) {
	c, err := l.reopen()
	if err != nil || l.file == nil {
		return 0, c, err
	}
	n, c2, err := l.copy(w)
	return n, max(c, c2), err
}

// copy reads the open file to its current end.
func (l *Log) copy(w io.Writer) (int64, Change, error) {
	c, err := l.checkLength()
	if err != nil {
		return 0, c, err
	}
	var total int64
	for total < stepBytes {
		n, err := l.file.ReadAt(l.buf, l.offset)
		l.offset += int64(n)
		total += int64(n)
		if n > 0 {
			if _, err := w.Write(l.buf[:n]); err != nil {
				return total, c, err
			}
		}
		if errors.Is(err, io.EOF) || (err == nil && n == 0) {
			return total, c, nil
		}
		if err != nil {
			return total, c, l.ignoreStale(err)
		}
	}
	return total, c, nil
}

func (l *Log) checkLength() (Change, error) {
	info, err := l.file.Stat()
	if err != nil {
		return NoChange, l.ignoreStale(err)
	}
	if info.Size() >= l.offset {
		return NoChange, nil
	}
	l.offset = 0
	return Truncated, nil
}

// ignoreStale ignores the error of a stale file handle: the next call reopens the path.
func (l *Log) ignoreStale(err error) error {
	if !errors.Is(err, syscall.ESTALE) {
		return fmt.Errorf("cannot read the job's output: %w", err)
	}
	l.opened = time.Time{}
	return nil
}

// reopen opens the path and checks the file. It is no error if there is none: it may not
// exist yet, or no longer. Neither is the lease of another process (EWOULDBLOCK in
// open(2)), which the open makes that process release.
func (l *Log) reopen() (Change, error) {
	l.opened = time.Now()
	f, err := openLog(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.EWOULDBLOCK):
		return NoChange, nil
	case errors.Is(err, errNotRegular):
		return l.reportRefused(), nil
	case err != nil:
		return NoChange, fmt.Errorf("cannot read the job's output: %w", err)
	case l.file == nil:
		l.file = f
		return NoChange, nil
	}
	same := sameFile(l.file, f)
	l.file.Close()
	l.file = f
	if same {
		return NoChange, nil
	}
	l.offset, l.replaced = 0, true
	return Replaced, nil
}

func (l *Log) reportRefused() Change {
	if l.refused {
		return NoChange
	}
	l.refused = true
	return Refused
}

func sameFile(a, b *os.File) bool {
	ai, aerr := a.Stat()
	bi, berr := b.Stat()
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}

var errNotRegular = errors.New("not a regular file")

// openLog rejects a link as the last component and does not block on a FIFO.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil, errNotRegular
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// quietTime is how long a file of unknown length must stay unchanged before it counts as
// complete.
const quietTime = time.Second

// CopyRest copies the rest of the file after its writer has ended. It returns when the
// file has reached size or, with a negative size, when it has not changed for quietTime;
// complete is false when neither happened within limit.
func (l *Log) CopyRest(ctx context.Context, w io.Writer, size int64, limit time.Duration) (complete bool, err error) {
	if l.replaced {
		size = -1 // it is the size of another file
	}
	interval := Interval{Min: 10 * time.Millisecond, Max: 250 * time.Millisecond}
	end, last := time.Now().Add(limit), time.Now()
	for {
		l.opened = time.Time{}
		n, _, err := l.CopyNew(w)
		if err != nil {
			return false, err
		}
		now := time.Now()
		if n > 0 {
			last = now
		}
		switch {
		case n == 0 && size >= 0 && l.offset >= size, n == 0 && size < 0 && now.Sub(last) >= quietTime:
			return true, nil
		case now.After(end):
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(interval.Next(n > 0)):
		}
	}
}

// Interval is the wait between two polls: Min after new data, then twice as long each
// time, up to Max.
type Interval struct {
	Min, Max time.Duration
	current  time.Duration
}

// Next returns the wait after a poll, which found new data or not.
func (p *Interval) Next(found bool) time.Duration {
	if found || p.current == 0 {
		p.current = p.Min
	} else {
		p.current = min(2*p.current, p.Max)
	}
	return p.current
}

// eventInterval is the shortest time between two hints: identical events meanwhile are
// merged (inotify(7)), so that a job that writes continuously costs little.
const eventInterval = 10 * time.Millisecond

// Watch sends a hint when something in dir may have changed. Hints are incomplete: writes
// of another machine cause none. stop ends the watch.
func Watch(dir string) (hints <-chan struct{}, stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	c := make(chan struct{}, 1)
	go forwardEvents(file, c)
	return c, func() { file.Close() }, nil
}

// forwardEvents forwards events until the file is closed.
func forwardEvents(file *os.File, c chan<- struct{}) {
	buf := make([]byte, 4096)
	for {
		if _, err := file.Read(buf); err != nil {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
		time.Sleep(eventInterval)
	}
}
