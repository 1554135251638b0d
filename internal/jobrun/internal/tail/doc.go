// Package tail reads a log that another machine is writing.
//
// It looks often at the open file, and opens the path again at intervals: only
// open(2) makes a network file system ask its server (nfs(5), close-to-open).
// A notification only makes it look at once; none comes for a remote writer.
package tail
