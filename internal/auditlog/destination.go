package auditlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"jacamar-ci/internal/linefile"
)

// Destination is where records are written.
type Destination struct {
	open  func() (io.WriteCloser, error)
	frame frame
}

// The sockets of the machine's own log services. Sources: syslog(3),
// systemd-journald.service(8).
const (
	syslogSocket  = "/dev/log"
	journalSocket = "/run/systemd/journal/socket"
)

// Syslog writes to the machine's own syslog.
func Syslog() Destination { return localSyslog(syslogSocket) }

// RemoteSyslog writes to a syslog server; network is udp or tcp, address a numeric
// address and port as in "192.0.2.7:514" or "[2001:db8::7]:514". With udp, a lost
// record is not noticed.
func RemoteSyslog(network, address string) Destination {
	host, err := os.Hostname()
	if err != nil {
		host = "-"
	}
	return Destination{
		open: func() (io.WriteCloser, error) { return dialRemote(network, address) },
		frame: func(level logrus.Level, at time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "<%d>%s %s %s[%d]: %s%s", priority(level), at.Format(stamp), host, tag, os.Getpid(), line, ending(network))
		},
	}
}

// Journal writes to systemd's journal, each record as one entry with the JSON
// text as its message.
func Journal() Destination { return journalAt(journalSocket) }

// localSyslog writes without a host name, as syslog(3) does.
func localSyslog(socket string) Destination {
	return Destination{
		open: func() (io.WriteCloser, error) { return dialLocal(socket) },
		frame: func(level logrus.Level, at time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "<%d>%s %s[%d]: %s", priority(level), at.Format(stamp), tag, os.Getpid(), line)
		},
	}
}

// journalAt uses the native protocol: a line for each field. Source:
// https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
func journalAt(socket string) Destination {
	return Destination{
		open: func() (io.WriteCloser, error) { return dialLocal(socket) },
		frame: func(level logrus.Level, _ time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", severity(level), authpriv, tag, line)
		},
	}
}

const (
	tag = "jacamar-auth"
	// stamp is the time format in the header of RFC 3164; the record has the exact time.
	stamp = time.Stamp
	// authpriv is the facility for messages that only administrators should read (RFC
	// 3164 section 4.1.1, number 10).
	authpriv = 10
)

func priority(level logrus.Level) int { return authpriv<<3 | severity(level) }

// severity returns the number of RFC 3164 for a level.
func severity(level logrus.Level) int {
	switch level {
	case logrus.DebugLevel:
		return 7
	case logrus.InfoLevel:
		return 6
	case logrus.WarnLevel:
		return 4
	}
	return 3
}

// ending separates records on a stream (RFC 6587 section 3.4.2).
func ending(network string) string {
	if network == "tcp" {
		return "\n"
	}
	return ""
}

// File writes lines to the file that open opens for reading and appending. It is opened
// for each record: the log can be rotated during a stage, and a record must not be
// written to a removed file.
func File(open func() (*os.File, error)) Destination {
	return Destination{
		open:  func() (io.WriteCloser, error) { return lineFile{open}, nil },
		frame: func(_ logrus.Level, _ time.Time, line []byte) []byte { return append(line, '\n') },
	}
}

// lineFile is a file with one record on each line.
type lineFile struct{ open func() (*os.File, error) }

// Write implements io.Writer.
func (l lineFile) Write(record []byte) (int, error) {
	f, err := l.open()
	if err != nil {
		return 0, err
	}
	n, err := linefile.Append(f, record)
	return n, errors.Join(err, f.Close())
}

// Close implements io.Closer.
func (lineFile) Close() error { return nil }
