package setup

import (
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// KillTimeout is the default of general.kill_timeout, and Margin how much longer the
// runner must wait for a job that it ends.
const (
	KillTimeout = 120 * time.Second
	Margin      = 30 * time.Second
)

// Wiring is how a runner calls jacamar-auth, or jacamar without authorization.
type Wiring struct {
	Program, Configuration string
	NoAuth                 bool
}

// stage is one of the calls of [runners.custom].
type stage struct {
	name string
	args []string
}

func (w Wiring) stages() []stage {
	all := []stage{
		{"config", []string{"config", "--configuration", w.Configuration}},
		{"prepare", []string{"prepare"}},
		{"run", []string{"run"}},
		{"cleanup", []string{"cleanup", "--configuration", w.Configuration}},
	}
	for i := range all {
		if w.NoAuth {
			all[i].args = append([]string{"--no-auth"}, all[i].args...)
		}
	}
	return all
}

// keys are those of [runners.custom] that the wiring sets.
func (w Wiring) keys() map[string]any {
	keys := map[string]any{}
	for _, s := range w.stages() {
		args := []any{}
		for _, a := range s.args {
			args = append(args, a)
		}
		keys[s.name+"_exec"], keys[s.name+"_args"] = w.Program, args
	}
	return keys
}

// Lines are the wiring's keys in TOML, in the order of the stages.
func (w Wiring) lines() ([]string, error) {
	var lines []string
	for _, s := range w.stages() {
		for _, pair := range []map[string]any{{s.name + "_exec": w.Program}, {s.name + "_args": s.args}} {
			line, err := toml.Marshal(pair)
			if err != nil {
				return nil, fmt.Errorf("cannot write [runners.custom]: %w", err)
			}
			lines = append(lines, "    "+strings.TrimSpace(string(line)))
		}
	}
	return lines, nil
}

const customHeader = "  [runners.custom]"

// Table is [runners.custom] for the runner's config.toml.
func (w Wiring) Table() (string, error) {
	lines, err := w.lines()
	return "  executor = \"custom\"\n" + customHeader + "\n" + strings.Join(lines, "\n") + "\n", err
}
