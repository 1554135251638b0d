package tail

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// eventInterval is the shortest time between two hints: identical events meanwhile are
// merged (inotify(7)), so that a job that writes continuously costs little.
const eventInterval = 10 * time.Millisecond

// Watch sends a hint when something in dir may have changed. Hints are incomplete: writes
// of another machine cause none. stop ends the watch.
func Watch(dir string) (hints <-chan struct{}, stop func(), err error) {
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
	go forwardEvents(file, c)
	return c, func() { file.Close() }, nil
}

// forwardEvents forwards events until the file is closed.
func forwardEvents(file *os.File, c chan<- struct{}) {
	buf := make([]byte, 4096)
	for {
		if _, err := file.Read(buf); err != nil {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
		time.Sleep(eventInterval)
	}
}
