// Package batch runs a job's script on a batch system, whichever it is.
//
// One directory on storage that the nodes share holds everything of one
// submission: the script, the wrapper that is submitted, the log, and the marks
// that the wrapper leaves. The engine records what it intends before it submits,
// and the id after; it learns of the end from the mark of the script's own
// wrapper and asks the batch system why. What is missing from the queue is not
// known to be over: only a mark or the batch system's record ends a job.
//
// The file "started" is a claim: whoever creates it first has the job. The
// wrapper runs the script only if it wins, and so a submission that was given up
// never runs late, and none runs twice.
package batch
