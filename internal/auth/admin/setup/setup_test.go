package setup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// place writes a configuration and puts it into its place.
func place(path job.AbsPath, text string, access Access, force bool) error {
	c, err := NewFile(path, text, access, force)
	if err != nil {
		return err
	}
	defer c.Discard()
	return Apply(time.Now(), c)
}

// mergeFile is the same for a runner's file.
func mergeFile(path job.AbsPath, runner string, service job.UID) error {
	c, _, err := wiring.MergeFile(path, runner, service)
	if err != nil {
		return err
	}
	defer c.Discard()
	return Apply(time.Now(), c)
}

func owner() Access { return Access{os.Geteuid(), os.Getegid(), 0o600} }

func choice() Choice {
	return Choice{Server: "https://gitlab.example.com", DataDir: "$HOME", Executor: "shell", Deployment: Root}
}

// TestRenderLoads: what is written contains what was chosen and nothing else.
func TestRenderLoads(t *testing.T) {
	for _, d := range deployments() {
		t.Run(string(d), func(t *testing.T) {
			c := choice()
			c.Deployment, c.DataDir, c.Helper = d, `/data/"quoted"`, "jacamar-b"
			text, err := Render(c)
			if err != nil {
				t.Fatal(err)
			}
			path := testutil.AbsPath(t, testutil.HomeDir(t)+"/jacamar.toml")
			if err := place(path, text, owner(), false); err != nil {
				t.Fatal(err)
			}
			got, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			want := map[Deployment]string{Root: "setuid", Caps: "setuid", Sudo: "sudo", None: "none", NoAuth: "none"}[d]
			if string(got.Auth.Downscope) != want || got.General.DataDir.String() != c.DataDir || strings.Contains(text, "\nenabled = true\n") != (d != NoAuth) {
				t.Errorf("%s: downscope %s, data_dir %s", d, got.Auth.Downscope, got.General.DataDir)
			}
			if state := got.General.StateDir.String(); state != "" || got.Auth.HelperAccount.String() != "jacamar-b" {
				t.Errorf("%s: state_dir %q, helper_account %s", d, state, got.Auth.HelperAccount)
			}
			if len(got.Warnings) > 0 && d != NoAuth {
				t.Errorf("warnings %v", got.Warnings)
			}
		})
	}
}

// TestEveryKeyCanBeUncommented: the file names every key, each once.
func TestEveryKeyCanBeUncommented(t *testing.T) {
	text, err := Render(choice())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Reference() {
		_, name := cut(k.Path)
		if !strings.Contains(text, "\n"+name+" = ") && !strings.Contains(text, "\n#"+k.Example+"\n") {
			t.Errorf("%s is not in the file", k.Path)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# ") && len(line) > width+1 {
			t.Errorf("a long line: %q", line)
		}
	}
}

