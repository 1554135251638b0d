package scheduler

import (
	"errors"
	"slices"
	"testing"
)

func TestParseExit(t *testing.T) {
	for text, want := range map[string]Exit{
		"0": {Known: true}, "7": {Known: true, Code: 7}, "255": {Known: true, Code: 255}, "256": {}, "-1": {}, "": {}, "x": {}, "1.0": {},
	} {
		if got := ParseExit(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// TestParseLines: the lines of a program that failed are not parsed.
func TestParseLines(t *testing.T) {
	gone := errors.New("gone")
	for _, tt := range []struct {
		reply Reply
		want  []string
		fault string
	}{
		{Reply{Stdout: "a\n\nb"}, []string{"a", "", "b"}, ""},
		{Reply{}, nil, ""},
		{Reply{Stdout: "a\n", Stderr: " no server\n", Code: 1}, nil, "lister: no server"},
		{Reply{Stdout: "a\n", Err: gone}, nil, "gone"},
	} {
		var got []string
		err := ParseLines(tt.reply, "lister", func(line string) { got = append(got, line) })
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.fault != "") || err != nil && err.Error() != tt.fault {
			t.Errorf("%+v: %q, %v", tt.reply, got, err)
		}
	}
}
