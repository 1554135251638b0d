package scheduler_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
)

// Paths are escaped where a batch system has a syntax of its own for them.
func TestPathsInSyntax(t *testing.T) {
	openPBS := pbs.PBS{}.ForVersion(scheduler.Reply{Stdout: "pbs_version = 23.06.06\n"})
	torque := pbs.PBS{}.ForVersion(scheduler.Reply{Stderr: "Version: 6.1.2\nCommit: 66\n"})
	old := pbs.PBS{}.ForVersion(scheduler.Reply{Stdout: "pbs_version = 14.1.2\n"})
	for _, tt := range []struct {
		name   string
		system scheduler.Scheduler
		path   string
		want   string // a part of the command
	}{
		{"Slurm", all["slurm"], "/plain", "--output=/plain/log"},
		{"Slurm, percent", all["slurm"], "/100%j", "--output=/100%%j/log"},
		{"Slurm, backslash", all["slurm"], `/DOMAIN\user`, "--output=/dev/null"},
		{"Slurm, both", all["slurm"], `/DOMAIN\user/%j`, "--output=/dev/null"},
		{"Slurm, blank", all["slurm"], "/a b,c:$d", "--output=/a b,c:$d/log"},
		{"OpenPBS", openPBS, "/plain", "-f -k doe -o /plain/log"},
		{"OpenPBS, account of a realm", openPBS, "/user@realm", "-k doe -o /user@realm/log"},
		{"OpenPBS, backslash", openPBS, `/DOMAIN\user`, "-f -o /dev/null"},
		{"OpenPBS, umlaut", openPBS, "/ö", "-f -o /dev/null"},
		{"OpenPBS, colon", openPBS, "/a:b", "-f -o /dev/null"},
		{"OpenPBS, array", openPBS, "/^array_index^", "-f -o /dev/null"},
		{"Torque", torque, "/plain", "-r n -o /dev/null /plain/job"},
		{"an old PBS", old, "/plain", "-r n -f -o /dev/null"},
		{"an unknown PBS", pbs.PBS{}, "/plain", "-r n -f -o /dev/null"},
		{"LSF", all["lsf"], "/plain", "-o /dev/null -rn -cwd /plain/home /plain/job"},
		{"LSF, shell", all["lsf"], `/a b;$(c)'d'\`, `-cwd /a b;$(c)'d'\/home '/a b;$(c)'\''d'\''\/job'`},
		{"LSF, pattern", all["lsf"], "/%J", "-rn /%J/job"},
		{"Grid Engine", all["sge"], "/plain", "-o :/plain/log -wd /plain/home /plain/job"},
		{"Grid Engine, variable", all["sge"], "/$HOME", "-o :/$$HOME/log -wd /$$HOME/home /$HOME/job"},
		{"Grid Engine, list", all["sge"], "/a,b", "-o :/dev/null -wd /a,b/home /a,b/job"},
		{"Flux", all["flux"], "/{{id}}", "--output=/dev/null --error=/dev/null --cwd=/{{id}}/home /{{id}}/job"},
		{"Cobalt", all["cobalt"], "/$jobid", "--output=/dev/null --error=/dev/null --debuglog=/dev/null --cwd=/$jobid/home"},
	} {
		c := tt.system.Submit(scheduler.Spec{Name: "ci-r-1", Script: tt.path + "/job", Output: tt.path + "/log", Dir: tt.path + "/home"}, []string{"-A", "x"})
		if line := strings.Join(c.Argv, " "); !strings.Contains(line+" ", " "+tt.want+" ") {
			t.Errorf("%s: %s, want %s", tt.name, line, tt.want)
		}
		if strings.Contains(tt.path, "%J") && c.Dir != tt.path+"/home" {
			t.Errorf("%s: it runs in %q", tt.name, c.Dir)
		}
	}
}

// Account names reach the commands unchanged; a name with "@" is not passed to PBS, whose
// list of users has hosts after "@".
func TestAccountsInSyntax(t *testing.T) {
	for _, user := range []string{"alice", "a.b-c_d", `DOMAIN\user`, "user@realm", "Upper"} {
		for name, s := range all {
			argv := s.(scheduler.Finder).Find(user, "ci-r-1").Argv
			queried := slices.Contains(argv, user)
			if want := name != "pbs" || !strings.Contains(user, "@"); queried != want {
				t.Errorf("%s, %s: %q", name, user, argv)
			}
		}
	}
}

// The owner of a job is parsed from its attributes, whatever the name contains. Without them
// the job may still be there, unless the reply is that it is not.
func TestPBSOwner(t *testing.T) {
	for text, want := range map[string][2]string{
		"Job Id: 1.s\n    Job_Name = ci-r-1\n    Job_Owner = alice@login1\n":        {"alice", "ci-r-1"},
		"Job Id: 1.s\n    Job_Name = ci-r-1\n    Job_Owner = user@realm@login1.x\n": {"user@realm", "ci-r-1"},
		"Job Id: 1.s\n    Job_Name = ci-r-1\n    Job_Owner = DOMAIN\\user@login1\n": {`DOMAIN\user`, "ci-r-1"},
	} {
		user, name, err := pbs.PBS{}.ParseOwner(scheduler.Reply{Stdout: text})
		if user != want[0] || name != want[1] || err != nil {
			t.Errorf("%q: %q, %q, %v", text, user, name, err)
		}
	}
	for _, tt := range []struct {
		reply scheduler.Reply
		want  string // the error
	}{
		{scheduler.Reply{Code: 153, Stderr: "qstat: Unknown Job Id 1.s\n"}, "<nil>"},
		{scheduler.Reply{Code: 35, Stderr: "qstat: 1.s Job has finished, use -x or -H to obtain historical job information\n"}, "<nil>"},
		{scheduler.Reply{Code: 1, Stderr: "qstat: End of File\n"}, "the owner of a job is not known (qstat: End of File)"},
		{scheduler.Reply{Err: errors.New("timed out")}, "timed out"},
		{scheduler.Reply{Stdout: "Job Id: 1.s\n    Job_Name = a\nJob Id: 2.s\n    Job_Owner = alice@login1\n"}, "the owner of a job is not known (Job_Owner = alice@login1)"},
		{scheduler.Reply{}, "the owner of a job is not known ()"},
	} {
		user, _, err := pbs.PBS{}.ParseOwner(tt.reply)
		if user != "" || fmt.Sprint(err) != tt.want {
			t.Errorf("%+v: %q, %v, want %s", tt.reply, user, err, tt.want)
		}
	}
}

// The versions of PBS by what their qsub prints.
func TestPBSVersions(t *testing.T) {
	for text, want := range map[string]string{
		"pbs_version = 23.06.06\n": "-k doe", "pbs_version = 18.1.4\n": "-k doe", "pbs_version = 2021.1.3.20220217134230\n": "-k doe",
		"pbs_version = 14.1.2\n": "-f", "pbs_version = PBSPro_13.1.2.160576\n": "-f", "garbage\n": "-f", "": "-f",
	} {
		argv := pbs.PBS{}.ForVersion(scheduler.Reply{Stdout: text}).Submit(scheduler.Spec{Output: "/log"}, nil).Argv
		line := strings.Join(argv, " ")
		if !strings.Contains(line, want) || strings.Contains(line, "-k") != (want == "-k doe") {
			t.Errorf("%q: %s", text, line)
		}
	}
	torque := pbs.PBS{}.ForVersion(scheduler.Reply{Stderr: "version: 2.5.13\n"})
	if argv := torque.Submit(scheduler.Spec{Output: "/log"}, nil).Argv; slices.Contains(argv, "-f") || slices.Contains(argv, "-k") {
		t.Errorf("%q", argv)
	}
	if n := len(torque.Queries("1", true)); n != 1 {
		t.Errorf("%d queries to Torque", n)
	}
	if _, err := torque.Grammar().Parse([]string{"-F", "a b", "-l", "nodes=1"}); err != nil {
		t.Error(err)
	}
	if got := (pbs.PBS{}).ForVersion(scheduler.Reply{Code: 2, Stderr: "Unknown option: version\n"}); got != (pbs.PBS{}) {
		t.Errorf("%+v", got)
	}
}
