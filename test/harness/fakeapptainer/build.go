package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// magic begins an image file, with the signature of SIF at its place: it is followed by a
// line with the configuration and by a tar file of the root.
const magic = "#!/usr/bin/env run-singularity  SIF_MAGIC\x00FAKE\n"

func open(path string) (config []byte, rest io.Reader, file *os.File, err error) {
	if file, err = os.Open(path); err != nil {
		return nil, nil, nil, fmt.Errorf("could not open image %s: %w", path, err)
	}
	r := bufio.NewReader(file)
	if first, err := r.ReadString('\n'); err != nil || first != magic {
		file.Close()
		return nil, nil, nil, fmt.Errorf("could not open image %s: image format not recognized", path)
	}
	line, err := r.ReadBytes('\n')
	return line, r, file, err
}

// build fetches an image and writes it to a file.
func build(args []string) error {
	o, rest, err := parse(args)
	if err != nil {
		return err
	}
	if len(rest) != 2 || !strings.HasPrefix(rest[1], "docker://") {
		return fmt.Errorf("build: %q", rest)
	}
	arch := o.last("--arch")
	if arch == "" {
		arch = runtime.GOARCH
	}
	dir, err := os.MkdirTemp(os.Getenv("APPTAINER_TMPDIR"), "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	config, err := newSource(strings.TrimPrefix(rest[1], "docker://")).fetch(root, arch)
	if err != nil {
		return fmt.Errorf("while performing build: conveyor failed to get: %w", err)
	}
	return pack(rest[0], root, config)
}

func pack(target, root string, config []byte) error {
	file, err := os.Create(target)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(file, "%s%s\n", magic, config); err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command("tar", "-C", root, "-cf", "-", ".")
	cmd.Stderr = os.Stderr
	archive, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = io.Copy(file, archive) // names the file where it fails, unlike tar
	return errors.Join(err, archive.Close(), cmd.Wait(), file.Close())
}

// source is one image of a registry.
type source struct{ base, reference string }

func newSource(name string) source {
	host, rest, _ := strings.Cut(name, "/")
	repository, reference, found := strings.Cut(rest, "@")
	if !found {
		repository, reference, _ = strings.Cut(rest, ":")
	}
	return source{"https://" + host + "/v2/" + repository, reference}
}

type manifest struct {
	MediaType string
	Config    struct{ Digest string }
	Layers    []struct{ Digest string }
	Manifests []struct {
		Digest   string
		Platform struct{ Architecture string }
	}
}

// fetch unpacks the layers and returns the inner configuration.
func (s source) fetch(root, arch string) ([]byte, error) {
	m, err := s.manifest(s.reference)
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) > 0 {
		chosen := ""
		for _, entry := range m.Manifests {
			if entry.Platform.Architecture == arch {
				chosen = entry.Digest
			}
		}
		if chosen == "" {
			return nil, fmt.Errorf("no image found in image index for architecture %s", arch)
		}
		if m, err = s.manifest(chosen); err != nil {
			return nil, err
		}
	}
	for _, l := range m.Layers {
		if err := s.unpack(l.Digest, root); err != nil {
			return nil, err
		}
	}
	return s.config(m.Config.Digest)
}

func (s source) config(digest string) ([]byte, error) {
	body, err := s.get("/blobs/" + digest)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var outer struct{ Config map[string]any }
	if err := json.NewDecoder(body).Decode(&outer); err != nil {
		return nil, fmt.Errorf("while reading the configuration: %w", err)
	}
	return json.Marshal(outer.Config)
}

func (s source) manifest(reference string) (m manifest, err error) {
	body, err := s.get("/manifests/" + reference)
	if err != nil {
		return m, err
	}
	defer body.Close()
	return m, json.NewDecoder(body).Decode(&m)
}

func (s source) get(path string) (io.ReadCloser, error) {
	q, err := http.NewRequest(http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, err
	}
	for _, media := range []string{"manifest.v2", "manifest.list.v2"} {
		q.Header.Add("Accept", "application/vnd.docker.distribution."+media+"+json")
	}
	if user := os.Getenv("APPTAINER_DOCKER_USERNAME"); user != "" {
		q.SetBasicAuth(user, os.Getenv("APPTAINER_DOCKER_PASSWORD"))
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	if r.StatusCode == http.StatusOK {
		return r.Body, nil
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1000))
	return nil, fmt.Errorf("GET %s%s: unexpected status code %s: received unexpected HTTP status: %d: %s", s.base, path, r.Status, r.StatusCode, text)
}

// unpack unpacks a layer and applies its whiteouts.
func (s source) unpack(digest, root string) error {
	body, err := s.get("/blobs/" + digest)
	if err != nil {
		return err
	}
	defer body.Close()
	layer, err := os.MkdirTemp(filepath.Dir(root), "layer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(layer)
	cmd := exec.Command("tar", "-C", layer, "-xzf", "-", "--no-same-owner")
	cmd.Stdin = body
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("while unpacking layer: %w: unexpected EOF: %s", err, out)
	}
	err = filepath.WalkDir(layer, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return whiteout(layer, root, path)
	})
	if err != nil {
		return err
	}
	copied := exec.Command("cp", "-a", layer+"/.", root)
	out, err := copied.CombinedOutput()
	if err != nil {
		return fmt.Errorf("while copying layer: %w: %s", err, out)
	}
	return nil
}

// whiteout removes from root what an entry of a layer hides.
func whiteout(layer, root, path string) error {
	name, hides := strings.CutPrefix(filepath.Base(path), ".wh.")
	if !hides {
		return nil
	}
	below, err := filepath.Rel(layer, filepath.Dir(path))
	if err != nil {
		return err
	}
	if name == ".wh..opq" {
		entries, _ := os.ReadDir(filepath.Join(root, below))
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(root, below, e.Name())))
		}
	} else {
		err = os.RemoveAll(filepath.Join(root, below, name))
	}
	return errors.Join(err, os.Remove(path))
}
