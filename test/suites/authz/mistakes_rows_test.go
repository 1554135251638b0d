package authz

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/testutil"
)

// leastMistakes is how many different mistakes of administrators and of authors were once
// tried by hand. Each is a case of a test now.
const leastMistakes = 230

// mistakeRows are the kinds of mistakes, with the least number of cases of each.
func mistakeRows() map[string]int {
	return map[string]int{
		// Administrators: the configuration.
		"misspelt key, wrong table, missing keys, empty file": 5, "units of times and sizes": 6, "TOML": 9, "BOM, CRLF": 2, "unknown words": 4,
		"configuration that others could change": 5, "configuration that all can read": 1, "data_dir with ~, ${HOME}": 2, "data_dir that is no path": 3,
		"server without https": 3, "min_uid, runner_ids": 3, "project pattern": 2, "seccomp": 3, "limits too low": 1, "cancel_grace": 1, "keys of the original": 4,
		"arguments of the batch system": 5,
		// Administrators: the installation.
		"data_dir missing, a file": 2, "data_dir below a closed directory": 1, "data_dir of root": 3, "data_dir /tmp, noexec": 2, "home": 11,
		"address of the server": 8, "CA file": 7, "jacamar that accounts cannot run": 4, "jacamar that others could change": 2, "jacamar-keys": 1, "jacamar-auth": 4,
		"noexec": 1, "state directory": 3, "operator's log": 8, "script of RunAs": 5, "script of RunAs without an interpreter": 1, "account map": 4,
		"logins are off": 1, "scheduler": 5, "a filter of the service": 1, "the shell of scripts": 3, "who is the service": 5, "check by another account": 1, "SELinux": 1, "root_squash": 1,
		"calls of the stages": 5, "config.toml": 12,
		// Authors.
		"success": 1, "no token": 2, "wrong aud": 2, "account unknown, without a shell": 2, "lists": 4, "image, services": 2, "CUSTOM_CI_BUILDS_DIR that works": 4,
		"CUSTOM_CI_BUILDS_DIR that is refused": 4, "a variable that is too long": 1, "a variable with a wrong name": 2, "ends of scripts": 4,
		"arguments of a batch job": 8, "a request that cannot be met": 1, "the batch system is away": 1, "a job that waits": 2, "a time limit": 1, "closing section": 2,
		"profiles that end the shell": 3, "login shells": 2, "conda": 1, "full disk": 2, "cancel, abort, timeout": 3, "after_script, cache, artifacts": 3,
	}
}

