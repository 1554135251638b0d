package site

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// LiveOnPage returns the accounts of the live jobs that a status page has, by job.
func LiveOnPage(t testing.TB, file string) map[int64]string {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, live, ok := strings.Cut(string(page), "<h2>Live (")
	live, _, end := strings.Cut(live, "<h2>")
	if !ok || !end {
		t.Fatalf("the page has no live jobs: %s", page)
	}
	jobs := map[int64]string{}
	for _, row := range strings.Split(live, "<tr")[1:] {
		if id, err := strconv.ParseInt(cell(row, "Job"), 10, 64); err == nil {
			jobs[id] = cell(row, "Account")
		}
	}
	return jobs
}

// cell is the text of one cell of a row.
func cell(row, name string) string {
	_, text, _ := strings.Cut(row, `data-name="`+name+`">`)
	text, _, _ = strings.Cut(text, "<")
	return text
}
