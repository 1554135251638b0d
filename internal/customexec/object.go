package customexec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"jacamar-ci/internal/job"
)

// object splits one JSON object into the wanted fields. encoding/json alone
// would take the last of two fields of one name, and ignore their case: another
// reader of the same bytes might see another job.
func object(text []byte, want map[string]*json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, _ := d.Token(); t != json.Delim('{') { // nil where there is none
		return fmt.Errorf("not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return fmt.Errorf("not a JSON object")
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("cannot read the field %q", job.Clip(name))
		}
		if seen[name] {
			return fmt.Errorf("the field %q comes twice", job.Clip(name))
		}
		seen[name] = true
		if field, ok := want[name]; ok {
			*field = value
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("the JSON object is cut off")
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON object")
	}
	return nil
}

func absent(text json.RawMessage) bool {
	return len(text) == 0 || string(text) == "null" || string(text) == "0"
}

// number reads a GitLab id, which is a JSON number here.
func number(name string, text json.RawMessage) (job.ID, error) {
	id, err := job.ParseID(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return id, nil
}
