package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// merge returns the text of a runner's config.toml with one of its runners wired
// to jacamar-auth, and the executor that it had. Comments, other keys and other runners
// stay as they are. name picks the runner; it may be empty where the file leaves no
// choice.
func (w Wiring) merge(text, name string) (merged, was string, err error) {
	before, err := parse(text)
	if err != nil {
		return "", "", fmt.Errorf("cannot read it: %w", err)
	}
	i, err := before.pick(name)
	if err != nil {
		return "", "", err
	}
	was, _ = before.runners()[i]["executor"].(string)
	if merged, err = w.edit(text, i); err != nil {
		return "", "", err
	}
	before.wire(i, w)
	if _, given := before[shutdownKey]; !given {
		merged = shutdownLine + merged
		before[shutdownKey] = int64(shutdownSeconds)
	}
	// The edit is one of lines. Whether it did what it was to do, and nothing
	// else, is decided by what the file now contains.
	if after, err := parse(merged); err != nil || !reflect.DeepEqual(before, after) {
		return "", "", errors.New("it is written in a way that cannot be edited: put the table there by hand")
	}
	return merged, was, nil
}

// The runner's own timeout when it is stopped, which is shorter than a job may take to
// end. It is set where the file does not have it.
const (
	shutdownKey     = "shutdown_timeout"
	shutdownSeconds = int(KillTimeout+Margin) / int(time.Second)
)

var shutdownLine = fmt.Sprintf("%s = %d\n", shutdownKey, shutdownSeconds)

// runnerFile is a parsed config.toml.
type runnerFile map[string]any

func parse(text string) (f runnerFile, err error) {
	_, err = toml.Decode(text, &f)
	return f, err
}

func (f runnerFile) runners() []map[string]any {
	list, _ := f["runners"].([]map[string]any)
	return list
}

// pick finds the runner of that name; without a name the only one with the
// custom executor, or the only one.
func (f runnerFile) pick(name string) (int, error) {
	var named, custom, all []int
	var names []string
	for i, r := range f.runners() {
		all = append(all, i)
		names = append(names, fmt.Sprintf("%q", fmt.Sprint(r["name"])))
		if r["executor"] == "custom" {
			custom = append(custom, i)
		}
		if name != "" && r["name"] == name {
			named = append(named, i)
		}
	}
	candidates := [][]int{custom, all}
	if name != "" {
		candidates = [][]int{named}
	}
	for _, c := range candidates {
		if len(c) == 1 {
			return c[0], nil
		}
	}
	switch list := strings.Join(names, ", "); {
	case len(names) == 0:
		return 0, errors.New("it has no [[runners]]: register a runner first (gitlab-runner register --executor custom)")
	case name != "" && len(named) == 0:
		return 0, fmt.Errorf("it has no runner %q: give --runner with one of the names in it: %s", name, list)
	case name != "":
		return 0, fmt.Errorf("it has %d runners %q: give each a name of its own", len(named), name)
	default:
		return 0, fmt.Errorf("it has several runners: give --runner with one of their names: %s", list)
	}
}

func (f runnerFile) wire(i int, w Wiring) {
	r := f.runners()[i]
	r["executor"] = "custom"
	custom, _ := r["custom"].(map[string]any)
	if custom == nil {
		custom = map[string]any{}
		r["custom"] = custom
	}
	maps.Copy(custom, w.keys())
}

// forms are the lines that matter in a runner's configuration. They are compiled
// when they are first needed: this program starts for every stage of a job.
var forms = sync.OnceValue(func() struct{ header, runner, sub, custom, executor, wiring *regexp.Regexp } {
	return struct{ header, runner, sub, custom, executor, wiring *regexp.Regexp }{
		header:   regexp.MustCompile(`^\s*\[`),
		runner:   regexp.MustCompile(`^\s*\[\[\s*runners\s*\]\]`),
		sub:      regexp.MustCompile(`^\s*\[+\s*runners\s*\.`),
		custom:   regexp.MustCompile(`^\s*\[\s*runners\s*\.\s*custom\s*\]`),
		executor: regexp.MustCompile(`^\s*executor\s*=`),
		wiring:   regexp.MustCompile(`^\s*(config|prepare|run|cleanup)_(exec|args)\s*=`),
	}
})

// edit rewrites the lines of runner i.
func (w Wiring) edit(text string, i int) (string, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	start, end := block(lines, i)
	if start < 0 {
		return "", errors.New("it is written in a way that cannot be edited: put the table there by hand")
	}
	wiring, err := w.lines()
	if err != nil {
		return "", err
	}
	out := slices.Clone(lines[:start+1])
	out = append(out, runnerLines(lines[start+1:end], wiring)...)
	return strings.Join(append(out, lines[end:]...), "\n") + "\n", nil
}

// block finds the lines of runner i: from its header to the next header that is
// not of one of its own tables.
func block(lines []string, i int) (start, end int) {
	start = -1
	for n, line := range lines {
		switch {
		case start >= 0 && forms().header.MatchString(line) && !forms().sub.MatchString(line):
			return start, n
		case start < 0 && forms().runner.MatchString(line):
			if i == 0 {
				start = n
			}
			i--
		}
	}
	return start, len(lines)
}

// runnerLines sets the executor among the runner's own keys, and the wiring in
// its table custom, which is put at the end where there is none.
func runnerLines(lines, wiring []string) []string {
	out := []string{"  executor = \"custom\""}
	table, found := "", false
	for _, line := range lines {
		if forms().header.MatchString(line) {
			table = line
		}
		switch {
		case table == "" && forms().executor.MatchString(line):
		case forms().custom.MatchString(table) && forms().wiring.MatchString(line):
		case forms().custom.MatchString(line):
			found = true
			out = append(append(out, line), wiring...)
		default:
			out = append(out, line)
		}
	}
	if found {
		return out
	}
	last := len(out)
	for last > 0 && strings.TrimSpace(out[last-1]) == "" {
		last--
	}
	rest := slices.Clone(out[last:])
	return append(append(append(out[:last], customHeader), wiring...), rest...)
}

// maxRunnerFile is far above any runner's configuration, in bytes.
const maxRunnerFile = 4 << 20

// MergeFile writes a runner's config.toml with the wiring next to its place. The new file
// has the owner and the mode of the old one, less what others than owner and group may
// do: it has the runner's token. The file and the way to it must belong to root or to the
// service account. The runner notices the new file by itself.
func (w Wiring) MergeFile(path job.AbsPath, runner string, service job.UID) (c *Change, was string, err error) {
	t, err := openTarget(path, trustedfile.Trust{Account: service})
	if err != nil {
		return nil, "", err
	}
	text, is, err := t.read(maxRunnerFile)
	if err == nil && is.Uid != 0 && is.Uid != uint32(service) {
		err = fmt.Errorf("%s is owned by uid %d, not by root or the account of the service (uid %d)", t.path, is.Uid, service)
	}
	if err != nil {
		t.close()
		return nil, "", err
	}
	merged, was, err := w.merge(text, runner)
	if err != nil {
		t.close()
		return nil, "", fmt.Errorf("cannot edit %s: %w", path, err)
	}
	access := Access{int(is.Uid), int(is.Gid), fs.FileMode(is.Mode) & 0o770}
	if c, err = t.change(merged, access, true, nil); err == nil {
		c.from = &text
	}
	return c, was, err
}
