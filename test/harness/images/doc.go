// Package images makes container images without a network and without a container
// program: from the machine's busybox, bash and dash, and from a small program of its own.
// Registry serves them, and plays the faults of registries; Push copies them to a real
// one.
package images
