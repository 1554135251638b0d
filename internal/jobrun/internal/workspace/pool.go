package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/lockwait"
)

// pool is a locked set of numbered build directories (slots). Its file of reservations
// has one record for each slot and a fixed length: on a network file system, a lock
// makes only the content of the locked file current.
type pool struct {
	dir  *safedir.Dir
	file *os.File
	log  *lockLog
}

const reservationsFile = ".claims"

// lockLimit is how long other jobs of the user may hold the lock. They need
// milliseconds; a stopped process holds it indefinitely.
const lockLimit, lockPause = 30 * time.Second, 100 * time.Millisecond

// lockPool opens and locks the pool in dir. Closing the pool unlocks it and closes dir
// too.
func lockPool(dir *safedir.Dir, log *lockLog) (*pool, error) {
	p := &pool{dir: dir, log: log}
	deadline := time.Now().Add(lockLimit)
	for {
		file, opened, err := dir.FileStat(reservationsFile, unix.O_RDWR|unix.O_CREAT)
		if err != nil {
			dir.Close()
			return nil, err
		}
		p.file = file
		if err := acquireLock(file, deadline); err != nil {
			return p.orClose(err)
		}
		if dir.IsNamed(reservationsFile, file) {
			return p.orClose(p.extend(opened.Size))
		}
		file.Close() // another process removed it during the wait: use the new one
	}
}

// lockPoolOf locks the pool of a job's slot. The error is unix.ENOENT when it does not
// exist.
func (w *Workspace) lockPoolOf(rec jobRecord, root *safedir.Dir) (*pool, error) {
	dir, err := root.Open(rec.Pool)
	if err != nil {
		return nil, err
	}
	return lockPool(dir, w.newLockLog())
}

// acquireLock waits for the lock.
func acquireLock(file *os.File, deadline time.Time) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Len: maxSlots * reservationSize}
	err := lockwait.Poll(deadline, lockPause, func() error { return setLock(file, unix.F_OFD_SETLK, &whole) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EAGAIN):
		return failure.Systemf("cannot lock %s: another job of yours has held the lock for more than %v", file.Name(), lockLimit).
			WithHint("look for a hung jacamar process of yours")
	}
	return diskspace.ExplainLock("cannot lock "+file.Name(), file.Name(), err)
}

func (p *pool) orClose(err error) (*pool, error) {
	if err != nil {
		_ = p.close()
		return nil, err
	}
	return p, nil
}

// extend gives a new file its length, as a hole. It changes nothing where another process
// has done so since the file was opened.
func (p *pool) extend(size int64) error {
	if size >= maxSlots*reservationSize {
		return nil
	}
	return p.explain(p.file.Truncate(maxSlots * reservationSize))
}

// reservations reads the records of all slots that were ever used. Slots are taken in
// ascending order, so that the first unused one is the end.
func (p *pool) reservations() (all []reservation, err error) {
	buf := make([]byte, 8*reservationSize)
	for at := int64(0); ; at += int64(len(buf)) {
		n, err := p.file.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, p.explain(err)
		}
		for record := buf[:n]; len(record) >= reservationSize; record = record[reservationSize:] {
			r, used := decodeReservation(record[:reservationSize])
			if !used {
				return all, nil
			}
			all = append(all, r)
		}
		if n < len(buf) {
			return all, nil
		}
	}
}

// write writes the reservation of a slot; action is for the lock log.
func (p *pool) write(slot int, r reservation, action string) error {
	record, err := r.encode()
	if err != nil {
		return err
	}
	if _, err := p.file.WriteAt(record, int64(slot)*reservationSize); err != nil {
		return p.explain(err)
	}
	p.log.add(p.dir, slot, action)
	return nil
}

func (p *pool) explain(err error) error {
	if err == nil {
		return nil
	}
	return diskspace.Explain("cannot use the list of build directories in "+p.file.Name(), p.file.Name(), err)
}

// isUnused reports whether no job has or had one of the pool's directories since a time, and
// none is left. names are the entries of its directory.
func (p *pool) isUnused(all []reservation, names []string, since time.Time) bool {
	return !slices.ContainsFunc(all, func(r reservation) bool { return !r.free() }) &&
		!slices.ContainsFunc(names, func(name string) bool { return name != reservationsFile && name != lockLogFile }) &&
		p.dir.ModTime(reservationsFile).Before(since)
}

