package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/job"
)

// Fault is one error or warning about a configuration.
type Fault struct {
	// Key is the dotted key, "auth.runas.sha256"; the parts of [[batch.rule]]
	// are counted from one, "batch.rule[1].args".
	Key string
	// Line is its line in the file; 0 where there is none.
	Line int
	Text string
	// Value is what the file has there, where a fix can be worked out from it.
	Value string
	// Write is the text to write instead, where it is known.
	Write string
}

// Error returns the fault as one line.
func (f Fault) Error() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Key != "" {
		b.WriteString(job.Printable(f.Key) + ": ")
	}
	return b.String() + f.Text
}

// covers reports whether the fault is of the key itself or of a table or an array
// that it is in.
func (f Fault) covers(key string) bool {
	rest, ok := strings.CutPrefix(key, f.Key)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// findings are the faults of a configuration that are known so far, one a key.
type findings []Fault

// maxFaults is how many faults of one file are reported. A file with more is probably
// not a Jacamar configuration.
const maxFaults = 200

func (f findings) has(key string) bool {
	return slices.ContainsFunc(f, func(known Fault) bool { return known.covers(key) })
}

// when adds a fault if bad holds.
func (f *findings) when(bad bool, key, format string, args ...any) {
	if bad {
		f.fault(key, format, args...)
	}
}

func (f *findings) fault(key, format string, args ...any) {
	f.add(Fault{Key: key, Text: fmt.Sprintf(format, args...)})
}

func (f *findings) add(fault Fault) {
	if len(*f) < maxFaults && !f.has(fault.Key) {
		*f = append(*f, fault)
	}
}

func asError(faults []Fault) error {
	all := &multierror.Error{ErrorFormat: listed}
	for _, f := range faults {
		all = multierror.Append(all, f)
	}
	return all.ErrorOrNil()
}

func listed(errs []error) string {
	if len(errs) == 1 {
		return errs[0].Error()
	}
	lines := []string{fmt.Sprintf("%d faults", len(errs))}
	if len(errs) >= maxFaults {
		lines[0] += ", and the search ended there"
	}
	for _, err := range errs {
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n  ")
}

// placed gives each fault its line, and its key as the file has it, and sorts them by
// line. A missing key is reported at the header of its table.
func (d *decoder) placed(faults []Fault) []Fault {
	if len(faults) == 0 {
		return nil
	}
	lines := locate(d.text)
	for i := range faults {
		f := &faults[i]
		if old, ok := d.written[f.Key]; ok {
			f.Key = old
		}
		for at := f.Key; at != "" && f.Line == 0; at = parentOf(at) {
			f.Line = lines[at]
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return faults
}

// suggestion is the probable meaning of an unknown key: a known key of the same name in
// another table, or one of this table with a similar name.
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

// folded removes the most frequent mistakes: case, and dash for underscore.
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
