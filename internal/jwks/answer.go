// Package jwks is what jacamar-keys, which asks a server for its key set, tells
// jacamar-auth, which alone reads such a set and believes it.
package jwks

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

const (
	// MaxSet is the longest key set in bytes. GitLab's has two keys in 1 KiB.
	MaxSet = 256 << 10
	// MaxAnswer is the longest encoded answer in bytes: a set takes a third more
	// in base64.
	MaxAnswer = 2 * MaxSet
	// MaxBundle is the longest CA file in bytes; a system's has 0.2 MiB.
	MaxBundle = 4 << 20

	// Total bounds the whole question.
	Total = 10 * time.Second
)

// Answer is what a server sent, or how far the question came.
type Answer struct {
	// Connected reports whether anything listens there.
	Connected bool `json:"connected"`
	// Secured reports whether its certificate was verified; false for http.
	Secured bool `json:"secured"`
	// Date is the server's clock; zero when it did not say.
	Date time.Time `json:"date,omitzero"`
	// Set is as it was sent. It may be longer than MaxSet by one byte, and so is
	// known to be too long.
	Set []byte `json:"set,omitempty"`
	// Problem says why there is no set, "" when there is one.
	Problem string `json:"problem,omitempty"`
	// Bundle reports that the problem is the CA file's.
	Bundle bool `json:"bundle,omitempty"`
}

// Write encodes the answer.
func (a Answer) Write(w io.Writer) error { return json.NewEncoder(w).Encode(a) }

// Parse decodes what Write wrote, all of it.
func Parse(b []byte) (a Answer, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Answer{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Answer{}, errors.New("there is more than one answer")
	}
	return a, nil
}
