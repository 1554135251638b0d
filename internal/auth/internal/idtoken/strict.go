package idtoken

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds how deep the values of an object may be nested. GitLab's claims
// and key sets nest three levels.
const maxDepth = 16

// decodeObject reads one JSON object (RFC 8259) so that no two readers can see
// different things in it: a key that is repeated at any depth, a second value and
// bytes that are not UTF-8 are refused, and the case of keys counts, which
// encoding/json by itself lets pass. Numbers stay text, as json.Number.
func decodeObject(b []byte) (object map[string]any, ok bool) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	value, err := decodeValue(d, maxDepth)
	if err != nil {
		return nil, false
	}
	object, ok = value.(map[string]any)
	return object, ok
}

var errNotStrict = errors.New("not strict JSON")

func decodeValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth == 0:
		return nil, errNotStrict
	case delim == '[':
		return decodeList(d, depth-1)
	}
	return decodeMembers(d, depth-1)
}

func decodeList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}

func decodeMembers(d *json.Decoder, depth int) (any, error) {
	members := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, repeated := members[name]; repeated {
			return nil, fmt.Errorf("%w: a key is repeated", errNotStrict)
		}
		if members[name], err = decodeValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return members, err
}

// decodePart reads one part of a compact JWS: base64url without padding (RFC
// 7515 section 2). Go's decoder skips line ends and unused bits, and returns what
// it read before an error; a part is sound when encoding gives it back, so that a
// token has one spelling.
func decodePart(s string) (b []byte, ok bool) {
	b, _ = base64.RawURLEncoding.DecodeString(s)
	return b, base64.RawURLEncoding.EncodeToString(b) == s
}
