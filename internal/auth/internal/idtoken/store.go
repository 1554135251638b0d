package idtoken

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/trustedfile"
)

// store keeps the key set of one address in a file of the state directory. The
// directory belongs to the effective user and to nobody else, or it is root's:
// then a service account may be one that can only read what a timer of root's
// fetches. Several processes may use it at once, since a file is only ever
// replaced as a whole.
type store struct {
	dir  job.AbsPath
	file job.AbsPath
	url  string
}

// maxRecord is the longest file in bytes: two sets.
const maxRecord = 2*jwks.MaxSet + 4<<10

func newStore(dir job.AbsPath, url string) (store, error) {
	if dir.IsZero() {
		return store{}, failure.Configf("cannot keep keys: no state directory is configured")
	}
	sum := sha256.Sum256([]byte(url))
	file, err := dir.Join("keys-" + hex.EncodeToString(sum[:8]) + ".json")
	if err != nil {
		return store{}, failure.Configf("cannot use the state directory: %w", err)
	}
	return store{dir, file, url}, nil
}

// load reads the kept set and makes the directory where there is none. A
// directory that others could change is a fault of the configuration, because
// every answer kept in it would be theirs; any other error says why there is no
// set to believe.
func (s store) load() (record, error) {
	r, err := s.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	// Every directory down to the first missing one is trusted by now.
	if err := os.Mkdir(s.dir.String(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return record{}, failure.Configf("cannot make the state directory %s: %w", s.dir, cause(err))
	}
	return s.read()
}

// read is load without making the directory.
func (s store) read() (record, error) {
	b, err := trustedfile.Self().Read(s.file, maxRecord)
	var fault *trustedfile.Fault
	if errors.As(err, &fault) && path.Base(fault.Path) != path.Base(s.file.String()) {
		return record{}, failure.Configf("cannot use the state directory %s: %w", s.dir, err)
	}
	if err := s.checkDir(); err != nil {
		return record{}, err
	}
	if err != nil {
		return record{}, err
	}
	return decodeRecord(b, s.url)
}

// checkDir asks more of the directory than trustedfile does: another service's is
// not this process's to keep state in.
func (s store) checkDir() error {
	info, err := os.Lstat(s.dir.String())
	if err != nil {
		return failure.Configf("cannot use the state directory %s: %w", s.dir, cause(err))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return failure.Configf("cannot use the state directory %s: it is not a directory", s.dir)
	}
	if problem := ownProblem(stat.Uid, info.Mode().Perm(), uint32(os.Geteuid())); problem != "" {
		return failure.Configf("cannot use the state directory %s: %s", s.dir, problem)
	}
	return nil
}

// ownProblem says why a directory is not one to keep state in, "" where it is: the
// process's own and closed to all others, or root's and written by root alone.
func ownProblem(owner uint32, mode fs.FileMode, euid uint32) string {
	switch {
	case owner == 0 && mode&0o022 == 0:
		return ""
	case owner != euid:
		return fmt.Sprintf("it belongs to uid %d, not to %d", owner, euid)
	case mode != 0o700:
		return fmt.Sprintf("its mode is %04o, not 0700", mode)
	}
	return ""
}

// save replaces the kept set.
func (s store) save(r record) error {
	b, err := r.encode(s.url)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir.String())
	if err != nil {
		return cause(err)
	}
	defer root.Close()
	sweep(root)
	name := path.Base(s.file.String())
	temp := temporary + rand.Text()
	err = write(root, temp, b)
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		_ = root.Remove(temp)
		return cause(err)
	}
	return nil
}

// write makes a file, which those may read who may look into the directory:
// public keys are no secret.
func write(root *os.Root, name string, b []byte) error {
	dir, err := root.Stat(".")
	if err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if dir.Mode().Perm()&0o055 != 0 {
		err = errors.Join(err, f.Chmod(0o644))
	}
	return errors.Join(err, f.Close())
}

// temporary begins the name of a file that is being written.
const temporary = ".keys-"

// sweep removes what a killed process left half written.
func sweep(root *os.Root) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	past := time.Now().Add(-time.Hour)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), temporary) && info.ModTime().Before(past) {
			_ = root.Remove(e.Name())
		}
	}
}

// cause drops the path from an error whose text names the directory already.
func cause(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}