// removeFiles removes the files of a pool that is not used. A job that waits for the lock
// finds that it has another file (lockPool).
func (p *pool) removeFiles(until time.Time) error {
	return errors.Join(p.dir.Remove(lockLogFile, until), p.dir.Remove(reservationsFile, until))
}

// close unlocks the pool. It may return the error of an earlier write that the file
// server refused only now.
func (p *pool) close() error {
	defer p.dir.Close()
	return p.explain(p.file.Close())
}

// closeInto closes the pool and sets *err if it was nil.
func (p *pool) closeInto(err *error) {
	if cerr := p.close(); *err == nil {
		*err = cerr
	}
}

// reservation reads the record of one slot.
func (p *pool) reservation(slot int) (reservation, error) {
	record := make([]byte, reservationSize)
	if _, err := p.file.ReadAt(record, int64(slot)*reservationSize); err != nil {
		return reservation{}, p.explain(err)
	}
	r, _ := decodeReservation(record)
	return r, nil
}

// setLock runs F_OFD_SETLK or F_OFD_GETLK of fcntl(2), which never block. An open file
// description lock ends with the last process that has the file open, over NFS too,
// and so cannot become stale.
//
// Where the kernel or the file system does not support them, a lock of the process
// suffices: a process never opens a file of reservations again while it holds a lock
// on it.
func setLock(file *os.File, command int, lock *unix.Flock_t) error {
	err := unix.FcntlFlock(file.Fd(), command, lock)
	if errors.Is(err, unix.EINVAL) {
		process := map[int]int{unix.F_OFD_SETLK: unix.F_SETLK, unix.F_OFD_GETLK: unix.F_GETLK}
		err = unix.FcntlFlock(file.Fd(), process[command], lock)
	}
	if errors.Is(err, unix.EACCES) {
		return unix.EAGAIN // fcntl(2) lets a file system choose
	}
	return err
}

// LockStage keeps other jobs out of the job's build directory until the result is
// closed or this process ends. A reservation depends on the job's runner; but the
// processes of a stage may end later than a killed runner, or later than the cleanup
// that the runner starts.
//
// It opens the file by the path of the build directory: the file is only locked, neither
// read nor written, so that it makes no difference where processes of the account have led
// that path.
func LockStage(r ipc.Request) (io.Closer, error) {
	if r.Settings.StaticBuildsDir {
		return io.NopCloser(nil), nil // no other job uses that directory
	}
	pool, name := filepath.Split(r.Dirs.Builds.String())
	slot, ok := slotOf(name)
	if !ok || slot >= maxSlots {
		return nil, unix.ENOENT
	}
	file, err := safedir.OpenForLock(filepath.Join(pool, reservationsFile))
	if err != nil {
		return nil, err
	}
	if err := setLock(file, unix.F_OFD_SETLK, stageLock(slot, unix.F_RDLCK)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// stageLock is the lock of a slot, on a byte after the reservations. Stages share it:
// two stages of one job may overlap.
func stageLock(slot int, kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: maxSlots*reservationSize + int64(slot), Len: 1}
}

// stageRunning reports whether a stage of a job runs in the slot's directory. It
// returns true when the lock cannot be read: another slot is as good.
func (p *pool) stageRunning(slot int) bool {
	held := stageLock(slot, unix.F_WRLCK)
	err := setLock(p.file, unix.F_OFD_GETLK, held)
	return err != nil || held.Type != unix.F_UNLCK
}

// lockLog records the changes of reservations, for debugging (file_lock_debug). A nil
// lockLog writes nothing.
type lockLog struct{ process string }

const (
	lockLogFile = ".claims.log"
	// maxLockLog is the size in bytes at which the log begins again: some thousand jobs.
	maxLockLog = 1 << 20
)

func openLockLog(on bool, j ipc.Job, stage job.Stage, here hostID) *lockLog {
	if !on {
		return nil
	}
	return &lockLog{fmt.Sprintf("%s pid %d job %s of runner %s %s", here.Host, os.Getpid(), j.ID, j.Runner, stage)}
}

// add appends a line to the log file in a locked pool. It ignores errors.
func (l *lockLog) add(dir *safedir.Dir, slot int, action string) {
	if l == nil {
		return
	}
	file, err := dir.File(lockLogFile, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND)
	if err != nil {
		return
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > maxLockLog {
		_ = file.Truncate(0)
	}
	_, _ = fmt.Fprintf(file, "%s %s: %s %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), l.process, slotName(slot), action)
}
