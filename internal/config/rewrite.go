package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/rlimit"
)

// rewritten is the text to write for a value of the wrong type, where the intended value is
// certain; "" otherwise.
func rewritten(to reflect.Value, value any, path string) string {
	text, isText := value.(string)
	_, name := split(path)
	isList, plain := to.Kind() == reflect.Slice, plainValue(to, value)
	switch {
	case strings.HasSuffix(path, "]"):
		return splitEntry(text)
	case strings.Contains(path, "["):
		return ""
	case !isList && set(reflect.New(to.Type()).Elem(), plain) == nil:
		return name + " = " + literal(plain)
	case isList && isText:
		return name + " = " + listOf(text)
	case to.Kind() == reflect.Bool && truth(text) != "":
		return name + " = " + truth(text)
	}
	return ""
}

// plainValue is a value in the form in which a key of that type takes it. A key takes neither
// nil nor "", which are for none.
func plainValue(to reflect.Value, value any) any {
	text := strings.TrimSpace(fmt.Sprint(value))
	switch to.Addr().Interface().(type) {
	case *time.Duration:
		return durationOf(text)
	case *rlimit.Range:
		return sizeOf(text)
	case *int, *job.ID, *job.UID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return nil
}

// truth is the TOML boolean that a word means in other formats, "" for none.
func truth(word string) string {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "true", "yes", "on", "1":
		return "true"
	case "false", "no", "off", "0":
		return "false"
	}
	return ""
}

// listOf writes a list of the parts between commas.
func listOf(text string) string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, fmt.Sprintf("%q", part))
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// splitEntry is the text for an entry of a list that has several names in it, "" for one
// that has not.
func splitEntry(text string) string {
	if !strings.Contains(text, ",") {
		return ""
	}
	list := listOf(text)
	return fmt.Sprintf("%s, one entry for each, instead of %q", strings.Trim(list, "[]"), text)
}

// bareWord is the text for a line whose value is a boolean of another format, "" for
// another line.
func bareWord(line string) string {
	key, value, _ := strings.Cut(line, "=")
	value, _, _ = strings.Cut(value, "#")
	word := truth(value)
	if word == "" || strings.ContainsAny(value, "01") { // a number is TOML
		return ""
	}
	return strings.TrimSpace(key) + " = " + word
}

// unitOf returns the time that a word for a unit means; ok is false where that is not certain,
// as for "M".
func unitOf(word string) (unit time.Duration, ok bool) {
	if word == "ms" {
		return time.Millisecond, true
	}
	unit, ok = map[string]time.Duration{
		"": time.Second, "sec": time.Second, "second": time.Second, "m": time.Minute, "min": time.Minute, "minute": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour,
	}[strings.TrimSuffix(word, "s")]
	return unit, ok
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
	if name, ok := map[time.Duration]string{time.Millisecond: "ms", time.Second: "s", time.Minute: "m"}[unit]; ok {
		return fmt.Sprintf("%d%s", n, name)
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
