package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Mechanism is the program that runs a job's script in a container.
type Mechanism string

// The mechanisms. The zero value means that jobs run on the host.
const (
	Podman       Mechanism = "podman"
	Charliecloud Mechanism = "charliecloud"
	Apptainer    Mechanism = "apptainer"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mechanism) UnmarshalText(b []byte) error {
	return Pick(m, b, []Spelling[Mechanism]{{"podman", Podman}, {"charliecloud", Charliecloud}, {"apptainer", Apptainer}})
}

// Engine are keys of [general.podman] and of the tables of other engines.
type Engine struct {
	ApplicationPath job.AbsPath `toml:"application_path" json:"application_path,omitzero"` // zero = in the system's directories
	CustomOptions   []string    `toml:"custom_options" json:"custom_options,omitempty"`
	UserEntryPoint  []string    `toml:"user_entry_point" json:"user_entry_point,omitempty"` // empty = the image's own
	StepScriptOnly  bool        `toml:"step_script_only" json:"step_script_only,omitempty"`
	// RunnerOptions and RunnerEntryPoint are for the containers of the runner's own scripts.
	RunnerOptions    []string `toml:"runner_options" json:"runner_options,omitempty"`
	RunnerEntryPoint []string `toml:"runner_entry_point" json:"runner_entry_point,omitempty"` // empty = the image's own
}

// Container are keys of [container].
type Container struct {
	PullTimeout time.Duration `toml:"pull_timeout" json:"pull_timeout"`
	CacheDir    job.AbsPath   `toml:"cache_dir" json:"cache_dir,omitzero"` // zero = below the account's base directory
	CacheForm   CacheForm     `toml:"cache_form" json:"cache_form"`
	CacheDays   int           `toml:"cache_days" json:"cache_days,omitempty"` // 0 = no limit, as for CacheSize
	CacheSize   Size          `toml:"cache_size" json:"cache_size,omitempty"`
	TempDir     job.AbsPath   `toml:"temp_dir" json:"temp_dir"`
	Binds       []Bind        `toml:"binds" json:"binds,omitempty"`
	PassEnv     []Names       `toml:"pass_env" json:"pass_env,omitempty"`
	RegistryCA  job.AbsPath   `toml:"registry_ca" json:"registry_ca,omitzero"` // zero = the system's authorities
	// ServicesNetwork is the network of a job with services, ServicesWait how long the
	// script waits for them, 0 for not at all.
	ServicesNetwork ServicesNetwork `toml:"services" json:"services_network"`
	ServicesWait    time.Duration   `toml:"services_wait" json:"services_wait"`
}

// CacheForm is how Podman stores images. Other engines have one form.
type CacheForm string

// The forms.
const (
	OverlayForm  CacheForm = "overlay"  // layers, on a local disk
	SquashfsForm CacheForm = "squashfs" // one file for each image, on any file system
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *CacheForm) UnmarshalText(b []byte) error {
	return Pick(f, b, []Spelling[CacheForm]{{"overlay", OverlayForm}, {"squashfs", SquashfsForm}})
}

// Bind is a path of the host in all containers.
type Bind struct {
	Source, Target job.AbsPath
	ReadOnly       bool
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bind) UnmarshalText(text []byte) (err error) {
	parts := strings.Split(string(text), ":")
	if len(parts) > 3 || len(parts) == 3 && parts[2] != "ro" && parts[2] != "rw" {
		return fmt.Errorf("%q is not a bind: write SOURCE, SOURCE:TARGET or SOURCE:TARGET:ro", job.Clip(string(text)))
	}
	var source, target job.AbsPath
	if source, err = job.ParseAbsPath(parts[0]); err != nil {
		return err
	}
	if target = source; len(parts) > 1 {
		if target, err = job.ParseAbsPath(parts[1]); err != nil {
			return err
		}
	}
	*b = Bind{source, target, len(parts) == 3 && parts[2] == "ro"}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (b Bind) MarshalText() ([]byte, error) {
	text := b.Source.String() + ":" + b.Target.String()
	if b.ReadOnly {
		text += ":ro"
	}
	return []byte(text), nil
}

// Names are the names of environment variables: one, or with "*" at the end all that begin
// with the rest.
type Names string

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Names) UnmarshalText(b []byte) error {
	name := strings.TrimSuffix(string(b), "*")
	if _, err := job.ParseEnv(name + "="); err != nil || strings.Contains(name, "=") {
		return fmt.Errorf("%q is not the name of a variable, or the beginning of one with * behind it", job.Clip(string(b)))
	}
	if isImages(name) {
		return errors.New(name + " is the image's own and cannot be passed")
	}
	*n = Names(b)
	return nil
}

// isImages reports whether a variable is the image's own.
func isImages(variable string) bool { return variable == "PATH" || variable == "HOME" }

// Match reports whether the variable is among the names; none that is the image's own is.
func (n Names) Match(variable string) bool {
	if isImages(variable) {
		return false
	}
	if prefix, ok := strings.CutSuffix(string(n), "*"); ok {
		return strings.HasPrefix(variable, prefix)
	}
	return string(n) == variable
}

// ServicesNetwork is the network in which a job's services and its script run.
type ServicesNetwork string

// The networks.
const (
	ServicesOff     ServicesNetwork = "off"     // no services are started
	ServicesPrivate ServicesNetwork = "private" // one of the job's own, without a way out
	ServicesHost    ServicesNetwork = "host"    // that of the host
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *ServicesNetwork) UnmarshalText(b []byte) error {
	return Pick(n, b, []Spelling[ServicesNetwork]{{"private", ServicesPrivate}, {"host", ServicesHost}, {"off", ServicesOff}})
}

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
		return fmt.Errorf("%q is not the name of a module: write at most %d letters, digits, ., - and _", job.Clip(name), longestModuleName)
	}
	*n = ModuleName(name)
	return nil
}
