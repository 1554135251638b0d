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

// reply is what the script printed; absent members are zero.
type reply struct {
	username job.Username
	dataDir  job.AbsPath
	message  string
}

// parseReply reads the script's output: nothing, or one JSON object of texts with
// known names, each at most once and in this very spelling.
func parseReply(b []byte) (reply, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return reply{}, nil
	}
	// The decoder below would let a second value and invalid UTF-8 pass.
	if !utf8.Valid(b) || !json.Valid(b) {
		return reply{}, errors.New("its output is not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return reply{}, errors.New("its output is not a JSON object")
	}
	var r reply
	seen := map[string]bool{}
	for d.More() {
		// json.Valid has passed, so that these are a name and a value.
		name, _ := d.Token()
		value, _ := d.Token()
		key := fmt.Sprint(name)
		text, ok := value.(string)
		switch {
		case !ok:
			return reply{}, fmt.Errorf("its output has %q, which is not a text", job.Clip(key))
		case seen[key]:
			return reply{}, fmt.Errorf("its output has %q twice", job.Clip(key))
		}
		seen[key] = true
		if err := r.set(key, text); err != nil {
			return reply{}, fmt.Errorf("its output has %q: %w", job.Clip(key), err)
		}
	}
	return r, nil
}

func (r *reply) set(key, text string) (err error) {
	switch key {
	case "username":
		r.username, err = job.ParseUsername(text)
	case "data_dir":
		r.dataDir, err = job.ParseAbsPath(text)
	case "user_message":
		r.message = oneLine(text, messageLimit)
	default:
		err = errors.New("the name is unknown")
	}
	return err
}

// messageLimit bounds the message to the user in bytes.
const messageLimit = 1 << 10

// oneLine makes foreign text fit for one line of a log.
func oneLine(text string, limit int) string {
	return job.Shorten(job.Printable(strings.Join(strings.Fields(text), " ")), limit)
}
