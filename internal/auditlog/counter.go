package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Counter numbers the records of all calls on one host, so that a reader notices
// one that is missing. The number is kept in a file that all calls share. It is
// taken before the record is written: a record that never arrived leaves a gap.
type Counter struct {
	// Open gives the file, for reading and writing; it is made when missing.
	Open func() (*os.File, error)

	file *os.File
}

const (
	// counterSize is the file's size in bytes: 20 digits hold any uint64. The
	// size never changes, so a number is replaced even where the disk is full.
	counterSize = 21
	// lockLimit is how long a call waits for its turn. Each holds the lock for
	// some microseconds.
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
	defer func() { _ = syscall.Flock(int(c.file.Fd()), syscall.LOCK_UN) }()
	if n, err = readNumber(c.file); err != nil {
		return 0, err
	}
	n++
	_, err = c.file.WriteAt(fmt.Appendf(nil, "%0*d\n", counterSize-1, n), 0)
	return n, err
}

// lock waits for the lock by trying: flock(2) itself cannot be given a limit.
func lock(f *os.File) error {
	for deadline := time.Now().Add(lockLimit); ; time.Sleep(lockPause) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("%s stays locked", f.Name())
		}
	}
}

// readNumber reads the number that was given last; an empty file is a new one.
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
		return 0, fmt.Errorf("%s does not have a number: remove it, and records are numbered from 1", f.Name())
	}
	return n, nil
}

func (c *Counter) close() {
	_ = c.file.Close()
	c.file = nil
}
