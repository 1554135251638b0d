package journal

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/proctree"
)

// randomEvent sets about half of the fields.
func randomEvent(random *rand.Rand) Event {
	texts := []string{"a", "group/project", `"\`, "<&>", "zeile\n\x01", "ä\u2028", "bad\xff", "\x7f"}
	var e Event
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		if v.Kind() != reflect.Struct && random.IntN(2) == 0 {
			return
		}
		switch v.Kind() {
		case reflect.String:
			v.SetString(texts[random.IntN(len(texts))])
		case reflect.Int, reflect.Int64:
			v.SetInt(random.Int64() >> random.IntN(64))
		case reflect.Uint32, reflect.Uint64:
			v.SetUint(random.Uint64() >> (64 - v.Type().Bits() + random.IntN(v.Type().Bits())))
		case reflect.Float64:
			v.SetFloat(float64(random.IntN(1<<40)) / 1000)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		default:
			panic(v.Type())
		}
	}
	fill(reflect.ValueOf(&e).Elem())
	return e
}

// TestEncode: every field is there, under its name: the text means what that of
// encoding/json means.
func TestEncode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		e := randomEvent(random)
		text, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		whole, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := json.Unmarshal(whole, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1)} {
		if text, err := (Event{Context: Context{CPU: f}}).encode(); err == nil {
			t.Errorf("%s", text)
		}
	}
	if text, _ := (Event{Time: 1.5, Name: Stage, Context: Context{Job: 7, Process: &proctree.Process{PID: 2}}}).encode(); string(text) != `{"timestamp":1.5,"name":"stage","context":{"job":7,"process":{"pid":2,"start":0,"boot":""}}}` {
		t.Errorf("%s", text)
	}
}
