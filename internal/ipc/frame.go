package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"jacamar-ci/internal/job"
)

type kind byte

const (
	requestFrame   kind = 'B'
	scriptFrame    kind = 'S'
	terminateFrame kind = 'T'
	helloFrame     kind = 'H'
	killFrame      kind = 'K'
	doneFrame      kind = 'D'
	noteFrame      kind = 'N'
	resultFrame    kind = 'R'
)

// limit returns the longest payload of a frame in bytes; ok is false for a type
// that does not exist.
func (k kind) limit() (n uint32, ok bool) {
	switch k {
	case requestFrame:
		return 2 << 20, true // an account's groups alone can take 0.7 MiB
	case scriptFrame:
		return job.MaxScript, true
	case terminateFrame, doneFrame:
		return 0, true
	case helloFrame:
		return 256, true
	case killFrame:
		return 64 << 10, true
	case noteFrame:
		return 8 << 10, true
	case resultFrame:
		return 128 << 10, true
	}
	return 0, false
}

const headerLength = 5

func writeFrame(w io.Writer, k kind, payload []byte) error {
	if n, _ := k.limit(); uint64(len(payload)) > uint64(n) {
		return fmt.Errorf("a %q frame of %d bytes is over its limit of %d", k, len(payload), n)
	}
	head := make([]byte, headerLength, headerLength+min(len(payload), 4096))
	head[0] = byte(k)
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	if len(payload) <= 4096 {
		_, err := w.Write(append(head, payload...))
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

// readFrame reads one frame. It returns io.EOF only at a frame boundary.
func readFrame(r io.Reader) (kind, []byte, error) {
	var head [headerLength]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	k, n := kind(head[0]), binary.BigEndian.Uint32(head[1:])
	if limit, ok := k.limit(); !ok || n > limit {
		return 0, nil, &headError{head}
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("frame cut off: %w", noEOF(err))
	}
	return k, payload, nil
}

// headError is a header that no frame can have.
type headError struct{ head [headerLength]byte }

func (e *headError) Error() string { return fmt.Sprintf("%q begins no frame", e.head[:]) }

// expect reads a frame of one type.
func expect(r io.Reader, want kind) ([]byte, error) {
	k, payload, err := readFrame(r)
	switch {
	case err != nil:
		return nil, noEOF(err)
	case k != want:
		return nil, fmt.Errorf("got a %q frame, want %q", byte(k), byte(want))
	}
	return payload, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
