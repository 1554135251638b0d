// Package workspace makes, claims and clears away the directories of a job. It
// runs as the job's user and reaches everything through package folder, so that
// nothing of what other processes of the user do meanwhile can lead it astray.
//
//	BASE/                       $HOME/.jacamar-ci, or data_dir/USER
//	  builds/POOL/000/…         build directories; POOL is a runner or a project
//	  builds/POOL/.claims       which job has which of them (pool.go)
//	  builds/static/RUNNER/ID/  in their place, with static_builds_dir
//	  builds/.trash/            what is being removed
//	  cache/                    the runner's local caches
//	  scripts/RUNNER/ID/        files of the executor, and the job's lease (lease.go)
//
// With a directory of the user's own choice, that one stands in for builds.
package workspace
