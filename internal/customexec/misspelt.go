package customexec

import (
	"maps"
	"slices"
	"strings"
)

// Misspelt are CI variables of the job whose names differ in one character, or in case,
// from one of these names that the job does not have: by their names, the name that is
// probably meant.
func (e Environ) Misspelt(known []string) map[string]string {
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(e.custom)) {
		if slices.Contains(known, name) {
			continue
		}
		for _, meant := range known {
			if _, ok := e.custom[meant]; !ok && similar(name, meant) {
				found[name] = meant
			}
		}
	}
	return found
}

// similar reports whether two names differ in case alone, or in one character that one of
// them lacks or has in the place of another.
func similar(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return strings.EqualFold(a, b) || a[min(i+1-(len(b)-len(a)), len(a)):] == b[i+1:]
}
