package batch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/tail"
)

// TestFilesThatStay: a job that succeeds warns of files that cannot be removed; the log of
// one that fails has its failure alone.
func TestFilesThatStay(t *testing.T) {
	for _, tt := range []struct {
		code  int
		stuck bool
		want  bool
	}{{0, false, false}, {0, true, true}, {7, false, false}, {7, true, false}} {
		t.Run(fmt.Sprintf("exit code %d, stuck: %v", tt.code, tt.stuck), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					if tt.stuck {
						stick(t, w.task.dir().path(scriptFile))
					}
					w.start()
					w.finish(tt.code, false, map[bool]string{true: "COMPLETED", false: "FAILED"}[tt.code == 0])
				}
				_, _ = w.run(noStop())
				if got := strings.Contains(w.log.String(), "cannot remove the files of the batch job"); got != tt.want || strings.Contains(w.log.String(), "WARNING") != tt.want {
					t.Errorf("a warning: %v, want %v\n%s", got, tt.want, w.log)
				}
			})
		})
	}
}

// TestPendingIsBeforeTheStart: a job is reported as pending only while the batch system has
// it pending and its script has not started.
func TestPendingIsBeforeTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		act  func(w *simulator)
		want int // reports
	}{
		"pending": {func(w *simulator) { time.AfterFunc(10*time.Minute, w.start) }, 1},
		"its node is prepared": {func(w *simulator) {
			w.state("RUNNING", "n1", "None")
			time.AfterFunc(10*time.Minute, w.start)
		}, 0},
		"pending again for a moment": {func(w *simulator) {
			w.start()
			w.state("PENDING", "", "Resources")
			time.AfterFunc(requeueLimit/2, func() { w.state("RUNNING", "n1", "None") })
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				reports := 0
				w.task.Note = func(n ipc.BatchNote) {
					if n.Phase == ipc.Pending {
						reports++
					}
				}
				w.onSubmit = func() {
					tt.act(w)
					time.AfterFunc(time.Hour, func() { w.finish(0, false, "COMPLETED") })
				}
				if err, _ := w.run(noStop()); err != nil {
					t.Error(err)
				}
				if lines := strings.Count(w.log.String(), "is pending"); reports != tt.want || (lines > 0) != (tt.want > 0) {
					t.Errorf("%d reports, %d lines, want %d\n%s", reports, lines, tt.want, w.log)
				}
			})
		})
	}
}

// TestHints: a hint of the directory's watch shows the end of an old job at once; without
// one it is noticed a little later.
func TestHints(t *testing.T) {
	const end = time.Hour + 1234567*time.Microsecond
	for name, tt := range map[string]struct {
		watched, fails bool
		most           time.Duration
	}{
		"watched":              {true, false, 0},
		"cannot be watched":    {true, true, maxIdleDelay},
		"nothing that watches": {false, false, maxIdleDelay},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				hints, stopped := make(chan struct{}, 1), 0
				if tt.watched {
					w.task.Watch = func(dir string) (<-chan struct{}, func(), error) {
						if tt.fails || dir != w.task.Directory() {
							return nil, nil, errors.New("too many watches")
						}
						return hints, func() { stopped++ }, nil
					}
				}
				w.onSubmit = func() {
					w.start()
					time.AfterFunc(end, func() {
						w.finish(0, false, "COMPLETED")
						hints <- struct{}{}
					})
				}
				err, took := w.run(noStop())
				if late := took - end; err != nil || late > tt.most || (late == 0) != (tt.most == 0) {
					t.Errorf("%v, %v after the end", err, late)
				}
				if hinted := tt.watched && !tt.fails; (stopped == 1) != hinted {
					t.Errorf("stopped %d times", stopped)
				}
			})
		})
	}
}

// TestDirectoryIsRead: the job's directory is read about once in a second, which makes a
// network file system query its server, also while the log grows faster than that.
func TestDirectoryIsRead(t *testing.T) {
	const seconds = 20
	simulate(t, func(t *testing.T, w *simulator) {
		fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		reads := 0
		w.onSubmit = func() {
			if _, err := unix.InotifyAddWatch(fd, string(w.task.dir()), unix.IN_OPEN); err != nil {
				t.Error(err)
			}
			w.start()
			for n := range 10 * seconds {
				time.AfterFunc(time.Duration(n)*time.Second/10, func() { w.print("line\n") })
			}
			time.AfterFunc(seconds*time.Second, func() {
				reads = directoryOpens(fd)
				w.finish(0, false, "COMPLETED")
			})
		}
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		if reads < seconds/2 || reads > seconds {
			t.Errorf("%d reads of the directory in %d s", reads, seconds)
		}
	})
}

// directoryOpens counts the events of a watched directory itself.
func directoryOpens(fd int) (n int) {
	buf := make([]byte, 1<<20)
	for {
		got, _ := unix.Read(fd, buf)
		if got <= 0 {
			return n
		}
		for rest := buf[:got]; len(rest) > 0; { // inotify(7): wd, mask, cookie and len, then a name
			if binary.NativeEndian.Uint32(rest[4:])&unix.IN_ISDIR != 0 {
				n++
			}
			rest = rest[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(rest[12:]):]
		}
	}
}

// TestIncompleteOutput: the job's log warns of output that does not appear, unless an abort
// or an error ends the wait for it.
func TestIncompleteOutput(t *testing.T) {
	const warning = "the end of the job's output did not appear within 1m0s"
	for name, abort := range map[string]time.Duration{"awaited": 0, "aborted": 90 * time.Second} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.start()
					time.AfterFunc(time.Minute, func() { w.put(endedFile, "code=0\nsize=100\n") })
				}
				err, took := w.run(stopAfter(abort, abort))
				if strings.Contains(w.log.String(), warning) != (abort == 0) || took > 2*time.Minute+time.Second {
					t.Errorf("%v after %v\n%s", err, took, w.log)
				}
			})
		})
	}
	t.Run("not written", func(t *testing.T) {
		w := newSimulator(t)
		if err := w.task.dir().create(nil, w.task.wrapper()); err != nil {
			t.Fatal(err)
		}
		w.print("output")
		w.task.Output = brokenWriter{}
		err := (&watcher{task: w.task, log: tail.New(w.task.dir().path(logFile))}).copyRest(context.Background(), 6)
		if !errors.Is(err, unix.EPIPE) || w.log.String() != "" {
			t.Errorf("%v: %s", err, w.log)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, unix.EPIPE }

// TestGrowingLog: a look at the log reports whether there was more, on which the time until
// the next one depends.
func TestGrowingLog(t *testing.T) {
	w := newSimulator(t)
	if err := w.task.dir().create(nil, w.task.wrapper()); err != nil {
		t.Fatal(err)
	}
	watched := &watcher{task: w.task, log: tail.New(w.task.dir().path(logFile))}
	for i, text := range []string{"", "some", "", "more", ""} {
		if text != "" {
			w.print(text)
		}
		if grew, err := watched.copyLog(); grew != (text != "") || err != nil {
			t.Errorf("look %d after %q: %v %v", i, text, grew, err)
		}
	}
	if got := w.log.String(); got != "somemore" {
		t.Errorf("the job's log has %q", got)
	}
}
