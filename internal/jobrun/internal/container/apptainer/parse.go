package apptainer

import (
	"encoding/json"
	"fmt"
	"strings"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
)

// separator begins the line before each part of what Describe prints.
const separator = "\x01\x02 "

// parts are what Describe prints.
var parts = [...]string{"config", "etc/passwd", "etc/group"}

// Parse implements container.Engine. The file has the inner part of a configuration, and
// neither the architecture nor the digest: Apptainer refuses an image of another
// architecture itself.
func (Apptainer) Parse(r container.Reply) (d container.Described, err error) {
	texts := map[string]string{}
	for _, part := range strings.Split(r.Stdout, separator)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		texts[name] = rest
	}
	if len(texts) != len(parts) {
		return d, fmt.Errorf("the image's description has %d parts, want %d", len(texts), len(parts))
	}
	if inner := strings.TrimSpace(texts["config"]); inner != "" {
		text, err := json.Marshal(map[string]any{"config": json.RawMessage(inner)})
		if err != nil {
			return d, fmt.Errorf("cannot parse the image's configuration: %w", err)
		}
		if d.Config, err = image.ParseConfig(text); err != nil {
			return container.Described{}, err
		}
	}
	d.Passwd, d.Group = texts["etc/passwd"], texts["etc/group"]
	return d, nil
}
