package lockwait

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestPoll(t *testing.T) {
	taken, broken := fmt.Errorf("cannot lock: %w", unix.EWOULDBLOCK), errors.New("the disk is broken")
	for name, tt := range map[string]struct {
		tries []error // what try returns; the last one again and again
		limit time.Duration
		want  error
		calls int // 0 = several
	}{
		"free":                 {[]error{nil}, time.Hour, nil, 1},
		"free, no time":        {[]error{nil}, -time.Hour, nil, 1},
		"taken for a while":    {[]error{taken, unix.EAGAIN, nil}, time.Hour, nil, 3},
		"interrupted":          {[]error{unix.EINTR, taken, unix.EINTR, nil}, time.Hour, nil, 4},
		"interrupted, no time": {[]error{unix.EINTR, nil}, -time.Hour, nil, 2},
		"taken, no time":       {[]error{taken}, -time.Hour, taken, 1},
		"taken too long":       {[]error{taken}, 20 * time.Millisecond, taken, 0},
		"another error":        {[]error{taken, broken}, time.Hour, broken, 2},
	} {
		// In a bubble, time passes only in pauses: the machine's pauses count for nothing.
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, begun := 0, time.Now()
				err := Poll(begun.Add(tt.limit), 2*time.Millisecond, func() error {
					calls++
					return tt.tries[min(calls, len(tt.tries))-1]
				})
				if err != tt.want || tt.calls != 0 && calls != tt.calls || tt.calls == 0 && calls < 2 {
					t.Errorf("%v after %d calls, want %v after %d", err, calls, tt.want, tt.calls)
				}
				if took := time.Since(begun); tt.calls == 0 && took != tt.limit {
					t.Errorf("it gave up after %v, want %v", took, tt.limit)
				}
			})
		})
	}
}
