package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestSquatting (C12): another account creates alice's directory in a data_dir that all
// can write. The job's log names the owner, check warns of the directory before, and the
// fixes of both let the job run and prevent a repetition.
func TestSquatting(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes directories as other accounts")
	}
	for _, d := range site.Deployments() {
		if d.Changes {
			t.Run(d.Name, func(t *testing.T) { squat(t, d.Open(t)) })
		}
	}
}

func squat(t *testing.T, s *site.Site) {
	bob, err := site.LookupAccount(s.Accounts.Bob)
	testutil.Must(t, err)
	base := dataDir(t, s)
	dir := filepath.Dir(base)
	asBob := []string{"/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", bob.UID), fmt.Sprintf("--regid=%d", bob.GID), "--clear-groups", "/bin/mkdir", base}
	testutil.Must(t, exec.Command(asBob[0], asBob[1:]...).Run())
	before := advice(t, s)
	if !strings.Contains(before, "can make the directory of another account there") {
		t.Errorf("check has no warning:\n%s", before)
	}
	r := s.Runner().Run(bare(s))
	site.Want(t, r, fakerunner.SystemFailure, 0)
	site.Shows(t, r, fmt.Sprintf("cannot use %s: owned by %s, not by you", base, bob.Name))
	fix := regexp.MustCompile(`an administrator can then create it for you: (mkdir [^\x1b\n]*)`).FindStringSubmatch(r.Trace)
	if fix == nil {
		t.Fatalf("the log has no fix:\n%s", r.Trace)
	}
	// As the messages say: what is in the way goes, the directory is closed, and the
	// account gets one of its own.
	testutil.Must(t, os.Rename(base, base+".old"))
	linked(t, base, fix[1])
	for _, command := range []string{"chmod go-w " + dir, fix[1]} {
		if out, err := exec.Command("/bin/sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	site.Want(t, s.Runner().Run(bare(s)), fakerunner.Success, 0)
	testutil.Must(t, os.Rename(base, base+".older"))
	if exec.Command(asBob[0], asBob[1:]...).Run() == nil {
		t.Error("it can be done again")
	}
	if d := s.Service(); d == nil {
		// Root's jacamar-auth creates them, as check recommends.
		if !strings.Contains(before, "write root_dir_creation = true under [auth]") {
			t.Errorf("check does not say how:\n%s", before)
		}
		dataDirAt(t, s, dir, func(c site.Config) { c.Set("auth", "root_dir_creation", true) })
		site.Want(t, s.Runner().Run(bare(s)), fakerunner.Success, 0)
	}
	if after := advice(t, s); strings.Contains(after, "another account there") {
		t.Errorf("check still warns:\n%s", after)
	}
}

// opens matches a command that opens a directory to others, or sudo to more than jobs.
var opens = regexp.MustCompile(`\b[0-7]?777 |o\+w|ALL,!root`)

// advice is what check reports about the data directory, and fails the test for advice that
// opens a directory to others.
func advice(t *testing.T, s *site.Site) string {
	t.Helper()
	argv := []string{s.Admin, "check", "--json", "--configuration", s.ConfigFile}
	if a := s.Service(); a != nil && s.StateOwner() == nil {
		argv = slices.Concat([]string{"/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", a.UID), fmt.Sprintf("--regid=%d", a.GID), "--init-groups"}, argv)
	}
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var report struct {
		Lines []struct{ Check, Result, Text, Fix string }
	}
	testutil.Must(t, json.Unmarshal(out, &report))
	var text strings.Builder
	for _, l := range report.Lines {
		if opens.MatchString(l.Fix) {
			t.Errorf("%s: %s", l.Text, l.Fix)
		}
		if l.Check == "data directory" {
			fmt.Fprintf(&text, "%s %s: %s\n", l.Result, l.Text, l.Fix)
		}
	}
	if text.Len() == 0 {
		t.Errorf("check reports nothing about the data directory: %s", out)
	}
	return text.String()
}

// linked carries a fix out where an account has put a link: what it leads to stays root's.
func linked(t *testing.T, path, fix string) {
	t.Helper()
	target := t.TempDir()
	testutil.Must(t, os.Symlink(target, path))
	defer os.Remove(path)
	before, err := os.Stat(target)
	testutil.Must(t, err)
	if exec.Command("/bin/sh", "-c", fix).Run() == nil {
		t.Errorf("%s succeeded", fix)
	}
	after, err := os.Stat(target)
	testutil.Must(t, err)
	if own := after.Sys().(*syscall.Stat_t); own.Uid != 0 || after.Mode() != before.Mode() {
		t.Errorf("%s: the link's target is uid %d's, mode %v", fix, own.Uid, after.Mode())
	}
}
