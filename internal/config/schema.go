package config

import (
	"net/url"
	"reflect"
	"slices"
	"time"

	"jacamar-ci/internal/job"
)

// Key says all there is to say of one key of the configuration.
type Key struct {
	// Path is the key with its tables, "auth.runas.sha256"; the keys of
	// [[batch.rule]] are "batch.rule.args".
	Path string
	// Default is the value of a key that is left out, as TOML has it; nil for
	// none. Otherwise says in words what a key without Default does when left out.
	Default   any
	Otherwise string
	Required  bool
	Since     string
	Meaning   string
	Example   string // a line of TOML
}

// Reference returns every key, table by table, in the order of the manual.
func Reference() []Key { return slices.Concat(generalKeys(), tokenKeys(), authKeys(), batchKeys()) }

// Type names the key's type in the words of the manual.
func (k Key) Type() string {
	t, ok := fieldType(reflect.TypeFor[Config](), k.Path)
	if !ok {
		return ""
	}
	return typeName(t)
}

const first = "0.1.0"

func keysByPath() map[string]Key {
	keys := map[string]Key{}
	for _, k := range Reference() {
		keys[k.Path] = k
	}
	return keys
}

// fieldType finds the type of the field that a path leads to.
func fieldType(t reflect.Type, path string) (reflect.Type, bool) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for name, field := range fields(reflect.New(t).Elem()) {
		switch rest, below := cutPrefix(path, name); {
		case path == name:
			return field.Type(), true
		case below:
			return fieldType(field.Type(), rest)
		}
	}
	return nil, false
}

func cutPrefix(path, name string) (rest string, ok bool) {
	if len(path) > len(name) && path[:len(name)] == name && path[len(name)] == '.' {
		return path[len(name)+1:], true
	}
	return "", false
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[*url.URL](), reflect.TypeFor[Proxy]():
		return "URL"
	case reflect.TypeFor[job.AbsPath]():
		return "path"
	}
	if list, ok := reflect.New(t).Interface().(interface{ open() any }); ok {
		t = reflect.TypeOf(list.open()).Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Bool, reflect.Pointer:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return "integer"
	}
	return "string"
}
