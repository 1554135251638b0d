package fakeschedulers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Program is the name of the fake itself.
const Program = "fake-scheduler"

// Install builds the fake into dir, under the names of the scheduler's programs.
func Install(dir, kind string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	program := filepath.Join(dir, Program)
	cmd := exec.Command("go", "build", "-o", program, "jacamar-ci/test/harness/fakeschedulers/cmd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the fakes: %w\n%s", err, out)
	}
	for name := range schedulerDefs()[kind].programs {
		if err := os.Symlink(Program, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}
