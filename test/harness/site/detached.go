package site

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"

	"jacamar-ci/test/harness/fakerunner"
)

// Detached is a job in a runner process of its own, which a test can kill. Its
// standard error is the job's output as it arrives, its standard output a
// fakerunner.Result at the end.
func (s *Site) Detached(r *fakerunner.Runner, j fakerunner.Job) (*exec.Cmd, error) {
	order, err := json.Marshal(fakerunner.Order{Runner: r, Job: j})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(s.install.Bin, "fakerunner"))
	cmd.Stdin, cmd.Env = bytes.NewReader(order), r.Environ
	if s.service != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.service.UID, Gid: s.service.GID, Groups: s.service.Groups}}
	}
	return cmd, nil
}
