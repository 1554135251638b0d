package workspace

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// pool is a set of numbered build directories, locked. Its file of claims has one
// record a slot and never changes its length: over a network file system a lock
// makes what is in the locked file current, and nothing else.
type pool struct {
	dir  *safedir.Folder
	file *os.File
	log  *journal
}

const claimsFile = ".claims"

// lockLimit is how long other jobs of the user may keep the claims locked. They
// need milliseconds; a process that was stopped in the middle needs indefinitely.
const lockLimit = 30 * time.Second

// lock opens the claims in dir and keeps others out until the pool is closed,
// which closes dir as well.
func lock(dir *safedir.Folder, log *journal) (*pool, error) {
	p := &pool{dir: dir, log: log}
	deadline := time.Now().Add(lockLimit)
	for {
		file, err := dir.File(claimsFile, unix.O_RDWR|unix.O_CREAT)
		if err != nil {
			dir.Close()
			return nil, err
		}
		p.file = file
		if err := await(file, deadline); err != nil {
			return p.unless(err)
		}
		if dir.Has(claimsFile, file) {
			return p.unless(p.extend())
		}
		file.Close() // somebody removed it while we waited: take the new one
	}
}

// await takes the lock. The kernel's own waiting would be no better over NFS, where
// it asks in intervals of up to half a minute.
func await(file *os.File, deadline time.Time) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK, Len: maxSlots * recordSize}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := lockCommand(file, unix.F_OFD_SETLK, &whole)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR):
			return diskspace.ExplainLock("cannot lock "+file.Name(), file.Name(), err)
		case time.Now().After(deadline):
			return failure.Systemf("cannot lock %s: another job of yours keeps it for more than %v", file.Name(), lockLimit).
				WithHint("look for a process of yours named jacamar that does not go on")
		}
		time.Sleep(pause)
	}
}

func (p *pool) unless(err error) (*pool, error) {
	if err != nil {
		_ = p.close()
		return nil, err
	}
	return p, nil
}

// extend gives a new file its length, all of it a hole.
func (p *pool) extend() error {
	info, err := p.file.Stat()
	if err == nil && info.Size() < maxSlots*recordSize {
		err = p.file.Truncate(maxSlots * recordSize)
	}
	return p.explain(err)
}

// claims reads the records of all slots that were ever used. Slots are taken from
// the lowest on, so that the first unused one is the end.
func (p *pool) claims() (all []reservation, err error) {
	buf := make([]byte, 8*recordSize)
	for at := int64(0); ; at += int64(len(buf)) {
		n, err := p.file.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, p.explain(err)
		}
		for record := buf[:n]; len(record) >= recordSize; record = record[recordSize:] {
			c, used := decodeClaim(record[:recordSize])
			if !used {
				return all, nil
			}
			all = append(all, c)
		}
		if n < len(buf) {
			return all, nil
		}
	}
}

// put writes a slot's claim.
func (p *pool) put(slot int, c reservation, what string) error {
	record, err := c.encode()
	if err != nil {
		return err
	}
	if _, err := p.file.WriteAt(record, int64(slot)*recordSize); err != nil {
		return p.explain(err)
	}
	p.log.note(p.dir, slot, what)
	return nil
}

func (p *pool) explain(err error) error {
	if err == nil {
		return nil
	}
	return diskspace.Explain("cannot use the list of build directories in "+p.file.Name(), p.file.Name(), err)
}

// close unlocks. An error may be of a write that the file server refused only
// now.
func (p *pool) close() error {
	defer p.dir.Close()
	return p.explain(p.file.Close())
}

// closing adds the error of closing to a function's own.
func (p *pool) closing(err *error) {
	if cerr := p.close(); *err == nil {
		*err = cerr
	}
}

// claim reads one slot's record.
func (p *pool) claim(slot int) (reservation, error) {
	record := make([]byte, recordSize)
	if _, err := p.file.ReadAt(record, int64(slot)*recordSize); err != nil {
		return reservation{}, p.explain(err)
	}
	c, _ := decodeClaim(record)
	return c, nil
}
