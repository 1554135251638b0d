package fakeschedulers

import (
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// schedulerDef is one scheduler as its users see it.
type schedulerDef struct {
	conf     string // the variable that names its configuration
	programs map[string]func(*program, []string) error
	env      func(Job) []string // the variables of a job's script
	// away is the output and exit status of its programs when their server is unreachable.
	away errExit
	// needs is a program that starts the script, found by the PATH of the job.
	needs string
	// truncates: the output file is emptied when the job starts.
	truncates bool
	// killsAtOnce: a cancelled job gets KILL and nothing before it.
	killsAtOnce bool
}

// Kinds are the schedulers that have a fake.
func Kinds() []string { return slices.Sorted(maps.Keys(schedulerDefs())) }

func schedulerDefs() map[string]schedulerDef {
	id := func(name string) func(Job) []string {
		return func(j Job) []string { return []string{fmt.Sprintf("%s=%d", name, j.ID)} }
	}
	return map[string]schedulerDef{
		"slurm": {conf: "SLURM_CONF", away: errExit{"slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1}, env: func(j Job) []string {
			return []string{fmt.Sprintf("SLURM_JOB_ID=%d", j.ID), "SLURM_JOB_NODELIST=n1", "SLURMD_NODENAME=n1"}
		}, programs: map[string]func(*program, []string) error{
			"sbatch": (*program).sbatch, "squeue": (*program).squeue, "scontrol": (*program).scontrol,
			"sacct": (*program).sacct, "scancel": (*program).scancel,
		}},
		"pbs": {
			conf: "PBS_CONF_FILE", away: errExit{"Connection refused\nqstat: cannot connect to server pbs1 (errno=15010)", 255}, env: func(j Job) []string { return []string{"PBS_JOBID=" + pbsID(j)} },
			programs: map[string]func(*program, []string) error{
				"qsub": (*program).pbsSub, "qstat": (*program).pbsStat, "qselect": (*program).pbsSelect,
				"qsig": (*program).pbsSig, "qdel": (*program).pbsDel,
			},
		},
		"torque": {
			conf: "PBS_DEFAULT", away: errExit{"qsub: cannot connect to server head (errno=15137) could not connect to trqauthd", 33}, env: func(j Job) []string { return []string{"PBS_JOBID=" + pbsID(j)} },
			programs: map[string]func(*program, []string) error{
				"qsub": (*program).torqueSub, "qstat": (*program).torqueStat, "qselect": (*program).torqueSelect,
				"qsig": (*program).pbsSig, "qdel": (*program).pbsDel,
			},
		},
		"flux": {
			conf: "FLUX_URI", away: errExit{"flux-jobs: ERROR: Unable to connect to Flux: broker socket /run/flux/local was not found", 1}, truncates: true, needs: "flux", env: func(j Job) []string { return []string{"FLUX_ENCLOSING_ID=" + f58(j.ID, "f")} },
			programs: map[string]func(*program, []string) error{"flux": (*program).flux},
		},
		"lsf": {conf: "LSF_ENVDIR", away: errExit{"Cannot connect to LSF. Please wait ...", 255}, env: id("LSB_JOBID"), programs: map[string]func(*program, []string) error{
			"bsub": (*program).bsub, "bjobs": (*program).bjobs, "bhist": (*program).bhist, "bkill": (*program).bkill,
		}},
		"sge": {conf: "SGE_ROOT", away: errExit{"error: commlib error: got select error (Connection refused)", 1}, env: id("JOB_ID"), killsAtOnce: true, programs: map[string]func(*program, []string) error{
			"qsub": (*program).sgeSub, "qstat": (*program).sgeStat, "qacct": (*program).sgeAcct, "qdel": (*program).sgeDel,
		}},
		"cobalt": {conf: "COBALT_CONFIG_FILES", away: errExit{"component error: Failed to connect to queue-manager: client_utils.py:L#181:cn:queue-manager\n", 1}, env: id("COBALT_JOBID"), programs: map[string]func(*program, []string) error{
			"qsub": (*program).cobaltSub, "qstat": (*program).cobaltStat, "qdel": (*program).cobaltDel,
		}},
	}
}

// flags reads options of one word each, with the number of values of each; an argument
// without a dash ends them.
func (p *program) flags(args []string, known map[string]int, refuse func(string) error) (map[string]string, []string, error) {
	got := map[string]string{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, attached := strings.Cut(args[0], "=")
		n, ok := known[name]
		if !ok || attached && !strings.HasPrefix(name, "--") || !attached && len(args) <= n {
			return nil, nil, refuse(args[0])
		}
		args = args[1:]
		if !attached {
			value, args = strings.Join(args[:n], " "), args[n:]
		}
		got[name] = strings.TrimSpace(got[name] + " " + value)
	}
	return got, args, nil
}

// letters reads options as getopt(3) does, by its string of letters. In the order of
// the arguments it stops at the first that is no option.
func (p *program) letters(args []string, known string, refuse func(letter string) error) (map[string]string, []string, error) {
	got := map[string]string{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		word := args[0][1:]
		args = args[1:]
		for word != "" {
			letter := word[:1]
			word = word[1:]
			at := strings.Index(known, letter)
			if at < 0 || letter == ":" {
				return nil, nil, refuse(letter)
			}
			value := ""
			if strings.HasPrefix(known[at+1:], ":") {
				if word == "" && len(args) == 0 {
					return nil, nil, refuse(letter)
				}
				if value, word = word, ""; value == "" {
					value, args = args[0], args[1:]
				}
			}
			got["-"+letter] = strings.TrimSpace(got["-"+letter] + " " + value)
		}
	}
	return got, args, nil
}

// apart separates the value from an option of one letter, as getopt(3) does: -N1.
func apart(args []string, known map[string]int) (all []string) {
	for _, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && known[a] == 0 && known[a[:2]] == 1 {
			all = append(all, a[:2], a[2:])
			continue
		}
		all = append(all, a)
	}
	return all
}

