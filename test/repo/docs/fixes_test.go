package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where fixes are executed.
const (
	// byCheck are the situations of TestFixes.
	byCheck = "test/suites/authz/fixes_*_test.go"
	// byHints are those of TestHintsForChosenDirectories.
	byHints = "internal/jobrun/internal/workspace/fixes_test.go"
	// byAuthors are the jobs of TestAuthorsMistakes.
	byAuthors = "test/suites/schedulers/mistakes_test.go"
	byConfig  = "internal/config/rewrite_test.go"
	byPages   = "test/suites/install/deployments_test.go"
	byRunners = "internal/auth/admin/check/processors_test.go"
	bySquat   = "test/suites/storage/squat_test.go"
	byJobs    = "test/suites/authz/mistakes_*_test.go"
	byPrivs   = "test/suites/authz/check_test.go"
)

// Why a fix cannot be executed by a test.
const (
	another  = "a person decides or does it: an administrator, or the author of a job"
	retry    = "the job is started again, after the resource has changed by itself"
	looks    = "it shows the cause, and changes nothing"
	machine  = "it changes the machine: its kernel, accounts, packages or mounts"
	outside  = "it is about another machine or service: GitLab, a registry, a scheduler, a file server"
	unlikely = "the fault is refused earlier, so that no situation has it"
)

// proof is how a fix is known to be right.
type proof struct {
	// files have the case that executes it; no files for a reason alone.
	files string
	// text is in one of the files, or is the reason.
	text string
}

func executed(files, text string) proof { return proof{files, text} }
func because(reason string) proof       { return proof{text: reason} }

