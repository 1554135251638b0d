package operations

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// updated are the programs of a package. The sites of this process share theirs, so a test
// replaces copies.
var updated = []string{"jacamar-auth", "jacamar", "jacamar-admin", "jacamar-keys"}

// programsOf are the files of a site's programs. With file capabilities jacamar is another
// directory's.
func programsOf(s *site.Site) map[string]string {
	files := map[string]string{}
	for _, name := range updated {
		files[name] = filepath.Join(filepath.Dir(s.Auth), name)
	}
	files["jacamar"] = s.Jacamar
	return files
}

// ownPrograms gives a site copies of its programs.
func ownPrograms(t *testing.T, s *site.Site) {
	t.Helper()
	dir := filepath.Join(s.Dir, "own")
	testutil.Must(t, os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755))
	for name, former := range programsOf(s) {
		command(t, "cp", "--preserve=mode,ownership,xattr", former, filepath.Join(dir, name))
	}
	s.Auth, s.Admin, s.Jacamar = filepath.Join(dir, "jacamar-auth"), filepath.Join(dir, "jacamar-admin"), filepath.Join(dir, "jacamar")
	testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "logging", site.Table{"enabled": true}) }))
}

// update replaces the programs as a package manager does: each new file has a name of its
// own until it is whole.
func update(t *testing.T, s *site.Site, from map[string]string) {
	t.Helper()
	for name, path := range programsOf(s) {
		command(t, "cp", "--preserve=mode,ownership,xattr", path, path+";new")
		text, err := os.ReadFile(from[name])
		testutil.Must(t, err)
		var caps [64]byte
		n, capErr := unix.Getxattr(path, "security.capability", caps[:])
		testutil.Must(t, os.WriteFile(path+";new", text, 0)) // which removes capabilities
		if capErr == nil {
			testutil.Must(t, unix.Setxattr(path+";new", "security.capability", caps[:n], 0))
		}
		testutil.Must(t, os.Rename(path+";new", path))
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// nextVersion builds the programs as if the meaning of states and messages had changed.
func nextVersion(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../../..")
	testutil.Must(t, err)
	replaced := map[string]string{}
	for file, change := range map[string][2]string{
		"internal/auth/internal/state/state.go": {`const version = "`, `const version = "next`},
		"internal/ipc/request.go":               {"const Version = ", "const Version = 1000 + "},
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		testutil.Must(t, err)
		if strings.Count(string(text), change[0]) != 1 {
			t.Fatalf("%s: its version is not found", file)
		}
		next := filepath.Join(dir, filepath.Base(file))
		testutil.Must(t, os.WriteFile(next, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o644))
		replaced[filepath.Join(root, file)] = next
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	testutil.Must(t, err, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644))
	built := map[string]string{}
	for _, name := range updated {
		built[name] = filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", built[name], "jacamar-ci/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return built
}

// TestUpdateDuringAJob: an update that changes neither states nor messages is none of a
// job's business: one whose script runs goes on, and can be stopped.
func TestUpdateDuringAJob(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		if strings.HasSuffix(t.Name(), "/sudo") {
			t.Skip("the rule of sudo names the programs of all sites")
		}
		from := programsOf(s)
		ownPrograms(t, s)
		for _, stop := range []bool{false, true} {
			path, open := gate(t)
			j := s.Job()
			j.AfterScript = []string{"echo after"}
			running := site.Begin(t, s.Runner(), j, waits(path))
			update(t, s, from)
			if stop {
				does(t, s, "stop", "--message", "maintenance", fmt.Sprint(j.ID))
				site.Want(t, running.Wait(), fakerunner.ScriptFailure, 1, "maintenance")
			} else {
				open()
				site.Want(t, running.Wait(), fakerunner.Success, 0, "after")
			}
			nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "an update")
		}
	})
}

// TestUpdateToAnotherVersion: after an update that changes them, the script that runs goes
// on to its end. Its job's later stages are refused by one line, and its cleanup finds the
// job in the journal.
func TestUpdateToAnotherVersion(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has these deployments")
	}
	next := nextVersion(t)
	deployments(t, func(t *testing.T, s *site.Site) {
		if strings.HasSuffix(t.Name(), "/sudo") {
			t.Skip("the rule of sudo names the programs of all sites")
		}
		ownPrograms(t, s)
		path, open := gate(t)
		j := s.Job()
		j.AfterScript = []string{"echo after"}
		r := s.Runner()
		r.Judge = nil // its after_script is refused
		running := site.Begin(t, r, j, waits(path)+"echo the end of it\n")
		update(t, s, next)
		open()
		result := running.Wait()
		site.Want(t, result, fakerunner.Success, 0, "the end of it")
		for _, c := range result.Calls[len(result.Calls)-3:] {
			refused := strings.Contains(string(c.Stdout)+string(c.Stderr), "ERROR: the job started with another version of Jacamar")
			if cleanup := c.Stage == "cleanup"; refused == cleanup || (c.Status == 0) != cleanup {
				t.Errorf("%s: status %d, %s%s", c.Stage, c.Status, c.Stdout, c.Stderr)
			}
		}
		nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "an update")
		if ended := list(t, s, "--ended")[j.ID]; ended.Exit != "abandoned" {
			t.Errorf("listed as %+v", ended)
		}
		if want := `"msg":"warning","project_id":12,"reason":"the job started with another version`; !strings.Contains(recordsOf(t, s), want) {
			t.Errorf("no record with %s:\n%s", want, recordsOf(t, s))
		}
		site.Want(t, s.Runner().Run(s.Job("echo next $((40+2))")), fakerunner.Success, 0, "next 42")
	})
}
