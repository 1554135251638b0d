// Package state holds the results of a job's config stage for its later stages, and
// seals them. The state is passed in job_env: a job's author cannot write that, but the
// account of the runner's service can, and with file capabilities that account must
// not control which account a job runs as. So a state is not trusted before its seal
// is verified, and it can be opened only for its own job.
//
// A state contains no paths of files except that of the configuration, which locates
// the key of the seal: that file is checked, and the seal covers its path.
package state

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// State is the result of the config stage. The later stages need not query the name
// service and run the RunAs script again; they check token and rules again.
type State struct {
	Job Job `json:"job"`
	// TokenID is the id (jti) of the token that the config stage accepted.
	TokenID string       `json:"jti"`
	Facts   policy.Facts `json:"facts"`
	RunAs   Delegation   `json:"runas"`
	Dirs    ipc.Dirs     `json:"dirs"`
}

// Job identifies the job of a state.
type Job struct {
	ID      job.ID `json:"id"`
	Project job.ID `json:"project"`
	// Service is the account that runs jacamar-auth, Downscope how it changes to the
	// job's account.
	Service   job.UID `json:"service"`
	Downscope string  `json:"downscope"`
}

// Delegation is the result of the RunAs script; the zero value means that none ran.
type Delegation struct {
	Called bool `json:"called,omitempty"`
	// Target is the account that the job requested and the script accepted.
	Target job.Username `json:"target,omitzero"`
	// Named is the account that the script itself named.
	Named   job.Username `json:"named,omitzero"`
	DataDir job.AbsPath  `json:"data_dir,omitzero"`
	Message string       `json:"message,omitempty"`
}

// maxLength bounds the state in bytes, far below the 128 KiB of one environment string
// (MAX_ARG_STRLEN in execve(2)): it reduces the space for the job's own variables.
const maxLength = 32 << 10

// Seal returns the sealed text of the state for a job with that configuration file.
func (s State) Seal(key Key, configuration job.AbsPath) (string, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot write the job's state: %w", err)
	}
	text := sealText(key, configuration, body)
	if len(text) > maxLength {
		return "", failure.Privatef("cannot pass on the job's state: %d bytes, more than %d (an account with very many groups?)", len(text), maxLength)
	}
	return text, nil
}

// Open returns the state if it was sealed with the key, is unchanged, and belongs to
// the job. Its error is a failure.Denied that the job's author may read.
func (s Sealed) Open(key Key, of Job) (State, error) {
	if !s.verify(key) {
		return State{}, refuse("the job's state was changed, belongs to another job or was sealed with another key")
	}
	var state State
	if err := json.Unmarshal(s.body, &state); err != nil {
		return State{}, failure.Privatef("cannot read the job's state: %w", err)
	}
	switch was := state.Job; {
	case was.ID != of.ID:
		return State{}, refuse("the job's state belongs to job %s, not to job %s", was.ID, of.ID)
	case was.Project != of.Project:
		return State{}, refuse("the job's state belongs to project %s, not to project %s", was.Project, of.Project)
	case was.Service != of.Service:
		return State{}, refuse("the job's state was created by uid %d, but this is uid %d", was.Service, of.Service)
	case was.Downscope != of.Downscope:
		return State{}, refuse("auth.downscope changed from %s to %s during the job", was.Downscope, of.Downscope)
	}
	return state, nil
}

func refuse(format string, args ...any) error {
	f := &failure.Error{Kind: failure.Denied, Public: fmt.Sprintf(format, args...), Temporary: true}
	return f.WithHint("retry the job; if that fails as well, ask the administrators of this CI resource")
}

// Sealed is a state whose seal is not verified. Its text is
//
//	version SP seal SP configuration SP body
//
// The seal is a MAC over the version and everything after the seal, in lower-case
// hexadecimal (HMAC-SHA-256, RFC 2104). The configuration's path is escaped as in a
// URL, so that it has no space. The body is JSON.
type Sealed struct {
	seal          string
	covered       string // configuration SP body
	configuration job.AbsPath
	body          []byte
}

// version changes with the meaning of the text.
const version = "2"

func sealText(key Key, configuration job.AbsPath, body []byte) string {
	covered := url.PathEscape(configuration.String()) + " " + string(body)
	return version + " " + key.mac(covered) + " " + covered
}

// Parse splits a text without trusting it. Its error is a failure.Denied that the
// job's author may read.
func Parse(text string) (Sealed, error) {
	v, rest, _ := strings.Cut(text, " ")
	if v != version {
		return Sealed{}, refuse("the job started with another version of Jacamar, which must not be updated during a job")
	}
	seal, covered, _ := strings.Cut(rest, " ")
	path, body, _ := strings.Cut(covered, " ")
	plain, _ := url.PathUnescape(path) // a wrong escape yields "", which is no absolute path
	configuration, err := job.ParseAbsPath(plain)
	if err != nil {
		return Sealed{}, refuse("the job's state was changed")
	}
	return Sealed{seal: seal, covered: covered, configuration: configuration, body: []byte(body)}, nil
}

// Configuration returns the configuration file of the job's config stage. The seal is
// not verified yet: the caller must check the owner of the file before using it.
func (s Sealed) Configuration() job.AbsPath { return s.configuration }

// verify compares the texts in constant time, so that only one spelling of the seal is
// accepted.
func (s Sealed) verify(key Key) bool {
	return hmac.Equal([]byte(s.seal), []byte(key.mac(s.covered)))
}

// mac computes the seal. The label separates it from other uses of the key.
func (k Key) mac(covered string) string {
	const label = "jacamar job state\x00"
	h := hmac.New(sha256.New, k.secret[:])
	h.Write([]byte(label + version + "\x00" + covered))
	return hex.EncodeToString(h.Sum(nil))
}

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
	if fault := (*trustedfile.Fault)(nil); errors.As(err, &fault) {
		err = errors.New(fault.Problem) // its fix would keep a key that others may know
	}
	if err != nil {
		return Key{}, failure.Configf("cannot use %s/%s: %w: remove it; the next job creates another", dir.Path(), keyFile, err)
	}
	k := Key{new([keySize]byte)}
	copy(k.secret[:], b)
	return k, nil
}

// CheckKey returns why jobs cannot use the key of the directory. A missing one is created
// by the next job.
func CheckKey(dir statedir.Dir) error {
	key, err := LoadKey(dir)
	switch {
	case failure.KindOf(err) == failure.Denied: // missing
		return nil
	case err != nil:
		return err
	}
	key.Clear()
	return nil
}

// Clear overwrites the key: a child process shares this process's memory until it
// executes a program.
func (k Key) Clear() { clear(k.secret[:]) }
