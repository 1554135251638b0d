package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"jacamar-ci/internal/image"
)

// SettledFile is the name of the file in the job's directory of scripts by which prepare
// passes a Settled to the run stages.
const SettledFile = "container.json"

// RunnerFile is the same for the runner's own scripts.
const RunnerFile = "runner.json"

// MaxSettled bounds its text, in bytes.
const MaxSettled = 8 << 20

// Settled is what prepare has decided for all containers of a job: a moving tag cannot
// change the image between the script and after_script.
type Settled struct {
	// Engine is the name of the engine.
	Engine string       `json:"engine"`
	Image  string       `json:"image"` // as the job's log names it, with the digest
	Place  Place        `json:"place"`
	Config image.Config `json:"config"`
	// Entrypoint is the effective one, empty for none.
	Entrypoint []string `json:"entrypoint,omitempty"`
	Shell      string   `json:"shell"` // what runs the bootstrap
	// Dash reports that scripts run in dash(1).
	Dash    bool      `json:"dash,omitempty"`
	IDs     image.IDs `json:"ids"`
	Env     []string  `json:"env,omitempty"` // of the host, by container.pass_env
	Options []string  `json:"options,omitempty"`
	Binds   []Bind    `json:"binds,omitempty"`
	// Services run with each script, nil for none.
	Services *Services `json:"services,omitempty"`
}

// ParseSettled parses the file's text.
func ParseSettled(text []byte) (s Settled, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&s); err == nil && (s.Engine == "" || s.Place.Path.IsZero() || s.Shell == "") {
		err = fmt.Errorf("it is not complete")
	}
	return s, err
}

// Inner returns the argv in the container.
func (s Settled) Inner(w Wires) []string {
	return slices.Concat(s.Entrypoint, []string{s.Shell, "-c", w.Bootstrap()})
}

// Start is a start for a script of the stage, on this host or on a node.
func (s Settled) Start(session Session, w Wires, stage, workDir string) Start {
	session.Linked = true
	return Start{
		Session: session, Place: s.Place, Inner: s.Inner(w), Config: s.Config,
		Env: slices.Concat(s.Env, []string{"JACAMAR_CI_SHELL=true", "JACAMAR_CI_STAGE=" + stage}), IDs: s.IDs,
		WorkDir: workDir, Binds: append(s.Services.Bind(), s.Binds...), Options: s.Options,
	}
}
