package tail

import (
	"context"
	"io"
	"time"
)

// quiet is how long a file has to stay as it is before its end is believed, when
// nobody knows its length.
const quiet = time.Second

// Drain copies the rest of the file after its writer has ended. It returns when
// the file has reached size or, with a negative size, when it has been quiet;
// complete is false when neither happened within limit.
func (l *Log) Drain(ctx context.Context, w io.Writer, size int64, limit time.Duration) (complete bool, err error) {
	if l.swapped {
		size = -1 // it is another file's
	}
	pace := Pace{Min: 10 * time.Millisecond, Max: 250 * time.Millisecond}
	end, last := time.Now().Add(limit), time.Now()
	for {
		l.opened = time.Time{}
		n, _, err := l.Step(w)
		if err != nil {
			return false, err
		}
		now := time.Now()
		if n > 0 {
			last = now
		}
		switch {
		case n == 0 && size >= 0 && l.offset >= size, n == 0 && size < 0 && now.Sub(last) >= quiet:
			return true, nil
		case now.After(end):
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(pace.Next(n > 0)):
		}
	}
}
