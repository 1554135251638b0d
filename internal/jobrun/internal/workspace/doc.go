// Package workspace creates, reserves and removes the directories of a job. It runs as
// the job's user and accesses all files through package safedir, so that concurrent
// changes by other processes of the user cannot redirect it.
//
//	BASE/                       $HOME/.jacamar-ci, or data_dir/USER
//	  builds/POOL/000/…         build directories; POOL is a runner or a project
//	  builds/POOL/.claims       reservations of them (pool.go)
//	  builds/static/RUNNER/ID/  build directories with static_builds_dir
//	  builds/.trash/            what is being removed
//	  cache/                    the runner's local caches
//	  scripts/RUNNER/ID/        files of the executor, and the job's record (jobrecord.go)
//
// A directory that the user chose replaces builds.
//
// # Who has which build directory
//
// A pool is the numbered build directories, the slots, that jobs take turns in. A job and
// its slot refer to each other, so that a cleanup can begin at either:
//
//	scripts/RUNNER/ID/lease          builds/POOL/.claims           builds/POOL/
//	┌───────────────────────┐        ┌─────────────────────┐
//	│ record of the job     │        │ 0 │ free            │──────▶ 000/
//	│   pool, slot ─────────┼───────▶│ 1 │ reservation     │──────▶ 001/  the job's builds
//	│   directory of secrets│◀───────┼───│   runner, job   │
//	│   a copy of its       │        │   │   owner, until  │
//	│   reservation         │        │ 2 │ never used      │        no 002/ yet
//	└───────────────────────┘        └─────────────────────┘
//	exists until its cleanup         512 bytes for each slot;
//	                                 the file is locked by who changes it
//
// The record is written before the reservation and removed before it, so that a job that
// was killed at any moment is found by one of the two:
//
//	config    lock the pool, choose a slot, make its directory, write record and reservation
//	prepare   verify that the slot is still reserved, write both again
//	run       lock the slot's own byte behind the reservations, until all processes ended
//	cleanup   become the owner, remove secrets and record, free the slot
//
// A reservation ends with the cleanup, with its owner (the runner's process, on the same
// host) or with its time. A slot whose stage still runs, or whose batch job may still
// run, is not taken even then.
package workspace
