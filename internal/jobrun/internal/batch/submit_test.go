package batch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/cobalt"
	"jacamar-ci/internal/jobrun/internal/scheduler/flux"
	"jacamar-ci/internal/jobrun/internal/scheduler/lsf"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
	"jacamar-ci/internal/jobrun/internal/scheduler/sge"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
)

// all are the schedulers by the names of the table.
var all = map[string]scheduler.Scheduler{
	"Slurm": slurm.Slurm{}, "PBS": pbs.PBS{}, "LSF": lsf.LSF{}, "SGE": sge.SGE{}, "Flux": flux.Flux{}, "Cobalt": cobalt.Cobalt{},
}

// scriptedReplies is a Commander whose submit program returns the replies in turn, the last
// one repeatedly, and whose other programs fail.
type scriptedReplies struct {
	replies []scheduler.Reply
	submits []time.Time
}

func (a *scriptedReplies) Run(_ context.Context, c scheduler.Command) scheduler.Reply {
	if len(c.Argv) < 4 || c.Argv[0] != "flux" && !strings.HasSuffix(c.Argv[0], "sub") && c.Argv[0] != "sbatch" || c.Argv[1] == "jobs" {
		return scheduler.Reply{Code: 1, Stderr: "nothing is known"}
	}
	a.submits = append(a.submits, time.Now())
	return a.replies[min(len(a.submits), len(a.replies))-1]
}

// runWithReplies runs a job whose submission gets the replies.
func runWithReplies(t *testing.T, s scheduler.Scheduler, settings ipc.Batch, stop process.Stop, replies ...scheduler.Reply) (w *simulator, a *scriptedReplies, err error, took time.Duration) {
	t.Helper()
	w = newSimulator(t)
	a = &scriptedReplies{replies: replies}
	settings.CommandDelay, settings.NFSTimeout, settings.CancelGrace = 30*time.Second, time.Minute, 10*time.Second
	w.task.Scheduler, w.task.Commands, w.task.Settings = s, a, settings
	err, took = w.run(stop)
	return w, a, err, took
}

func wrote(variable, text string) ipc.Batch {
	return ipc.Batch{Arguments: []ipc.BatchArguments{{Variable: variable, Text: []byte(text)}}}
}

