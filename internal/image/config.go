package image

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// Config is the part of an OCI image configuration (image-spec, config.md) that determines
// how a script starts.
type Config struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	User         string   `json:"user"`
	Env          []string `json:"env"` // NAME=value
	Entrypoint   []string `json:"entrypoint"`
	Cmd          []string `json:"cmd"`
	WorkingDir   string   `json:"working_dir"`
	// Ports are the exposed TCP ports, ascending.
	Ports []uint16 `json:"ports"`
}

const (
	// maxConfig bounds the text of a configuration, in bytes.
	maxConfig = 4 << 20
	// maxEntries bounds each list in it.
	maxEntries = 4096
)

// wireConfig mirrors the JSON names of the specification.
type wireConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		User         string
		Env          []string
		Entrypoint   []string
		Cmd          []string
		WorkingDir   string
		ExposedPorts map[string]struct{}
	} `json:"config"`
}

// ParseConfig parses an image's configuration in the format of registries, which
// podman-image-inspect(1) and skopeo-inspect(1) with --config print too.
func ParseConfig(text []byte) (Config, error) {
	c, err := parseConfig(text)
	if err != nil {
		err = BadConfig{err}
	}
	return c, err
}

// BadConfig is the error of a configuration that cannot be used: a fault of the image, not
// of the program that printed it.
type BadConfig struct{ error }

// Unwrap returns the reason.
func (b BadConfig) Unwrap() error { return b.error }

func parseConfig(text []byte) (Config, error) {
	if len(text) > maxConfig {
		return Config{}, fmt.Errorf("the image's configuration is longer than %d bytes", maxConfig)
	}
	var w wireConfig
	if err := json.Unmarshal(text, &w); err != nil {
		return Config{}, fmt.Errorf("cannot read the image's configuration: %w", err)
	}
	c := Config{
		Architecture: w.Architecture, OS: w.OS, User: w.Config.User, Env: w.Config.Env,
		Entrypoint: w.Config.Entrypoint, Cmd: w.Config.Cmd, WorkingDir: w.Config.WorkingDir,
		Ports: ports(w.Config.ExposedPorts),
	}
	return c, c.check()
}

// check rejects values with which no process can be started: a text with a NUL
// (execve(2)), a variable without a name, lists that are too long.
func (c Config) check() error {
	for _, l := range []struct {
		name  string
		texts []string
	}{
		{"environment", c.Env},
		{"entrypoint", c.Entrypoint},
		{"command", c.Cmd},
		{"user, working directory or architecture", []string{c.User, c.WorkingDir, c.Architecture, c.OS}},
	} {
		if len(l.texts) > maxEntries {
			return fmt.Errorf("the image's %s has more than %d entries", l.name, maxEntries)
		}
		for _, text := range l.texts {
			if strings.IndexByte(text, 0) >= 0 {
				return fmt.Errorf("the image's %s contains a NUL byte", l.name)
			}
		}
	}
	for _, pair := range c.Env {
		if strings.IndexByte(pair, '=') <= 0 {
			return fmt.Errorf("the image's environment contains %q, which is not NAME=value", job.Clip(pair))
		}
	}
	if c.WorkingDir != "" && !strings.HasPrefix(c.WorkingDir, "/") {
		return fmt.Errorf("the image's working directory %q is not absolute", job.Clip(c.WorkingDir))
	}
	return nil
}

// ports parses the names of ExposedPorts, "8080" or "8080/tcp". It skips other protocols,
// for which nothing can wait.
func ports(names map[string]struct{}) []uint16 {
	var list []uint16
	for name := range names {
		number, protocol, given := strings.Cut(name, "/")
		if given && protocol != "tcp" {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 16); err == nil && n > 0 {
			list = append(list, uint16(n))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Command returns the argv to start: the entrypoint with the given arguments. A job's own
// entrypoint replaces the image's; the list [""] means none, as in .gitlab-ci.yml.
func (c Config) Command(override []string, args ...string) []string {
	entrypoint := c.Entrypoint
	if len(override) > 0 {
		entrypoint = override
	}
	if len(entrypoint) == 1 && entrypoint[0] == "" {
		entrypoint = nil
	}
	return slices.Concat(entrypoint, args)
}

// IDs are the ids of a user inside an image.
type IDs struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// FindUser returns the ids of user[:group] as docker-run(1) does: numbers are taken as
// they are, names are looked up in the texts of the image's passwd(5) and group(5). A
// user without a group has the group of passwd(5), or else 0. "" is root.
func FindUser(user, passwd, group string) (IDs, error) {
	name, groupName, hasGroup := strings.Cut(user, ":")
	if name == "" {
		name = "0"
	}
	var ids IDs
	uid, err := kernelID(name)
	entry, found := findEntry(passwd, name, uid, err == nil)
	switch {
	case err == nil:
		ids.UID = uid
	case !found:
		return IDs{}, fmt.Errorf("the image has no user %q in its /etc/passwd", job.Clip(name))
	default:
		if ids.UID, err = kernelID(entry[2]); err != nil {
			return IDs{}, fmt.Errorf("the user %q of the image has no valid id", job.Clip(name))
		}
	}
	if !hasGroup {
		if found {
			ids.GID, _ = kernelID(entry[3])
		}
		return ids, nil
	}
	ids.GID, err = findGroup(groupName, group)
	return ids, err
}

func findGroup(name, group string) (uint32, error) {
	if gid, err := kernelID(name); err == nil {
		return gid, nil
	}
	if entry, ok := findEntry(group, name, 0, false); ok {
		if gid, err := kernelID(entry[2]); err == nil {
			return gid, nil
		}
	}
	return 0, fmt.Errorf("the image has no group %q in its /etc/group", job.Clip(name))
}

// findEntry returns the fields of the first line for a name, or for an id.
func findEntry(text, name string, id uint32, byID bool) ([]string, bool) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) < 4 {
			continue
		}
		if n, err := kernelID(fields[2]); fields[0] == name || byID && err == nil && n == id {
			return fields, true
		}
	}
	return nil, false
}

// kernelID parses a user or group id; 2^32-1 means "no change" in setresuid(2).
func kernelID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}
