package workspace

import (
	"io"

	"golang.org/x/sys/unix"
)

// Attend keeps others out of the job's build directory until it is closed or
// this process ends, however it ends. A claim says that a job's runner lives; but
// what a stage has started may take its time to end when the runner is killed, or
// when the runner goes on to cleanup before that.
func (w *Workspace) Attend() (io.Closer, error) {
	scripts, err := w.base.Open(w.scriptsName()...)
	if err != nil {
		return nil, err
	}
	defer scripts.Close()
	l, err := readLease(scripts)
	if err != nil {
		return nil, err
	}
	if l.Static {
		return io.NopCloser(nil), nil // no other job ever has that directory
	}
	root, err := w.root(l)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := root.Open(l.Pool)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	file, err := dir.File(claimsFile, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := lockCommand(file, unix.F_OFD_SETLK, attendance(l.Slot, unix.F_RDLCK)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// attendance is the lock of a slot, behind the claims: shared, as two stages of
// one job may meet.
func attendance(slot int, kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: maxSlots*recordSize + int64(slot), Len: 1}
}

// attended reports whether a stage of some job goes on in the slot's directory, or
// may do so: where the storage does not say, another directory is as good.
func (p *pool) attended(slot int) bool {
	found := attendance(slot, unix.F_WRLCK)
	err := lockCommand(p.file, unix.F_OFD_GETLK, found)
	return err != nil || found.Type != unix.F_UNLCK
}
