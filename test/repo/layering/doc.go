// Package layering keeps the packages apart. Its tests hold the arrows of the
// architecture (which package may import which) and the calls that are banned, each with its reason.
package layering
