package schedulers

import "jacamar-ci/test/harness/fakerunner"

// schedulerCase has the properties of a scheduler that tests need, and its messages to
// users.
type schedulerCase struct {
	name, executor string
	confs          []string // the variables by which its programs find it
	submit, cancel string
	others         []string // its programs except the one that submits
	id             string   // the variable with the job's id in a script
	always         []string // arguments that every job needs
	hold, heldName string
	limit          string // a time limit of a second
	limitTexts     []string
	limitCode      int
	// signals: a script can get a signal to end before it is killed.
	signals bool
	// records: the end of a job without a status file is known.
	records bool
	rules   rules
	illegal illegal
	cases   []outcome
}

// rules are the arguments of a site, and those of jobs to which they apply.
type rules struct {
	weak           []string // a default
	group, other   string   // required of one group's projects, and of another's
	same           string   // group again, spelled otherwise, and one of its own for weak
	against, short string   // other again, in two spellings
}

// illegal is an argument of each kind that belongs to the engine, with the names
// that the job's log calls them by.
type illegal struct {
	args  string
	flags []string
}

// outcome is a job with its expected result.
type outcome struct {
	name, script, args string
	outcome            fakerunner.Outcome
	code               int
	texts              []string
	submitted          bool
}

func refused(name, args string, texts ...string) outcome {
	return outcome{name, "true", args, fakerunner.ScriptFailure, 1, texts, false}
}

func hopeless(args string, texts ...string) outcome {
	return outcome{"impossible", "true", args, fakerunner.ScriptFailure, 1, append(texts, "can never start"), true}
}

func works(name, script, args string, texts ...string) outcome {
	return outcome{name, script, args, fakerunner.Success, 0, texts, true}
}

const unrecorded = "without recording a reason"

