// Package diskspace says in a user's words what is wrong with storage: how much of
// which quota or file system is in use, and what he can do. It asks as the job's
// user, and only after something went wrong or may soon.
package diskspace