func TestPlace(t *testing.T) {
	dir := testutil.HomeDir(t)
	path := testutil.AbsPath(t, dir+"/jacamar.toml")
	good, err := Render(choice())
	if err != nil {
		t.Fatal(err)
	}
	if err := place(path, good+"\n[general]\n", owner(), false); err == nil || !strings.Contains(err.Error(), "general") {
		t.Errorf("a faulty file: %v", err)
	}
	if err := place(path, good, owner(), false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path.String())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	if err := place(path, good+"# new\n", owner(), false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("an existing file: %v", err)
	}
	if err := place(path, good+"# new\n", owner(), true); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path.String()); err != nil || !strings.HasSuffix(string(text), "# new\n") {
		t.Errorf("%v: the file was not replaced", err)
	}
	if left, _ := filepath.Glob(dir + "/.jacamar*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestComment: a line of a comment has as many words as fit, and all words are there.
func TestComment(t *testing.T) {
	text := strings.Repeat("some words of other lengths, ", 40)
	var out strings.Builder
	comment(&out, text)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range lines {
		if len(line) > width || !strings.HasPrefix(line, "# ") {
			t.Errorf("%q", line)
		}
		if i == 0 {
			continue
		}
		if first, _, _ := strings.Cut(lines[i][2:], " "); len(lines[i-1])+1+len(first) <= width {
			t.Errorf("%q has space for %q", lines[i-1], first)
		}
	}
	if got := strings.Fields(strings.ReplaceAll(out.String(), "#", "")); !slices.Equal(got, strings.Fields(text)) {
		t.Errorf("%q", got)
	}
}

// TestBackup: a change names the file with the former contents, where there were some.
func TestBackup(t *testing.T) {
	file := testutil.AbsPath(t, testutil.HomeDir(t)+"/jacamar.toml")
	text, err := Render(choice())
	testutil.Must(t, err)
	for _, former := range []string{"", text} {
		c, err := NewFile(file, text+"#\n", owner(), true)
		testutil.Must(t, err, Apply(time.Now(), c))
		c.Discard()
		backup := c.Backup()
		if got, err := os.ReadFile(backup); (backup == "") != (former == "") || backup != "" && (err != nil || !strings.HasPrefix(string(got), text) || filepath.Dir(backup) != filepath.Dir(file.String())) {
			t.Errorf("after %q: %q, %v", former, backup, err)
		}
	}
}

// TestMissingDirectory: the printed command makes a directory that the service can enter, and
// one for root alone where the file is root's alone.
func TestMissingDirectory(t *testing.T) {
	lost := errors.New("lost")
	for access, mode := range map[Access]string{{0, 0, 0o600}: "0700", {0, 998, 0o640}: "0755", {999, 999, 0o600}: "0755", {999, 0, 0o600}: "0755"} {
		if err := missingDirectory(testutil.AbsPath(t, "/nosuch/file"), access, lost); err == nil || !strings.HasSuffix(err.Error(), "install -d -m "+mode+" /nosuch") {
			t.Errorf("%+v: %v", access, err)
		}
	}
	if err := missingDirectory(testutil.AbsPath(t, "/etc/file"), owner(), lost); err != lost {
		t.Errorf("in a directory that exists: %v", err)
	}
}

// TestFormerConfigurationIsClosed: K25, only the owner can read a former configuration.
func TestFormerConfigurationIsClosed(t *testing.T) {
	file := testutil.AbsPath(t, testutil.HomeDir(t)+"/jacamar.toml")
	text, err := Render(choice())
	testutil.Must(t, err)
	readable := Access{os.Geteuid(), os.Getegid(), 0o640}
	testutil.Must(t, place(file, "# former\n"+text, readable, false), place(file, text, readable, true))
	former, err := filepath.Glob(file.String() + ".*.bak")
	if err != nil || len(former) != 1 {
		t.Fatalf("%v, %v", former, err)
	}
	for name, want := range map[string]os.FileMode{file.String(): 0o640, former[0]: 0o600} {
		info, err := os.Stat(name)
		testutil.Must(t, err)
		if got, err := os.ReadFile(name); info.Mode() != want || err != nil || strings.HasPrefix(string(got), "# former") != (want == 0o600) {
			t.Errorf("%s has mode %v, want %v, %v:\n%s", name, info.Mode(), want, err, got)
		}
	}
}

func TestAccessFor(t *testing.T) {
	service := job.Account{UID: 999, GID: 998}
	if got, want := AccessFor(service, 0), (Access{0, 998, 0o640}); got != want {
		t.Errorf("made by root: %+v", got)
	}
	if got, want := AccessFor(service, 999), (Access{999, 998, 0o600}); got != want {
		t.Errorf("made by the service: %+v", got)
	}
}

// anyGroup knows every group but one.
func anyGroup(name string) error {
	if name == "missing" {
		return errors.New("there is no such group")
	}
	return nil
}

// TestAsk: one question at a time; a wrong answer is described and the others are kept.
func TestAsk(t *testing.T) {
	var c Choice
	deployment := ""
	var out strings.Builder
	answers := "\ngitlab.example.com\nhttps://g\nhttps://deployment\n\nSlurm\nslurm\nfoo\n\nci-users, missing\nci-users, ops\n"
	if err := Ask(strings.NewReader(answers), &out, c.Questions(&deployment, anyGroup), &deployment); err != nil {
		t.Fatal(err)
	}
	if c.Server != "https://g" || deployment != "root" || c.Executor != "slurm" || c.DataDir != "$HOME" || c.Groups != "ci-users, ops" {
		t.Errorf("%+v, %s", c, deployment)
	}
	for question, times := range map[string]int{
		"Address of the GitLab server, such as https://gitlab.example.com: ": 3, "Deployment: ": 2, "Executor: ": 2, "Directory for the files of jobs [$HOME]: ": 2, "Groups whose": 2,
	} {
		if n := strings.Count(out.String(), question); n != times {
			t.Errorf("%q was asked %d times, want %d:\n%s", question, n, times, out.String())
		}
	}
	for _, want := range []string{`"gitlab.example.com" is not a`, `deployment "https://deployment" is none of`, "there is no such group"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if left := c.Questions(&deployment, anyGroup); len(left) != 0 {
		t.Errorf("still open: %s", Flags(left))
	}
}

// TestAskIsInterrupted: the answers so far are printed as options.
func TestAskIsInterrupted(t *testing.T) {
	var c Choice
	deployment := ""
	err := Ask(strings.NewReader("https://g\nnone\n"), io.Discard, c.Questions(&deployment, anyGroup), &deployment)
	if err == nil || err.Error() != "no answer for --executor; to go on: jacamar-admin init --gitlab-server https://g --deployment none" {
		t.Errorf("%v", err)
	}
	c, deployment = Choice{}, ""
	if err := Ask(strings.NewReader("https://g\nnone\nshell\n$HOME\n"), io.Discard, c.Questions(&deployment, anyGroup), &deployment); err != nil || c.Groups != "" {
		t.Errorf("with one account for all jobs it asks for groups: %v, %q", err, c.Groups)
	}
}

func TestParseDeployment(t *testing.T) {
	if _, err := ParseDeployment("docker"); err == nil {
		t.Error("docker is a deployment")
	}
	if d, err := ParseDeployment("caps"); err != nil || d != Caps {
		t.Error(d, err)
	}
}

// self is the account that the tests run as.
func self() job.UID { return job.UID(os.Geteuid()) }

const runnerText = "[[runners]]\n  name = \"a\"\n"

// TestMergeFile: the file keeps its owner and its mode, without the bits for others.
func TestMergeFile(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o640: 0o640, 0o644: 0o640, 0o666: 0o660, 0o604 | os.ModeSetgid: 0o600} {
		file := testutil.HomeDir(t) + "/config.toml"
		testutil.Must(t, os.WriteFile(file, []byte(runnerText), 0o600), os.Chmod(file, mode))
		testutil.Must(t, mergeFile(testutil.AbsPath(t, file), "", self()))
		info, err := os.Stat(file)
		testutil.Must(t, err)
		if info.Mode() != want {
			t.Errorf("mode %v became %v, want %v", mode, info.Mode(), want)
		}
		if text, _ := os.ReadFile(file); !strings.Contains(string(text), "config_exec") {
			t.Errorf("not merged:\n%s", text)
		}
		entries, _ := os.ReadDir(filepath.Dir(file))
		if len(entries) != 2 || !strings.HasSuffix(entries[1].Name(), ".bak") {
			t.Fatalf("left are %v", entries)
		}
		if former, err := os.ReadFile(filepath.Join(filepath.Dir(file), entries[1].Name())); err != nil || string(former) != runnerText {
			t.Errorf("%v; the backup has\n%s", err, former)
		}
	}
}

// TestMergeFileKeepsOtherChanges: what another program writes into the file, or replaces it
// by, between its reading and its replacement is not lost.
func TestMergeFileKeepsOtherChanges(t *testing.T) {
	const registered = runnerText + "[[runners]]\n  name = \"b\"\n"
	for name, write := range map[string]func(file string) error{
		"written": func(file string) error { return os.WriteFile(file, []byte(registered), 0o600) },
		"replaced": func(file string) error {
			return errors.Join(os.WriteFile(file+"2", []byte(registered), 0o600), os.Rename(file+"2", file))
		},
		"emptied": func(file string) error { return os.Truncate(file, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			file := testutil.HomeDir(t) + "/config.toml"
			testutil.Must(t, os.WriteFile(file, []byte(runnerText), 0o600))
			c, _, err := wiring.MergeFile(testutil.AbsPath(t, file), "a", self())
			testutil.Must(t, err, write(file))
			want, _ := os.ReadFile(file)
			err = Apply(time.Now(), c)
			c.Discard()
			if err == nil || !strings.Contains(err.Error(), "another program has changed "+file+" at the same time: run the command again") {
				t.Errorf("got %v", err)
			}
			if text, _ := os.ReadFile(file); string(text) != string(want) {
				t.Errorf("the file has\n%s", text)
			}
			if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
				t.Errorf("left are %v", entries)
			}
		})
	}
}

