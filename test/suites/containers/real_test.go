package containers

import (
	"flag"
	"os/exec"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/site"
)

// realName is the engine that is used as it is installed on this machine, and not its
// imitation.
var realName = flag.String("real", "", "run over an installed engine: apptainer")

// apptainer is the imitation, or with -real=apptainer the program in PATH.
func apptainer() engine {
	e := engine{name: "apptainer", need: needApptainer, table: func(w *world) site.Table {
		return site.Table{"application_path": filepath.Join(w.dir, "bin", "apptainer")}
	}, unlike: map[string]string{
		"other architecture":    "the file of an image does not have its architecture",
		"user of the image":     "the home directory is one of the start's own",
		"dash without the flag": hiddenShell,
	}}
	if *realName != "apptainer" {
		return e
	}
	e.need = needFUSE
	e.table = func(*world) site.Table {
		program, err := exec.LookPath("apptainer")
		if err != nil {
			return nil
		}
		return site.Table{"application_path": program}
	}
	return e
}

// Only engines with an imitation have a real program to choose.
func TestRealEngine(t *testing.T) {
	switch *realName {
	case "":
		t.Skip("-real=apptainer runs the suite over an installed Apptainer instead of its imitation")
	case "apptainer":
		if _, err := exec.LookPath("apptainer"); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("-real=%s: not an engine with an imitation", *realName)
	}
}
