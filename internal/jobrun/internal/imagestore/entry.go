package imagestore

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
)

// Entry is a fetched image.
type Entry struct {
	Reference image.Reference `json:"reference"`
	Platform  string          `json:"platform,omitempty"`
	Digest    string          `json:"digest"`
	// Size in bytes, 0 where it is not known.
	Size    int64           `json:"size"`
	Place   container.Place `json:"place"`
	Config  image.Config    `json:"config"`
	Layers  []string        `json:"layers,omitempty"` // relative to the place
	Passwd  string          `json:"passwd,omitempty"`
	Group   string          `json:"group,omitempty"`
	Fetched time.Time       `json:"fetched"`
	// Name is the directory of the image below the store's.
	Name string `json:"name"`
}

const (
	entrySuffix = ".json"
	lockSuffix  = ".lock"
)

// maxEntry bounds the text of an entry, in bytes.
const maxEntry = 8 << 20

// key names the entry of a reference. Formats differ between engines. The sum need not be
// cryptographic: an entry has its reference.
func key(form container.Format, ref image.Reference, platform string) string {
	sum := fnv.New128a()
	_, _ = sum.Write([]byte(strings.Join([]string{string(form), platform, ref.String()}, "\n")))
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// key is that of the reference.
func (e Entry) key() string {
	k, _, _ := strings.Cut(e.Name, "-")
	return k
}

// entry reads the entry of a key.
func (s Store) entry(k string) (e Entry, err error) {
	text, err := s.Dir.Read(k+entrySuffix, maxEntry)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	return e, err
}

// find returns the entry of a key for the request, if its image is there.
func (s Store) find(k string, r image.Request) (e Entry, found bool) {
	e, err := s.entry(k)
	if err != nil || e.key() != k || s.Dir.ModTime(e.Name).IsZero() || e.Reference != r.Reference || e.Platform != r.Platform {
		return Entry{}, false
	}
	return e, true
}

// place returns where an image of a format is, or is to be, in a directory of the store.
func (s Store) place(form container.Format, name string) (container.Place, error) {
	elem := []string{name}
	if form == container.Squashfs || form == container.SIF {
		elem = append(elem, "file")
	}
	path, err := s.Dir.Path().Join(elem...)
	return container.Place{Form: form, Path: path}, err
}

// Pinned names the image with its digest, for the job's log.
func (e Entry) Pinned() string {
	if e.Reference.IsZero() {
		return e.Place.Path.String()
	}
	if e.Digest == "" {
		return e.Reference.String()
	}
	return e.Reference.Name() + "@" + e.Digest
}
