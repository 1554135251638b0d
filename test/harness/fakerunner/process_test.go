package fakerunner_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

// facts prints what a driver can see of its own process.
const facts = `echo "pgid=$(ps -o pgid= -p $$ | tr -d ' ') pid=$$"
echo "stdin=$(readlink /proc/$$/fd/0)"
echo "cwd=$PWD tmpdir=$TMPDIR"
echo "out=$(readlink /proc/$$/fd/1)"
echo "err=$(readlink /proc/$$/fd/2)"`

func fact(t *testing.T, c fakerunner.Call, name string) string {
	t.Helper()
	for _, field := range strings.Split(string(c.Stdout), "\n") {
		if value, ok := strings.CutPrefix(field, name+"="); ok {
			return value
		}
	}
	t.Fatalf("no %s in %q", name, c.Stdout)
	return ""
}

func TestDriverProcess(t *testing.T) {
	r := newRunner(t, on{"prepare": facts, "cleanup": facts}).Run(newJob("true"))
	for _, stage := range []string{"prepare", "cleanup"} {
		t.Run(stage, func(t *testing.T) {
			c := call(t, r, stage)
			if got, want := fact(t, c, "pgid"), fmt.Sprintf("%d pid=%d", c.PID, c.PID); got != want {
				t.Errorf("process group %s, want its own: %s", got, want)
			}
			if got := fact(t, c, "stdin"); got != "/dev/null" {
				t.Errorf("standard input is %s", got)
			}
			if got := fact(t, c, "cwd"); got != c.Dir+" tmpdir="+c.Dir {
				t.Errorf("cwd %s, want the try's directory %s", got, c.Dir)
			}
			out, err := fact(t, c, "out"), fact(t, c, "err")
			if !strings.HasPrefix(out, "pipe:") || !strings.HasPrefix(err, "pipe:") || out == err {
				t.Errorf("output goes to %s and %s, want two pipes", out, err)
			}
		})
	}
}

// TestNoOtherDescriptors compares with a plain child of this process, which
// may itself have been started with descriptors that are passed on.
func TestNoOtherDescriptors(t *testing.T) {
	plain, err := exec.Command("/bin/ls", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	runner := newRunner(t, nil)
	runner.Custom.Prepare = []string{"/bin/ls", "/proc/self/fd"}
	c := call(t, runner.Run(newJob()), "prepare")
	if string(c.Stdout) != string(plain) {
		t.Errorf("descriptors %q, a plain child has %q", c.Stdout, plain)
	}
}

func TestArguments(t *testing.T) {
	runner := newRunner(t, nil)
	driver := runner.Custom.Config[0]
	runner.Custom.Config = []string{driver, "config", "--configuration", "/etc/x.toml"}
	r := runner.Run(newJob("true"))
	if got := call(t, r, "config").Argv; strings.Join(got, " ") != driver+" config --configuration /etc/x.toml" {
		t.Errorf("config: %q", got)
	}
	if got := call(t, r, "prepare").Argv; strings.Join(got, " ") != driver+" prepare" {
		t.Errorf("prepare: %q", got)
	}
	c := call(t, r, "build_script")
	if len(c.Argv) != 4 || c.Argv[1] != "run" || c.Argv[3] != "build_script" {
		t.Fatalf("run: %q", c.Argv)
	}
	if match, _ := filepath.Match(c.Dir+"/script*/script", c.Argv[2]); !match {
		t.Errorf("the script is %s, want one below %s", c.Argv[2], c.Dir)
	}
}

func TestDirectoriesAndTheirModes(t *testing.T) {
	var dirs []string
	runner := newRunner(t, on{
		"config": "exit 2",
		"run": `stat -c '%a %n' "$TMPDIR" "$JOB_RESPONSE_FILE" "$1" "$(dirname "$1")"
ls -d "$TMPDIR"/script* | wc -l; [ ! -e "$BUILD_EXIT_CODE_FILE" ]`,
	})
	runner.Hooks.TempDir = func(dir string) { dirs = append(dirs, dir) }

	t.Run("each try has a new one", func(t *testing.T) {
		runner.Run(newJob())
		if len(dirs) != 3 || dirs[0] == dirs[1] || dirs[1] == dirs[2] {
			t.Errorf("directories %q, want three", dirs)
		}
	})
	runner.Environ = append(runner.Environ, "ON_config=true")
	r := runner.Run(newJob())
	t.Run("modes", func(t *testing.T) {
		lines := strings.Split(string(call(t, r, "build_script").Stdout), "\n")
		for i, want := range []string{"700 ", "600 ", "700 ", "700 "} {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s, want mode %s", lines[i], want)
			}
		}
	})
	t.Run("scripts stay until the end", func(t *testing.T) {
		lines := strings.Fields(string(call(t, r, "cleanup_file_variables").Stdout))
		if n := lines[len(lines)-1]; n != "4" {
			t.Errorf("%s script directories at the fourth run call, want 4", n)
		}
	})
	t.Run("nothing is left", func(t *testing.T) {
		for _, dir := range dirs {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is still there (%v)", dir, err)
			}
		}
	})
}

func TestDirectoryRemovedWhenCleanupFails(t *testing.T) {
	r := newRunner(t, on{"cleanup": "exit 2"}).Run(newJob("true"))
	outcome(t, r, fakerunner.Success)
	if _, err := os.Stat(call(t, r, "cleanup").Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there (%v)", err)
	}
	if !strings.Contains(r.Trace, "Cleanup script failed: exit status 2") {
		t.Errorf("the trace has no message about it:\n%s", r.Trace)
	}
}

func TestRunnerOfAnotherAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start the driver as another account")
	}
	runner := newRunner(t, on{"prepare": `id -u; id -g; id -G; stat -c %u "$TMPDIR" "$JOB_RESPONSE_FILE"; cat "$JOB_RESPONSE_FILE" >/dev/null`})
	runner.Credential = &fakerunner.Credential{UID: 65534, GID: 65534, Groups: []uint32{65534, 12}}
	runner.TempRoot = openDir(t)
	driver := filepath.Join(openDir(t), "driver")
	b, err := os.ReadFile("testdata/driver")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(driver, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{runner.Custom.Config, runner.Custom.Prepare, runner.Custom.Run, runner.Custom.Cleanup} {
		argv[0] = driver
	}
	r := runner.Run(newJob())
	got := strings.Fields(string(call(t, r, "prepare").Stdout))
	want := "65534 65534 65534 12 65534 65534"
	if strings.Join(got, " ") != want {
		t.Errorf("uid, gid, groups, owners: %s, want %s\n%s", got, want, r.Trace)
	}
}

// openDir is a new directory that every account can read.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fakerunner-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
