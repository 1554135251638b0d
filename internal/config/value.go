package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/rlimit"
)

// set stores one TOML value in a field of the type that the field has. Its
// error follows the key: "is a string and should be …".
func set(to reflect.Value, value any) error {
	switch p := to.Addr().Interface().(type) {
	case *time.Duration:
		if n, ok := value.(int64); ok {
			return fmt.Errorf("%d has no unit: write a string such as \"%ds\"", n, n)
		}
		return fromText(p, value, parseDuration)
	case **url.URL:
		return fromText(p, value, parseServer)
	case *string:
		return fromText(p, value, parseString)
	case *int:
		return fromInteger(p, value, 0, 1<<31-1)
	case *job.ID:
		return fromInteger(p, value, 1, 1<<63-1)
	case *job.UID:
		return fromInteger(p, value, 0, 1<<32-2)
	case *rlimit.Range:
		return fromText(p, number(value), rlimit.ParseRange)
	case encoding.TextUnmarshaler:
		return fromText(&p, value, func(s string) (encoding.TextUnmarshaler, error) { return p, p.UnmarshalText([]byte(s)) })
	case **bool:
		*p = new(bool)
		return fromBool(*p, value)
	case *bool:
		return fromBool(p, value)
	}
	return fmt.Errorf("has the type %s, which the program cannot read", to.Type())
}

func fromBool(to *bool, value any) error {
	b, ok := value.(bool)
	if !ok {
		return fmt.Errorf("is %s and should be true or false", kindOf(value))
	}
	*to = b
	return nil
}

func fromInteger[T ~int | ~int64 | ~uint32](to *T, value any, least, most int64) error {
	n, ok := value.(int64)
	switch {
	case !ok:
		return fmt.Errorf("is %s and should be an integer", kindOf(value))
	case n < least || n > most:
		return fmt.Errorf("%d is out of range: write %d to %d", n, least, most)
	}
	*to = T(n)
	return nil
}

// fromText refuses empty text everywhere: whether it should mean "none" or "the
// default" is a guess, and leaving the key out says it without one.
func fromText[T any](to *T, value any, parse func(string) (T, error)) error {
	s, ok := value.(string)
	switch {
	case !ok:
		return fmt.Errorf("is %s and should be a string", kindOf(value))
	case s == "":
		return fmt.Errorf("is empty: give a value or remove it")
	}
	v, err := parse(s)
	if err == nil {
		*to = v
	}
	return err
}

func parseString(s string) (string, error) {
	if job.Printable(s) != s {
		return "", fmt.Errorf("%q has control characters", job.Clip(s))
	}
	return s, nil
}

// parseDuration takes Go's spelling, which is that of the original: a number
// and a unit, "90s", "1h30m".
func parseDuration(s string) (time.Duration, error) {
	t, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: write a number with one of the units h, m, s, ms, such as \"90s\"", job.Clip(s))
	case t < 0:
		return 0, fmt.Errorf("%q is negative", job.Clip(s))
	}
	return t, nil
}

// parseServer reads the address of a server that is believed: its name must be
// proved by TLS, or it must be this machine.
func parseServer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || job.Printable(s) != s || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("%q is not a URL: write \"https://gitlab.example.com\"", job.Clip(s))
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, fmt.Errorf("the URL may not have a user, a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not an https URL", job.Clip(s))
	}
	// The port is judged together with insecure_loopback_http.
	if err := jwks.CheckURL(u, jwks.ReservedPorts, true); err != nil {
		return nil, fmt.Errorf("%q is not protected: %w", job.Clip(s), err)
	}
	return u, nil
}

// kindOf names the TOML type of a decoded value.
func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}
