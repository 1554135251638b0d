// Package container builds the commands of container programs and parses their output. It
// is pure: it starts no process and accesses no file.
//
// A start is an engine's command in a Cell. The bootstrap runs inside the container as the
// parent of the script's shell and reports by marks how far the start came, so that the
// script's exit code does not depend on the engine or on the image's entrypoint.
package container
