// Package job holds the values that the two binaries speak about: job and
// account identities, stages, paths, secrets and environment pairs.
//
// Every type here is checked once, by its constructor or when it is decoded, so
// that code which receives a value never checks it again. The package does no
// input or output and imports the standard library only.
package job
