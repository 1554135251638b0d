package process

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
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
