package workspace

import (
	"os"
	"slices"
	"strings"
	"syscall"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// hidden is the base's name in a directory that is the account's own.
const hidden = ".jacamar-ci"

// Variables are the names in data_dir whose values only the user's login shell
// knows.
func Variables(b ipc.Request) (names []string) {
	if !b.Settings.Storage.VariableDataDir || !b.Dirs.Base.IsZero() {
		return nil
	}
	os.Expand(b.Settings.DataDir, func(name string) string {
		if _, known := ofAccount(b.Account, name); !known && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return ""
	})
	return names
}

// ofAccount are the variables that login(1) sets from the account database.
func ofAccount(a job.Account, name string) (value string, known bool) {
	switch name {
	case "HOME":
		return a.Home.String(), true
	case "USER", "LOGNAME":
		return a.Name.String(), true
	}
	return "", false
}

// locate finds the base. In a directory that is the account's own it is hidden;
// in any other, which many accounts share, it has the account's name.
func locate(b ipc.Request, variables map[string]string) (job.AbsPath, error) {
	dataDir, account := b.Settings.DataDir, b.Account
	if dataDir == account.Home.String() {
		dataDir = "$HOME"
	}
	for _, home := range []string{"$HOME", "~"} {
		if rest, ok := strings.CutPrefix(dataDir, home); ok && (rest == "" || rest[0] == '/') && !strings.Contains(rest, "$") {
			return account.Home.Join(rest, hidden)
		}
	}
	if b.Settings.Storage.VariableDataDir {
		return resolved(dataDir, account, variables)
	}
	dir, err := job.ParseAbsPath(dataDir)
	if err != nil {
		return job.AbsPath{}, failure.Systemf("cannot use data_dir: %w", err)
	}
	return dir.Join(account.Name.String())
}

// resolved puts the values in and judges what comes out, which a profile of the
// user's had its hand in.
func resolved(dataDir string, account job.Account, variables map[string]string) (job.AbsPath, error) {
	missing := ""
	text := os.Expand(dataDir, func(name string) string {
		value, known := ofAccount(account, name)
		if !known {
			value = variables[name]
		}
		if value == "" && missing == "" {
			missing = name
		}
		return value
	})
	if missing != "" {
		return job.AbsPath{}, failure.Systemf("cannot find the directory for your jobs, %s: your login shell sets no %s", dataDir, missing).
			WithHint("look at what `bash --login -c 'echo $%s'` prints on this machine, and at your profiles", missing)
	}
	dir, err := job.ParseAbsPath(text)
	if err != nil {
		return job.AbsPath{}, failure.Systemf("cannot find the directory for your jobs, %s: %w", dataDir, err)
	}
	if own(dir, account.UID) {
		return dir.Join(hidden)
	}
	return dir.Join(account.Name.String())
}

func own(dir job.AbsPath, uid job.UID) bool {
	info, err := os.Stat(dir.String())
	return err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(uid)
}
