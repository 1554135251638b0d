// Package slurm starts a real Slurm cluster on loopback for tests: munged,
// slurmctld, slurmd for each node and, when asked, MariaDB with slurmdbd.
//
// Everything lies in one directory of its own and is reached through
// SLURM_CONF, so that it neither reads nor disturbs a machine's own Slurm. It
// needs root: slurmd starts jobs as other users.
package slurm
