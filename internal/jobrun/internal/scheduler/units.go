package scheduler

import (
	"strconv"
	"strings"
	"time"
)

// ParseMemory reads "1234K" in bytes; K, M, G, T and P are powers of 1024. What
// it cannot read is 0, not known.
func ParseMemory(text string) int64 {
	unit := strings.TrimLeft(text, "0123456789.")
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, unit), 64)
	power := strings.Index("KMGTP", unit) + 1
	if unit == "" {
		power = 0
	} else if len(unit) > 1 || power == 0 {
		return 0
	}
	bytes := n * float64(int64(1)<<(10*power))
	if err != nil || !(bytes >= 0 && bytes < 1<<62) {
		return 0
	}
	return int64(bytes)
}

// ParseClock reads "[days-][hours:]minutes:seconds[.fraction]", as batch systems
// write a span of time. What it cannot read is 0, not known.
func ParseClock(text string) time.Duration {
	m := clockForm().FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	var total float64
	for i, perUnit := range []float64{24 * 3600, 3600, 60, 1} {
		n, _ := strconv.ParseFloat(m[i+1], 64)
		total += n * perUnit
	}
	return time.Duration(total * float64(time.Second))
}

var clockForm = Pattern(`^(?:([0-9]{1,5})-)?(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)$`)

// ParseUnix reads seconds since 1970; "N/A" and the like are the zero time.
func ParseUnix(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}
