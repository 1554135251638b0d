package podman

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
)

// inspected mirrors what podman-image-inspect(1) prints in addition to the configuration.
type inspected struct {
	ID          string `json:"Id"`
	Digest      string
	Size        int64
	GraphDriver struct {
		Data struct{ UpperDir, LowerDir string }
	}
}

// Parse implements container.Engine.
func (p Podman) Parse(r container.Reply) (container.Described, error) {
	if p.Squashfs {
		return container.ParseSquashfs(r)
	}
	var images []json.RawMessage
	if err := json.Unmarshal([]byte(r.Stdout), &images); err != nil {
		return container.Described{}, fmt.Errorf("cannot parse the output of podman image inspect: %w", err)
	}
	if len(images) != 1 {
		return container.Described{}, fmt.Errorf("podman image inspect describes %d images, want 1", len(images))
	}
	var i inspected
	if err := json.Unmarshal(images[0], &i); err != nil {
		return container.Described{}, fmt.Errorf("cannot parse the output of podman image inspect: %w", err)
	}
	if !isID(i.ID) {
		return container.Described{}, errors.New("podman image inspect names no image")
	}
	if !image.IsDigest(i.Digest) {
		return container.Described{}, errors.New("podman image inspect names no digest")
	}
	config, err := image.ParseConfig(images[0])
	return container.Described{Config: config, Digest: i.Digest, ID: i.ID, Size: i.Size, Layers: i.layers()}, err
}

// layers are the directories of the image, the topmost first, as overlay mounts them.
func (i inspected) layers() (all []string) {
	for dir := range strings.SplitSeq(i.GraphDriver.Data.UpperDir+":"+i.GraphDriver.Data.LowerDir, ":") {
		if dir != "" {
			all = append(all, dir)
		}
	}
	return all
}

// isID accepts the 64 hexadecimal digits of an image's id.
func isID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
