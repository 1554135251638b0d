package ending

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// compiled builds testdata/NAME.c where every account can run it.
func compiled(t *testing.T, name string) string {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/gcc": "gcc", "/usr/include/stdio.h": "libc6-dev"})
	building.Lock()
	defer building.Unlock()
	program := filepath.Join(built(t), name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if out, err := exec.Command("/usr/bin/gcc", "-O1", "-Wall", "-Werror", "-o", program, filepath.Join("testdata", name+".c")).CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", name, err, out)
	}
	return program
}

var building sync.Mutex

// built is a directory for programs that the tests have built; no other account can write
// any directory on its path.
func built(t *testing.T) string {
	t.Helper()
	install, err := site.Installed()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(install.Dir, "built")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}
