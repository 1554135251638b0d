// Package scheduler is the vocabulary between the batch engine and a batch
// system: commands to run, replies to read, states to act upon.
//
// A batch system is pure here, text in and values out; the engine does all the
// doing. What a reply does not clearly say is Unknown, never done: a job ends by
// its own end marker or by the batch system's record, not by an absence.
package scheduler
