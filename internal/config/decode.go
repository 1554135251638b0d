package config

import (
	"encoding"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/rlimit"
)

// decoder fills a Config from a decoded document. It walks the struct tree itself: the
// toml package stops at the first fault, accepts keys of any case and ignores unknown
// ones.
type decoder struct {
	keys     map[string]Key
	text     string            // of the file
	doc      map[string]any    // the same, without aliases
	written  map[string]string // canonical key → key as the file has it
	warnings []Fault
	findings
}

// table fills the struct to from the table at path, and reports what is left.
func (d *decoder) table(to reflect.Value, from map[string]any, path string) {
	var known []string
	for name, field := range fields(to) {
		known = append(known, name)
		value, given := from[name]
		d.field(field, value, given, join(path, name))
	}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if !slices.Contains(known, name) {
			d.fault(join(path, name), "unknown key%s", advice(path, name, known))
		}
	}
}

// fields iterates over the keys of a table, those of embedded structs included.
func fields(of reflect.Value) func(yield func(string, reflect.Value) bool) {
	return func(yield func(string, reflect.Value) bool) {
		for i := range of.NumField() {
			f := of.Type().Field(i)
			if f.Anonymous {
				for name, inner := range fields(of.Field(i)) {
					if !yield(name, inner) {
						return
					}
				}
				continue
			}
			if name := f.Tag.Get("toml"); name != "-" && !yield(name, of.Field(i)) {
				return
			}
		}
	}
}

func (d *decoder) field(to reflect.Value, value any, given bool, path string) {
	key, isKey := d.keys[plain(path)]
	switch {
	case !isKey:
		d.subtable(to, value, given, path)
	case given && d.value(to, value, path):
	case key.Default != nil:
		// Also for a value with a fault, so that the checks have a valid one.
		d.value(to, key.Default, path)
	case !given && key.Required:
		d.fault(path, "missing: write %s%s", key.Example, under(path))
	}
}

// under names the table to write a key in; an entry of an array of tables has
// no name of its own.
func under(path string) string {
	if strings.Contains(path, "[") {
		return ""
	}
	return fmt.Sprintf(" under [%s]", parentOf(path))
}

// subtable fills what holds keys of its own: a table, or an array of tables. A
// table that is left out still has its defaults and its required keys.
func (d *decoder) subtable(to reflect.Value, value any, given bool, path string) {
	if to.Kind() == reflect.Slice {
		if given {
			d.value(to, value, path)
		}
		return
	}
	from, ok := value.(map[string]any)
	if given && !ok {
		d.fault(path, "is %s, want a table", kindOf(value))
		return
	}
	d.table(to, from, path)
}

// value stores one value, or adds its faults; an array has a fault per entry.
func (d *decoder) value(to reflect.Value, value any, path string) (ok bool) {
	if list, ok := to.Addr().Interface().(interface{ open() any }); ok {
		to = reflect.ValueOf(list.open()).Elem()
	}
	if to.Kind() != reflect.Slice {
		return d.scalar(to, value, path)
	}
	entries, ok := array(value)
	if !ok {
		d.add(Fault{Key: path, Text: fmt.Sprintf("is %s, want an array%s", kindOf(value), d.ofTables(path)), Write: rewritten(to, value, path)})
		return false
	}
	to.Set(reflect.MakeSlice(to.Type(), len(entries), len(entries)))
	for i, entry := range entries {
		d.entry(to.Index(i), entry, fmt.Sprintf("%s[%d]", path, i+1))
	}
	return true
}

func (d *decoder) scalar(to reflect.Value, value any, path string) (ok bool) {
	err := set(to, value)
	if err != nil {
		d.add(Fault{Key: path, Text: err.Error(), Write: rewritten(to, value, path)})
	}
	return err == nil
}

// entry stores one entry of an array: a table of its own, or a plain value.
func (d *decoder) entry(to reflect.Value, value any, path string) {
	if _, ok := d.keys[plain(path)]; ok {
		d.scalar(to, value, path)
		return
	}
	d.subtable(to, value, true, path)
}

// ofTables is the advice how to write an array of tables.
func (d *decoder) ofTables(path string) string {
	if _, ok := d.keys[plain(path)]; ok {
		return ""
	}
	return fmt.Sprintf(" of tables: write [[%s]]", path)
}

// array accepts both forms of an array: [ … ] and [[header]].
func array(value any) (entries []any, ok bool) {
	switch v := value.(type) {
	case []any:
		return v, true
	case []map[string]any:
		for _, table := range v {
			entries = append(entries, table)
		}
		return entries, true
	}
	return nil, false
}

// join appends a key to a path; a key with other characters than a bare key has
// is quoted, so that paths are never ambiguous.
func join(path, key string) string {
	key = toml.Key{key}.String()
	if path == "" {
		return key
	}
	return path + "." + key
}

// parentOf cuts the last key off a path, or the number off an entry's path.
func parentOf(path string) string {
	if i := strings.LastIndexAny(path, ".["); i > 0 {
		return path[:i]
	}
	return ""
}

// plain takes the entry numbers out of a path: all entries have the same keys.
func plain(path string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(path, "[") {
		if _, after, ok := strings.Cut(part, "]"); ok {
			part = after
		}
		b.WriteString(part)
	}
	return b.String()
}

// set stores one TOML value in a field of the type that the field has. Its
// error follows the key: "is a string, want …".
func set(to reflect.Value, value any) error {
	switch p := to.Addr().Interface().(type) {
	case *time.Duration:
		if n, ok := value.(int64); ok {
			return fmt.Errorf("%d has no unit: write a string such as \"%ds\"", n, n)
		}
		return fromText(p, value, parseDuration)
	case **url.URL:
		return fromText(p, value, jwks.ParseServer)
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
		return fmt.Errorf("is %s, want true or false", kindOf(value))
	}
	*to = b
	return nil
}

func fromInteger[T ~int | ~int64 | ~uint32](to *T, value any, least, most int64) error {
	n, ok := value.(int64)
	switch {
	case !ok:
		return fmt.Errorf("is %s, want an integer", kindOf(value))
	case n < least || n > most:
		return fmt.Errorf("%d is out of range: write %d to %d", n, least, most)
	}
	*to = T(n)
	return nil
}

// fromText refuses empty text everywhere: whether it means "none" or "the default"
// would be a guess, and a key that is left out is clear.
func fromText[T any](to *T, value any, parse func(string) (T, error)) error {
	s, ok := value.(string)
	switch {
	case !ok:
		return fmt.Errorf("is %s, want a string", kindOf(value))
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

// parseDuration accepts the syntax of time.ParseDuration, as the original does: a number
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
