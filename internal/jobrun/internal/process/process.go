package process

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/pump"
)

// Status is how a program ended: by its exit code, or by a signal.
type Status struct {
	Code   int         // 0 to 255; 128 + the signal's number when a signal ended it
	Signal unix.Signal // 0 when it ended by itself
}

func statusOf(ws unix.WaitStatus) Status {
	if ws.Signaled() {
		return Status{Code: 128 + int(ws.Signal()), Signal: ws.Signal()}
	}
	return Status{Code: ws.ExitStatus()}
}

// siginfoPID reads si_pid, which x/sys leaves inside an opaque array: it follows
// three 32-bit numbers and, on 64-bit machines, padding to 16 bytes (see
// siginfo_t in waitid(2) and asm-generic/siginfo.h).
func siginfoPID(info *unix.Siginfo) int {
	const offset = 12 + (unsafe.Sizeof(uintptr(0)) - 4)
	raw := (*[unsafe.Sizeof(*info)]byte)(unsafe.Pointer(info))
	return int(binary.NativeEndian.Uint32(raw[offset:]))
}

// Stop requests the end of a job.
type Stop struct {
	// Terminate is closed when the job must end in good order.
	Terminate <-chan struct{}
	// Abort is closed, always with or after Terminate, when it must end at once.
	Abort <-chan struct{}
}

// Terminating reports whether the job must end.
func (s Stop) Terminating() bool { return closed(s.Terminate) }

// Aborting reports whether the job must end at once.
func (s Stop) Aborting() bool { return closed(s.Abort) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Memory returns a file without a name that has content, and whose offset is its
// beginning. It is on no disk, and a shell reads a file in blocks, where it would read a
// pipe byte by byte.
func Memory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot create a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.WriteAt(content, 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot write a file in memory: %w", err)
	}
	return file, nil
}

// Pump moves what a job writes into this process's own output. The job never holds
// that itself: a daemon left behind could keep the stage open without end.
type Pump = pump.Pump

// NewPump gives the end for the job to write to; what comes through it is moved to
// out.
func NewPump(out *os.File) (*Pump, *os.File, error) {
	p, end, err := pump.New(out, pump.Size)
	if err == nil {
		p.Start()
	}
	return p, end, err
}
