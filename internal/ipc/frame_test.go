package ipc

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/settings"
)

// TestExpectedFrame: the end of the stream is not the error of a frame that was expected,
// as io.EOF would be read as the regular end.
func TestExpectedFrame(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		from io.Reader
		want error
	}{
		"nothing":         {strings.NewReader(""), io.ErrUnexpectedEOF},
		"half a header":   {strings.NewReader("B\x00"), io.ErrUnexpectedEOF},
		"only a header":   {strings.NewReader(frame('B', 5, "")), io.ErrUnexpectedEOF},
		"half of it":      {strings.NewReader(frame('B', 5, "ab")), io.ErrUnexpectedEOF},
		"a broken stream": {iotest.ErrReader(broken), broken},
		"broken after it": {io.MultiReader(strings.NewReader(frame('B', 5, "")), iotest.ErrReader(broken)), broken},
		"all of it":       {strings.NewReader(frame('B', 2, "ab")), nil},
	} {
		if _, err := expect(tt.from, requestFrame); !errors.Is(err, tt.want) || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestConfinesJacamar(t *testing.T) {
	for _, confined := range []bool{false, true} {
		for _, batch := range []*Batch{nil, {}} {
			s := Settings{Confinement: settings.Confinement{NoNewPrivs: confined}, Batch: batch}
			if got := s.ConfinesJacamar(); got != (confined && batch == nil) {
				t.Errorf("no_new_privs %v, batch %v: %v", confined, batch != nil, got)
			}
		}
	}
}

// TestWithMade: only the result of a stage that failed reports that there are directories.
func TestWithMade(t *testing.T) {
	for _, made := range []bool{false, true} {
		for _, err := range []error{nil, failure.Buildf("refused")} {
			if got := ResultOf(err, Dirs{}).WithMade(made).Made; got != (made && err != nil) {
				t.Errorf("made %v, %v: %v", made, err, got)
			}
		}
	}
}
