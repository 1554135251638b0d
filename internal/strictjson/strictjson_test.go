package strictjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/google/go-cmp/cmp"
)

func TestObject(t *testing.T) {
	got, err := Object([]byte(` { "a" : [ 1 , "x" , null , { "b" : true } , [] ] , "A" : 1e3 } `))
	want := map[string]any{"a": []any{json.Number("1"), "x", nil, map[string]any{"b": true}, []any{}}, "A": json.Number("1e3")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestObjectRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "is not a JSON object", "null": "is not a JSON object", "[]": "is not a JSON object", `"a"`: "is not a JSON object",
		"{} {}": "is not a JSON object", `{"a":1,}`: "is not a JSON object", `{"a"`: "is not a JSON object", "{\"a\":\"\xff\"}": "is not a JSON object",
		`{"a":1,"\u0061":2}`: `has "a" twice`, `{"x":[{"b":1,"b":2}]}`: `has "b" twice`,
		`{"x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "}": errTooDeep.Error(),
		nested(maxDepth + 1): errTooDeep.Error(),
	} {
		if _, err := Object([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

// nested is a text with objects in each other.
func nested(n int) string { return strings.Repeat(`{"x":`, n) + "1" + strings.Repeat("}", n) }

func TestDeepObject(t *testing.T) {
	if _, err := Object([]byte(nested(maxDepth))); err != nil {
		t.Error(err)
	}
}

func TestMembersAreNotExamined(t *testing.T) {
	got, err := Members([]byte("{\"a\":{\"b\":1,\"b\":2},\"c\":\"\xff\"}"))
	if err != nil || len(got) != 2 || string(got["a"]) != `{"b":1,"b":2}` {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzStrict: an object that is accepted here is accepted by go-jose's parser, which
// refuses repeated names and counts case too.
func FuzzStrict(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":{"b":[1,{"c":null}]},"A":1e3}`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"a":"\ud800"}`, `[]`, `{} {}`, `{"a":1,}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		object, err := Object(b)
		if err != nil {
			return
		}
		d := josejson.NewDecoder(bytes.NewReader(b))
		d.SetNumberType(josejson.UnmarshalJSONNumber)
		var oracle map[string]any
		if err := d.Decode(&oracle); err != nil || len(oracle) != len(object) {
			t.Errorf("%q: %d members here; the oracle has %d, %v", b, len(object), len(oracle), err)
		}
	})
}
