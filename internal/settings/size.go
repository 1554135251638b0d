package settings

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// Size is an amount of storage in bytes: a number with K, M, G or T behind it, powers of
// 1024.
type Size int64

const sizeUnits = "KMGT"

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	if n := len(number); n > 0 {
		if i := strings.IndexByte(sizeUnits, number[n-1]); i >= 0 {
			number, factor = number[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return fmt.Errorf("%q is not a size: write a number with K, M, G or T behind it, as in \"50G\"", job.Clip(string(text)))
	}
	*s = Size(int64(n) * factor)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	n, unit := int64(s), ""
	for _, u := range sizeUnits {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)
	}
	return []byte(strconv.FormatInt(n, 10) + unit), nil
}
