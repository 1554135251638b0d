package idtoken

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// decodeObject reads one JSON object with the very parser that go-jose uses on
// the header, so that no two readers can see different things in one token. That
// parser refuses a repeated key at every depth and does not fold case. Numbers
// stay text.
func decodeObject(b []byte) (object map[string]any, ok bool) {
	if !utf8.Valid(b) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.SetNumberType(json.UnmarshalJSONNumber)
	if d.Decode(&object) != nil || object == nil {
		return nil, false
	}
	var more any
	return object, errors.Is(d.Decode(&more), io.EOF)
}

// decodePart reads one part of a compact JWS: base64url without padding (RFC
// 7515 section 2). Go's decoder skips line ends and unused bits, and returns what
// it read before an error; a part is sound when encoding gives it back, so that a
// token has one spelling.
func decodePart(s string) (b []byte, ok bool) {
	b, _ = base64.RawURLEncoding.DecodeString(s)
	return b, base64.RawURLEncoding.EncodeToString(b) == s
}