// TestRefusals contains the schedulers' messages for failed submissions, and for each
// the outcome and what the job's log shows. "refused" fails the job at once, "full"
// when it lasts; an "uncertain" submission is searched for, and an "unreachable" one
// sent again.
func TestRefusals(t *testing.T) {
	const policy = "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
	tests := []struct {
		system string
		code   int
		stderr string
		want   string
		lead   string   // in the error
		lines  []string // shown before it
	}{
		// Slurm 22.05 (recorded), and the texts of src/common/slurm_errno.c.
		{"Slurm", 1, "sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job submission failed: Invalid partition name specified", "refused", "Invalid partition name specified", []string{"invalid partition specified: nowhere"}},
		{"Slurm", 1, "sbatch: error: choose one with --account\nsbatch: error: Batch job submission failed: Unspecified error", "refused", "choose one with --account", []string{"choose one with --account", "Unspecified error"}},
		{"Slurm", 1, "sbatch: error: partition night is temporarily closed: no communication with the backup controller\nsbatch: error: Batch job submission failed: Unspecified error", "refused", "night is temporarily closed", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\nsbatch: error: Batch job submission failed: Invalid account or account/partition combination specified", "refused", "Invalid account", nil},
		{"Slurm", 1, "sbatch: error: lua: connection to the project database timed out; retry later\nsbatch: error: cli_filter plugin terminated with error", "refused", "connection to the project database timed out", nil},
		{"Slurm", 1, "sbatch: error: QOSMaxNodePerUserLimit\nsbatch: error: " + policy, "refused", "QOSMaxNodePerUserLimit", []string{"QOSMaxNodePerUserLimit", "Job violates"}},
		{"Slurm", 1, "sbatch: error: This does not look like a batch script.  The first\nsbatch: error: line must start with #! followed by the path to an interpreter.\nsbatch: error: For instance: #!/bin/sh", "refused", "#!/bin/sh", []string{"does not look like a batch script"}},
		{"Slurm", 1, "*********************\n* Welcome to Nowhere *\n*********************\n\x1b[31msbatch: error: Batch job submission failed: Access/permission denied\x1b[0m\r\n", "refused", "Access/permission denied", nil},
		{"Slurm", 255, "sbatch: unrecognized option '--nonsense'\nTry \"sbatch --help\" for more information", "refused", "unrecognized option '--nonsense'", nil},
		{"Slurm", 255, "sbatch: option '--o=x' is ambiguous; possibilities: '--open-mode' '--output'", "refused", "ambiguous", nil},
		{"Slurm", 1, "You have no project on this machine.\nApply at https://hpc.example.org\n", "refused", "Apply at", []string{"You have no project"}},
		{"Slurm", 1, "", "refused", "sbatch printed nothing", nil},
		{"Slurm", 1, "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: " + policy, "full", "AssocMaxSubmitJobLimit", nil},
		{"Slurm", 1, "sbatch: error: AssocGrpSubmitJobsLimit\nsbatch: error: " + policy, "full", "AssocGrpSubmitJobsLimit", nil},
		{"Slurm", 1, "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: " + policy, "full", "QOSMaxSubmitJobPerUserLimit", nil},
		{"Slurm", 1, "sbatch: error: QOSGrpSubmitJobsLimit\nsbatch: error: " + policy, "full", "QOSGrpSubmitJobsLimit", nil},
		{"Slurm", 1, "sbatch: error: MaxSubmitJobsPerAccount\nsbatch: error: " + policy, "full", "MaxSubmitJobsPerAccount", nil},
		{"Slurm", 1, "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\nsbatch: error: Batch job submission failed: Resource temporarily unavailable", "full", "Resource temporarily unavailable", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: MaxJobCount limit reached", "full", "MaxJobCount", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", "uncertain", "Socket timed out", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received", "uncertain", "Zero Bytes", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Unable to contact slurm controller (receive failure)", "uncertain", "receive failure", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Protocol authentication error", "uncertain", "Protocol authentication error", nil},
		{"Slurm", 1, "stdout:sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n", "uncertain", "Socket timed out", nil},
		{"Slurm", 1, "stdout:sbatch: error: AssocMaxSubmitJobLimit\r\nsbatch: error: " + policy + "\r\n", "full", "AssocMaxSubmitJobLimit", nil},
		{"Slurm", 139, "", "uncertain", "it printed nothing", nil},
		{"Slurm", 1, "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", "unreachable", "connect failure", nil},
		{"Slurm", 1, "sbatch: error: Munge encode failed: Failed to access \"/run/munge/socket\"\nsbatch: error: Batch job submission failed: Protocol authentication error", "unreachable", "Protocol authentication error", []string{"Munge encode failed"}},
		{"Slurm", 1, "sbatch: error: ClusterName needs to be specified\nsbatch: fatal: Unable to process configuration file", "unreachable", "Unable to process configuration file", nil},
		// OpenPBS 23.06 (recorded), src/lib/Liblog/pbs_messages.c; a hook's code is 32.
		{"PBS", 170, "qsub: Unknown queue", "refused", "Unknown queue", nil},
		{"PBS", 188, "qsub: Job violates queue and/or server resource limits", "refused", "Job violates queue", nil},
		{"PBS", 2, "qsub: invalid option -- 'Y'\nusage: qsub [-a date_time] [-A account_string] [-c interval]\n\t[-C directive_prefix] [-e path]\n       qsub --version\n", "refused", "invalid option -- 'Y'", nil},
		{"PBS", 32, "qsub: the communication with protocol office timed out\nchoose a project with -P\n", "refused", "choose a project with -P", []string{"protocol office timed out"}},
		{"PBS", 32, "qsub: End of File\n", "refused", "End of File", nil},
		{"PBS", 32, "qsub: would exceed queue night's per-user limit", "refused", "would exceed", nil},
		{"PBS", 38, "qsub: would exceed queue workq's per-user limit", "full", "would exceed queue workq's per-user limit", nil},
		{"PBS", 38, "qsub: would exceed complex's per-project limit of jobs in 'Q' state", "full", "would exceed", nil},
		{"PBS", 39, "qsub: would exceed per-user limit on resource ncpus in queue workq", "full", "on resource ncpus", nil},
		{"PBS", 39, "qsub: would exceed user alice's limit on resource mem in complex for jobs in 'Q' state", "full", "would exceed", nil},
		{"PBS", 198, "qsub: Maximum number of jobs for user alice already in queue workq", "full", "Maximum number", nil},
		{"PBS", 198, "qsub: Maximum number of jobs already in complex", "full", "Maximum number", nil},
		{"PBS", 183, "qsub: End of File", "uncertain", "End of File", nil},
		{"PBS", 183, "qsub: Protocol failure in commit", "uncertain", "Protocol failure", nil},
		{"PBS", 162, "Connection refused\nqsub: cannot connect to server pbs1 (errno=15010)", "unreachable", "cannot connect to server", nil},
		// Torque 6.1: src/cmds/qsub_functions.c, src/include/pbs_error_db.h.
		{"PBS", 172, "qsub: submit error (Unknown queue MSG=cannot locate queue)", "refused", "Unknown queue", nil},
		{"PBS", 2, "[qsub: illegal -k value]\n\nusage: qsub [-a date_time] [-A account_string] [-b secs]\n    [-c [ none | { enabled | periodic |\n", "refused", "illegal -k value", nil},
		{"PBS", 3, "no valid allocation: the protocol office has timed out\nqsub: Your job has been administratively rejected by the queueing system.\nqsub: There may be a more detailed explanation prior to this notice.\n", "refused", "no valid allocation", []string{"administratively rejected"}},
		{"PBS", 1, "qsub: submit error (Maximum number of jobs already in queue MSG=total number of current user's jobs exceeds the queue limit: user alice, queue batch)", "full", "Maximum number of jobs", nil},
		{"PBS", 1, "qsub: submit error (Maximum number of jobs already in queue for user)", "full", "Maximum number of jobs", nil},
		{"PBS", 1, "qsub: submit error (Time out)", "uncertain", "Time out", nil},
		{"PBS", 1, "qsub: submit error (Job exceeds queue resource limits MSG=cannot satisfy queue max walltime requirement: Time out)", "refused", "Job exceeds", nil},
		{"PBS", 1, "qsub: cannot connect to server head (errno=15137) could not connect to trqauthd", "unreachable", "trqauthd", nil},
		{"PBS", 1, "qsub: submit error (Pbs Server is currently too busy to service this request. Please retry this request.)", "unreachable", "too busy", nil},
		// LSF 10.1: the texts of lsb_errmsg.
		{"LSF", 255, "nowhere: No such queue. Job not submitted.", "refused", "No such queue", nil},
		{"LSF", 255, "Communication timeout: No such queue. Job not submitted.", "refused", "No such queue", nil},
		{"LSF", 255, "You must select an LSF User group that matches the condo type.\nthe connection to the LSF library call timed out\nRequest aborted by esub. Job not submitted.", "refused", "timed out", []string{"You must select", "aborted by esub"}},
		{"LSF", 255, "Project not specified.  Please specify a project using the -P flag.\n------------------\nRequest aborted by esub. Job not submitted.\n", "refused", "Project not specified", nil},
		{"LSF", 255, "Too many processors requested. Job not submitted.", "refused", "Too many", nil},
		{"LSF", 255, "User <alice>: Pending job threshold reached. Retrying in 60 seconds...", "full", "Pending job threshold reached", nil},
		{"LSF", 255, "Group <all users>: Pending job threshold reached. Job not submitted.", "full", "Pending job threshold reached", nil},
		{"LSF", 255, "Contacting batch daemon: Communication timeout. Job not submitted.", "uncertain", "Communication timeout", nil},
		{"LSF", 255, "Failed in an LSF library call: Communication time out. Job not submitted.", "uncertain", "library call", nil},
		{"LSF", 255, "Batch protocol error. Job not submitted.", "uncertain", "protocol", nil},
		{"LSF", 255, "Cannot connect to LSF. Please wait ...", "unreachable", "Cannot connect to LSF", nil},
		{"LSF", 255, "LSF is down. Please wait ...", "unreachable", "LSF is down", nil},
		// Grid Engine 8.1.9 (recorded), source/daemons/qmaster/msg_qmaster.h.
		{"SGE", 1, "Unable to run job: Job was rejected because job requests unknown queue \"nowhere.q\"\nExiting.", "refused", "unknown queue", nil},
		{"SGE", 1, "Unable to run job: unknown resource \"timeout\"\nExiting.", "refused", "unknown resource", nil},
		{"SGE", 1, "Unable to run job: give a project with -P\nerror: commlib error: got read timeout\nExiting.", "refused", "commlib error", []string{"give a project with -P"}},
		{"SGE", 1, "Unable to run job: error: no suitable queues\nExiting.", "refused", "no suitable queues", nil},
		{"SGE", 0, "stdout:verification: found suitable queue(s)\n", "refused", "verification: found", nil},
		{"SGE", 2, "qsub: invalid option argument \"-nonsense\"", "refused", "invalid option argument", nil},
		{"SGE", 1, "Unable to run job: job rejected: only 2 jobs are allowed per user (current job count: 2)\nExiting.", "refused", "only 2 jobs", nil},
		{"SGE", 25, "Unable to run job: job rejected: only 2 jobs are allowed per user (current job count: 2)\nExiting.", "full", "only 2 jobs are allowed per user", nil},
		{"SGE", 25, "Unable to run job: job rejected: only 1000 jobs are allowed per cluster\nExiting.", "full", "per cluster", nil},
		{"SGE", 25, "Unable to run job: the licence server is asked again tomorrow\nExiting.", "full", "licence server", nil},
		{"SGE", 1, "Unable to run job: unable to send message to qmaster using port 6444 on host \"ge1\": got send error\nExiting.", "uncertain", "got send error", nil},
		{"SGE", 1, "Unable to run job: failed receiving gdi request response for mid=1 (got syncron message receive timeout error).\nExiting.", "uncertain", "failed receiving", nil},
		{"SGE", 1, "error: commlib error: got select error (Connection refused)", "unreachable", "Connection refused", nil},
		{"SGE", 1, "error: SGE_ROOT directory \"/nowhere\" doesn't exist", "unreachable", "SGE_ROOT", nil},
		// Flux 0.88 (recorded), src/plugins/mf_priority.cpp of flux-accounting.
		{"Flux", 1, "flux-batch: ERROR: 'nowhere' is not a valid queue", "refused", "not a valid queue", nil},
		{"Flux", 2, "usage: flux batch [OPTIONS...] [SCRIPT] [ARGS...]\nflux batch: error: unrecognized arguments: --nonsense", "refused", "unrecognized arguments", nil},
		{"Flux", 1, "flux-batch: ERROR: [Errno 22] queue timed out is closed: connection reset\nask for another\nflux-batch: ERROR: [Errno 110] Connection timed out", "refused", "Connection timed out", []string{"queue timed out is closed", "ask for another"}},
		{"Flux", 1, "flux-batch: ERROR: cannot find user/bank or user/default bank entry for uid: 1006", "refused", "cannot find user/bank", nil},
		{"Flux", 1, "flux-batch: ERROR: [Errno 22] Connection reset by peer", "refused", "Connection reset", nil},
		{"Flux", 1, "flux-batch: ERROR: [Errno 22] user has max active jobs", "full", "user has max active jobs", nil},
		{"Flux", 1, "flux-batch: ERROR: user has max active jobs", "full", "user has max active jobs", nil},
		{"Flux", 1, "flux-batch: ERROR: [Errno 104] Connection reset by peer", "uncertain", "Connection reset", nil},
		{"Flux", 1, "Traceback (most recent call last):\n  File \"x.py\", line 1\nOSError: lost\n", "uncertain", "OSError: lost", nil},
		{"Flux", 1, "flux-batch: ERROR: Unable to connect to Flux: broker socket /run/flux/local was not found", "unreachable", "Unable to connect", nil},
		// Cobalt 1.0: src/lib/Components/cqm.py, src/lib/client_utils.py.
		{"Cobalt", 1, "<Fault 1001: \"trying to add job to non-existent queue 'ssl exception'\">", "refused", "non-existent queue", nil},
		{"Cobalt", 1, "node count out of realistic range", "refused", "realistic range", nil},
		{"Cobalt", 2, "Usage: qsub.py --help\nUsage: qsub.py [options] <executable>\n\nqsub.py: error: no such option: --reset", "refused", "no such option: --reset", nil},
		{"Cobalt", 1, "component error: XMLRPC failure <Fault 1005: \"connection timed out is no project\"> in system.validate_job\n\n", "refused", "is no project", nil},
		{"Cobalt", 1, "<Fault 1001: \"The limit of 2 jobs per user in the 'default' queue has been reached\\n\">", "full", "The limit of 2 jobs", nil},
		{"Cobalt", 1, "<Fault 1: \"<class 'socket.error'>:[Errno 104] Connection reset by peer\">", "uncertain", "Fault 1", nil},
		{"Cobalt", 1, "('The read operation timed out',)", "uncertain", "timed out", nil},
		{"Cobalt", 1, "[Errno 104] Connection reset by peer", "uncertain", "Connection reset", nil},
		{"Cobalt", 1, "component error: Failed to connect to system: client_utils.py:L#181:cn:system\n\n", "unreachable", "Failed to connect", nil},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s %s", i, tt.system, tt.want), func(t *testing.T) {
			simulate(t, func(t *testing.T, _ *simulator) {
				settings := wrote("SCHEDULER_PARAMETERS", "")
				settings.PendingTimeout = time.Second
				reply := scheduler.Reply{Code: tt.code, Stderr: tt.stderr}
				if out, ok := strings.CutPrefix(tt.stderr, "stdout:"); ok {
					reply = scheduler.Reply{Code: tt.code, Stdout: out}
				}
				w, a, err, took := runWithReplies(t, all[tt.system], settings, noStop(), reply)
				kind, atLeast, note := "build", time.Duration(0), ""
				switch tt.want {
				case "full":
					atLeast, note = time.Second, "accepts no more of your jobs now"
				case "uncertain":
					kind, note = "system", "searching for the job by name"
				case "unreachable":
					kind, atLeast, note = "system", retryLimit, "is unreachable"
				}
				if outcomeOf(err) != kind || err == nil || !strings.Contains(err.Error(), tt.lead) {
					t.Errorf("%s: %v\n%s", outcomeOf(err), err, w.log)
				}
				if took < atLeast || tt.want == "refused" && took > 0 {
					t.Errorf("took %v", took)
				}
				if many := len(a.submits) > 1; many != (tt.want == "full" || tt.want == "unreachable") {
					t.Errorf("%d submissions", len(a.submits))
				}
				if !strings.Contains(w.log.String(), note) || strings.Contains(w.log.String(), "\x1b[31m") || strings.Contains(w.log.String(), "Welcome") {
					t.Errorf("the log: %q", w.log)
				}
				for _, line := range tt.lines {
					if !strings.Contains(w.log.String(), line) {
						t.Errorf("no %q in %q", line, w.log)
					}
				}
			})
		})
	}
}

