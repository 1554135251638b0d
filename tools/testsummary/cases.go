package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// blackBox are the packages whose tests drive the built programs.
var blackBox = regexp.MustCompile(`^ok\s+\S+/test/suites/\w+\t`)

// cases counts the tests of such packages that have no tests within them.
type cases struct {
	names  []string // of the present package
	passed int
}

// end handles the result of the package with these names.
func (c *cases) end(verdict string) {
	if blackBox.MatchString(verdict) {
		c.passed += leaves(c.names)
	}
	c.names = nil
}

func leaves(names []string) (n int) {
	inner := map[string]bool{}
	for _, name := range names {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
			inner[name[:i]] = true
		}
	}
	for _, name := range names {
		if !inner[name] {
			n++
		}
	}
	return n
}

func (c *cases) summarize(out io.Writer) {
	if c.passed > 0 {
		fmt.Fprintf(out, "black-box cases: %d passed\n", c.passed)
	}
}