// proofs are those of each fix, as Shown shows it.
func proofs() map[string]proof {
	return map[string]proof{
		// jacamar-admin check
		"look it up in docs/troubleshooting.md": because(looks),
		"remove it":                             because(unlikely),
		"correct that and check again":          because(another),
		"fix what is missing, for the account that runs jacamar-auth":                  executed(byPrivs, "no_new_privs"),
		"run: sysctl fs.suid_dumpable=0, or 2 for core files that root alone can read": because(machine),
		"set auth.downscope = \"setuid\"":                                              executed(byCheck, "root for all"),
		"write min_uid = … under [auth]":                                               executed(byPages, "TestDeployments"),
		"correct that, or give the runner's service another account":                   because(another),
		"run: usermod --shell /bin/bash …":                                             because(machine),
		"install sudo, or use another downscope":                                       because(machine),
		"install the rule of …, for the one group whose members may run CI jobs":       executed(byPages, "TestDeployments"),
		"mount /proc": because(machine),
		"run the runner outside the user namespace":                   executed(byPrivs, "user namespace"),
		"name the runner's config.toml by --runner-config":            executed(byCheck, "--runner-config"),
		"run this check as root":                                      because(another),
		"correct it, as the runner reports it":                        executed(byCheck, "no TOML"),
		"run: chmod o-r …":                                            executed(byCheck, "log that all read"),
		"give that runner a service with an account of its own, or …": executed(byCheck, "the shell executor"),
		"check that file: jacamar-admin check --configuration …":      because(looks),
		"set … = … or more, or remove it":                             executed(byCheck, "timeout of a second"),
		"set graceful_kill_timeout = …, or remove it":                 executed(byCheck, "grace of a second"),
		"set shutdown_timeout = … at its top":                         executed(byCheck, "shutdown of a second"),
		"run: rm -r …/seal.key":                                       executed("test/suites/operations/damage_test.go", "keyFix"),
		"run: rm -r …":                                                executed("test/suites/operations/damage_test.go", "keyFix"),
		"run: install -d -m 0700 -o … -g … …":                         executed(byPages, "TestDeployments"),
		"run: mkdir -p … && install -d -m 0700 -o … …":                executed(byCheck, "state below nothing"),
		"correct general.tls-ca-file: it must have certificates in PEM form (openssl x509 -inform DER -in FILE converts one)": executed(byCheck, "CA file of another format"),
		"check that GitLab is up and that this host reaches it; general.https_proxy names a web proxy":                        because(outside),
		"name the authority of its certificate in general.tls-ca-file":                                                        executed(byJobs, "\"CA file\""),
		"find out what answers there; general.jwks_url names another address":                                                 executed(byCheck, "another address of the keys"),
		"find out which server answers there, and compare its keys with those that GitLab publishes":                          because(looks),
		"write … = … under [general]":                                                  executed(byCheck, "another issuer"),
		"correct that, and then run: …":                                                executed(byCheck, "another address of the keys"),
		"name another place in [auth.logging]":                                         executed(byCheck, "a log server that is down"),
		"correct that, or set auth.journal.enabled = false":                            executed(byCheck, "the journal"),
		"install the logrotate configuration of the package (see docs/install.md)":     executed(byCheck, "a log that grew"),
		"run it as root: jacamar-admin check --configuration …":                        executed(byPrivs, "capabilities, as the service"),
		"run it as the service: runuser -u … -- jacamar-admin check --configuration …": executed(byPrivs, "root instead of the service"),
		"check that getent(1) answers: getent passwd …":                                because(looks),
		"find out what delays: time getent initgroups …":                               because(looks),
		"check that getent(1) answers: getent shadow daemon":                           because(looks),
		"check that getent(1) answers: getent …":                                       because(looks),
		"let … read it, by its group where the file has one (usermod -aG shadow …), and start the runner's service again; or remove auth.require_shadow":                                   because(machine),
		"let … read it, by its group where the file has one (usermod -aG shadow …), and start the runner's service again; or see \"Locked and expired accounts\" in docs/authorization.md": because(machine),
		"remove /etc/nologin or /run/nologin when logins are wanted again":                                                                                                                 because(another),
		"correct it in …":                                            executed(byCheck, "an unknown key"),
		"make it readable":                                           because(unlikely),
		"correct the lines":                                          executed(byCheck, "a line of the map"),
		"remove the line or correct the name":                        executed(byCheck, "an account of the map"),
		"correct the script or [auth.runas]":                         executed(byCheck, "a sum"),
		"run: sysctl vm.memfd_noexec=1":                              because(machine),
		"write its interpreter in the first line, such as #!/bin/sh": executed(byCheck, "a script of no language"),
		"remove the carriage returns: sed -i 's/\\r$//' …; and correct auth.runas.sha256 where it is set": executed("internal/auth/admin/check/configuration_test.go", "TestWindowsFix"),
		"install it or correct the first line":                                     executed(byCheck, "an interpreter"),
		"remove it or correct its spelling":                                        executed(byCheck, "a name in a list"),
		"correct general.data_dir":                                                 because(unlikely),
		"make it: install -d -m 0755 …; and then …":                                executed(byCheck, "no data directory"),
		"name a data_dir below directories that only root can write, or $HOME":     executed(byCheck, "a data_dir to be made in /tmp"),
		"check the file system":                                                    because(looks),
		"look at the file system":                                                  because(looks),
		"name a directory":                                                         executed(byCheck, "data_dir is a file"),
		"run: chmod o+x …":                                                         executed(byCheck, "data_dir closed"),
		"name a data_dir on another file system, or mount this one without noexec": because(machine),
		"name a data_dir that nothing clears, such as $HOME":                       executed(byCheck, "data_dir in /tmp"),
		"have the accounts of jobs in that group":                                  because(machine),
		"run: chmod go-w …; and then …":                                            executed(byCheck, "a data directory for all"),
		"add Environment=GOMAXPROCS=4 to the [Service] section of a drop-in of the runner's unit, as the supplied one has it, and restart the runner": executed(byRunners, "TestProcessorsOf"),
		"remove that setting from the runner's unit, and restart the runner":                                                                          executed("internal/auth/admin/check/view_test.go", "TestJudgeView"),
		"…, and restart the runner":                                                executed("test/suites/ending/service_limits_test.go", "TestLimitsOfTheService"),
		"run: chmod 0750 …":                                                        executed(byPrivs, "any account may run it"),
		"install all programs from one package":                                    executed(byCheck, "a directory of other programs"),
		"install it again":                                                         executed(byCheck, "no program"),
		"restore /etc/shells or set auth.shell_allowlist":                          executed("test/suites/authz/account_test.go", "TestUnreadableShells"),
		"install it or set general.shell_path":                                     executed(byCheck, "no shell"),
		"set general.shell_path to a Bash, or remove it: the default is /bin/bash": executed(byCheck, "another shell"),
		"remove it from the list":                                                  executed(byCheck, "a shell in a list"),
		"run: chmod 0711 …":                                                        executed(byCheck, "jacamar readable"),
		"use downscope = \"sudo\" with ROLE and TYPE in the rule (sudoers(5)), or keep these accounts out by user_blocklist": because(machine),
		"install the batch system's commands, or name their directory in batch.scheduler_bin":                                executed(byCheck, "no scheduler"),
		"check that the scheduler runs and that this host reaches it":                                                        because(outside),
		"install it": because(machine),
		"install the programs where every account may enter, such as /opt/jacamar, or run: chmod o+x …": executed(byCheck, "jacamar for root"),
		"install the programs elsewhere, or mount it with exec":                                         because(machine),
		"name the right file or shorten it":                                                             because(another),
		"run: chmod a+x …":                                                                              executed(byCheck, "jacamar not executable"),
		"run: chmod … …":                                                                                executed(byCheck, "its directory"),

		// The job's log
		"retry the job when others have ended":       because(retry),
		"retry the job then":                         because(retry),
		"retry the job when they allow logins again": because(retry),
		"retry the job":                              because(retry),
		"retry the job in …: GitLab's keys are fetched at most once a minute":                                                                                       because(retry),
		"start the job again; a token is valid for the job's timeout, which may be too short for the job":                                                           because(retry),
		"retry the job; if that fails as well, ask the administrators of this CI resource":                                                                          because(retry),
		"it may be back when you retry the job; if not, tell its administrators":                                                                                    because(retry),
		"ask its administrators for one; if you have one, retry the job, as the name service may not have been reached":                                             because(another),
		"keep the value in the repository or in an artifact; as a variable of type file it is as long":                                                              because(another),
		"you are not allowed to run CI jobs on this resource":                                                                                                       because(another),
		"this CI resource is not set up correctly":                                                                                                                  because(another),
		"this CI resource could not run the job":                                                                                                                    because(retry),
		"your account has as many keys as the kernel allows (/proc/key-users): remove some with keyctl, or end sessions that hold them":                             because(machine),
		"the nodes must be able to write to …":                                                                                                                      because(outside),
		"request more time in SCHEDULER_PARAMETERS…":                                                                                                                because(another),
		"request more memory in SCHEDULER_PARAMETERS…":                                                                                                              because(another),
		"set a later deadline in SCHEDULER_PARAMETERS…, or none":                                                                                                    because(another),
		"change the request in SCHEDULER_PARAMETERS":                                                                                                                executed(byAuthors, "more nodes than there are"),
		"submit fewer jobs at a time, for example with resource_group or a smaller value of parallel, or cancel other jobs of yours in the queue":                   because(another),
		"this resource limits how long a job may wait in the queue: request fewer resources, or retry at another time":                                              because(retry),
		"the site asks for more than the runner's service has: its administrators can raise that":                                                                   because(another),
		"… (…) does not support file locks (fcntl), which jobs need: tell its administrators (Lustre: mount with -o flock)":                                         because(machine),
		"install jacamar and jacamar-auth from one package":                                                                                                         because(another),
		"the resource's administrators set batch.scheduler_bin to the directory of the commands":                                                                    executed(byCheck, "no scheduler"),
		"see what in them waits, or set the variable JACAMAR_CI_NO_PROFILE to true":                                                                                 because(another),
		"rename …, or choose another directory; if it is not yours, tell the administrators of this resource":                                                       because(another),
		"tell the administrators of this resource: …":                                                                                                               because(another),
		"remove the write permission of others: chmod go-w …":                                                                                                       executed(byHints, "writable by all"),
		"choose a directory in it, for example $CI_BUILDS_DIR/sources":                                                                                              executed("test/suites/storage/config_test.go", "$CI_BUILDS_DIR/sources"),
		"create that directory, accessible only to you: mkdir -m 700 …":                                                                                             executed(byHints, "a link to nothing"),
		"remove …, or choose another directory":                                                                                                                     because(another),
		"remove it; only the base directory may be a symbolic link":                                                                                                 because(another),
		"check its content and remove it: its file system adds permissions to new directories":                                                                      because(machine),
		"the file system at … (…) does not store modes: use a directory elsewhere, or ask its administrators to mount it for you alone (CIFS: uid=, dir_mode=0700)": because(machine),
		"make it private: chmod … … (if that changes nothing, the file system at …, …, does not store modes)":                                                       executed(byHints, "chmod"),
		"only its owner or an administrator can move it away; an administrator can then create it for you: mkdir -m 0700 … && chown -h … …":                         executed(bySquat, "fix[1]"),
		"remove … from …": executed(byAuthors, "reserved option"),
		"the argument is not one of the job's: ask the resource's administrators to correct it": because(another),
		"write the full option: --…": because(another),
		"it existed in the job's first stage: check whether a script of yours removes it; if not, its file system may be away: retry the job, and tell the administrators if that fails too": because(another),
		"retry the job, and tell the administrators if that fails too":                                   because(another),
		"look for a hung jacamar process of yours":                                                       because(looks),
		"check what `bash --login -c 'echo $…'` prints on this machine, and correct your login profiles": because(looks),
		"write an absolute path, or ~/ with a path in your home behind it, without .. in it":             executed(byJobs, "in the home"),
		"write the full path; only $HOME, $USER and $LOGNAME are expanded":                               executed(byJobs, "in the home"),
		"the job did so itself, or the machine was short of memory":                                      because(retry),
	}
}