// At a limit on submitted jobs the job waits, with a notice at first and then at
// intervals, and is submitted once.
func TestFullLimit(t *testing.T) {
	full := scheduler.Reply{Code: 1, Stderr: "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"}
	simulate(t, func(t *testing.T, w *simulator) {
		w.set("sbatch", full)
		time.AfterFunc(12*time.Minute, func() { w.restore("sbatch") })
		w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") }
		err, took := w.run(noStop())
		if err != nil || took < 12*time.Minute || took > 13*time.Minute {
			t.Errorf("%v after %v", err, took)
		}
		if n := strings.Count(w.log.String(), "accepts no more of your jobs now: AssocMaxSubmitJobLimit"); n != 3 {
			t.Errorf("%d notices in 12 minutes, want 3\n%s", n, w.log)
		}
		if n := w.count("sbatch"); n < 12 || n > 30 {
			t.Errorf("%d tries in 12 minutes", n)
		}
	})
	t.Run("for as long as a job may wait", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.task.Settings.PendingTimeout = 10 * time.Minute
			w.set("sbatch", full)
			err, took := w.run(noStop())
			line, hint := failure.ForUser(err, false, "")
			if outcomeOf(err) != "build" || took < 10*time.Minute || took > 11*time.Minute {
				t.Errorf("%v after %v", err, took)
			}
			if !strings.Contains(line, "no more of your jobs for 10m0s: AssocMaxSubmitJobLimit") || !strings.Contains(hint, "resource_group") {
				t.Errorf("%q, %q", line, hint)
			}
			if !strings.Contains(w.log.String(), "up to 10m0s") || w.hasRecord() {
				t.Errorf("%q, recorded %v", w.log, w.hasRecord())
			}
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.set("sbatch", full)
			err, took := w.run(stopAfter(7*time.Minute, 0))
			if outcomeOf(err) != "exit 143" || took != 7*time.Minute {
				t.Errorf("%v after %v", err, took)
			}
			if _, ok := w.called("scancel"); ok || w.hasRecord() {
				t.Error("a job that was never submitted is searched for")
			}
		})
	})
	t.Run("then the time in the queue", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.task.Settings.PendingTimeout = 10 * time.Minute
			w.set("sbatch", full)
			time.AfterFunc(6*time.Minute, func() { w.restore("sbatch") })
			err, took := w.run(noStop())
			if outcomeOf(err) != "build" || took < 10*time.Minute || took > 11*time.Minute || !strings.Contains(err.Error(), "did not start within") {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
	t.Run("and then the controller", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *simulator) {
			w.set("sbatch", full)
			time.AfterFunc(8*time.Minute, func() {
				w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"})
			})
			time.AfterFunc(11*time.Minute, func() { w.restore("sbatch") })
			w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") }
			if err, took := w.run(noStop()); err != nil || took < 11*time.Minute {
				t.Errorf("%v after %v", err, took)
			}
		})
	})
}

