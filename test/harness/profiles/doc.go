// Package profiles holds login profiles as people write them, and worse ones, for
// tests of what they may do to a job's script. Every way to run a script is held
// against the same table.
package profiles
