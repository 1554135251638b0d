// Package process starts the programs of a job and answers for all that comes
// of them. The process that uses it becomes a child subreaper (see
// PR_SET_CHILD_SUBREAPER in prctl(2)), so whatever a job leaves behind, however
// it was detached, comes back as a child here and is ended.
package process