// A script that ended before the search for its submission began decides the outcome,
// also where the batch system has forgotten the job or cannot be queried: it ran, and a
// failure of the resource would make GitLab run it again.
func TestEndedBeforeTheSearch(t *testing.T) {
	for name, query := range map[string]scheduler.Reply{
		"forgotten":   {},
		"unreachable": {Code: 1, Stderr: "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"},
	} {
		for _, code := range []int{0, 7} {
			t.Run(fmt.Sprintf("%s, exit code %d", name, code), func(t *testing.T) {
				simulate(t, func(t *testing.T, w *simulator) {
					w.delay("sbatch", 3*time.Second)
					w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"})
					for _, program := range []string{"squeue", "scontrol"} {
						w.set(program, query)
					}
					time.AfterFunc(time.Second, func() {
						w.put(startedFile, "node=n1\nstart=1\n")
						w.print("its output\n")
						w.put(endedFile, fmt.Sprintf("code=%d\nterm=0\nsize=11\nend=2\n", code))
					})
					err, took := w.run(noStop())
					want := "success"
					if code != 0 {
						want = fmt.Sprintf("exit %d", code)
					}
					if outcomeOf(err) != want || took > 8*time.Second || w.count("sbatch") != 1 || w.hasRecord() {
						t.Errorf("%v after %v, %d submissions, recorded %v", err, took, w.count("sbatch"), w.hasRecord())
					}
					for _, text := range []string{"its output\n", "Slurm job " + w.task.Name + " started on n1", fmt.Sprintf("Slurm job %s: exit code %d", w.task.Name, code)} {
						if !strings.Contains(w.log.String(), text) {
							t.Errorf("no %q in the log:\n%s", text, w.log)
						}
					}
					if w.count("scontrol") > 0 || strings.Contains(w.log.String(), "was submitted") {
						t.Errorf("the job was queried, or named, without its id:\n%s", w.log)
					}
				})
			})
		}
	}
}

