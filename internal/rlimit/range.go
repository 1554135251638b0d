// Package rlimit has the resource limits that a site gives its jobs
// (getrlimit(2)), which PAM would set at a login and nobody sets where an account
// is reached by setuid(2) alone.
package rlimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// Unlimited is RLIM_INFINITY.
const Unlimited = math.MaxUint64

// Range is a soft and a hard limit in the unit of its resource: bytes, seconds,
// or a count. The zero value says nothing, which is not the same as none.
type Range struct {
	set        bool
	Soft, Hard uint64
}

// Given reports whether there is a limit.
func (r Range) Given() bool { return r.set }

// ParseRange reads "SOFT:HARD", or one value for both. A value is a number, with
// one of the letters K, M, G, T for powers of 1024, or "unlimited".
func ParseRange(s string) (Range, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	r := Range{set: true}
	var err error
	if r.Soft, err = parseValue(soft); err != nil {
		return Range{}, err
	}
	if r.Hard, err = parseValue(hard); err != nil {
		return Range{}, err
	}
	if r.Soft > r.Hard {
		return Range{}, fmt.Errorf("%q has a soft limit over the hard one", job.Clip(s))
	}
	return r, nil
}

const word = "unlimited"

func parseValue(s string) (uint64, error) {
	if s == word {
		return Unlimited, nil
	}
	digits, shift := s, 0
	if i := strings.IndexByte("KMGT", last(s)); i >= 0 {
		digits, shift = s[:len(s)-1], 10*(i+1)
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a limit: write a number such as \"1024\" or \"8M\", or %q, or two of them as \"SOFT:HARD\"", job.Clip(s), word)
	}
	return n << shift, nil
}

// last is the last byte of s, 0 when there is none.
func last(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}

// String returns "SOFT:HARD".
func (r Range) String() string { return format(r.Soft) + ":" + format(r.Hard) }

func format(n uint64) string {
	if n == Unlimited {
		return word
	}
	return strconv.FormatUint(n, 10)
}

// UnmarshalText implements encoding.TextUnmarshaler with ParseRange's checks.
func (r *Range) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRange(string(b))
	return err
}
