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
	set     KeySet
	raw     []byte
	fetched time.Time
	// tried is when the server was last asked; later than fetched after a
	// failure.
	tried time.Time
}

type recordFile struct {
	Version int             `json:"version"`
	URL     string          `json:"url"`
	Fetched int64           `json:"fetched"`
	Tried   int64           `json:"tried"`
	Set     json.RawMessage `json:"set"`
}

// encode writes the record for the address it came from.
func (r record) encode(url string) ([]byte, error) {
	return json.Marshal(recordFile{recordVersion, url, r.fetched.Unix(), r.tried.Unix(), r.raw})
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
	set, err := ParseKeySet(f.Set)
	if err != nil {
		return record{}, fmt.Errorf("of what is kept, %w", err)
	}
	return record{set, f.Set, time.Unix(f.Fetched, 0), time.Unix(f.Tried, 0)}, nil
}

// within tells whether t is at most limit ago. A time in the future, as a clock
// that was set back leaves it, is not.
func within(t time.Time, limit time.Duration, now time.Time) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago <= limit
}