// The log contains no notice about a slow submit program that has ended.
func TestNoSlowNoticeAfterReply(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.delay("sbatch", 5*time.Second)
		w.set("sbatch", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"})
		_, took := w.run(noStop())
		if strings.Contains(w.log.String(), "has been running") || took < absentLimit {
			t.Errorf("%v: %s", took, w.log)
		}
	})
}

// A refused argument of the site is a system failure; one of the job is the job's
// failure, whatever arguments the site adds.
func TestRefusedArgument(t *testing.T) {
	refusal := func(text string) scheduler.Reply {
		return scheduler.Reply{Code: 1, Stderr: "sbatch: error: " + text + "\nsbatch: error: Batch job submission failed: Invalid partition name specified"}
	}
	unrecognized := scheduler.Reply{Code: 255, Stderr: "sbatch: unrecognized option '--nonsense=5'\nTry \"sbatch --help\" for more information"}
	for _, tt := range []struct {
		name             string
		defaults         string
		job              string
		reply            scheduler.Reply
		kind, line, hint string
	}{
		{"the job's option", "--comment=x", "--nonsense=5", unrecognized, "build", "--nonsense", "change --nonsense=5 in SCHEDULER_PARAMETERS"},
		{"the site's option", "--nonsense=5", "-N 1", unrecognized, "system", `the site's argument "--nonsense=5" (default_args)`, "administrators"},
		{"the job's value", "-A main", "-p nowhere", refusal("invalid partition specified: nowhere"), "build", "Invalid partition", "change -p nowhere in SCHEDULER_PARAMETERS"},
		{"the site's value", "-p nowhere", "-N 1", refusal("invalid partition specified: nowhere"), "system", `"-p nowhere"`, "administrators"},
		{"a letter", "-Z", "", scheduler.Reply{Code: 255, Stderr: "sbatch: invalid option -- 'Z'"}, "system", `"-Z"`, "administrators"},
		{"a value that occurs in the message", "--exclusive=user", "", scheduler.Reply{Code: 1, Stderr: "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"}, "build", "policy", "no arguments of its own"},
		{"no argument named", "-p main", "-N 1", refusal("something"), "build", "Invalid partition", "correct the arguments in SCHEDULER_PARAMETERS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, _ *simulator) {
				settings := wrote("SCHEDULER_PARAMETERS", tt.job)
				settings.DefaultArgs = strings.Fields(tt.defaults)
				w, _, err, _ := runWithReplies(t, slurm.Slurm{}, settings, noStop(), tt.reply)
				line, hint := failure.ForUser(err, false, "")
				if outcomeOf(err) != tt.kind || !strings.Contains(line, tt.line) || !strings.Contains(hint, tt.hint) {
					t.Errorf("%s, %q, %q", outcomeOf(err), line, hint)
				}
				if !strings.Contains(w.log.String(), "collapsed=true") || !strings.Contains(w.log.String(), "sbatch "+tt.defaults) && tt.defaults != "" {
					t.Errorf("the command is not in %q", w.log)
				}
			})
		})
	}
}

