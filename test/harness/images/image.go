package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
)

// File is an entry of a layer. With Link it is a symbolic link.
type File struct {
	Path     string // without a leading slash
	Mode     fs.FileMode
	Data     []byte
	Link     string
	UID, GID int
}

// Config is the part of an image's configuration that engines apply.
type Config struct {
	User         string              `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
}

// Image is one image: its layers in order and its configuration.
type Image struct {
	Name string // repository and tag
	// Architecture is this machine's when it is empty.
	Architecture string
	Layers       [][]File
	Config       Config
	// Listed puts the image in a list of images for several architectures, as its
	// only one.
	Listed bool
	// RawConfig replaces the encoded configuration.
	RawConfig []byte
}

// Blob is content with its digest.
type Blob struct {
	Digest string
	Media  string
	Data   []byte
}

// Packed is an image as registries serve it.
type Packed struct {
	Name string
	// Manifests are what a registry serves by digest; the last one has the tag.
	Manifests []Blob
	Blobs     []Blob
}

// The media types of https://distribution.github.io/distribution/spec/manifest-v2-2/,
// which every engine can read.
const (
	mediaManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaConfig   = "application/vnd.docker.container.image.v1+json"
	mediaLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

const created = "2024-01-01T00:00:00Z"

func newBlob(media string, data []byte) Blob {
	return Blob{Digest: digest(data), Media: media, Data: data}
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

type descriptor struct {
	MediaType string    `json:"mediaType"`
	Size      int       `json:"size"`
	Digest    string    `json:"digest"`
	Platform  *platform `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

func (b Blob) descriptor() descriptor {
	return descriptor{MediaType: b.Media, Size: len(b.Data), Digest: b.Digest}
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
}

// Pack encodes an image.
func (i Image) Pack() (Packed, error) {
	arch := i.Architecture
	if arch == "" {
		arch = runtime.GOARCH
	}
	p := Packed{Name: i.Name}
	m := manifest{SchemaVersion: 2, MediaType: mediaManifest}
	var diffs []string
	var history []map[string]string // ch-image requires one entry a layer
	for _, files := range i.Layers {
		plain, packed, err := layer(files)
		if err != nil {
			return p, fmt.Errorf("image %s: %w", i.Name, err)
		}
		b := newBlob(mediaLayer, packed)
		p.Blobs, m.Layers, diffs = append(p.Blobs, b), append(m.Layers, b.descriptor()), append(diffs, digest(plain))
		history = append(history, map[string]string{"created": created, "created_by": "test"})
	}
	config := newBlob(mediaConfig, i.RawConfig)
	if i.RawConfig == nil {
		config = encoded(mediaConfig, map[string]any{
			"architecture": arch, "os": "linux", "config": i.Config, "created": created, "history": history,
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
	}
	described := config.descriptor()
	m.Config, p.Blobs = &described, append(p.Blobs, config)
	p.Manifests = []Blob{encoded(mediaManifest, m)}
	if i.Listed {
		entry := p.Manifests[0].descriptor()
		entry.Platform = &platform{arch, "linux"}
		p.Manifests = append(p.Manifests, encoded(mediaList, manifest{SchemaVersion: 2, MediaType: mediaList, Manifests: []descriptor{entry}}))
	}
	return p, nil
}

func encoded(media string, v any) Blob {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // no value of these types can fail to marshal
	}
	return newBlob(media, data)
}

// Repository and Tag are the two parts of the name.
func (p Packed) Repository() string { repository, _, _ := strings.Cut(p.Name, ":"); return repository }

// Tag is latest where the name has none.
func (p Packed) Tag() string {
	if _, tag, found := strings.Cut(p.Name, ":"); found {
		return tag
	}
	return "latest"
}

// layer encodes files with their parent directories as a tar file, plain and compressed.
func layer(files []File) (plain, packed []byte, err error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made, links := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for i, c := range strings.TrimSuffix(f.Path, "/") {
			dir := f.Path[:i]
			if c == '/' && links[dir] {
				break // the directories are those that it leads to
			}
			if c == '/' && !made[dir] {
				made[dir] = true
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
					return nil, nil, err
				}
			}
		}
		made[strings.TrimSuffix(f.Path, "/")], links[f.Path] = true, f.Link != ""
		if err := f.write(w); err != nil {
			return nil, nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	var z bytes.Buffer
	c, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	if _, err := c.Write(b.Bytes()); err != nil {
		return nil, nil, err
	}
	err = c.Close()
	return b.Bytes(), z.Bytes(), err
}

// tarMode are the bits of tar(5), which has set-id and sticky where chmod(2) has them.
func tarMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for bit, value := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			mode |= value
		}
	}
	return mode
}

func (f File) write(w *tar.Writer) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: tarMode(f.Mode), Size: int64(len(f.Data)), Uid: f.UID, Gid: f.GID}
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
	case strings.HasSuffix(f.Path, "/"):
		h.Typeflag = tar.TypeDir
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(f.Data)
	return err
}
