// Package strictjson reads JSON objects (RFC 8259) so that all parsers agree on their
// contents: it refuses a name that comes twice, and names are case-sensitive. By itself
// encoding/json uses the last of two members of one name and ignores their case, so that
// another reader of the same bytes could find other values.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// ErrNoObject reports a text that is not one JSON object.
var ErrNoObject = errors.New("is not a JSON object")

// Members returns the members of one object. What is in their values is not examined.
func Members(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, _ := d.Token(); open != json.Delim('{') || !json.Valid(text) { // a nil token is none
		return nil, ErrNoObject
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		// json.Valid guarantees a name and a value.
		name, _ := d.Token()
		var value json.RawMessage
		_ = d.Decode(&value)
		key := fmt.Sprint(name)
		if _, seen := members[key]; seen {
			return nil, fmt.Errorf("has %q twice", job.Clip(key))
		}
		members[key] = value
	}
	return members, nil
}

// maxDepth bounds the nesting of an object's values. GitLab's claims and key sets nest
// three levels.
const maxDepth = 16

var errTooDeep = errors.New("is nested too deeply")

// Object returns one object with all that is in it, which is as strict. It refuses bytes
// that are not UTF-8. Numbers stay text, as json.Number.
func Object(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, ErrNoObject
	}
	return object(text, maxDepth)
}

func object(text []byte, depth int) (map[string]any, error) {
	members, err := Members(text)
	if err != nil {
		return nil, err
	}
	values := make(map[string]any, len(members))
	for name, member := range members {
		if values[name], err = value(member, depth-1); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func value(text json.RawMessage, depth int) (any, error) {
	switch first := text[0]; {
	case depth == 0 && (first == '{' || first == '['):
		return nil, errTooDeep
	case first == '{':
		return object(text, depth)
	case first == '[':
		return list(text, depth)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Token()
}

func list(text json.RawMessage, depth int) (any, error) {
	var entries []json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, err
	}
	values := make([]any, len(entries))
	for i, entry := range entries {
		var err error
		if values[i], err = value(entry, depth-1); err != nil {
			return nil, err
		}
	}
	return values, nil
}
