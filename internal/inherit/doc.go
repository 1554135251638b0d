// Package inherit is the closed list of what a process has from the one that
// started it (fork(2), execve(2), credentials(7)), and of what a job has of each.
//
// The list is one table. What starts jacamar walks it to give up what is not the
// job's (Shed); jacamar walks it to verify that (Verify), and to settle what only
// it can (Settle). A test compares it with the fields of the kernel's structures.
package inherit
