package fakerunner

import (
	"bytes"
	"slices"
	"strings"
)

const maskedWord = "[MASKED]"

// masker replaces secret values in a stream that arrives in pieces. It holds
// back no more than the start of what may become a secret.
type masker struct {
	phrases [][]byte
	held    []byte
}

// newMasker takes the longest phrase first, so that one which contains another
// is replaced whole.
func newMasker(phrases []string) *masker {
	sorted := slices.Clone(phrases)
	slices.SortFunc(sorted, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	m := &masker{}
	for _, p := range slices.Compact(sorted) {
		m.phrases = append(m.phrases, []byte(p))
	}
	return m
}

// next returns the output that can be shown after p has arrived.
func (m *masker) next(p []byte) []byte {
	data := append(m.held, p...)
	var out []byte
	for len(data) > 0 {
		n, whole := m.match(data)
		if n > 0 && !whole {
			break
		}
		if whole {
			out, data = append(out, maskedWord...), data[n:]
			continue
		}
		out, data = append(out, data[0]), data[1:]
	}
	m.held = slices.Clone(data)
	return out
}

// match reports whether data starts with a phrase (whole) or might, once more
// has arrived.
func (m *masker) match(data []byte) (n int, whole bool) {
	for _, p := range m.phrases {
		switch {
		case bytes.HasPrefix(data, p):
			return len(p), true
		case bytes.HasPrefix(p, data):
			return len(data), false
		}
	}
	return 0, false
}

// end returns what was held back when the stream is over.
func (m *masker) end() []byte {
	out := m.held
	m.held = nil
	return out
}