// TestMergeFileRefuses what others could have put there.
func TestMergeFileRefuses(t *testing.T) {
	const service, other = 4242, 4243
	for name, tc := range map[string]struct {
		plant func(dir string) error
		path  string
		why   string // "" is merged
	}{
		"plain":                        {func(string) error { return nil }, "real/config.toml", ""},
		"the service's":                {func(d string) error { return chown(service, d+"/real", d+"/real/config.toml") }, "real/config.toml", ""},
		"the service's, in root's":     {func(d string) error { return chown(service, d+"/real/config.toml") }, "real/config.toml", ""},
		"another's":                    {func(d string) error { return chown(other, d+"/real/config.toml") }, "real/config.toml", "is owned by uid 4243"},
		"another's directory":          {func(d string) error { return chown(other, d+"/real") }, "real/config.toml", "is owned by uid 4243"},
		"writable directory":           {func(d string) error { return os.Chmod(d+"/real", 0o777) }, "real/config.toml", "is writable by group and others"},
		"sticky directory":             {func(d string) error { return os.Chmod(d+"/real", 0o777|os.ModeSticky) }, "real/config.toml", "is writable by group and others"},
		"link":                         {func(d string) error { return os.Symlink("real/config.toml", d+"/link") }, "link", "is a symbolic link"},
		"root's link to the directory": {func(d string) error { return os.Symlink("real", d+"/link") }, "link/config.toml", ""},
		"the service's link": {func(d string) error {
			return errors.Join(os.Symlink("real", d+"/link"), chown(service, d+"/link"))
		}, "link/config.toml", "is a symbolic link that uid 4242 can change"},
		"a link in the service's directory": {func(d string) error {
			return errors.Join(os.Mkdir(d+"/home", 0o755), os.Symlink("../real", d+"/home/link"), chown(service, d+"/home"))
		}, "home/link/config.toml", "is a symbolic link that uid 4242 can change"},
		"FIFO": {func(d string) error {
			return errors.Join(os.Remove(d+"/real/config.toml"), syscall.Mkfifo(d+"/real/config.toml", 0o600))
		}, "real/config.toml", "is not a regular file"},
		"missing": {func(d string) error { return os.Remove(d + "/real/config.toml") }, "real/config.toml", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("only root works in directories of other accounts")
			}
			dir := testutil.HomeDir(t)
			testutil.Must(t, os.Mkdir(dir+"/real", 0o755), os.WriteFile(dir+"/real/config.toml", []byte(runnerText), 0o600), tc.plant(dir))
			err := mergeFile(testutil.AbsPath(t, filepath.Join(dir, tc.path)), "", service)
			if (err == nil) != (tc.why == "") || (err != nil && !strings.Contains(err.Error(), tc.why)) {
				t.Errorf("got %v, want %q", err, tc.why)
			}
			if name == "FIFO" {
				return // to read it would wait for a writer
			}
			text, _ := os.ReadFile(dir + "/real/config.toml")
			if merged := strings.Contains(string(text), "config_exec"); merged != (tc.why == "") {
				t.Errorf("the file has\n%s", text)
			}
		})
	}
}

