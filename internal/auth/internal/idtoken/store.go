package idtoken

import (
	"crypto/sha256"
	"encoding/hex"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/jwks"
)

// store keeps the key set of one address in a file of the state directory.
type store struct {
	dir  statedir.Dir
	file string
	url  string
}

// maxRecord is the longest file in bytes: two sets.
const maxRecord = 2*jwks.MaxSet + 4<<10

func newStore(dir statedir.Dir, url string) store {
	sum := sha256.Sum256([]byte(url))
	return store{dir, "keys-" + hex.EncodeToString(sum[:8]) + ".json", url}
}

// load reads the kept set and makes the directory where there is none. A
// directory that others could change is a fault of the configuration, because
// every answer kept in it would be theirs; any other error says why there is no
// set to believe.
func (s store) load() (record, error) {
	b, err := s.dir.Load(s.file, maxRecord)
	if err != nil {
		return record{}, err
	}
	return decodeRecord(b, s.url)
}

// read is load without making the directory.
func (s store) read() (record, error) {
	b, err := s.dir.Read(s.file, maxRecord)
	if err != nil {
		return record{}, err
	}
	return decodeRecord(b, s.url)
}

// save replaces the kept set.
func (s store) save(r record) error {
	b, err := r.encode(s.url)
	if err != nil {
		return err
	}
	return s.dir.Replace(s.file, b)
}
