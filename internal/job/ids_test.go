package job

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestGIDsText(t *testing.T) {
	for text, want := range map[string]GIDs{
		"": nil, "0": {0}, "4,24-27,100000": {4, 24, 25, 26, 27, 100000}, "7-8": {7, 8}, "4294967293-4294967294": {4294967293, 4294967294},
	} {
		var got GIDs
		if err := got.UnmarshalText([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
		if back, err := want.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%v: %q, %v; want %q", want, back, err, text)
		}
	}
}

func TestGIDsRefuse(t *testing.T) {
	for _, text := range []string{
		",", "1,", ",1", "1,,3", "1 ,3", "-1", "1-", "-", "1-1", "2-1", "1-2-3", "01", "+1", "x", "3,1", "1,1", "1,2", "1-3,3", "1-3,4", "3-5,4",
		"4294967295", "4294967294-4294967295", "0-65536", "0-4294967294", "1,10-65545", "1\n", "1;3",
	} {
		got := GIDs{9}
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d groups", text, len(got))
		}
	}
	for _, ids := range []GIDs{{2, 1}, {1, 1}, {4294967295}} {
		if text, err := ids.MarshalText(); err == nil {
			t.Errorf("%v was written as %q", ids, text)
		}
	}
}

func TestSortGIDs(t *testing.T) {
	in := []GID{5, 3, 5, 4}
	got, err := SortGIDs(in...)
	if err != nil || !slices.Equal(got, GIDs{3, 4, 5}) || in[0] != 5 {
		t.Errorf("%v, %v; the argument became %v", got, err, in)
	}
	for _, id := range []GID{3, 4, 5} {
		if !got.Has(id) {
			t.Errorf("%d is not found", id)
		}
	}
	if got.Has(2) || got.Has(6) || GIDs(nil).Has(0) {
		t.Error("an id is found that is not there")
	}
	many := make([]GID, MaxGroups+1)
	for i := range many {
		many[i] = GID(i)
	}
	if got, err := SortGIDs(many[:MaxGroups]...); err != nil || len(got) != MaxGroups || got.String() != "0-65535" {
		t.Errorf("%d groups, %v", len(got), err)
	}
	if got, err := SortGIDs(many...); err == nil {
		t.Errorf("%d groups were accepted", len(got))
	}
}

// TestGIDsRoundTrip writes and reads random sets of ids, dense and scattered.
func TestGIDsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, spread := range []uint32{10, 300, 1 << 20, 1<<32 - 1} {
		for range 200 {
			ids := make([]GID, r.IntN(200))
			for i := range ids {
				ids[i] = GID(r.Uint32N(spread))
			}
			want, err := SortGIDs(ids...)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(want)
			var got GIDs
			if err != nil || json.Unmarshal(text, &got) != nil || !slices.Equal(got, want) {
				t.Fatalf("%v became %s and %v (%v)", want, text, got, err)
			}
		}
	}
}

// FuzzGIDs: what is read is written in the same way again, and is in order.
func FuzzGIDs(f *testing.F) {
	for _, seed := range []string{"", "1", "1-3,5", "0-65535", "1-2,4294967294", "3,2", "1-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var g GIDs
		if g.UnmarshalText([]byte(text)) != nil {
			return
		}
		back, err := g.MarshalText()
		if err != nil || string(back) != text {
			t.Errorf("%q became %q, %v", text, back, err)
		}
		if len(g) > MaxGroups || !slices.IsSorted(g) {
			t.Errorf("%q has %d groups, sorted: %v", text, len(g), slices.IsSorted(g))
		}
	})
}
