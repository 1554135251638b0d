package auditlog

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

// Place is where records go.
type Place struct {
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
func Syslog() Place { return localSyslog(syslogSocket) }

// RemoteSyslog writes to a syslog server; network is udp or tcp, address a numeric
// address and port as in "192.0.2.7:514" or "[2001:db8::7]:514". Over udp nothing
// reports whether a record arrives.
func RemoteSyslog(network, address string) Place {
	host, err := os.Hostname()
	if err != nil {
		host = "-"
	}
	return Place{
		open: func() (io.WriteCloser, error) { return dialRemote(network, address) },
		frame: func(level logrus.Level, at time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "<%d>%s %s %s[%d]: %s%s", priority(level), at.Format(stamp), host, tag, os.Getpid(), line, ending(network))
		},
	}
}

// Journal writes to systemd's journal, each record as one entry with the JSON
// text as its message.
func Journal() Place { return journalAt(journalSocket) }

// localSyslog writes without a host name, as syslog(3) does.
func localSyslog(socket string) Place {
	return Place{
		open: func() (io.WriteCloser, error) { return dialLocal(socket) },
		frame: func(level logrus.Level, at time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "<%d>%s %s[%d]: %s", priority(level), at.Format(stamp), tag, os.Getpid(), line)
		},
	}
}

// journalAt speaks the native protocol: a line for each field. Source:
// https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
func journalAt(socket string) Place {
	return Place{
		open: func() (io.WriteCloser, error) { return dialLocal(socket) },
		frame: func(level logrus.Level, _ time.Time, line []byte) []byte {
			return fmt.Appendf(nil, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", severity(level), authpriv, tag, line)
		},
	}
}

const (
	tag = "jacamar-auth"
	// stamp is the time in the head of RFC 3164; the exact one is in the record.
	stamp = time.Stamp
	// authpriv is the facility of what only administrators should read (RFC 3164
	// section 4.1.1, number 10).
	authpriv = 10
)

func priority(level logrus.Level) int { return authpriv<<3 | severity(level) }

// severity is RFC 3164's number for a level.
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
