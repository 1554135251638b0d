package docs

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// typeOf names the type of a key in plain text. It is an error of the caller to ask
// for a key that does not exist.
func typeOf(k config.Key) string {
	t, ok := fieldType(reflect.TypeFor[config.Config](), k.Path)
	if !ok {
		return fmt.Sprintf("no such key: %s", k.Path)
	}
	return typeName(t)
}

// fieldType finds the field of a path. Keys of embedded structs are those of the table
// itself.
func fieldType(t reflect.Type, path string) (reflect.Type, bool) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("toml")
		if name == "" || name == "-" {
			continue
		}
		if path == name {
			return f.Type, true
		}
		if rest, ok := strings.CutPrefix(path, name+"."); ok {
			return fieldType(f.Type, rest)
		}
	}
	return nil, false
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[*url.URL](), reflect.TypeFor[config.Proxy]():
		return "URL"
	case reflect.TypeFor[job.AbsPath]():
		return "path"
	case reflect.TypeFor[settings.Size]():
		return "size"
	}
	if t.Kind() == reflect.Struct {
		if items, ok := t.FieldByName("Items"); ok { // config.List
			t = items.Type
		}
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