func schedulerCases() map[string]schedulerCase {
	return map[string]schedulerCase{
		"slurm": {
			name: "Slurm", executor: "slurm", confs: []string{"SLURM_CONF"}, others: []string{"squeue", "scontrol", "sacct", "scancel"}, submit: "sbatch", cancel: "scancel", id: "SLURM_JOB_ID",
			hold: "--hold", heldName: "JobHeldUser", limit: "--time=1", limitTexts: []string{"time limit", "TIMEOUT", "--time"}, limitCode: 1,
			signals: true, records: true,
			rules:   rules{[]string{"--comment=default"}, "--account=group", "--account=other", "-A group --comment=own", "-A other", "--acco=other"},
			illegal: illegal{"--job-name=mine -o /tmp/x -N1", []string{"--job-name", "--output"}},
			cases: []outcome{
				works("arguments reach the scheduler", "echo nodes=$SLURM_JOB_NODELIST", "-N 1 -t 5 --comment='a $(b) c'", "nodes=n1"),
				hopeless("-N 50", "PartitionNodeLimit"),
				refused("unknown queue", "-p nowhere", "refused the job", "nvalid partition"),
				refused("unknown option", "--nonsense", "refused the job", "--nonsense"),
				refused("reserved argument", "-N1 -Jx", "SCHEDULER_PARAMETERS", "-Jx", "--job-name"),
				refused("unbalanced quote", "--comment='a", "SCHEDULER_PARAMETERS", "quote"),
				refused("not UTF-8", "--comment=\xff", "not valid UTF-8"),
			},
		},
		"pbs": {
			name: "PBS", executor: "pbs", confs: []string{"PBS_CONF_FILE", "PBS_EXEC"}, others: []string{"qstat", "qselect", "qsig", "qdel"}, submit: "qsub", cancel: "qdel", id: "PBS_JOBID",
			hold: "-h", heldName: "it is held", limit: "-l walltime=00:00:01", limitTexts: []string{unrecorded}, limitCode: 1, signals: true,
			rules:   rules{[]string{"-l", "walltime=0:09:00"}, "-Agroup", "-Aother", "-A group -l walltime=0:05:00", "-A other", "-Aother"},
			illegal: illegal{"-Nmine -o /tmp/x -l select=1", []string{"-N", "-o"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-l walltime=0:05:00"),
				hopeless("-l select=50", "Can Never Run"),
				refused("unknown queue", "-q nowhere", "refused the job", "Unknown queue"),
				refused("unknown option", "-Y", "refused the job"),
				refused("reserved argument", "-Nx", "SCHEDULER_PARAMETERS", "-N is set"),
			},
		},
		"torque": {
			name: "PBS", executor: "pbs", confs: []string{"PBS_DEFAULT"}, others: []string{"qstat", "qselect", "qsig", "qdel"}, submit: "qsub", cancel: "qdel", id: "PBS_JOBID",
			hold: "-h", heldName: "it is held", limit: "-l walltime=00:00:01", limitTexts: []string{unrecorded}, limitCode: 1, signals: true,
			rules:   rules{[]string{"-l", "walltime=0:09:00"}, "-Agroup", "-Aother", "-A group -l walltime=0:05:00", "-A other", "-Aother"},
			illegal: illegal{"-Nmine -o /tmp/x -l nodes=1", []string{"-N", "-o"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-l walltime=0:05:00 -F words"),
				refused("impossible", "-l nodes=50", "refused the job", "exceeds queue resource limits"),
				refused("unknown queue", "-q nowhere", "refused the job", "Unknown queue"),
				refused("unknown option", "-Y", "refused the job", "invalid option"),
				refused("reserved argument", "-Nx", "SCHEDULER_PARAMETERS", "-N is set"),
			},
		},
		"flux": {
			name: "Flux", executor: "flux", confs: []string{"FLUX_URI"}, others: []string{}, submit: "flux", cancel: "flux", id: "FLUX_ENCLOSING_ID",
			hold: "--urgency=0", heldName: "urgency=0", limit: "-t 1s", limitTexts: []string{"time limit", "TIMEOUT", "--time-limit"}, limitCode: 1,
			signals: true, records: true,
			rules:   rules{[]string{"-t", "50s"}, "--bank=group", "--bank=other", "-B group -t 60s", "-B other", "--ban=other"},
			illegal: illegal{"--job-name=mine --output /tmp/x -N1", []string{"--job-name", "--output"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-N 1 --time-limit=60s"),
				hopeless("-N 50", "unsatisfiable"),
				refused("unknown queue", "-q nowhere", "refused the job", "queue"),
				refused("unknown option", "--nonsense", "refused the job", "--nonsense"),
				refused("reserved argument", "--job-name=x", "SCHEDULER_PARAMETERS", "--job-name is set"),
			},
		},
		"lsf": {
			name: "LSF", executor: "bsub", confs: []string{"LSF_ENVDIR", "LSF_SERVERDIR", "LSF_BINDIR", "LSF_LIBDIR"}, others: []string{"bjobs", "bhist", "bkill"}, submit: "bsub", cancel: "bkill", id: "LSB_JOBID",
			hold: "-H", heldName: "suspended by the user", limit: "-W 1", limitTexts: []string{"run time limit", "TERM_RUNLIMIT", "-W"}, limitCode: 1,
			signals: true, records: true,
			rules:   rules{[]string{"-W", "9"}, "-P group", "-P other", "-P group -W 5", "-P other", "-P other"},
			illegal: illegal{"-J mine -o /tmp/x -n 1", []string{"-J", "-o"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-n 1 -W 5"),
				refused("impossible", "-n 5000000", "refused the job", "Too many"),
				refused("unknown queue", "-q nowhere", "refused the job", "queue"),
				refused("unknown option", "-nonsense", "not a known option"),
				refused("reserved argument", "-J x", "SCHEDULER_PARAMETERS", "-J is set"),
				refused("reserved argument in disguise", "-Jx", "not a known option"),
			},
		},
		"sge": {
			name: "Grid Engine", executor: "sge", confs: []string{"SGE_ROOT", "SGE_CELL", "SGE_QMASTER_PORT", "SGE_EXECD_PORT"}, others: []string{"qstat", "qacct", "qdel"}, submit: "qsub", cancel: "qdel", id: "JOB_ID",
			hold: "-h", heldName: "hqw", limit: "-l h_rt=0:0:1", limitTexts: []string{"h_rt", "failed=37"}, limitCode: 1, records: true,
			rules:   rules{[]string{"-l", "h_rt=0:9:0"}, "-P group", "-P other", "-P group -l h_rt=0:5:0", "-P other", "-P other"},
			illegal: illegal{"-N mine -o /tmp/x -l h_rt=0:5:0", []string{"-N", "-o"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-l h_rt=0:5:0"),
				refused("impossible", "-l arch=nothing", "refused the job"),
				refused("unknown queue", "-q nowhere.q", "refused the job"),
				refused("unknown option", "-nonsense", "not a known option"),
				refused("reserved argument", "-N x", "SCHEDULER_PARAMETERS", "-N is set"),
			},
		},
		"cobalt": {
			name: "Cobalt", executor: "cobalt", confs: []string{"COBALT_CONFIG_FILES"}, others: []string{"qstat", "qdel"}, submit: "qsub", cancel: "qdel", id: "COBALT_JOBID",
			always: []string{"-n", "1", "-t", "10"}, hold: "-h", heldName: "user_hold", limit: "-t 1", limitTexts: []string{unrecorded}, limitCode: 1,
			rules:   rules{[]string{"-n", "1", "-t", "10"}, "--project=group", "--project=other", "-A group -t 5", "-A other", "--proj=other"},
			illegal: illegal{"--jobname=mine -o /tmp/x -n1", []string{"--jobname", "--output"}},
			cases: []outcome{
				works("arguments reach the scheduler", "true", "-t 5"),
				refused("impossible", "-n 50", "refused the job"),
				refused("unknown queue", "-q nowhere", "refused the job", "non-existent queue"),
				refused("unknown option", "--nonsense", "refused the job", "no such option"),
				refused("reserved argument", "--jobname=x", "SCHEDULER_PARAMETERS", "--jobname is set"),
			},
		},
	}
}