func chown(uid int, paths ...string) (err error) {
	for _, p := range paths {
		err = errors.Join(err, os.Lchown(p, uid, -1))
	}
	return err
}

// TestApplyAllOrNothing: where the second file cannot take its place, the first is as it
// was, or is not there.
func TestApplyAllOrNothing(t *testing.T) {
	for name, former := range map[string]string{"a new file": "", "a replaced file": "# former\n"} {
		dir := testutil.HomeDir(t)
		good, err := Render(choice())
		testutil.Must(t, err)
		first, second := testutil.AbsPath(t, dir+"/jacamar.toml"), testutil.AbsPath(t, dir+"/other.toml")
		if former != "" {
			testutil.Must(t, os.WriteFile(first.String(), []byte(former), 0o600))
		}
		one, err := NewFile(first, good, owner(), former != "")
		testutil.Must(t, err)
		two, err := NewFile(second, good, owner(), false)
		testutil.Must(t, err, os.WriteFile(second.String(), []byte("in the way\n"), 0o600))
		if err := Apply(time.Now(), one, two); err == nil || !strings.Contains(err.Error(), "other.toml exists: give --force") {
			t.Errorf("%s: %v", name, err)
		}
		one.Discard()
		two.Discard()
		text, err := os.ReadFile(first.String())
		if string(text) != former || (err != nil) != (former == "") {
			t.Errorf("%s: %v, it has %q", name, err, text)
		}
		entries, _ := os.ReadDir(dir)
		if want := 1 + min(1, len(former)); len(entries) != want {
			t.Errorf("%s: left are %v", name, entries)
		}
	}
}

// TestErrorsNameTheFile: not the draft, which is gone by then.
func TestErrorsNameTheFile(t *testing.T) {
	path := testutil.AbsPath(t, testutil.HomeDir(t)+"/jacamar.toml")
	if err := place(path, "[general\n", owner(), false); err == nil || strings.Contains(err.Error(), "/.jacamar") || !strings.Contains(err.Error(), path.String()) {
		t.Errorf("%v", err)
	}
	missing := testutil.AbsPath(t, testutil.HomeDir(t)+"/missing/jacamar.toml")
	if err := place(missing, "", owner(), false); err == nil || !strings.Contains(err.Error(), "run: install -d -m 0") {
		t.Errorf("%v", err)
	}
}
