package container

import (
	"strconv"
	"strings"
)

// Progress is how far a start came, from the marks that the bootstrap wrote:
//
//	c    it runs inside the container
//	s    it has found a shell, and starts the script
//	eN\n the script has ended with the exit code N
type Progress struct {
	Inside, Began, Ended bool
	// Code is the script's exit code, 128 and the signal's number for a killed one.
	Code int
}

// MaxMarks bounds the text of the marks, in bytes.
const MaxMarks = 16

// ParseMarks parses the marks. A script can write to its own marks; what is not in the
// order of the bootstrap is not counted.
func ParseMarks(text string) (p Progress) {
	rest, inside := strings.CutPrefix(text, "c")
	if p.Inside = inside; !inside {
		return p
	}
	if rest, p.Began = strings.CutPrefix(rest, "s"); !p.Began {
		return p
	}
	number, found := strings.CutPrefix(rest, "e")
	number, _, whole := strings.Cut(number, "\n")
	if !found || !whole {
		return p
	}
	code, err := strconv.ParseUint(number, 10, 8)
	p.Code, p.Ended = int(code), err == nil
	return p
}
