package idtoken

import (
	"encoding/json"
	"fmt"
	"time"
)

// recordVersion changes with the meaning of the kept file; a file of another
// version is fetched again.
const recordVersion = 1

// record is a key set as it was fetched.
type record struct {
	fetchedSet
	// tried is when the server was last asked; later than fetched after a
	// failure.
	tried time.Time
	// asked is the key id for which it was.
	asked string
	// before is the set that this one replaced, where the two have no key in common;
	// nil for none.
	before *fetchedSet
}

type fetchedSet struct {
	set     KeySet
	raw     []byte
	fetched time.Time
}

// replacing returns the record to keep instead of kept once fresh was fetched. Where
// the server has none of the former keys, something else may have answered at its
// address: what was kept stays beside the fresh set, so that it still serves, and
// change says so. Where the keys before are back, what was between them is dropped.
func (fresh record) replacing(kept record) (next record, change string) {
	next = fresh
	switch {
	case kept.set.Len() == 0:
		return next, ""
	case fresh.set.shares(kept.set):
		next.before = kept.before
		return next, ""
	case kept.before != nil && fresh.set.shares(kept.before.set):
		return next, fmt.Sprintf("the keys of before are back (%s): those of %s, fetched in between, are no longer believed", fresh.set, kept.describe())
	}
	next.before = &kept.fetchedSet
	return next, fmt.Sprintf("all keys changed at once: there were %s, and now there are %s; was this GitLab's doing?", kept.describe(), fresh.set)
}

func (f fetchedSet) describe() string {
	return fmt.Sprintf("%s of %s", f.set, f.fetched.UTC().Format(time.RFC3339))
}

type recordFile struct {
	Version int             `json:"version"`
	URL     string          `json:"url"`
	Fetched int64           `json:"fetched"`
	Tried   int64           `json:"tried"`
	Asked   string          `json:"asked,omitempty"`
	Set     json.RawMessage `json:"set"`
	Before  *beforeFile     `json:"before,omitempty"`
}

type beforeFile struct {
	Fetched int64           `json:"fetched"`
	Set     json.RawMessage `json:"set"`
}

// encode writes the record for the address it came from.
func (r record) encode(url string) ([]byte, error) {
	f := recordFile{Version: recordVersion, URL: url, Fetched: r.fetched.Unix(), Tried: r.tried.Unix(), Asked: r.asked, Set: r.raw}
	if r.before != nil {
		f.Before = &beforeFile{r.before.fetched.Unix(), r.before.raw}
	}
	return json.Marshal(f)
}

// decodeRecord reads what encode wrote for the same address.
func decodeRecord(b []byte, url string) (record, error) {
	var f recordFile
	switch {
	case json.Unmarshal(b, &f) != nil:
		return record{}, fmt.Errorf("the kept key set is damaged")
	case f.Version != recordVersion || f.URL != url:
		return record{}, fmt.Errorf("the kept key set is of another server or version")
	}
	r := record{tried: time.Unix(f.Tried, 0), asked: f.Asked}
	var err error
	if r.fetchedSet, err = decodeSet(f.Set, f.Fetched); err != nil {
		return record{}, err
	}
	if f.Before != nil {
		before, err := decodeSet(f.Before.Set, f.Before.Fetched)
		if err != nil {
			return record{}, err
		}
		r.before = &before
	}
	return r, nil
}

func decodeSet(raw []byte, fetched int64) (fetchedSet, error) {
	set, err := ParseKeySet(raw)
	if err != nil {
		return fetchedSet{}, fmt.Errorf("of what is kept, %w", err)
	}
	return fetchedSet{set, raw, time.Unix(fetched, 0)}, nil
}

// within reports whether t is at most limit ago. A time in the future, as a clock
// that was set back leaves it, is not.
func within(t time.Time, limit time.Duration, now time.Time) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago <= limit
}
