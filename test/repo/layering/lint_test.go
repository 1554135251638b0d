package layering

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of .golangci.yml anew")

const (
	lintFile = "../../../.golangci.yml"
	begin    = "    # Written by `go test ./test/repo/layering -update`: change the tables there.\n"
	end      = "    # End of what is written so.\n"
)

func TestLinterSaysTheSame(t *testing.T) {
	text, err := os.ReadFile(lintFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has not the lines that enclose the generated part", lintFile)
	}
	want := head + begin + depguard() + forbidigo() + exclusions() + end + tail
	switch {
	case want == string(text):
	case *update:
		if err := os.WriteFile(lintFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s differs from the tables here: go test ./test/repo/layering -update", lintFile)
	}
}

// depguard is the arrows as that linter's settings: in strict mode a package is
// refused unless it is allowed, and of two rules the longer one counts.
func depguard() string {
	var b strings.Builder
	b.WriteString("    depguard:\n      rules:\n")
	for _, r := range rooms {
		fmt.Fprintf(&b, "        %s:\n          list-mode: strict\n", strings.NewReplacer("internal/", "", "/", "-", "*", "each").Replace(r.path))
		fmt.Fprintf(&b, "          files: [%s]\n          allow:\n            - $gostd\n", files(r))
		for _, p := range r.may {
			fmt.Fprintf(&b, "            - %s\n", exactly(module+p))
		}
		for _, p := range r.beyond {
			fmt.Fprintf(&b, "            - %s$\n", p)
		}
		if len(r.never) == 0 {
			continue
		}
		for _, p := range textOnly {
			fmt.Fprintf(&b, "            - %s$\n", p)
		}
		b.WriteString("          deny:\n")
		for _, p := range r.never {
			fmt.Fprintf(&b, "            - {pkg: %s, desc: this room does without it}\n", p)
		}
	}
	return b.String()
}

// files are a room's, without those that have a row of their own before this one.
func files(r room) string {
	list := fmt.Sprintf("\"**/%s/*.go\", \"!$test\"", r.path)
	for _, other := range rooms {
		if other.path != r.path && is(other.path, r.path) {
			list += fmt.Sprintf(", \"!**/%s/*.go\"", other.path)
		}
	}
	return list
}

// exactly is an entry for one package, or for all below it: that linter goes by
// prefixes.
func exactly(path string) string {
	if kind, several := strings.CutSuffix(path, "*"); several {
		return kind
	}
	return path + "$"
}

// forbidigo is the bans as that linter's settings. It knows no rooms: what is
// allowed in some stands among the exclusions.
func forbidigo() string {
	var b strings.Builder
	b.WriteString("    forbidigo:\n      analyze-types: true\n      forbid:\n")
	for _, ban := range bans {
		if ban.early {
			continue // it cannot tell where a call stands
		}
		fmt.Fprintf(&b, "        - pattern: ^%s$\n          pkg: ^%s$\n          msg: %q\n",
			group(ban.pkg, ban.names), regexp.QuoteMeta(ban.pkg), ban.why)
	}
	return b.String()
}

// exclusions say where a ban does not hold.
func exclusions() string {
	var b strings.Builder
	b.WriteString("  exclusions:\n    rules:\n")
	b.WriteString("      - {path: '(_test\\.go$|^test/|^rpm/)', linters: [errcheck, errorlint, forbidigo, gosec, unparam]}\n")
	b.WriteString("      - {path: '_test\\.go$', text: ST1008, linters: [staticcheck]}\n")
	for _, ban := range bans {
		text := "use of `" + group(ban.pkg, ban.names) + "`"
		for _, e := range ban.except {
			fmt.Fprintf(&b, "      - {path: '^%s', text: '%s', linters: [forbidigo]}\n", regexp.QuoteMeta(e), text)
		}
		if ban.in != nil {
			fmt.Fprintf(&b, "      - {path-except: '^(%s)/', text: '%s', linters: [forbidigo]}\n", strings.Join(ban.in, "|"), text)
		}
	}
	return b.String()
}

// group is a pattern of names as a file writes them.
func group(pkg string, names []string) string {
	base := pkg[strings.LastIndex(pkg, "/")+1:]
	return base + `\.(` + strings.Join(names, "|") + ")"
}
