package workspace

import (
	"os"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// customVariable is the CI variable by which a job says where its builds are.
const customVariable = "CUSTOM_CI_BUILDS_DIR"

// customBuilds is the directory that the job asks for, zero when it asks for
// none or the site does not allow it. An empty value is none: GitLab has no way
// to take a group's variable away from a job.
func customBuilds(b ipc.Request) (job.AbsPath, error) {
	text := string(b.Settings.Storage.CustomBuilds)
	if !b.Settings.Storage.CustomBuildDir || strings.TrimSpace(text) == "" {
		return job.AbsPath{}, nil
	}
	text, err := expandOwn(text, b.Account)
	if err != nil {
		return job.AbsPath{}, err
	}
	p, err := job.ParseAbsPath(text)
	if err != nil {
		return job.AbsPath{}, failure.Buildf("cannot use %s: %w", customVariable, err).
			WithHint("write an absolute path, or one that begins with $HOME")
	}
	return p, nil
}

// expandOwn puts in what the account database says, which is what users write
// into the variable. Anything else would need their shell.
func expandOwn(text string, account job.Account) (string, error) {
	if rest, ok := strings.CutPrefix(text, "~"); ok && (rest == "" || rest[0] == '/') {
		text = "$HOME" + rest
	}
	strange := ""
	text = os.Expand(text, func(name string) string {
		value, known := ofAccount(account, name)
		if !known {
			strange = name
		}
		return value
	})
	if at := strings.IndexByte(text, '$'); strange == "" && at >= 0 {
		strange = text[at:]
	}
	if strange != "" {
		return "", failure.Buildf("cannot use %s: the variable %q in it is not known here", customVariable, job.Clip(strange)).
			WithHint("write the path out; $HOME and $USER are known")
	}
	return text, nil
}

// givenBuilds opens the directory. Unless the storage fails, what is wrong with
// it is the job's own doing.
func givenBuilds(p job.AbsPath, rules safedir.Rules) (*safedir.Folder, error) {
	f, err := safedir.OpenCreate(p, rules)
	if err == nil || diskspace.Broken(err) {
		return f, err
	}
	_, hint := failure.ForUser(err, true, "")
	if hint == "" {
		hint = "GitLab puts nothing in the place of a variable that it does not know, such as $HOME: write the path out"
	}
	return nil, failure.Buildf("cannot use %s: %s", customVariable, err).WithHint("%s", hint)
}
