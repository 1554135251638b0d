// Package fakeschedulers imitates batch schedulers for tests where there is none, and
// can produce faults that a real one would not: submit, query and cancel programs that
// run jobs, refuse every option that they do not know, and keep all their state in one
// directory, which they find through the variable of the real ones, SLURM_CONF or
// PBS_CONF_FILE.
//
// There is one program, which acts by its name. Its output is that of Slurm 22.05,
// OpenPBS 23.06, Flux 0.88 and Grid Engine 8.1.9 as recorded, that of Cobalt 1.0 from
// its source, and that of LSF 10.1 as published by IBM and users: it was not compared
// with a real LSF or Cobalt.
package fakeschedulers
