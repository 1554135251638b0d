package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/internal/version"
	"jacamar-ci/test/harness/testutil"
)

// openDir is a new directory that all accounts can enter and only this one can change.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(trustedParent(t), "check-")
	testutil.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	testutil.Must(t, os.Chmod(dir, 0o755))
	return dir
}

// scripted is a new program that runs the text.
func scripted(t *testing.T, text string, mode fs.FileMode) job.AbsPath {
	t.Helper()
	path := filepath.Join(openDir(t), "program")
	testutil.Must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700), os.Chmod(path, mode))
	return testutil.AbsPath(t, path)
}

// TestInstalledPrograms: who may change and run the programs, and whether they are of one
// version.
func TestInstalledPrograms(t *testing.T) {
	ours := "echo Version: " + version.Number()
	for name, tt := range map[string]struct {
		text       string
		mode       fs.FileMode
		capable    bool
		auth, user []string
		fix        string
	}{
		"as installed":         {ours, 0o755, false, []string{"ok of this version"}, []string{"ok run by all and is of this version"}, ""},
		"for one group":        {ours, 0o750, false, []string{"ok"}, []string{"fail has mode 0750"}, "chmod o+x"},
		"writable by others":   {ours, 0o757, false, []string{"fail is writable by others"}, []string{"fail is writable by others"}, "chmod o-w"},
		"setuid for all":       {ours, 0o755 | fs.ModeSetuid, false, []string{"fail any account may run it (mode 4755)"}, []string{"ok"}, "chmod 0750"},
		"setuid for a group":   {ours, 0o750 | fs.ModeSetuid, false, []string{"ok"}, nil, ""},
		"capable for all":      {ours, 0o755, true, []string{"fail any account may run it (mode 0755)"}, []string{"ok"}, "chmod 0750"},
		"capable for a group":  {ours, 0o750, true, []string{"ok"}, nil, ""},
		"of another version":   {"echo Version: 0.0.1", 0o755, false, []string{`fail is "Version: 0.0.1", and this program`}, []string{`fail is "Version: 0.0.1"`}, "from one package"},
		"one that is ended":    {"kill -KILL $$", 0o755, false, []string{"fail signal 9"}, []string{"fail signal 9"}, "install it again"},
		"both of these faults": {"echo x", 0o757 | fs.ModeSetuid, false, []string{"fail is writable", "fail any account may run it"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := scripted(t, tt.text, tt.mode)
			if tt.capable {
				give(t, p)
			}
			s := Site{Auth: p, Jacamar: p, Fetcher: p, Trust: trustedfile.Self(), Config: &config.Config{}}
			got := authProgram(t.Context(), s)
			found(t, got, tt.auth...)
			all := fixes(got)
			if tt.user != nil {
				got := jacamar(t.Context(), s)
				found(t, got, tt.user...)
				all += fixes(got)
			}
			if !strings.Contains(all, tt.fix) {
				t.Errorf("no %q in %q", tt.fix, all)
			}
		})
	}
	missing := Site{Auth: testutil.AbsPath(t, "/nonexistent/jacamar-auth"), Trust: trustedfile.Self()}
	found(t, authProgram(t.Context(), missing), "fail /nonexistent does not exist")
}

// give gives a program CAP_SETUID (struct vfs_cap_data, revision 2).
func give(t *testing.T, p job.AbsPath) {
	t.Helper()
	set := []byte{0, 0, 0, 2, 1 << unix.CAP_SETUID, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(p.String(), "security.capability", set, 0); err != nil {
		t.Skipf("the file system has no file capabilities: %v", err)
	}
}

func TestFetcher(t *testing.T) {
	p := scripted(t, "echo Version: "+version.Number(), 0o755)
	found(t, fetcher(t.Context(), Site{Fetcher: p}), "ok is of this version")
	found(t, fetcher(t.Context(), Site{Fetcher: p, FetcherErr: errors.New("it is missing")}), "fail it is missing")
}

// TestShells: the scripts of jobs need a Bash that their accounts can run.
func TestShells(t *testing.T) {
	bash, err := os.ReadFile("/bin/bash")
	testutil.Must(t, err)
	closed := filepath.Join(openDir(t), "bash")
	testutil.Must(t, os.WriteFile(closed, bash, 0o700), os.Chmod(closed, 0o750))
	for name, tt := range map[string]struct {
		shell string
		scope settings.Downscope
		want  string
	}{
		"a Bash":                     {"/bin/bash", settings.Setuid, "ok scripts run with /bin/bash"},
		"none":                       {"/nonexistent/bash", settings.Setuid, "fail no program /nonexistent/bash"},
		"a directory":                {"/bin", settings.Setuid, "fail no program /bin"},
		"not executable":             {"/etc/passwd", settings.Setuid, "fail no program /etc/passwd"},
		"another one":                {scripted(t, "", 0o755).String(), settings.Setuid, "fail is no Bash"},
		"one that does not start":    {scripted(t, "kill -KILL $$", 0o755).String(), settings.Setuid, "fail is no Bash"},
		"closed to accounts of jobs": {closed, settings.Setuid, "fail the accounts of jobs cannot run " + closed},
		"and jobs have this account": {closed, settings.None, "ok scripts run with " + closed},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{Config: &config.Config{}, Names: account.System(nil, nil)}
			s.Config.General.ShellPath, s.Config.Auth.Downscope = testutil.AbsPath(t, tt.shell), tt.scope
			found(t, shells(t.Context(), s), tt.want)
		})
	}
}