// At the limit of processes the job waits, and its log shows how many there are.
func TestNoProcess(t *testing.T) {
	none := notStarted{fmt.Errorf("cannot start /usr/bin/sbatch: your account has 512 processes"), true}
	simulate(t, func(t *testing.T, w *simulator) {
		w.set("sbatch", scheduler.Reply{Err: none})
		time.AfterFunc(time.Minute, func() { w.restore("sbatch") })
		w.onSubmit = func() { w.start(); w.finish(0, false, "COMPLETED") }
		if err, took := w.run(noStop()); err != nil || took < time.Minute || !strings.Contains(w.log.String(), "cannot start a process (cannot start") {
			t.Errorf("%v after %v: %s", err, took, w.log)
		}
	})
	simulate(t, func(t *testing.T, w *simulator) {
		w.set("sbatch", scheduler.Reply{Err: none})
		if err, _ := w.run(noStop()); outcomeOf(err) != "system" || !strings.Contains(err.Error(), "your account has ") {
			t.Error(err)
		}
		if n := w.count("squeue"); n != 0 {
			t.Errorf("%d searches for a job that was never sent", n)
		}
	})
}

// A command is shown with the quotes that a shell requires.
func TestCommandLine(t *testing.T) {
	c := scheduler.Command{Env: []string{"LSB_NTRIES=1"}, Argv: []string{"bsub", "-J", "a b", "", "it's", "--x=$(id)", "/plain/path"}}
	if got, want := commandLine(c), `LSB_NTRIES=1 bsub -J 'a b' '' 'it'\''s' '--x=$(id)' /plain/path`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Argv = append(c.Argv, strings.Repeat("é", 4000))
	if got := commandLine(c); len(got) > longestCommand+len("…") || !strings.HasSuffix(got, "é…") && !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
}
