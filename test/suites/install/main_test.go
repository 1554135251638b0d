// Package install builds the packages, installs them into empty roots and runs
// jobs through what is installed, as a new site would.
package install

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) {
	code := site.Main(m)
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			code = 1
		}
	}
	os.Exit(code)
}

// top is the source tree.
const top = "../../.."

// built are the packages of this run.
var built struct {
	sync.Once
	dir string
	err error
}

// flavours are the packages by their names.
var flavours = []string{"jacamar-ci", "jacamar-ci-caps"}

func needRPM(t *testing.T) {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/rpmbuild": "rpm", "/usr/bin/busybox": "busybox-static"})
	if _, err := os.Stat(top + "/.git"); err != nil {
		t.Skipf("the packages are made from a clone of the repository: %v", err)
	}
}

// packages returns the path of a package, built once.
func packages(t *testing.T, name string) string {
	t.Helper()
	needRPM(t)
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "jacamar-packages-"); built.err == nil {
			built.err = build(built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return find(t, built.dir, name, ".rpm")
}

func build(dir string) error {
	_, err := run(top, "make", "--no-print-directory", "rpm", "DIST="+dir)
	return err
}

func find(t *testing.T, dir, name, ending string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, name+"-[0-9]*"+ending))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s*%s in %s: %v, %v", name, ending, dir, found, err)
	}
	return found[0]
}

// run runs a command; its error has the output.
func run(dir string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), errors.Join(errors.New(strings.Join(argv, " ")), err, errors.New(out.String()))
	}
	return out.String(), nil
}

func must(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := run("", argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