// ofContainers are the places of fixes about images and services, most of which are changes
// of .gitlab-ci.yml. The tables of test/suites/containers have a job for each form.
func ofContainers() []string {
	return []string{
		"internal/jobrun/internal/imagestore/", "internal/jobrun/internal/container/", "internal/jobrun/services.go", "internal/jobrun/containers.go", "internal/jobrun/settle.go",
		"internal/jobrun/internal/executor/engines.go", "internal/driver/choice.go", "internal/driver/container.go", "internal/driver/services.go", "internal/auth/admin/check/containers.go",
	}
}

// TestEveryFixIsExecuted: what the programs print as a thing to do is done by a test in the
// situation for which they print it, or there is a reason why no test can.
func TestEveryFixIsExecuted(t *testing.T) {
	all, err := Fixes(top)
	if err != nil {
		t.Fatal(err)
	}
	known, printed := proofs(), map[string]bool{}
	for _, m := range all {
		if slices.ContainsFunc(ofContainers(), func(place string) bool { return strings.HasPrefix(m.Place, place) }) {
			continue
		}
		text := Shown(m.Format)
		printed[text] = true
		if _, ok := known[text]; !ok {
			t.Errorf("%s: add a situation that executes this fix, such as one of TestFixes, and name it here: %q", m.Place, text)
		}
	}
	count := map[bool]int{}
	for text, p := range known {
		if !printed[text] {
			t.Errorf("no program prints %q", text)
		}
		count[p.files != ""]++
		if p.files != "" && !occurs(t, p) {
			t.Errorf("%q: %s has no %q", text, p.files, p.text)
		}
	}
	t.Logf("%d fixes are executed, %d have a reason", count[true], count[false])
	if len(all) < 100 || count[true] < 50 {
		t.Errorf("%d fixes, %d of them executed", len(all), count[true])
	}
}

// occurs reports whether a file of the proof has its text.
func occurs(t *testing.T, p proof) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, p.files))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), p.text)
	})
}
