package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"jacamar-ci/internal/lockwait"
)

// Counter numbers the records of all calls on one host, so that a reader notices a
// missing one. The number is stored in a file that all calls share. It is assigned
// before the record is written: a lost record leaves a gap.
type Counter struct {
	// Open opens the file for reading and writing, and creates it if missing.
	Open func() (*os.File, error)

	file *os.File
}

const (
	// counterSize is the file's size in bytes: 20 digits hold any uint64. The size is
	// constant, so that a number can be replaced even on a full disk.
	counterSize = 21
	// lockLimit bounds the wait for the lock. Each call holds it for microseconds.
	lockLimit = 250 * time.Millisecond
	lockPause = time.Millisecond
)

// next returns the number of the next record.
func (c *Counter) next() (n uint64, err error) {
	if c.file == nil {
		if c.file, err = c.Open(); err != nil {
			return 0, err
		}
	}
	if err := lock(c.file); err != nil {
		return 0, err
	}
	defer func() { _ = unix.Flock(int(c.file.Fd()), unix.LOCK_UN) }()
	if n, err = readNumber(c.file); err != nil {
		return 0, err
	}
	n++
	_, err = c.file.WriteAt(fmt.Appendf(nil, "%0*d\n", counterSize-1, n), 0)
	return n, err
}

// lock waits for the lock.
func lock(f *os.File) error {
	err := lockwait.Poll(time.Now().Add(lockLimit), lockPause, func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("timed out waiting for the lock of %s", f.Name())
	}
	return err
}

// readNumber reads the last number; an empty file is a new one.
func readNumber(f *os.File) (uint64, error) {
	text := make([]byte, counterSize+1)
	size, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if size == 0 {
		return 0, nil
	}
	digits, ok := strings.CutSuffix(string(text[:size]), "\n")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || size != counterSize {
		return 0, fmt.Errorf("%s does not contain a number: remove it, and records are numbered from 1", f.Name())
	}
	return n, nil
}

func (c *Counter) close() {
	_ = c.file.Close()
	c.file = nil
}

// sequence adds to each record the fields by which a reader notices missing records:
// its number on this host, its call, and its number within the call, whose last record
// is the end of the stage.
type sequence struct {
	call    string
	counter *Counter
	lost    func(error)
	written int
	failed  error
}

func (s *sequence) addTo(f logrus.Fields) {
	s.written++
	if s.call != "" {
		f["call"], f["call_seq"] = s.call, s.written
	}
	if s.counter == nil || s.failed != nil {
		return
	}
	n, err := s.counter.next()
	if err != nil {
		s.failed = fmt.Errorf("cannot number its records: %w", err)
		s.lost(s.failed)
		return
	}
	f["seq"] = n
}

func (s *sequence) close() {
	if s.counter != nil {
		s.counter.close()
	}
}
