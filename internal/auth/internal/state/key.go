package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/failure"
)

// Key seals states. It is a pointer, which no print or stack trace shows the
// contents of.
type Key struct{ secret *[keySize]byte }

// keySize is the output length of SHA-256 in bytes, the least that RFC 2104 wants.
const keySize = 32

// keyFile is its name in the state directory. Deleting it replaces the key: the
// next config stage makes one, and the jobs that run then fail.
const keyFile = "seal.key"

// LoadKey reads the key of the directory.
func LoadKey(dir statedir.Dir) (Key, error) {
	b, err := dir.Read(keyFile, keySize)
	return newKey(dir, b, err)
}

// MakeKey is LoadKey for the config stage: where there is no key it makes one. All
// who do so at once get the same.
func MakeKey(dir statedir.Dir) (Key, error) {
	b, err := dir.Load(keyFile, keySize)
	if !errors.Is(err, fs.ErrNotExist) {
		return newKey(dir, b, err)
	}
	b = make([]byte, keySize)
	_, _ = rand.Read(b) // never fails: see crypto/rand
	if err := dir.Add(keyFile, b); err != nil && !errors.Is(err, fs.ErrExist) {
		return Key{}, failure.Privatef("cannot make the key of jobs' states in %s: %w", dir.Path(), err)
	}
	clear(b)
	return LoadKey(dir)
}

func newKey(dir statedir.Dir, b []byte, err error) (Key, error) {
	defer clear(b)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Key{}, refuse("the key that seals the states of jobs was replaced during the job")
	case failure.KindOf(err) == failure.Config:
		return Key{}, err
	case err == nil && len(b) != keySize:
		err = fmt.Errorf("it has %d bytes, not %d", len(b), keySize)
	}
	if err != nil {
		return Key{}, failure.Configf("cannot use %s/%s: %w: remove it: the next job makes another", dir.Path(), keyFile, err)
	}
	k := Key{new([keySize]byte)}
	copy(k.secret[:], b)
	return k, nil
}

// Forget overwrites the key: what is started later shares this process's memory
// until it executes.
func (k Key) Forget() { clear(k.secret[:]) }
