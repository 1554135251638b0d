// Package website reads the built documentation with a browser, as its readers do: on a
// phone and on a desk, in the light and in the dark.
package website

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/browser"
)

const top = "../../.."

// shots is where the pictures of TestWebsite go, for a person to look at.
var shots = flag.String("shots", "", "write screenshots into this directory")

//go:embed rules.js
var rules string

// needed are what `make site` needs, with their packages.
var needed = map[string]string{
	"/usr/bin/mkdocs": "mkdocs", "/usr/share/mkdocs/themes/material/base.html": "mkdocs-material",
	"/usr/lib/python3/dist-packages/pymdownx/superfences.py": "python3-pymdownx",
}

// build builds the site and returns its directory.
func build(t *testing.T) string {
	t.Helper()
	for file, pkg := range needed {
		if _, err := os.Stat(file); err != nil {
			t.Skipf("the package %s is not installed: the site is not built", pkg)
		}
	}
	dir := t.TempDir()
	out, err := exec.Command("make", "--no-print-directory", "-C", top, "site", "DIST="+dir).CombinedOutput()
	if err != nil || len(out) > 0 && strings.Contains(string(out), "WARNING") {
		t.Fatalf("make site: %v\n%s", err, out)
	}
	return filepath.Join(dir, "site")
}

// serve serves the site and returns its address.
func serve(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// pages lists the pages of the site, the front page first.
func pages(t *testing.T, dir string) []string {
	t.Helper()
	found := []string{"index.html"}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err == nil && strings.HasSuffix(name, ".html") && name != "404.html" && name != "index.html" {
			found = append(found, name)
		}
		return err
	})
	if err != nil || len(found) < 25 {
		t.Fatalf("%d pages: %v", len(found), err)
	}
	return found
}

// mainPages are those that short mode looks at, one half of them in each view.
func mainPages() []string {
	return []string{"index.html", "messages.html", "executors.html", "job-log.html", "tutorial.html", "configuration.html", "troubleshooting.html", "security/ledger.html"}
}

var (
	phone = browser.View{Width: 390, Height: 844}
	desk  = browser.View{Width: 1280, Height: 900}
)

func dark(v browser.View) browser.View { v.Dark = true; return v }

func (v view) String() string {
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	return fmt.Sprintf("%dx%d-%s", v.Width, v.Height, scheme)
}

type view struct{ browser.View }

func views() []view { return []view{{phone}, {dark(phone)}, {desk}, {dark(desk)}} }

// TestWebsite builds the site once and reads it with one browser.
func TestWebsite(t *testing.T) {
	dir := build(t)
	b, address := browser.Start(t), serve(t, dir)
	t.Run("links", func(t *testing.T) { testLinks(t, dir) })
	t.Run("rules", func(t *testing.T) { testRules(t, dir, b, address) })
	t.Run("search", func(t *testing.T) { testSearch(t, dir, b, address) })
	if *shots != "" {
		takeScreenshots(t, b, address)
	}
}

var (
	href     = regexp.MustCompile(`href="([^"]*)"`)
	identity = regexp.MustCompile(` (?:id|name)="([^"]*)"`)
)

// testLinks: each link of the site leads to a file of the site and, where it names one, a
// place there. Tabs and boxes have other places than the headings of their sources.
func testLinks(t *testing.T, dir string) {
	places := map[string]map[string]bool{}
	texts := map[string]string{}
	for _, name := range pages(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name], places[name] = string(text), map[string]bool{"": true}
		for _, m := range identity.FindAllStringSubmatch(string(text), -1) {
			places[name][m[1]] = true
		}
	}
	for name, text := range texts {
		for _, m := range href.FindAllStringSubmatch(text, -1) {
			if to, err := url.Parse(m[1]); err != nil || to.Scheme != "" {
				continue
			} else if fault := broken(dir, name, to, places); fault != "" {
				t.Errorf("%s: the link %s %s", name, m[1], fault)
			}
		}
	}
}

// broken returns why a link leads nowhere.
func broken(dir, from string, to *url.URL, places map[string]map[string]bool) string {
	target := from
	if to.Path != "" {
		target = filepath.Join(filepath.Dir(from), to.Path)
	}
	if target == "." {
		target = "index.html"
	}
	if _, err := os.Stat(filepath.Join(dir, target)); err != nil {
		return "leads to no file"
	}
	if found, isPage := places[target]; isPage && !found[to.Fragment] {
		return "leads to no place of that page"
	}
	return ""
}

// testRules: no page asks another server for anything, is wider than a phone, or has text
// that is hard to read.
func testRules(t *testing.T, dir string, b *browser.Browser, address string) {
	all, looks := pages(t, dir), []view{{phone}, {dark(desk)}}
	if !testing.Short() {
		looks = views()
	}
	for i, v := range looks {
		read := all
		if testing.Short() {
			read = mainPages()[4*i : 4*i+4]
		}
		t.Run(v.String(), func(t *testing.T) {
			p := b.Open(t, v.View)
			for _, name := range read {
				p.Load(address + "/" + name)
				checkRules(t, p, name)
			}
			search(p, "not allowed to run CI jobs")
			checkRules(t, p, "the search")
			p.Settle()
			for _, request := range p.Requests {
				if !strings.HasPrefix(request, address+"/") && request != "about:blank" && !strings.HasPrefix(request, "blob:"+address) {
					t.Errorf("a page asks for %s", request)
				}
			}
			if len(p.Requests) < len(read) {
				t.Errorf("only %d requests were seen", len(p.Requests))
			}
		})
	}
}

func checkRules(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	var faults []string
	p.Eval(&faults, rules)
	for _, fault := range faults {
		t.Errorf("%s: %s", what, fault)
	}
}

