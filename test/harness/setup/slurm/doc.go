// Package slurm starts a real Slurm cluster on loopback for tests: munged,
// slurmctld, slurmd for each node and, optionally, MariaDB with slurmdbd.
//
// All files are in one directory of its own, which SLURM_CONF names, so that it neither
// reads nor affects a machine's own Slurm. It
// needs root: slurmd starts jobs as other users.
package slurm
