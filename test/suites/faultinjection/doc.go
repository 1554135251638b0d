// Package faultinjection makes single system calls of the built programs fail, and kills
// the programs at single system calls, by strace(1), in every stage of a job;
// and checks the results against what must never happen.
package faultinjection
