package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// unitOf returns the time that a word for a unit means; ok is false where that is not certain,
// as for "M".
func unitOf(word string) (unit time.Duration, ok bool) {
	switch strings.TrimSuffix(word, "s") {
	case "m":
		if word == "ms" {
			return time.Millisecond, true
		}
		return time.Minute, true
	case "", "sec", "second":
		return time.Second, true
	case "min", "minute":
		return time.Minute, true
	case "h", "hr", "hour":
		return time.Hour, true
	case "d", "day":
		return 24 * time.Hour, true
	case "w", "week":
		return 7 * 24 * time.Hour, true
	}
	return 0, false
}

// durationOf writes "120", "2 min", "5 minutes" and "2d" as time.ParseDuration reads them; ""
// where the meaning is not certain.
func durationOf(text string) string {
	var b strings.Builder
	for rest := strings.TrimSpace(text); rest != ""; {
		digits, word, more := quantity(rest)
		unit, known := unitOf(word)
		n, err := strconv.ParseInt(digits, 10, 32)
		if !known || err != nil || word == "" && digits != text {
			return ""
		}
		b.WriteString(inUnit(n, unit))
		rest = more
	}
	return b.String()
}

// quantity cuts a number and the word behind it off a text.
func quantity(text string) (digits, word, rest string) {
	behind := strings.TrimLeft(text, "0123456789")
	digits = text[:len(text)-len(behind)]
	behind = strings.TrimLeft(behind, " ")
	rest = strings.TrimLeft(behind, "abcdefghijklmnopqrstuvwxyz")
	return digits, behind[:len(behind)-len(rest)], strings.TrimLeft(rest, " ")
}

// inUnit is a number of units, in hours where time.ParseDuration does not have the unit.
func inUnit(n int64, unit time.Duration) string {
	switch unit {
	case time.Millisecond:
		return fmt.Sprintf("%dms", n)
	case time.Second:
		return fmt.Sprintf("%ds", n)
	case time.Minute:
		return fmt.Sprintf("%dm", n)
	}
	return fmt.Sprintf("%dh", n*int64(unit/time.Hour))
}

// sizeOf writes "16GB" and "8 MiB" as limits are written; "" for another text.
func sizeOf(text string) string {
	number := strings.TrimRight(text, "iB")
	if number == "" || !strings.ContainsAny(number[len(number)-1:], "KMGT") {
		return ""
	}
	return strings.TrimSpace(number[:len(number)-1]) + number[len(number)-1:]
}
