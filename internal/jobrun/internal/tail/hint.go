package tail

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// hintPause is the shortest time between two hints: what happens meanwhile is one
// event (inotify(7)), and a job that writes without pause costs little.
const hintPause = 10 * time.Millisecond

// Hints tells when something in dir may have changed. It is never the truth:
// writes of another machine give no hint, and a look finds out what there is to
// see. stop ends it.
func Hints(dir string) (hints <-chan struct{}, stop func(), err error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	c := make(chan struct{}, 1)
	go hint(file, c)
	return c, func() { file.Close() }, nil
}

// hint passes events on until the file is closed.
func hint(file *os.File, c chan<- struct{}) {
	buf := make([]byte, 4096)
	for {
		if _, err := file.Read(buf); err != nil {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
		time.Sleep(hintPause)
	}
}