func TestJudgeShellList(t *testing.T) {
	unlisted := errors.New("no /etc/shells")
	set := config.List[job.AbsPath]{Set: true, Items: []job.AbsPath{testutil.AbsPath(t, "/bin/sh"), testutil.AbsPath(t, "/nonexistent/zsh")}}
	found(t, judgeShellList(config.List[job.AbsPath]{}, nil))
	found(t, judgeShellList(config.List[job.AbsPath]{}, unlisted), "fail no /etc/shells")
	found(t, judgeShellList(set, unlisted), "warn names /nonexistent/zsh")
	found(t, judgeShellList(set, nil), "warn names /nonexistent/zsh")
}

func TestSELinux(t *testing.T) {
	const enforce, config, users = "sys/fs/selinux/enforce", "etc/selinux/config", "etc/selinux/mls/seusers"
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a kernel without it":         {map[string]string{config: "", users: ""}, nil},
		"permissive":                  {map[string]string{enforce: "0", config: "SELINUXTYPE=mls", users: "alice:staff_u:s0\n"}, nil},
		"enforcing":                   {map[string]string{enforce: "1", config: "SELINUXTYPE=mls", users: "alice:staff_u:s0\n"}, []string{"warn the logins of alice ("}},
		"without its configuration":   {map[string]string{enforce: "1", users: ""}, []string{"warn its configuration cannot be read"}},
		"without users of the policy": {map[string]string{enforce: "1", config: "SELINUXTYPE=mls"}, []string{"warn the users of its policy cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range tt.files {
				path := filepath.Join(root, file)
				testutil.Must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600))
			}
			found(t, selinuxBelow(root), tt.want...)
		})
	}
}

func TestReadable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jacamar")
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want []string
	}{
		"as installed":       {"\x7fELF", 0o711, nil},
		"by all":             {"\x7fELF", 0o755, []string{"warn can be read by the accounts of jobs (mode 0755)"}},
		"by its group":       {"\x7fELF", 0o751, []string{"warn (mode 0751)"}},
		"by others":          {"\x7fELF", 0o715, []string{"warn (mode 0715)"}},
		"a script":           {"#!/bin/sh\n", 0o755, nil},
		"empty":              {"", 0o755, []string{"warn"}},
		"one byte of script": {"#", 0o755, []string{"warn"}},
	} {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(c.text), 0o700), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { found(t, readable(testutil.AbsPath(t, file)), c.want...) })
	}
	found(t, readable(testutil.AbsPath(t, "/nonexistent/jacamar")))
}

func TestPolicyType(t *testing.T) {
	for text, want := range map[string]string{
		"SELINUX=enforcing\nSELINUXTYPE=mls\n": "mls", "# SELINUXTYPE=mls\n SELINUXTYPE = targeted \n": "targeted", "": "targeted", "SELINUX=enforcing\n": "targeted",
	} {
		if got := policyType(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestJudgeLogins(t *testing.T) {
	const free = "root:unconfined_u:s0-s0:c0.c1023\n__default__:unconfined_u:s0-s0:c0.c1023\nsystem_u:system_u:s0\n"
	for text, want := range map[string]string{
		free:                                    "ok confines no logins",
		free + "alice:staff_u:s0\n":             "warn the logins of alice",
		"__default__:user_u:s0\n":               "warn the logins of __default__",
		free + "# bob:user_u:s0\n":              "ok",
		"%hpc:user_u:s0\nbob:guest_u:s0\n":      "warn the logins of %hpc, bob",
		"root:staff_u:s0\nsystem_u:user_u:s0\n": "ok",
		"":                                      "ok",
		"nonsense\n":                            "ok",
	} {
		found(t, judgeLogins("/etc/selinux/targeted/seusers", text), want)
	}
}

func TestUnixMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o755|fs.ModeSetuid|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || unixMode(info) != 0o5755 {
		t.Error(info, err)
	}
}
