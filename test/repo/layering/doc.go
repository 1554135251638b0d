// Package layering keeps the rooms apart. Its tests hold the arrows of the
// architecture (which room may import which) and the calls that nobody makes,
// each with its reason; and they make sure that .golangci.yml says the same to
// those who have the linter:
//
//	go test ./test/repo/layering -update
package layering
