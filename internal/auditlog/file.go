package auditlog

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

// File writes lines to the file that open gives, for reading and for writing at
// its end. It is opened for each record: a stage may outlast several rotations of
// the log, and a record must not go to a file that is gone.
func File(open func() (*os.File, error)) Place {
	return Place{
		open:  func() (io.WriteCloser, error) { return lines{open}, nil },
		frame: func(_ logrus.Level, _ time.Time, line []byte) []byte { return append(line, '\n') },
	}
}

// lines is a file that has one record on each line.
type lines struct{ open func() (*os.File, error) }

// Write implements io.Writer. A line that an earlier call could not finish, as on
// a full disk, is ended first: it would take this record with it.
func (l lines) Write(record []byte) (int, error) {
	f, err := l.open()
	if err != nil {
		return 0, err
	}
	if torn(f) {
		record = append([]byte{'\n'}, record...)
	}
	n, err := f.Write(record)
	return n, errors.Join(err, f.Close())
}

// Close implements io.Closer.
func (lines) Close() error { return nil }

// torn reports whether a file ends inside a line.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	var last [1]byte
	n, _ := f.ReadAt(last[:], info.Size()-1) // nothing is read of an empty file
	return n == 1 && last[0] != '\n'
}
