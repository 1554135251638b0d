package main

import (
	"fmt"
	"go/build"
	"os"
	"path/filepath"
)

// pkg is a package whose conditions are changed, and the suites, in addition to
// its own tests, that cover it, quickest first.
type pkg struct {
	path   string
	suites [][]string
}

var identitySuite = []string{"./test/suites/authz"}

// packages are those that decide and those that drop privileges.
var packages = []pkg{
	{"internal/auth", nil},
	{"internal/auth/admin/check", nil},
	{"internal/auth/admin/explain", nil},
	{"internal/auth/admin/setup", nil},
	{"internal/auth/internal/policy", [][]string{identitySuite}},
	{"internal/glob", [][]string{{"./internal/auth/internal/policy", "./internal/image"}}},
	{"internal/auth/internal/idtoken", [][]string{identitySuite}},
	{"internal/auth/internal/privdrop", [][]string{
		{"./test/suites/e2e", "-run", "^(TestPosture|TestNoFallback|TestSudoRules)$"}, identitySuite,
	}},
	{"internal/auth/internal/state", [][]string{{"./test/suites/service", "-run", "^(TestEveryMember|TestStateOfAnotherJob|TestReplacedKey|TestFirstJobs)$"}}},
	{"internal/auth/internal/statedir", [][]string{{"./internal/auth/internal/state"}, {"./test/suites/service", "-run", "^(TestStateDirectory|TestKeyBelongsToTheHelper)$"}}},
	{"internal/auth/internal/thread", [][]string{{"./internal/auth/internal/subprocess"}, {"./test/suites/service", "-run", "^(TestHelperAccount|TestHelpersCannotBeTraced)$"}}},
	{"internal/failure", [][]string{{"./internal/ipc"}}},
	{"internal/customexec", [][]string{identitySuite}},
	{"internal/strictjson", [][]string{{"./internal/auth/internal/idtoken", "./internal/customexec"}}},
	{"internal/auditlog", [][]string{{"./test/suites/evidence", "-run", "^(TestDefaultPlace|TestGapCommand)$"}, identitySuite}},
	{"internal/inherit", [][]string{{"./internal/auth/internal/privdrop"}, {"./test/suites/e2e", "-run", "^(TestJobIsLikeALogin|TestKeyringsAreNotShared)$"}}},
	{"internal/seccomp", [][]string{{"./internal/config"}, {"./test/suites/e2e", "-run", "NoDetour$|^TestOnlyAllowedCalls$"}}},
	{"internal/jobrun/internal/confine", [][]string{{"./test/suites/e2e", "-run", "^(TestConfinementCoversJacamar|TestOnlyAllowedCalls)$"}}},
	{"internal/capability", [][]string{{"./internal/auth/internal/privdrop"}, {"./cmd/jacamar-keys"}}},
	{"internal/jwks/fetch", [][]string{identitySuite}},
	{"cmd/jacamar-keys", [][]string{identitySuite}},
	{"internal/trustedfile", [][]string{{"./test/suites/storage", "-run", "^(TestPathToTheDirectories|TestFileSystemOfAnotherAccount)$"}}},
	{"internal/jobrun/internal/diskspace", nil},
	{"internal/jobrun/internal/dropcheck", [][]string{{"./test/suites/e2e", "-run", "^TestPosture$"}}},
	{"internal/lockdown", nil},
	{"internal/auth/internal/account", nil},
	{"internal/auth/internal/accountmap", nil},
	{"internal/auth/internal/basedir", nil},
	{"internal/auth/internal/claims", nil},
	{"internal/auth/internal/runas", nil},
	{"internal/auth/internal/subprocess", nil},
	{"internal/proctree", [][]string{{"./internal/jobrun/internal/process"}}},
	{"internal/eintr", nil},
	{"internal/settings", [][]string{{"./internal/config"}}},
	{"internal/journal", nil},
	{"internal/jobrun", [][]string{{"./test/suites/storage", "-run", "^(TestFullStorage|TestReadOnlyBetweenStages)$"}}},
	{"internal/jobrun/internal/process", nil},
	{"internal/jobrun/internal/tail", [][]string{{"./internal/jobrun/internal/batch"}}},
	{"internal/jobrun/internal/batch", nil},
	{"internal/monitor", nil},
	{"internal/jobrun/internal/loginshell", [][]string{{"./internal/jobrun/internal/executor", "-run", "Profile"}}},
	{"internal/image", nil},
	{"internal/jobrun/internal/container", nil},
	{"internal/jobrun/internal/container/apptainer", nil},
	{"internal/jobrun/internal/container/charliecloud", nil},
	{"internal/jobrun/internal/container/podman", nil},
	{"internal/jobrun/internal/imagestore", nil},
	{"internal/jobrun/internal/safedir", nil},
	{"internal/jobrun/internal/scheduler", nil},
	{"internal/jobrun/internal/scheduler/cobalt", nil},
	{"internal/jobrun/internal/scheduler/flux", nil},
	{"internal/jobrun/internal/scheduler/lsf", nil},
	{"internal/jobrun/internal/scheduler/pbs", nil},
	{"internal/jobrun/internal/scheduler/sge", nil},
	{"internal/jobrun/internal/scheduler/slurm", nil},
	{"internal/cell", nil},
	{"internal/noauth", nil},
	{"internal/noreplace", nil},
	{"internal/rlimit", nil},
	{"internal/lockwait", nil},
	{"internal/linefile", nil},
	{"internal/mounts", nil},
	{"internal/pump", nil},
	{"internal/passwd", nil},
	{"internal/procfs", nil},
	{"internal/programs", nil},
	{"internal/executors", nil},
	{"internal/crash", nil},
	{"internal/job", nil},
	{"internal/joblog", nil},
	{"internal/jwks", nil},
	{"internal/ipc", nil},
	{"internal/config", nil},
	{"internal/admin", nil},
	{"internal/admin/status", nil},
	{"internal/driver", [][]string{{"./test/suites/e2e", "-run", "^TestPosture$"}}},
}

func suitesOf(path string) [][]string {
	for _, r := range packages {
		if r.path == path {
			return r.suites
		}
	}
	return nil
}

// everyMutant reads the packages, from the top of the repository.
func everyMutant() (all []mutant, err error) {
	for _, r := range packages {
		source, err := build.ImportDir(r.path, 0)
		if err != nil {
			return nil, fmt.Errorf("%s has no source: run it from the top of the repository: %w", r.path, err)
		}
		for _, file := range source.GoFiles {
			text, err := os.ReadFile(filepath.Join(r.path, file))
			if err != nil {
				return nil, err
			}
			found, err := mutants(r.path, file, string(text))
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}
