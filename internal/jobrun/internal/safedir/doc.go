// Package safedir handles directories of the job's user by their descriptors. A
// name is looked up in the directory that was judged, never by a path from the
// root, so that whoever swaps a directory for a symbolic link meanwhile leads
// nothing astray: neither a write nor a removal.
package safedir
