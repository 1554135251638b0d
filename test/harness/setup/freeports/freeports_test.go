package freeports

import (
	"net"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

// TestFind: the ports differ, none is one that the kernel gives to others, and a program can
// have each.
func TestFind(t *testing.T) {
	low, high, err := kernels()
	testutil.Must(t, err)
	const many = 50
	all, err := Find(many)
	testutil.Must(t, err)
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != many {
		t.Errorf("some are the same: %v", all)
	}
	for _, p := range all {
		l, err := net.Listen("tcp", address(p))
		testutil.Must(t, err)
		defer l.Close()
		if p >= low && p <= high || usable(p) {
			t.Errorf("%d is in the range %d to %d, or counts as free while it is not", p, low, high)
		}
	}
}

func TestAddress(t *testing.T) {
	a, err := Address()
	if host, _, ok := strings.Cut(a, ":"); err != nil || !ok || host != "127.0.0.1" {
		t.Errorf("%q, %v", a, err)
	}
}
