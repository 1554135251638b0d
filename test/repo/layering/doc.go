// Package layering separates the packages. Its tests check which package may import
// which, and that no package makes a banned call; each ban has its reason.
package layering