// TestRulesFindFaults: the rules fail on a page that breaks each.
func TestRulesFindFaults(t *testing.T) {
	b := browser.Start(t)
	p := b.Open(t, phone)
	p.Load("data:text/html," + url.PathEscape(`<meta name=viewport content="width=device-width,initial-scale=1,minimum-scale=1"><body class=md-content>
		<p style="color:#999">hard to read</p><div style="width:2000px">wide</div><img src="data:,none">`))
	var faults []string
	p.Eval(&faults, rules)
	for _, want := range []string{"wider than the window", "contrast", "does not load", "has no text"} {
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("no fault %q in %q", want, faults)
		}
	}
}

//go:embed search.js
var searched string

// search returns the first section that the search lists for a text.
func search(p *browser.Page, text string) string {
	quoted, _ := json.Marshal(text)
	var found []string
	p.Eval(&found, fmt.Sprintf("(%s)(%s)", strings.TrimSpace(searched), quoted))
	for _, address := range found {
		if u, err := url.Parse(address); err == nil && u.Fragment != "" {
			return filepath.Base(u.Path) + "#" + u.Fragment
		}
	}
	return strings.Join(found, " ")
}

var heading = regexp.MustCompile(`(?s)<h3 id="([^"]+)">(.*?)<a class="headerlink"`)

// messages are the headings of the pages of messages, by their address.
func messages(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range []string{"troubleshooting.html", "messages.html"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
			found[name+"#"+m[1]] = plain(m[2])
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d messages", len(found))
	}
	return found
}

func plain(html string) string {
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(html, "")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(text)
}

// testSearch: the first section that the search lists for a message, as it
// is in a job's log, is that message's.
func testSearch(t *testing.T, dir string, b *browser.Browser, address string) {
	p := b.Open(t, desk)
	p.Load(address + "/index.html")
	for _, one := range []struct{ text, want string }{
		{`jacamar: ERROR: you are not allowed to run CI jobs on this resource`, "troubleshooting.html#you-are-not-allowed-to-run-ci-jobs-on-this-resource"},
		{"not allowed to run CI jobs", "troubleshooting.html#you-are-not-allowed-to-run-ci-jobs-on-this-resource"},
		{`ERROR: Slurm refused the job: sbatch: error: x: "y"`, "troubleshooting.html#refused-the-job"},
		{"cannot use /scratch/ci/alice: owned by bob, not by you", "troubleshooting.html#cannot-use-owned-by-not-by-you"},
		{"there is no directory /srv/x: run: install -d -m 0755 /srv/x", "messages.html#there-is-no-directory-run-install-d-m"},
		{"there is no directory …", "messages.html#there-is-no-directory-run-install-d-m"},
		{"data_dir", "configuration.html#generaldata_dir"},
		{"tcsh", "user-guide.html#where-scripts-run"},
	} {
		if got := search(p, one.text); got != one.want {
			t.Errorf("the search for %q finds %s first, want %s", one.text, got, one.want)
		}
	}
	all := messages(t, dir)
	testBeginnings(t, dir, p, all)
	if testing.Short() {
		return // below: every message, as it is
	}
	for at, text := range all {
		if got := search(p, text); strings.TrimPrefix(all[got], "… ") != strings.TrimPrefix(text, "… ") {
			t.Errorf("the search for %q finds %s first, want %s", text, got, at)
		}
	}
}

// testBeginnings: the search finds a message by its words up to the first "…", also where
// the text of a log goes on, or is cut there.
func testBeginnings(t *testing.T, dir string, p *browser.Page, all map[string]string) {
	t.Helper()
	var index struct {
		Docs []struct {
			Location string
			Tags     []string
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "search/search_index.json"))
	if err != nil || json.Unmarshal(text, &index) != nil {
		t.Fatal(err)
	}
	tagged := map[string]string{}
	for _, doc := range index.Docs {
		if len(doc.Tags) == 1 {
			tagged[doc.Tags[0]] = strings.ToLower(all[doc.Location])
		}
	}
	count := 0
	for _, message := range all {
		whole, _, differs := strings.Cut(strings.ToLower(message), "…")
		begin := strings.TrimRight(whole, " :,(\"")
		if !differs || len(strings.Fields(begin)) < 2 || strings.ContainsAny(begin, "\"'") {
			continue
		}
		for _, query := range []string{begin, begin + " …", begin + " ...", whole + "/srv/x"} {
			count++
			quoted, _ := json.Marshal(query)
			var asked string
			p.Eval(&asked, "window.__search.transform("+string(quoted)+")")
			tag, _, _ := strings.Cut(asked, " ")
			if !strings.HasPrefix(tagged[tag], begin) {
				t.Errorf("the search for %q finds the message %q first, want %q", query, tagged[tag], message)
			}
		}
	}
	if count < 200 {
		t.Errorf("only %d queries", count)
	}
}

// takeScreenshots writes pictures of the pages that new readers see first. They are not
// compared: a person looks at them.
func takeScreenshots(t *testing.T, b *browser.Browser, address string) {
	for _, v := range views() {
		p := b.Open(t, v.View)
		for _, name := range mainPages() {
			p.Load(address + "/" + name)
			save(t, p, v, name)
		}
		p.Load(address + "/index.html")
		search(p, "not allowed to run CI jobs")
		save(t, p, v, "search")
	}
}

func save(t *testing.T, p *browser.Page, v view, name string) {
	t.Helper()
	name = strings.NewReplacer("/", "-", ".html", "").Replace(name)
	if err := os.WriteFile(filepath.Join(*shots, name+"-"+v.String()+".png"), p.Screenshot(), 0o644); err != nil {
		t.Fatal(err)
	}
}
