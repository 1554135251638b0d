package workspace

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// hiddenName is the name of the base in a directory that the account owns.
const hiddenName = ".jacamar-ci"

// Variables returns the names in data_dir whose values come from the user's login
// shell.
func Variables(b ipc.Request) (names []string) {
	if !b.Settings.VariableDataDir || !b.Dirs.Base.IsZero() {
		return nil
	}
	os.Expand(b.Settings.DataDir, func(name string) string {
		if _, known := accountVariable(b.Account, name); !known && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return ""
	})
	return names
}

// accountVariable returns a variable that login(1) sets from the account database.
func accountVariable(a job.Account, name string) (value string, known bool) {
	switch name {
	case "HOME":
		return a.Home.String(), true
	case "USER", "LOGNAME":
		return a.Name.String(), true
	}
	return "", false
}

// locate returns the path of the base directory. In a directory that the account owns
// its name is hidden; in a shared directory it is the account's name.
func locate(b ipc.Request, variables map[string]string) (job.AbsPath, error) {
	dataDir, account := b.Settings.DataDir, b.Account
	if dataDir == account.Home.String() {
		dataDir = "$HOME"
	}
	for _, home := range []string{"$HOME", "~"} {
		if rest, ok := strings.CutPrefix(dataDir, home); ok && (rest == "" || rest[0] == '/') && !strings.Contains(rest, "$") {
			return account.Home.Join(rest, hiddenName)
		}
	}
	if b.Settings.VariableDataDir {
		return expandDataDir(dataDir, account, variables)
	}
	dir, err := job.ParseAbsPath(dataDir)
	if err != nil {
		return job.AbsPath{}, failure.Systemf("cannot use data_dir: %w", err)
	}
	return dir.Join(account.Name.String())
}

// makeInHome creates the directory that data_dir names in the account's home, as there is no
// administrator who makes one for each account. No job makes a home that is missing.
func makeInHome(b ipc.Request, rules safedir.Rules) error {
	rest, below := strings.CutPrefix(b.Settings.DataDir, "$HOME/")
	if !below || strings.Contains(rest, "$") {
		return nil
	}
	p, err := b.Account.Home.Join(rest)
	if err != nil || !isMissing(p) || isMissing(b.Account.Home) {
		return err
	}
	dir, err := safedir.OpenCreate(p, rules)
	if err == nil {
		dir.Close()
	}
	return err
}

// expandDataDir expands the variables and validates the result, which the user's
// profiles control.
func expandDataDir(dataDir string, account job.Account, variables map[string]string) (job.AbsPath, error) {
	missing := ""
	text := os.Expand(dataDir, func(name string) string {
		value, known := accountVariable(account, name)
		if !known {
			value = variables[name]
		}
		if value == "" && missing == "" {
			missing = name
		}
		return value
	})
	if missing != "" {
		return job.AbsPath{}, failure.Systemf("cannot find the directory for your jobs, %s: your login shell does not set %s", dataDir, missing).
			WithHint("check what `bash --login -c 'echo $%s'` prints on this machine, and correct your login profiles", missing)
	}
	dir, err := job.ParseAbsPath(text)
	if err != nil {
		return job.AbsPath{}, failure.Systemf("cannot find the directory for your jobs, %s: %w", dataDir, err)
	}
	if isOwner(dir, account.UID) {
		return dir.Join(hiddenName)
	}
	return dir.Join(account.Name.String())
}

func isOwner(dir job.AbsPath, uid job.UID) bool {
	info, err := os.Stat(dir.String())
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(uid)
}

// customVariable is the CI variable by which a job chooses the directory of its builds.
const customVariable = "CUSTOM_CI_BUILDS_DIR"

// customBuildsPath returns the directory that the job chose, zero when it chose none
// or the site does not allow it. An empty value is no choice: GitLab cannot remove a
// group's variable from a job.
func customBuildsPath(b ipc.Request) (job.AbsPath, error) {
	text := string(b.Job.CustomBuilds)
	if !b.Settings.CustomBuildDir || strings.TrimSpace(text) == "" {
		return job.AbsPath{}, nil
	}
	text, err := expandAccountVariables(text, b.Account)
	if err != nil {
		return job.AbsPath{}, err
	}
	p, err := job.ParseAbsPath(text)
	if err != nil {
		return job.AbsPath{}, failure.Buildf("cannot use %s: %w", customVariable, err).
			WithHint("write an absolute path, or ~/ with a path in your home behind it, without .. in it")
	}
	return p, nil
}

// expandAccountVariables expands the variables whose values are in the account
// database. Others would need the user's shell.
func expandAccountVariables(text string, account job.Account) (string, error) {
	if rest, ok := strings.CutPrefix(text, "~"); ok && (rest == "" || rest[0] == '/') {
		text = "$HOME" + rest
	}
	unknown := ""
	text = os.Expand(text, func(name string) string {
		value, known := accountVariable(account, name)
		if !known {
			unknown = name
		}
		return value
	})
	if at := strings.IndexByte(text, '$'); unknown == "" && at >= 0 {
		unknown = text[at:]
	}
	if unknown != "" {
		return "", failure.Buildf("cannot use %s: it contains the unknown variable %q", customVariable, job.Clip(unknown)).
			WithHint("write the full path; only $HOME, $USER and $LOGNAME are expanded")
	}
	return text, nil
}

// openCustomBuilds opens the directory that the job chose. An error is the job's
// failure unless the storage failed.
func openCustomBuilds(p job.AbsPath, login job.Username, rules safedir.Rules) (*safedir.Dir, error) {
	f, err := safedir.OpenCreate(p, rules)
	if err == nil || diskspace.IsStorageError(err) {
		return f, err
	}
	_, hint := failure.ForUser(err, true, "")
	if hint == "" || safedir.IsForeign(err) {
		hint = ownDirectory(p, login)
	}
	return nil, failure.Buildf("cannot use %s: %s", customVariable, err).WithHint("%s", hint)
}

// ownDirectory advises to choose a directory of the user's: where all users can create
// one, below the path that was chosen.
func ownDirectory(p job.AbsPath, login job.Username) string {
	example := "~/ci"
	var st unix.Stat_t
	if unix.Stat(p.String(), &st) == nil && st.Uid == 0 && st.Mode&0o1777 == 0o1777 {
		example = p.String() + "/" + login.String()
	}
	return fmt.Sprintf("write a directory of your own in %s, such as %s; GitLab replaces a variable that it does not know, such as $HOME, by nothing", customVariable, example)
}
