package fakeschedulers

import (
	"fmt"
	"os"
	"strings"
)

// torqueUsage is what qsub of Torque prints for an option that it does not accept, as
// print_qsub_usage_exit does (src/cmds/qsub_functions.c of Torque 6.1).
const torqueUsage = "[%s]\n\nusage: qsub [-a date_time] [-A account_string] [-b secs]\n    [-c [ none | { enabled | periodic | shutdown |\n    depth=<int> | dir=<path> | interval=<minutes>}... ]\n    [-k {oe}] [script]"

// torqueSub is qsub of Torque 6.1, with its letters. It has no way to write a job's
// output to its file while the job runs: output is kept on the node, and then
// replaces the content of the file, unless that is /dev/null.
func (p *program) torqueSub(args []string) error {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(os.Stderr, "Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e")
		return nil
	}
	o, rest, err := p.letters(args, "a:A:b:c:C:d:D:e:EfF:hi:Ij:J:k:K:l:L:m:M:nN:o:p:P:q:r:S:t:T:u:v:Vw:W:Xxz", func(letter string) error {
		return failf(2, "qsub: invalid option -- '%s'\n"+torqueUsage, letter, "")
	})
	if err != nil {
		return err
	}
	_, path, found := strings.Cut(o["-o"], ":")
	if !found || strings.HasPrefix(o["-o"], "/") {
		path = o["-o"]
	}
	switch {
	case len(rest) != 1:
		return failf(2, torqueUsage, "")
	case o["-k"] != "" && !map[string]bool{"o": true, "e": true, "oe": true, "eo": true, "n": true}[o["-k"]]:
		return failf(2, torqueUsage, "qsub: illegal -k value")
	case o["-x"] != "" || has(o, "-x"):
		return failf(2, torqueUsage, "qsub: '-x' invalid on non-interactive job")
	case p.store.behaviour().Refuse != "":
		return failf(3, "%s\nqsub: Your job has been administratively rejected by the queueing system.\nqsub: There may be a more detailed explanation prior to this notice.", p.store.behaviour().Refuse)
	case o["-q"] != "" && o["-q"] != "batch":
		return failf(172, "qsub: submit error (Unknown queue MSG=cannot locate queue)")
	case p.full():
		return failf(200, "qsub: submit error (Maximum number of jobs already in queue MSG=total number of current user's jobs exceeds the queue limit: user %s, queue batch)", os.Getenv("USER"))
	}
	j := p.pbsRequest(o, path)
	if strings.HasPrefix(j.Reason, "Can Never Run") {
		return failf(190, "qsub: submit error (Job exceeds queue resource limits MSG=cannot satisfy queue max nodes requirement)")
	}
	j.Spool = path != "/dev/null"
	return p.pbsSubmit(j, rest[0])
}

func has(o map[string]string, name string) bool { _, ok := o[name]; return ok }

// torqueStat is qstat of Torque: -x is for XML, and there is no -F. A job that has
// ended is shown for the server's keep_completed.
func (p *program) torqueStat(args []string) error {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(os.Stderr, "Version: 6.1.2")
		return nil
	}
	o, rest, err := p.letters(args, "acCeE:filn1pqrstu:xGMQRBW:", func(letter string) error {
		return failf(2, "qstat: invalid option -- '%s'\nusage: qstat [-f [-1]] [-l] [-W site_specific] [-x] [ job_identifier... | destination... ]", letter)
	})
	if err != nil || len(rest) != 1 {
		return err
	}
	j, ok := p.pbsJob(rest[0])
	switch {
	case !ok || j.over() && !p.store.behaviour().History:
		return failf(153, "qstat: Unknown Job Id Error %s", rest[0])
	case has(o, "-x"):
		fmt.Fprintf(p.out, "<Data><Job><Job_Id>%s</Job_Id></Job></Data>\n", pbsID(j))
		return nil
	}
	fmt.Fprintf(p.out, "Job Id: %s\n", pbsID(j))
	for name, value := range torqueAttributes(j) {
		fmt.Fprintln(p.out, wrap(fmt.Sprintf("    %s = %v", name, value)))
	}
	fmt.Fprintln(p.out)
	return nil
}

func torqueAttributes(j Job) map[string]any {
	a := pbsAttributes(j)
	delete(a, "substate")
	if code, ended := a["Exit_status"]; ended {
		delete(a, "Exit_status")
		a["exit_status"] = code
	}
	if j.over() {
		a["job_state"] = "C"
	}
	switch j.State {
	case "TIMEOUT":
		a["exit_status"] = -11
	case "CANCELLED":
		a["exit_status"] = 271
	case "NODE_FAIL":
		a["exit_status"] = -3
	}
	return a
}

func (p *program) torqueSelect(args []string) error {
	return p.selectJobs(args, "a:A:ec:h:l:N:p:q:r:s:u:")
}
