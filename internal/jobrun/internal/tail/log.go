package tail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// reopenEvery is the longest time between two openings of the path: about what
// a network file system needs to show a remote writer's bytes.
const reopenEvery = time.Second

// stepBytes bounds one step, so that a flood leaves time for other things.
const stepBytes = 8 << 20

// Log follows one file. The zero value is not usable; call New.
type Log struct {
	path    string
	file    *os.File
	offset  int64
	opened  time.Time
	refused bool // something else than a file was seen at path
	swapped bool // another file was seen at path
	buf     []byte
}

// Change is something that should not happen to a log.
type Change uint8

// The changes. After each, following goes on.
const (
	NoChange Change = iota
	// Truncated: the file became shorter; it is read from its beginning.
	Truncated
	// Replaced: another regular file has the name; that one is read.
	Replaced
	// Refused: something that is no regular file has the name. The first file
	// is read on, and this is told once.
	Refused
)

// New follows the file at path, which need not exist yet.
func New(path string) *Log { return &Log{path: path, buf: make([]byte, 64<<10)} }

// Close lets the file go.
func (l *Log) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

// Offset returns how far the file was read, in bytes.
func (l *Log) Offset() int64 { return l.offset }

// Step copies to w what has come since the last step and returns how much. An
// error is one of writing to w, or of reading a file that was open.
func (l *Log) Step(w io.Writer) (n int64, c Change, err error) {
	if l.file != nil {
		if n, c, err = l.copy(w); n > 0 || c != NoChange || err != nil {
			return n, c, err
		}
	}
	if l.file != nil && time.Since(l.opened) < reopenEvery {
		return 0, NoChange, nil
	}
	return l.fresh(w)
}

// fresh opens the path again and copies what the file has more.
func (l *Log) fresh(w io.Writer) (int64, Change, error) {
	c, err := l.reopen()
	if err != nil || l.file == nil {
		return 0, c, err
	}
	n, c2, err := l.copy(w)
	return n, max(c, c2), err
}

// copy reads from the open file to its present end.
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
			return total, c, l.stale(err)
		}
	}
	return total, c, nil
}

func (l *Log) checkLength() (Change, error) {
	info, err := l.file.Stat()
	if err != nil {
		return NoChange, l.stale(err)
	}
	if info.Size() >= l.offset {
		return NoChange, nil
	}
	l.offset = 0
	return Truncated, nil
}

// stale forgives a file handle that its server no longer knows: the next step
// opens the path again.
func (l *Log) stale(err error) error {
	if !errors.Is(err, syscall.ESTALE) {
		return fmt.Errorf("cannot read the job's output: %w", err)
	}
	l.opened = time.Time{}
	return nil
}

// reopen opens the path and judges what it finds. Nothing there is no error: the
// file may not exist yet, or not any more. Neither is a file on which another
// process has a lease (EWOULDBLOCK in open(2)): it gives the lease up meanwhile.
func (l *Log) reopen() (Change, error) {
	l.opened = time.Now()
	f, err := open(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.EWOULDBLOCK):
		return NoChange, nil
	case errors.Is(err, errForeign):
		return l.refuse(), nil
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
	l.offset, l.swapped = 0, true
	return Replaced, nil
}

func (l *Log) refuse() Change {
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

var errForeign = errors.New("not a regular file")

// open refuses a link as the last component and never waits for the other end
// of a FIFO.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil, errForeign
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errForeign
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
