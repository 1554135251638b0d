package securitydocs

import (
	"strings"
	"testing"
)

// published are the vulnerabilities of similar programs that must have a row.
func published() []string {
	ids := []string{"GHSA-cxfq-cc8j-j2pp", "GHSA-56wx-66px-9j66"}
	for _, number := range []string{
		"2000-0506", "2009-0835", "2019-7303", "2019-10063", "2019-13272", "2021-41133", "2023-1523", "2004-1051", "2005-2959", "2005-4158", "2005-4890", "2009-2084", "2011-2193", "2011-4930", "2012-3490", "2012-3492", "2013-1775",
		"2013-4495", "2014-0749", "2014-9680", "2015-9235", "2016-0728", "2016-5431", "2016-7543", "2016-9962", "2017-1000082", "2018-0114", "2018-10995",
		"2018-19788", "2019-5736", "2019-6133", "2019-14287", "2020-13347", "2020-13776", "2021-4034", "2021-39947", "2021-41617", "2021-43784",
		"2022-24769", "2022-29162", "2022-36109", "2023-4911", "2023-25173", "2023-27561", "2023-28339", "2023-28486", "2023-29403", "2023-41914",
		"2023-42456", "2023-49935", "2024-6387", "2024-21626", "2025-4598", "2025-27144", "2025-30204", "2025-31133", "2025-32463", "2025-52565",
		"2025-52881", "2026-6959", "2026-25506", "2026-27139", "2026-32282", "2026-39822", "2026-41579", "2026-65108", "2026-65109", "2026-107589",
	} {
		ids = append(ids, "CVE-"+number)
	}
	return ids
}

func TestEveryVulnerabilityHasItsTests(t *testing.T) {
	rows := read(t, "cve.md")
	for _, id := range published() {
		if len(rows[id]) == 0 {
			t.Errorf("%s has no test", id)
		}
	}
	for id, all := range rows {
		exist(t, id, all)
	}
}

// TestCVERowsAreComplete: a row describes what went wrong and why it cannot happen here,
// or refers to another row.
func TestCVERowsAreComplete(t *testing.T) {
	rows := read(t, "cve.md")
	for line := range strings.Lines(text(t, "cve.md")) {
		cells := strings.Split(line, "|")
		if id := strings.TrimSpace(cells[min(1, len(cells)-1)]); rows[id] != nil {
			for _, cell := range cells[2:4] {
				complete(t, id, strings.TrimSpace(cell), rows)
			}
		}
	}
}

func complete(t *testing.T, id, cell string, rows map[string][]named) {
	t.Helper()
	for _, word := range strings.FieldsFunc(cell, func(c rune) bool { return strings.ContainsRune(" ,.;", c) }) {
		if strings.HasPrefix(word, "CVE-") && rows[word] == nil {
			t.Errorf("%s refers to %s, which has no row", id, word)
		}
	}
	if len(cell) < len("As CVE-2004-1051") {
		t.Errorf("the row %s has only %q", id, cell)
	}
}
