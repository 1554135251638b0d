package config

import (
	"fmt"
	"strings"
)

// suggestion says what an unknown key was probably meant to be: a known key of
// the same name in another table, or one of this table with a similar name.
func suggestion(path, name string, known []string) string {
	for _, k := range Reference() {
		if table, key := split(k.Path); key == name && table != path {
			return fmt.Sprintf(": it belongs under [%s]", table)
		}
	}
	best, least := "", 3
	for _, k := range known {
		if n := distance(folded(name), folded(k)); n < least {
			best, least = k, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// folded takes out what people mix up first: case, and dash for underscore.
func folded(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance is the Levenshtein distance of two keys, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
