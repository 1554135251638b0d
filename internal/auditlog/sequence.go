package auditlog

import (
	"fmt"

	"github.com/sirupsen/logrus"
)

// sequence marks each record with what a reader needs to see that none is
// missing: its number on this host, its call, and its number within the call,
// whose last record is the end of the stage.
type sequence struct {
	call    string
	counter *Counter
	lost    func(error)
	written int
	failed  error
}

func (s *sequence) mark(f logrus.Fields) {
	s.written++
	if s.call != "" {
		f["call"], f["call_seq"] = s.call, s.written
	}
	if s.counter == nil || s.failed != nil {
		return
	}
	n, err := s.counter.next()
	if err != nil {
		s.failed = fmt.Errorf("its records have no numbers: %w", err)
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
