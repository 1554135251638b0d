// Package profiles holds login profiles as people write them, and worse ones, for
// tests of their effects on a job's script. Every way to run a script is tested with the
// same table.
package profiles
