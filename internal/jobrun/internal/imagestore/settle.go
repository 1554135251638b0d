package imagestore

import (
	"encoding/json"
	"path"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Shell returns what runs the bootstrap in the image: sh, as for GitLab's docker executor,
// or the path of another shell where the image has none of that name.
func (e Entry) Shell() (string, error) {
	root := e.Root()
	if root == nil {
		return "sh", nil
	}
	for _, file := range []string{"/bin/sh", "/usr/bin/sh", "/usr/local/bin/sh"} {
		if root.Has(file) {
			return "sh", nil
		}
	}
	for _, file := range container.Shells() {
		if root.Has(file) {
			return file, nil
		}
	}
	if err := root.Err(); err != nil {
		return "", err
	}
	return "", failure.Buildf("the image has no shell: jobs need sh or bash in it").
		WithHint("use a variant of %s with a shell", e.Pinned())
}

// Dash reports whether scripts run in dash(1), which does not understand the quotes in
// those of GitLab Runner.
func (e Entry) Dash() bool {
	root := e.Root()
	if root == nil {
		return false
	}
	for _, file := range container.Shells() {
		if found, ok := root.find(file); ok {
			return path.Base(found) == "dash"
		}
	}
	return false
}

// compatible are the architectures whose programs a machine runs too, by Go's names.
var compatible = map[string]string{"amd64": "386", "arm64": "arm"}

// CheckMachine rejects an image for another architecture than the machine's; a job that
// names a platform may have an emulator. Some engines fetch such an image without an error.
func (e Entry) CheckMachine(machine string) error {
	arch := e.Config.Architecture
	if e.Platform != "" || arch == "" || arch == machine || arch == compatible[machine] {
		return nil
	}
	return failure.Buildf("the image %s is for the architecture %s, and this machine has %s", e.Pinned(), job.Clip(arch), machine).
		WithHint("use an image that was built for this machine's architecture too")
}

// IDs returns the ids in the image of a user; "" is the one of the image's configuration.
func (e Entry) IDs(user string) (image.IDs, error) {
	if user == "" {
		user = e.Config.User
	}
	passwd, group := e.Passwd, e.Group
	if root := e.Root(); root != nil {
		passwd, group = root.Read("/etc/passwd"), root.Read("/etc/group")
		if err := root.Err(); err != nil {
			return image.IDs{}, err
		}
	}
	ids, err := image.FindUser(user, passwd, group)
	if err != nil {
		return ids, failure.Buildf("cannot use the image %s: %w", e.Pinned(), err)
	}
	return ids, nil
}

// WriteSettled writes what prepare has decided into a file of the job's directory of
// scripts.
func WriteSettled(scripts job.AbsPath, rules safedir.Rules, name string, s container.Settled) error {
	dir, err := safedir.OpenExisting(scripts, rules)
	if err != nil {
		return err
	}
	defer dir.Close()
	text, err := json.Marshal(s)
	if err != nil {
		return failure.Systemf("cannot write the job's container: %w", err)
	}
	return dir.Write(name, text)
}

// ReadSettled reads it.
func ReadSettled(scripts job.AbsPath, rules safedir.Rules, name string) (container.Settled, error) {
	dir, err := safedir.OpenExisting(scripts, rules)
	if err != nil {
		return container.Settled{}, failure.Systemf("cannot find the job's container: %w", err)
	}
	defer dir.Close()
	text, err := dir.Read(name, container.MaxSettled)
	if err != nil {
		return container.Settled{}, failure.Systemf("cannot read which container the job has: %w", err)
	}
	s, err := container.ParseSettled(text)
	if err != nil {
		return container.Settled{}, failure.Systemf("cannot read which container the job has: %w", err)
	}
	return s, nil
}
