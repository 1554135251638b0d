// Package executors lists what can run a job's script. Apart from the packages that
// implement the batch systems, and their registry, only this file names them.
package executors

import (
	"slices"
	"strings"

	"jacamar-ci/internal/job"
)

// Shell runs scripts on the runner's host, without a batch system.
const Shell = "shell"

// Executor is one of them. The commands are those of its batch system; Shell has none.
type Executor struct {
	Name    string
	Aliases []string // other names in a configuration
	// Programs are all that the executor calls, and Accounting those that it also calls
	// where slurm_sacct is set.
	Programs, Accounting []string
	// Version prints the version; Ping succeeds only where the server answers.
	Version, Ping []string
}

// All returns the executors in the order of the documentation.
func All() []Executor {
	return []Executor{
		{Name: Shell},
		{
			Name: "slurm", Aliases: []string{"sbatch"},
			Programs: []string{"sbatch", "squeue", "scontrol", "scancel"}, Accounting: []string{"sacct"},
			Version: []string{"sbatch", "--version"}, Ping: []string{"scontrol", "ping"},
		},
		{
			Name:     "flux",
			Programs: []string{"flux"},
			Version:  []string{"flux", "version"}, Ping: []string{"flux", "uptime"},
		},
		{
			Name:     "pbs",
			Programs: []string{"qsub", "qstat", "qselect", "qsig", "qdel"},
			Version:  []string{"qstat", "--version"}, Ping: []string{"qstat", "-B"},
		},
		{
			Name: "lsf", Aliases: []string{"bsub"},
			Programs: []string{"bsub", "bjobs", "bhist", "bkill"},
			Version:  []string{"bjobs", "-V"}, Ping: []string{"bqueues"},
		},
		{
			Name:     "sge",
			Programs: []string{"qsub", "qstat", "qacct", "qdel"},
			Version:  []string{"qstat", "-help"}, Ping: []string{"qstat"},
		},
		{
			Name: "cobalt", Aliases: []string{"qsub"},
			Programs: []string{"qsub", "qstat", "qdel"},
			Version:  []string{"qstat", "--version"}, Ping: []string{"qstat"},
		},
	}
}

// Find returns the executor of a name; ok is false where there is none.
func Find(name string) (e Executor, ok bool) {
	all := All()
	i := slices.IndexFunc(all, func(e Executor) bool { return e.Name == name })
	if i < 0 {
		return e, false
	}
	return all[i], true
}

// Names are the names for a sentence: "shell, slurm … or cobalt".
func Names() string {
	var names []string
	for _, e := range All() {
		names = append(names, e.Name)
	}
	return job.Either(names)
}

// BatchNames are the names of the batch systems with their aliases, in Markdown.
func BatchNames() string {
	var names []string
	for _, e := range All()[1:] {
		name := "`" + e.Name + "`"
		if len(e.Aliases) > 0 {
			name += " (or `" + strings.Join(e.Aliases, "`, `") + "`)"
		}
		names = append(names, name)
	}
	return job.Either(names)
}