// elsewhere are mistakes that tests of other packages make: by its row, the file, the test,
// and a text of the case in it.
func elsewhere() map[string][][3]string {
	const check, batch, scheduler = "internal/auth/admin/check/", "internal/jobrun/internal/batch/", "internal/jobrun/internal/scheduler/"
	const suites, clusters = "test/suites/", "test/suites/schedulers/"
	return map[string][][3]string{
		"data_dir /tmp, noexec": {{check + "judge_test.go", "TestUnsuitable", "noexec"}, {check + "judge_test.go", "TestUnsuitable", "/tmp"}},
		"home": {
			{"internal/jobrun/internal/workspace/fixes_test.go", "TestHintsForChosenDirectories", "writable by all"},
			{"internal/jobrun/internal/workspace/fixes_test.go", "TestHintsForChosenDirectories", "another account's"},
			{"internal/jobrun/internal/workspace/fixes_test.go", "TestHintsForChosenDirectories", "a link to nothing"},
			{suites + "storage/way_test.go", "TestPathToTheDirectories", "for a group, not sticky"},
			{suites + "storage/way_test.go", "TestPathToTheDirectories", "below another owner's"},
			{suites + "storage/way_test.go", "TestPathToTheDirectories", "own builds, writable by the group"},
			{suites + "storage/way_test.go", "TestGroupWritableHome", ""},
			{suites + "storage/squat_test.go", "TestSquatting", ""},
			{suites + "storage/home_test.go", "TestOddHomes", "missing"},
			{suites + "storage/home_test.go", "TestOddHomes", "closed"},
			{suites + "storage/home_test.go", "TestOddHomes", "others may write the directory of jobs"},
			{suites + "storage/home_test.go", "TestOddHomes", "root's directory of jobs"},
		},
		"jacamar-keys": {
			{suites + "authz/fetcher_test.go", "TestFetcherIsTrusted", "A1 missing"},
			{suites + "authz/fetcher_test.go", "TestFetcherIsTrusted", "A1 for its group"},
			{suites + "authz/fetcher_test.go", "TestFetcherIsTrusted", "A1 another program of it"},
		},
		"jacamar-auth": {
			{suites + "authz/check_test.go", "TestCheckPrivileges", "any account may run it"},
			{suites + "authz/check_test.go", "TestCheckPrivileges", "nosuid"},
			{check + "programs_test.go", "TestInstalledPrograms", "setuid for all"},
			{check + "programs_test.go", "TestUnixMode", "fs.ModeSetuid"},
		},
		"a filter of the service": {{suites + "authz/kernel_test.go", "TestRefusedByAFilter", ""}},
		"address of the server": {
			{check + "judge_test.go", "TestJudgeIssuer", "upper case"}, {check + "judge_test.go", "TestJudgeIssuer", "the default port"}, {check + "judge_test.go", "TestJudgeIssuer", "an internal name"},
		},
		"CA file": {{check + "judge_test.go", "TestJudgeServer", "foreign certificate"}, {suites + "authz/keys_test.go", "TestCertificate", "another authority"}},
		"the shell of scripts": {
			{suites + "authz/fixes_more_test.go", "valueSituations", "another shell"},
			{suites + "authz/fixes_more_test.go", "valueSituations", "no shell"},
			{"internal/config/effective_test.go", "TestWarnings", "$ is not expanded"},
		},
		"who is the service": {
			{suites + "install/deployments_test.go", "TestDeployments", "Capabilities"},
			{suites + "install/deployments_test.go", "TestDeployments", "None"},
			{suites + "install/service_test.go", "TestSudoers", ""},
			{"internal/auth/internal/privdrop/explain_test.go", "TestSudoThatRefuses", ""},
			{check + "privileges_test.go", "TestRunasOf", "the rule of the package"},
		},
		"noexec":         {{check + "judge_test.go", "TestUnsuitable", "noexec"}},
		"operator's log": {{suites + "authz/log_test.go", "TestUnwritableLog", "no journal"}, {suites + "authz/check_log_test.go", "TestCheckLog", ""}},
		"logins are off": {{suites + "authz/check_test.go", "TestCheckPrivileges", "logins switched off"}, {suites + "authz/account_test.go", "TestNologin", ""}},
		"scheduler": {
			{check + "scheduler_test.go", "TestSchedulerPrograms", ""},
			{check + "scheduler_test.go", "TestSchedulerLinks", ""},
			{check + "scheduler_test.go", "TestSchedulerLiveness", ""},
			{clusters + "fault_test.go", "TestSchedulerMissing", ""},
			{clusters + "fault_test.go", "TestControllerHangs", ""},
			{clusters + "trouble_test.go", "TestNoConfiguration", ""},
		},
		"arguments of the batch system": {
			{clusters + "mistakes_test.go", "TestAdministratorsMistakes", "reserved argument"},
			{clusters + "mistakes_test.go", "TestAdministratorsMistakes", "arguments joined"},
			{clusters + "mistakes_test.go", "TestAdministratorsMistakes", "misspelt in a rule"},
			{clusters + "mistakes_test.go", "TestAdministratorsMistakes", "unknown partition"},
		},
		"check by another account": {
			{suites + "authz/check_test.go", "TestCheckPrivileges", "root instead of the service"}, {suites + "authz/check_test.go", "TestCheckPrivileges", "capabilities, as the service"},
		},
		"SELinux":     {{suites + "install/service_test.go", "TestSELinuxModule", ""}, {check + "programs_test.go", "TestJudgeLogins", ""}},
		"root_squash": {{suites + "storage/nfs_test.go", "TestOnNFS", "root_squash"}},

		"account unknown, without a shell": {{suites + "authz/account_test.go", "TestAccountState", "B10 nologin"}, {suites + "authz/account_test.go", "TestAccountState", "B10 false"}},
		"a variable with a wrong name":     {{"internal/driver/jobspec_test.go", "TestMisspelt", "SCHEDULER_PARAMETER="}},
		"a variable that is too long":      {{suites + "e2e/edge_test.go", "TestLongestVariable", ""}, {suites + "e2e/edge_test.go", "TestEnvironmentNearlyFull", ""}},
		"arguments of a batch job": {
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "misspelt option"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "unpaired quote"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "reserved option"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "a script"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "a directive"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "a command"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "a dash of a letter"},
			{clusters + "mistakes_test.go", "TestAuthorsMistakes", "unknown partition"},
			{clusters + "job_test.go", "TestOutcome", "another script"},
			{clusters + "job_test.go", "TestOutcome", "100 kB of arguments"},
			{scheduler + "grammar_test.go", "TestPasted", "two words"},
		},
		"a request that cannot be met": {{clusters + "case_test.go", "schedulerCases", "PartitionNodeLimit"}, {batch + "task_test.go", "TestUnschedulableTwice", ""}},
		"the batch system is away":     {{clusters + "fault_test.go", "TestControllerRestart", ""}, {clusters + "trouble_test.go", "TestMungeDown", ""}, {clusters + "absence_test.go", "TestServerDown", ""}},
		"a job that waits":             {{clusters + "job_test.go", "TestPendingTimeout", ""}, {batch + "task_test.go", "TestPendingNotices", ""}, {batch + "decide_test.go", "TestPendingLine", ""}},
		"a time limit":                 {{clusters + "fault_test.go", "TestTimeLimit", ""}},
		"closing section":              {{batch + "task_test.go", "TestSummary", "peak memory of a task"}, {batch + "submit_test.go", "TestCommandLine", ""}},
		"profiles that end the shell": {
			{suites + "e2e/profiles_test.go", "TestEveryProfile", ""}, {clusters + "profile_test.go", "TestEveryProfileBatch", ""}, {suites + "e2e/profile_test.go", "TestProfilesChangeNoResult", ""},
		},
		"login shells":           {{suites + "e2e/loginshells_test.go", "TestLoginShells", ""}, {suites + "e2e/loginshells_test.go", "TestSharedLoginSpoiled", ""}},
		"conda":                  {{clusters + "profile_test.go", "TestTools", "conda"}},
		"full disk":              {{suites + "storage/full_test.go", "TestFullStorage", ""}, {clusters + "trouble_test.go", "TestStorageFull", ""}, {suites + "e2e/hostile_test.go", "TestFullDataDirectory", ""}},
		"cancel, abort, timeout": {{clusters + "job_test.go", "TestCancel", ""}, {suites + "e2e/stop_test.go", "TestStopReachesTheJobAtOnce", ""}, {suites + "operations/control_test.go", "TestStop", ""}},
		"after_script, cache, artifacts": {
			{suites + "e2e/facts_test.go", "TestMissingHelperIsReported", ""}, {clusters + "job_test.go", "TestOnlyUserScriptsAreSubmitted", ""}, {suites + "storage/sources_test.go", "TestHelper", ""},
		},
	}
}

