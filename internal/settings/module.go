package settings

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// Module are keys of [[container.module]]: what a module adds to the containers of a job's
// scripts.
type Module struct {
	Name    ModuleName `toml:"name" json:"name"`
	Binds   []Bind     `toml:"binds" json:"binds,omitempty"`
	PassEnv []Names    `toml:"pass_env" json:"pass_env,omitempty"`
}

// ModuleName names a [[container.module]].
type ModuleName string

// longestModuleName bounds a name in bytes.
const longestModuleName = 64

// moduleChars are those of names: none of them separates names in a job's variable.
const moduleChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *ModuleName) UnmarshalText(b []byte) error {
	name := string(b)
	if name == "" || len(name) > longestModuleName || strings.Trim(name, moduleChars) != "" || name[0] == '-' {
		return fmt.Errorf("%q is not the name of a module: write at most %d letters, digits, -, _ and .", job.Clip(name), longestModuleName)
	}
	*n = ModuleName(name)
	return nil
}
