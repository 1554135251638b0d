package setup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// TestFindUnit: the unit is the one whose command reads the runner's file.
func TestFindUnit(t *testing.T) {
	const usual, own = UsualRunnerConfig, "/srv/ci/config.toml"
	for name, tt := range map[string]struct {
		files  map[string]string
		config string
		want   Unit
	}{
		"none": {nil, usual, Unit{}},
		"as gitlab-runner install writes it": {map[string]string{
			"/etc/systemd/system/gitlab-runner.service": "[Service]\nExecStart=/usr/bin/gitlab-runner \"run\" \"--config\" \"" + usual + "\" \"--service\" \"gitlab-runner\"\n",
		}, usual, Unit{"gitlab-runner.service", false}},
		"without a file":          {map[string]string{"/usr/lib/systemd/system/ci.service": "[Service]\nExecStart=/usr/bin/gitlab-runner run\n"}, usual, Unit{"ci.service", false}},
		"with another file":       {map[string]string{"/etc/systemd/system/gitlab-runner.service": "[Service]\nExecStart=/usr/bin/gitlab-runner run --config=" + own + "\n"}, usual, Unit{}},
		"of that file":            {map[string]string{"/etc/systemd/system/two.service": "[Service]\nExecStart=/usr/bin/gitlab-runner run --config=" + own + "\n"}, own, Unit{"two.service", false}},
		"not a runner":            {map[string]string{"/etc/systemd/system/other.service": "[Service]\nExecStart=/bin/cat " + usual + "\n"}, usual, Unit{}},
		"with the variable":       {map[string]string{"/etc/systemd/system/r.service": "[Service]\nExecStart=/usr/bin/gitlab-runner run\nEnvironment=A=b GOMAXPROCS=2\n"}, usual, Unit{"r.service", true}},
		"with a comment about it": {map[string]string{"/etc/systemd/system/r.service": "[Service]\nExecStart=/usr/bin/gitlab-runner run\n#Environment=GOMAXPROCS=2\n"}, usual, Unit{"r.service", false}},
		"with the drop-in of the package": {map[string]string{
			"/lib/systemd/system/r.service":                  "[Service]\nExecStart=/usr/bin/gitlab-runner run\n",
			"/etc/systemd/system/r.service.d/jacamar.conf":   "[Service]\n" + ProcessorsSetting + "\n",
			"/etc/systemd/system/r.service.d/without-suffix": "",
		}, usual, Unit{"r.service", true}},
	} {
		root := t.TempDir()
		for file, text := range tt.files {
			write(t, root, file, text)
		}
		if got := FindUnit(root, testutil.AbsPath(t, tt.config)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func write(t *testing.T, root, path, text string) {
	t.Helper()
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNewLimit: after it the unit is limited.
func TestNewLimit(t *testing.T) {
	root := testutil.HomeDir(t)
	write(t, root, "/etc/systemd/system/r.service", "[Service]\nExecStart=/usr/bin/gitlab-runner run\n")
	unit := FindUnit(root, testutil.AbsPath(t, UsualRunnerConfig))
	c, err := NewLimit(root, unit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Discard()
	if err := Apply(time.Now(), c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.Path().String()); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v", info, err)
	}
	if unit = FindUnit(root, testutil.AbsPath(t, UsualRunnerConfig)); !unit.Limited {
		t.Errorf("%+v", unit)
	}
	again, err := NewLimit(root, unit) // its directory exists
	testutil.Must(t, err)
	again.Discard()
	if c, err := NewLimit(filepath.Join(root, "none"), unit); err == nil {
		t.Errorf("%s, below a directory that does not exist", c.Path())
	}
}

// TestUnitFiles: a unit has the files of all directories, with those of its drop-ins and of no
// other unit.
func TestUnitFiles(t *testing.T) {
	root := testutil.HomeDir(t)
	var want []string
	for _, name := range []string{"/etc/systemd/system/r.service", "/etc/systemd/system/r.service.d/a.conf", "/usr/lib/systemd/system/r.service"} {
		write(t, root, name, "[Service]\n")
		want = append(want, root+name)
	}
	write(t, root, "/etc/systemd/system/other.service", "[Service]\n")
	if got := UnitFiles(root, "r.service"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := UnitFiles(root+"/none", "r.service"); got != nil {
		t.Errorf("%q, below a directory that does not exist", got)
	}
}
