package jwks

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func TestAnswerGoesThrough(t *testing.T) {
	for _, a := range []Answer{
		{},
		{Connected: true, Secured: true, Date: time.Unix(1700000000, 0).UTC(), Set: []byte("{\"keys\":[]}\x00\xff")},
		{Problem: "it refuses the connection"},
		{Problem: "it has \"no\"\ncertificate", Bundle: true},
		{Set: make([]byte, MaxSet+1)},
	} {
		var b bytes.Buffer
		if err := a.Write(&b); err != nil {
			t.Fatal(err)
		}
		if b.Len() > MaxAnswer {
			t.Errorf("%d bytes, over the bound", b.Len())
		}
		if got, err := Parse(b.Bytes()); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%.200v, %v; want %.200v", got, err, a)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{", "[]", "1", `{"connected":true}{}`, `{"connected":true} x`, `{"newer":1}`, `{"set":"%"}`, `{"date":"yesterday"}`,
	} {
		if a, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
}
