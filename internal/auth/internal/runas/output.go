package runas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// output is the script's parsed output; absent members are zero.
type output struct {
	username job.Username
	dataDir  job.AbsPath
	message  string
}

// parseOutput reads the script's output: empty, or one JSON object of strings with
// known names, each at most once. Names are case-sensitive.
func parseOutput(b []byte) (output, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return output{}, nil
	}
	// The decoder below accepts a second value and invalid UTF-8.
	if !utf8.Valid(b) || !json.Valid(b) {
		return output{}, errors.New("its output is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return output{}, errors.New("its output is not a JSON object")
	}
	var o output
	seen := map[string]bool{}
	for d.More() {
		// json.Valid guarantees a name and a value.
		name, _ := d.Token()
		value, _ := d.Token()
		key := fmt.Sprint(name)
		text, ok := value.(string)
		switch {
		case !ok:
			return output{}, fmt.Errorf("its output has %q, which is not a string", job.Clip(key))
		case seen[key]:
			return output{}, fmt.Errorf("its output has %q twice", job.Clip(key))
		}
		seen[key] = true
		if err := o.set(key, text); err != nil {
			return output{}, fmt.Errorf("its output has %q: %w", job.Clip(key), err)
		}
	}
	return o, nil
}

func (o *output) set(key, text string) (err error) {
	switch key {
	case "username":
		o.username, err = job.ParseUsername(text)
	case "data_dir":
		o.dataDir, err = job.ParseAbsPath(text)
	case "user_message":
		o.message = oneLine(text, messageLimit)
	default:
		err = errors.New("unknown name")
	}
	return err
}

// messageLimit bounds the message to the user in bytes.
const messageLimit = 1 << 10

// oneLine makes untrusted text safe for one line of a log.
func oneLine(text string, limit int) string {
	return job.Shorten(job.Printable(strings.Join(strings.Fields(text), " ")), limit)
}