// TestMistakesAreComplete: each row has its cases, here or elsewhere, and each case a row and
// a name of its own.
func TestMistakesAreComplete(t *testing.T) {
	count, seen := map[string]int{}, map[string]bool{}
	for _, m := range mistakes() {
		count[m.row]++
		if id := m.row + "/" + m.name; seen[id] {
			t.Errorf("there are two cases %q", id)
		} else {
			seen[id] = true
		}
	}
	for row, tests := range elsewhere() {
		count[row] += len(tests)
		for _, test := range tests {
			exists(t, row, test)
		}
	}
	total, rows := 0, mistakeRows()
	for row, n := range count {
		total += n
		if rows[row] == 0 {
			t.Errorf("%q is no row", row)
		}
	}
	for row, least := range rows {
		if count[row] < least {
			t.Errorf("%q has %d cases, want %d", row, count[row], least)
		}
	}
	if total < leastMistakes {
		t.Errorf("%d cases, want %d", total, leastMistakes)
	}
	t.Logf("%d cases in %d rows", total, len(count))
}

// exists fails the test unless the file has a function of that name, and the text of the
// case.
func exists(t *testing.T, row string, test [3]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../..", test[0]))
	testutil.Must(t, err)
	if !strings.Contains(string(text), "func "+test[1]+"(") || !strings.Contains(string(text), test[2]) {
		t.Errorf("%s: %s has no %s with the case %q", row, test[0], test[1], test[2])
	}
}