// full reports whether the caller has as many jobs as the cluster lets a user have.
func (p *program) full() bool {
	most := p.store.behaviour().MaxJobs
	jobs, _ := p.store.Jobs()
	for _, j := range jobs {
		if !j.over() && j.UID == syscall.Getuid() {
			most--
		}
	}
	return p.store.behaviour().MaxJobs > 0 && most <= 0
}

// allowed reports whether the caller may change the job.
func allowed(j Job) bool { return syscall.Getuid() == 0 || syscall.Getuid() == j.UID }

// end marks a job to be ended.
func (p *program) end(j Job) error {
	return p.store.Change(j.ID, func(j *Job) { j.Cancelled, j.By = true, syscall.Getuid() })
}

func (p *program) signal(j Job, s syscall.Signal) {
	if j.PID > 0 && !j.over() {
		_ = syscall.Kill(-j.PID, s)
	}
}

// job finds a job by its number; with Lost there is none.
func (p *program) job(text string) (Job, bool) {
	id, err := strconv.Atoi(text)
	if err != nil {
		return Job{}, false
	}
	j, err := p.store.Job(id)
	return j, err == nil && !p.store.behaviour().Lost
}

// clock reads [[hours:]minutes:]seconds.
func clock(text string) float64 {
	total := 0.0
	for part := range strings.SplitSeq(text, ":") {
		n, _ := strconv.ParseFloat(part, 64)
		total = total*60 + n
	}
	return total
}

// code is the exit status as a shell would have it.
func (j Job) code() int {
	if j.Signal != 0 {
		return 128 + j.Signal
	}
	return j.Code
}

// fresh is a new job of the caller.
func (p *program) fresh(name, output string) Job {
	home := "/"
	if u, err := user.LookupId(strconv.Itoa(syscall.Getuid())); err == nil {
		home = u.HomeDir
	}
	b := p.store.behaviour()
	j := Job{Name: name, UID: syscall.Getuid(), GID: syscall.Getgid(), Output: output, Dir: home, Env: syscall.Environ(), State: "PENDING", Reason: "None"}
	if b.Pending > 0 {
		j.Reason = b.PendingReason
	}
	return j
}

// add stores the job with a copy of its script.
func (p *program) submit(j Job, script string, refuse func(string) error) (int, error) {
	text, err := readScript(script)
	if err != nil {
		return 0, refuse(script)
	}
	return p.store.add(j, text)
}
