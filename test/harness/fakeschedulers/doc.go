// Package fakeschedulers plays batch schedulers for tests where there is none, and
// misbehaves on demand where a real one would not: submit, query and cancel
// programs that truly run jobs, refuse every option they do not know, and keep all
// their state in one directory, which they find through the variable of the real
// ones, SLURM_CONF or PBS_CONF_FILE.
//
// The program is one; it acts by the name it is called by. Its words are those of
// Slurm 22.05, OpenPBS 23.06, Flux 0.88 and Grid Engine 8.1.9 as they were
// recorded, those of Cobalt 1.0 as they stand in its source, and those of LSF 10.1
// as IBM and users of it have published them: no LSF and no Cobalt was asked.
package fakeschedulers
