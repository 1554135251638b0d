package charliecloud

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
)

// separator begins the line before each part of what Describe prints. No text file of an
// image begins a line with it by chance, and one that does only describes itself wrongly.
const separator = "\x01\x02 "

// parts are the files that Describe prints.
var parts = [...]string{configFile, digestFile, "etc/passwd", "etc/group"}

// Parse implements container.Engine. An image that was made by other means has
// neither configuration nor digest.
func (Charliecloud) Parse(r container.Reply) (d container.Described, err error) {
	texts, err := split(r.Stdout)
	if err != nil {
		return d, err
	}
	if text := strings.TrimSpace(texts[configFile]); text != "" {
		if d.Config, err = image.ParseConfig([]byte(text)); err != nil {
			return d, err
		}
	}
	if text := strings.TrimSpace(texts[digestFile]); text != "" {
		if d.Digest = "sha256:" + text; !image.IsDigest(d.Digest) {
			return container.Described{}, fmt.Errorf("the image's %s is not a digest", digestFile)
		}
	}
	d.Passwd, d.Group = texts["etc/passwd"], texts["etc/group"]
	return d, nil
}

func split(text string) (map[string]string, error) {
	texts := map[string]string{}
	for _, part := range strings.Split(text, separator)[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		texts[name] = rest
	}
	if len(texts) != len(parts) {
		return nil, fmt.Errorf("the image's description has %d parts, want %d", len(texts), len(parts))
	}
	return texts, nil
}
