package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestBannedCalls(t *testing.T) {
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		for _, name := range p.GoFiles {
			where := strings.TrimPrefix(p.ImportPath, module) + "/" + name
			for _, fault := range uses(t, filepath.Join(p.Dir, name), nil, where) {
				t.Error(fault)
			}
		}
	}
}

// uses lists the banned names that a file uses. where is its path below the
// module.
func uses(t *testing.T, file string, text any, where string) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imports := importNames(f)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
			faults = append(faults, where+": func init: nothing runs before main")
		}
	}
	early := beforeMain(f)
	ast.Inspect(f, func(n ast.Node) bool {
		if r, ok := n.(*ast.RangeStmt); ok && isMapLiteral(r.X) {
			line := set.Position(r.Pos()).Line
			faults = append(faults, where+":"+strconv.Itoa(line)+": range over a map literal: its order is random, and with it which fault is reported; use a slice")
		}
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && imports[x.Name] != "" {
			if why := banned(imports[x.Name], selector.Sel.Name, where, early[n]); why != "" {
				line := set.Position(selector.Pos()).Line
				faults = append(faults, where+":"+strconv.Itoa(line)+": "+x.Name+"."+selector.Sel.Name+": "+why)
			}
		}
		return true
	})
	return faults
}

func isMapLiteral(x ast.Expr) bool {
	literal, ok := x.(*ast.CompositeLit)
	if !ok {
		return false
	}
	_, ok = literal.Type.(*ast.MapType)
	return ok
}

// beforeMain are the parts of a file that are evaluated before main: the values
// of its variables, without the bodies of functions in them.
func beforeMain(f *ast.File) map[ast.Node]bool {
	early := map[ast.Node]bool{}
	for _, d := range f.Decls {
		if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.VAR {
			ast.Inspect(d, func(n ast.Node) bool {
				_, body := n.(*ast.FuncLit)
				early[n] = !body
				return !body
			})
		}
	}
	return early
}

// importNames maps a file's names of packages to their paths.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	return names
}

// banned returns the reason why a file may not use a name of a package; "" when it may.
func banned(pkg, name, where string, early bool) string {
	for _, b := range bans {
		if b.pkg != pkg || !slices.Contains(b.names, name) || b.early && !early {
			continue
		}
		within := func(dir string) bool { return under(where, dir) }
		if (b.in == nil || slices.ContainsFunc(b.in, within)) && !slices.ContainsFunc(b.except, within) {
			return b.why
		}
	}
	return ""
}

// under reports whether a file is dir, or in it.
func under(where, dir string) bool {
	return where == dir || strings.HasPrefix(where, dir+"/")
}

func TestBanned(t *testing.T) {
	for _, c := range []struct {
		name, where, text string
		faults            int
	}{
		{"exit below main", "internal/job/x.go", `package x; import "os"; func f() { os.Exit(1) }`, 1},
		{"exit in main", "cmd/jacamar/main.go", `package x; import "os"; func f() { os.Exit(1) }`, 0},
		{"exit in another file of main's package", "cmd/jacamar/app.go", `package x; import "os"; func f() { os.Exit(1) }`, 1},
		{"under another name", "internal/job/x.go", `package x; import o "os"; func f() { o.Exit(1) }`, 1},
		{"as a value", "internal/job/x.go", `package x; import "os"; var f = os.Getenv`, 1},
		{"a variable of the package's name", "internal/job/x.go", `package x; var os struct{ Exit func() }; func f() { os.Exit() }`, 0},
		{"by path as root", "internal/auth/x.go", `package x; import "os"; func f() { os.Chmod("", 0) }`, 1},
		{"by path as the user", "internal/jobrun/x.go", `package x; import "os"; func f() { os.Chmod("", 0) }`, 0},
		{"the time in the policy", "internal/auth/internal/policy/x.go", `package x; import "time"; var t = time.Now()`, 1},
		{"the time elsewhere", "internal/auth/x.go", `package x; import "time"; var t = time.Now()`, 0},
		{"init", "internal/job/x.go", `package x; func init() {}`, 1},
		{"a method named init", "internal/job/x.go", `package x; type t int; func (t) init() {}`, 0},
		{"a pattern before main", "internal/job/x.go", `package x; import "regexp"; var p = regexp.MustCompile("x")`, 1},
		{"a pattern in a function", "internal/job/x.go", `package x; import "regexp"; func f() { _ = regexp.MustCompile("x") }`, 0},
		{"a pattern in a variable's function", "internal/job/x.go", `package x; import "regexp"; var p = func() any { return regexp.MustCompile("x") }`, 0},
		{"the order of a map", "internal/job/x.go", `package x; func f() { for range map[string]int{"a": 1} { } }`, 1},
		{"the order of a slice", "internal/job/x.go", `package x; func f() { for range []string{"a"} { } }`, 0},
		{"the environment", "internal/lockdown/x.go", `package x; import "os"; var e = os.Environ()`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := uses(t, c.where, c.text, c.where); len(got) != c.faults {
				t.Errorf("got %q, want %d", got, c.faults)
			}
		})
	}
}

func TestEveryExceptionIsNeeded(t *testing.T) {
	used := map[string]bool{}
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		for _, name := range p.GoFiles {
			where := strings.TrimPrefix(p.ImportPath, module) + "/" + name
			for _, b := range bans {
				for _, e := range b.except {
					if under(where, e) && mentions(t, filepath.Join(p.Dir, name), b) {
						used[b.pkg+b.names[0]+e] = true
					}
				}
			}
		}
	}
	for _, b := range bans {
		for _, e := range b.except {
			if !used[b.pkg+b.names[0]+e] {
				t.Errorf("%s uses none of %s.%v: remove the exception", e, b.pkg, b.names)
			}
		}
	}
}

// mentions reports whether a file uses a name of the ban.
func mentions(t *testing.T, file string, b ban) (found bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imports := importNames(f)
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(b.names, s.Sel.Name) {
			x, ok := s.X.(*ast.Ident)
			found = found || ok && imports[x.Name] == b.pkg
		}
		return !found
	})
	return found
}
