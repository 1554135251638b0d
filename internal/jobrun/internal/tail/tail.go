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
	file     *logFile
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
func (l *Log) Close() { l.file.close() }

// CopyNew copies to w what was added since the last call and returns how much. An error is
// one of writing to w, or of reading the open file.
func (l *Log) CopyNew(w io.Writer) (n int64, c Change, err error) {
	found, ferr := l.reopen()
	if l.file != nil {
		if n, c, err = l.copy(w); n > 0 || c != NoChange || err != nil {
			if found != nil || ferr != nil { // it follows the rest of this file
				found.close()
				l.opened = time.Time{}
			}
			return n, c, err
		}
	}
	if ferr != nil {
		c, err = l.judge(ferr)
		return 0, c, err
	}
	if found == nil {
		return 0, NoChange, nil
	}
	return l.change(found, w)
}

// reopen opens the path, when it is time for that. It returns a file that is not the open
// one.
func (l *Log) reopen() (other *logFile, err error) {
	if l.file != nil && time.Since(l.opened) < reopenEvery {
		return nil, nil
	}
	l.opened = time.Now()
	f, err := openLog(l.path)
	if err != nil || l.file == nil || f.id != l.file.id {
		return f, err
	}
	l.file.close()
	l.file = f
	return nil, nil
}

// change continues with another file.
func (l *Log) change(f *logFile, w io.Writer) (n int64, c Change, err error) {
	if l.file != nil {
		l.file.close()
		l.offset, l.replaced, c = 0, true, Replaced
	}
	l.file = f
	n, c2, err := l.copy(w)
	return n, max(c, c2), err
}

// judge judges why the path could not be opened. It is no error if there is no file: it may
// not exist yet, or no longer. Neither is the lease of another process (EWOULDBLOCK in
// open(2)), which the open makes that process release.
func (l *Log) judge(err error) (Change, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESTALE), errors.Is(err, unix.EWOULDBLOCK):
		return NoChange, nil
	case !errors.Is(err, errNotRegular):
		return NoChange, fmt.Errorf("cannot read the job's output: %w", err)
	case l.refused:
		return NoChange, nil
	}
	l.refused = true
	return Refused, nil
}

// copy reads the open file to its current end.
func (l *Log) copy(w io.Writer) (total int64, c Change, err error) {
	size, err := l.file.size()
	if err != nil {
		return 0, NoChange, l.ignoreStale(err)
	}
	if size < l.offset {
		l.offset, c = 0, Truncated
	}
	for size > l.offset && total < stepBytes {
		n, err := l.file.readAt(l.buf, l.offset)
		if n == 0 { // shorter by now, or an error
			return total, c, l.ignoreStale(err)
		}
		l.offset += int64(n)
		total += int64(n)
		if _, err := w.Write(l.buf[:n]); err != nil {
			return total, c, err
		}
	}
	return total, c, nil
}

// ignoreStale ignores the error of a stale file handle: the next call reopens the path.
func (l *Log) ignoreStale(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.ESTALE) {
		return fmt.Errorf("cannot read the job's output: %w", err)
	}
	l.opened = time.Time{}
	return nil
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
