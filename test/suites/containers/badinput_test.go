package containers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badInput are the kinds of bad input that a job in a container can meet, each with a test
// of it: its package, "" for this one, its function, and a text of its case.
func badInput() []struct{ item, dir, test, text string } {
	const parse = "internal/image"
	return []struct{ item, dir, test, text string }{
		{"no name", "", "TestWhichImage", `{"none", "",`},
		{"no name of a service", "", "TestServices", `"empty name"`},
		{"a name with spaces", "", "TestBadNames", `"with space:1"`},
		{"a wrong tag", "", "TestBadNames", `"bb:"`},
		{"a wrong digest", "", "TestBadNames", `"bb@sha256:abc"`},
		{"another transport", "", "TestBadNames", `"docker-archive:///tmp/x"`},
		{"300 characters", "", "TestBadNames", `strings.Repeat("a", 300)`},
		{"each of these names alone", parse, "TestParseReferenceRefuses", "ParseReference"},
		{"another architecture", "", "TestContract", `"other architecture"`},
		{"a list without this architecture", "", "TestContract", `"list without this architecture"`},
		{"an image that is not there", "", "TestFetchFailures", `"not there"`},
		{"an image that the login may not read", "", "TestFetchFailures", `"forbidden"`},
		{"a missing login", "", "TestFetchFailures", `"login missing"`},
		{"a wrong password", "", "TestLogins", `"wrong password"`},
		{"status 429", "", "TestThrottled", "images.Throttled"},
		{"status 500", "", "TestFetchFailures", `"server error"`},
		{"a certificate of an unknown authority", "", "TestUnknownAuthority", `"certificate"`},
		{"an answer that is cut", "", "TestFetchFailures", `"cut layer"`},
		{"an answer that is no manifest", "", "TestFetchFailures", `"no manifest"`},
		{"an answer without an end", "", "TestEndlessAnswers", "images.EndlessLayer"},
		{"forty layers and whiteouts", "", "TestContract", `"many layers with whiteouts"`},
		{"files with set-id bits", "", "TestSetIDFiles", `"setid:1"`},
		{"absolute links", "", "TestContract", `"links in the image"`},
		{"links that lead out of the image", "", "TestOddImages", `"climbing link"`},
		{"links that lead out of it while it is unpacked", "", "TestImageWritesNothingOnTheHost", `"d/l/escaped"`},
		{"a layer of 200 000 files", "", "TestManyFiles", "200_000"},
		{"no configuration", "", "TestContract", `"no environment in the image"`},
		{"a configuration that is none", "", "TestOddImages", `"badconfig:1"`},
		{"no layers", "", "TestOddImages", `"no layers"`},
		{"no shell", "", "TestContract", `"no shell"`},
		{"a shell that is dash", "", "TestContract", `"dash without the flag"`},
		{"an entrypoint that exits with 0", "", "TestContract", `"entrypoint that swallows the script"`},
		{"an entrypoint that forks", "", "TestContract", `"entrypoint that stays"`},
		{"an entrypoint that ignores TERM", "", "TestCancelEndsADeafScript", `"deaf:1"`},
		{"an unknown user", "", "TestContract", `"unknown user"`},
		{"a working directory that is missing", "", "TestContract", `"working directory is not there"`},
		{"a full disk with the store", "", "TestFullDisk", `"cache_dir"`},
		{"a full disk with TMPDIR", "", "TestFullDisk", `"temp_dir"`},
		{"a quota", "", "TestQuota", "quota exceeded"},
		{"images on NFS", "internal/jobrun/internal/container", "TestClassify", "over nfs"},
		{"images on FUSE", "", "TestCacheOnFUSE", "bindfs"},
		{"images on a file system that is read-only", "", "TestReadOnlyCache", "remount,ro"},
		{"storage of another host", "", "TestImagesOfAnotherHost", "hostname elsewhere"},
		{"jobs of one account that fetch one image at once", "", "TestManyJobsFetchOnce", "count := 20"},
		{"jobs that fetch, run and remove images at once", "", "TestFetchRunAndRemoveAtOnce", "ageUntil"},
		{"a kill of each process at each step", "", "TestKillOfEachProcess", "moments()"},
		{"a kill of a service, and of the supervisor", "", "TestKillWithServices", `"httpd"`},
		{"a stop within a fetch", "", "TestStopInAFetch", "images.Slow"},
		{"no user namespaces", "", "TestNoUserNamespaces", "max_user_namespaces"},
		{"no subordinate ids", "", "TestNoSubordinateIDs", "/etc/subuid"},
		{"no /dev/fuse", "", "TestNoFUSEDevice", "/dev/fuse"},
		{"no newuidmap", "", "TestNoProgramsWithPrivileges", "newuidmap"},
		{"an engine that is missing", "", "TestBrokenEngines", `"missing"`},
		{"an engine that is too old", "", "TestBrokenEngines", `"too old"`},
		{"an engine that prints garbage", "", "TestBrokenEngines", `"garbage"`},
		{"an engine that never ends its output", "", "TestBrokenEngines", `"endless output"`},
	}
}

// Every kind of bad input names a test that exists and has its case.
func TestEveryBadInputHasATest(t *testing.T) {
	known := map[string]source{}
	for _, row := range badInput() {
		dir := "."
		if row.dir != "" {
			dir = filepath.Join("../../..", row.dir)
		}
		if _, read := known[dir]; !read {
			known[dir] = readTests(t, dir)
		}
		if !known[dir].functions[row.test] {
			t.Errorf("%s: %s has no %s", row.item, dir, row.test)
		}
		if !strings.Contains(known[dir].text, row.text) {
			t.Errorf("%s: no test of %s contains %s", row.item, dir, row.text)
		}
	}
}

// source are the tests of a package: their names, and the text of all without this file.
type source struct {
	functions map[string]bool
	text      string
}

func readTests(t *testing.T, dir string) source {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	s := source{functions: map[string]bool{}}
	for _, file := range files {
		if filepath.Base(file) == "badinput_test.go" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.text += string(text)
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				s.functions[f.Name.Name] = true
			}
		}
	}
	return s
}
