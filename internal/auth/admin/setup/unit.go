package setup

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// ManyProcessors is from where on Go's runtime takes more than a millisecond to prepare
// for the processors of a node, in every stage.
const ManyProcessors = 32

// ProcessorsSetting limits them in a unit of systemd, and so in what the runner starts.
const ProcessorsSetting = "Environment=GOMAXPROCS=4"

// administratorUnits is where an administrator's units and drop-ins are.
const administratorUnits = "etc/systemd/system"

// unitDirs are all directories of units (systemd.unit(5)), below the root.
var unitDirs = []string{administratorUnits, "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// Unit is the service of systemd that runs a runner.
type Unit struct {
	Name string // with its type
	// Limited is set where its settings limit the processors.
	Limited bool
}

// FindUnit finds the unit whose command reads a runner's config.toml, below a root
// directory; its name is "" where there is none.
func FindUnit(root string, runnerConfig job.AbsPath) (u Unit) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return u
	}
	defer r.Close()
	for _, dir := range unitDirs {
		units, texts := files(r.FS(), dir+"/*.service")
		for i, text := range texts {
			if readsConfig(text, runnerConfig.String()) {
				u.Name = path.Base(units[i])
				return Unit{u.Name, slices.ContainsFunc(append(dropIns(r.FS(), u.Name), text), limits)}
			}
		}
	}
	return u
}

// files are those that match a pattern, and their texts.
func files(root fs.FS, pattern string) (names, texts []string) {
	all, _ := fs.Glob(root, pattern)
	for _, name := range all {
		if text, err := fs.ReadFile(root, name); err == nil {
			names, texts = append(names, name), append(texts, string(text))
		}
	}
	return names, texts
}

// dropIns are the texts of a unit's drop-ins.
func dropIns(root fs.FS, name string) (texts []string) {
	for _, dir := range unitDirs {
		_, some := files(root, dir+"/"+name+".d/*.conf")
		texts = append(texts, some...)
	}
	return texts
}

// UnitFiles are the files of a unit, and of its drop-ins, below a root directory.
func UnitFiles(root, name string) (all []string) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil
	}
	defer r.Close()
	for _, dir := range unitDirs {
		for _, pattern := range []string{name, name + ".d/*.conf"} {
			some, _ := files(r.FS(), path.Join(dir, pattern))
			for _, file := range some {
				all = append(all, filepath.Join(root, file))
			}
		}
	}
	return all
}

// settings are the values of a setting in a unit's text.
func settings(text, name string) (values []string) {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+"="); found {
			values = append(values, value)
		}
	}
	return values
}

func limits(text string) bool {
	return slices.ContainsFunc(settings(text, "Environment"), func(value string) bool { return slices.Contains(words(value), "GOMAXPROCS") })
}

// readsConfig reports whether a unit's command is a gitlab-runner with that file.
func readsConfig(unit, config string) bool {
	return slices.ContainsFunc(settings(unit, "ExecStart"), func(value string) bool {
		command := words(value)
		named := slices.Contains(command, "--config") || slices.Contains(command, "-c")
		return len(command) > 0 && strings.Contains(path.Base(command[0]), "gitlab-runner") &&
			(slices.Contains(command, config) || !named && config == UsualRunnerConfig)
	})
}

// words splits a value at blanks, quotes and "=".
func words(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t=\"'", r) })
}

// UsualRunnerConfig is the file of a gitlab-runner that root starts without --config.
const UsualRunnerConfig = "/etc/gitlab-runner/config.toml"

// processorsText is the drop-in that NewLimit writes.
const processorsText = "# Go's runtime prepares for each processor of the host at each start of jacamar-auth, in\n" +
	"# every stage. Jobs do not inherit the variable.\n[Service]\n" + ProcessorsSetting + "\n"

// NewLimit writes a drop-in that limits the processors of a unit, next to its place.
func NewLimit(root string, u Unit) (*Change, error) {
	dir := filepath.Join(root, administratorUnits, u.Name+".d")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	file, err := job.ParseAbsPath(filepath.Join(dir, "jacamar-processors.conf"))
	if err != nil {
		return nil, err
	}
	t, err := openTarget(file, trustedfile.Self())
	if err != nil {
		return nil, err
	}
	return t.change(processorsText, Access{-1, -1, 0o644}, true, nil)
}
