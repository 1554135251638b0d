// Package check looks at an installation for its administrator: what would stop
// jobs, or let the wrong ones run, each with the fix.
//
// Every check is an entry in one table. What it can see depends on the account
// that asks, so it is run under the account of the runner's service. Nothing is
// changed but for one record in the operator's log, and GitLab need not be up for
// the rest to be told.
package check
