// Package seccomp makes the system-call filter of a job (seccomp(2)) and puts it
// on a thread. Its first use is against terminal injection: TIOCSTI and
// TIOCLINUX let a program type into a terminal that it has inherited
// (CVE-2005-4890, CVE-2023-28339, CVE-2023-1523).
//
// A refused call fails with EPERM, as if the kernel did not permit it: programs
// expect that and say what they could not do.
package seccomp

//go:generate go run generate.go
