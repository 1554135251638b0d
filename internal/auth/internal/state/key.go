package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/failure"
)

// Key seals states. It contains a pointer, so that formatting and stack traces do not
// show the secret.
type Key struct{ secret *[keySize]byte }

// keySize is the output length of SHA-256 in bytes, the minimum of RFC 2104.
const keySize = 32

// keyFile is its name in the state directory. Deleting the file replaces the key: the
// next config stage creates one, and the jobs that are running then fail.
const keyFile = "seal.key"

// LoadKey reads the key of the directory.
func LoadKey(dir statedir.Dir) (Key, error) {
	b, err := dir.Read(keyFile, keySize)
	return newKey(dir, b, err)
}

// LoadOrCreateKey is LoadKey for the config stage: it creates a missing key. Concurrent
// calls get the same key.
func LoadOrCreateKey(dir statedir.Dir) (Key, error) {
	b, err := dir.Load(keyFile, keySize)
	if !errors.Is(err, fs.ErrNotExist) {
		return newKey(dir, b, err)
	}
	b = make([]byte, keySize)
	_, _ = rand.Read(b) // never fails: see crypto/rand
	if err := dir.Add(keyFile, b); err != nil && !errors.Is(err, fs.ErrExist) {
		return Key{}, failure.Privatef("cannot create the key for the states of jobs in %s: %w", dir.Path(), err)
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
		err = fmt.Errorf("%d bytes, want %d", len(b), keySize)
	}
	if err != nil {
		return Key{}, failure.Configf("cannot use %s/%s: %w: remove it; the next job creates another", dir.Path(), keyFile, err)
	}
	k := Key{new([keySize]byte)}
	copy(k.secret[:], b)
	return k, nil
}

// Clear overwrites the key: a child process shares this process's memory until it
// executes a program.
func (k Key) Clear() { clear(k.secret[:]) }
