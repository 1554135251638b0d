package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Message is a text of the programs: a format, and its place in the sources.
type Message struct {
	Place  string // "internal/x/y.go:12"
	Format string
	// JobLog: users read it, in the log of their job. Others are for administrators.
	JobLog bool
}

// source is a constructor of messages: a function or method by its name as it is called,
// and which argument is the format.
type source struct {
	call   string // "failure.Systemf"; ".Warn" is a method of any value; "warn" a function
	at     int
	jobLog bool
	// below is the directory that it is limited to, "" for all.
	below string
	// after is what the constructor writes after the format.
	after string
}

// sources returns the constructors. Functions that pass a format on to one of them are
// found by themselves.
func sources() []source {
	all := []source{
		{"failure.Systemf", 0, true, "", ""},
		{"failure.Buildf", 0, true, "", ""},
		{".WithPublic", 0, true, "", ""},
		{".Warn", 0, true, "", ""},
		{".Note", 0, true, "", ""},
		{"diskspace.Explain", 0, true, "", ": %w"},
		{"diskspace.ExplainLock", 0, true, "", ": %w"},
		{"failure.Deniedf", 0, false, "", ""},
		{"failure.Configf", 0, false, "", ""},
		{"failure.Privatef", 0, false, "", ""},
		{"warn", 1, false, "internal/auth/admin/check", ""},
		{"fail", 1, false, "internal/auth/admin/check", ""},
		{".warn", 0, false, "internal/auth", ""},
		{".when", 2, false, "internal/config", ""},
	}
	// Errors of the commands, which a terminal or the runner's log shows as they are.
	for _, dir := range []string{"internal/admin", "internal/auth/admin", "cmd"} {
		all = append(all, source{"fmt.Errorf", 0, false, dir, ""}, source{"errors.New", 0, false, dir, ""})
	}
	// Faults of values, which follow the line and the key.
	for _, dir := range []string{"internal/config", "internal/settings", "internal/glob"} {
		all = append(all, source{"fmt.Errorf", 0, false, dir, ""})
	}
	return all
}

// fields are the fields of composite literals that are messages.
func fields() map[string]source {
	return map[string]source{
		"failure.Error.Public": {jobLog: true}, "Error.Public": {jobLog: true, below: "internal/failure"},
		"Fault.Text": {below: "internal/config"},
	}
}

// Messages collects the messages of the packages below the top directory.
func Messages(top string) ([]Message, error) { return collect(top, sources(), fields()) }

// collect finds what the constructors and the fields are given in the packages below the
// top directory.
func collect(top string, known []source, fields map[string]source) ([]Message, error) {
	var all []Message
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || d.Name() == "testdata" {
				return err
			}
			found, err := ofPackage(top, path, known, fields)
			all = append(all, found...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ofPackage collects the messages of one directory.
func ofPackage(top, dir string, known []source, fields map[string]source) ([]Message, error) {
	set := token.NewFileSet()
	// Objects of one file are enough here, and need no types.
	parsed, err := parser.ParseDir(set, dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(top, dir)
	if err != nil {
		return nil, err
	}
	c := &collector{set: set, top: top, dir: name, known: within(name, known), fields: fields, constants: map[string]string{}}
	for _, pkg := range parsed {
		for _, file := range pkg.Files {
			c.constantsOf(file)
		}
		// A wrapper of a wrapper is found in the next round.
		for before := -1; before != len(c.known); {
			before, c.found = len(c.known), nil
			for _, file := range pkg.Files {
				c.file(file)
			}
		}
	}
	return c.found, nil
}

// within returns the constructors that apply to the package of a directory.
func within(dir string, all []source) []source {
	return slices.DeleteFunc(slices.Clone(all), func(s source) bool { return s.below != "" && !strings.HasPrefix(dir+"/", s.below+"/") })
}

// collector collects the messages of one package.
type collector struct {
	set       *token.FileSet
	top, dir  string
	known     []source
	fields    map[string]source
	constants map[string]string
	found     []Message
}

// constantsOf keeps the package's constants and variables that are texts.
func (c *collector) constantsOf(file *ast.File) {
	for _, d := range file.Decls {
		if gen, ok := d.(*ast.GenDecl); ok {
			for _, spec := range gen.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
					for i, name := range v.Names {
						if text, ok := c.text(v.Values[i]); ok {
							c.constants[name.Name] = text
						}
					}
				}
			}
		}
	}
}

// file collects the messages of the functions of a file.
func (c *collector) file(file *ast.File) {
	for _, d := range file.Decls {
		fn, _ := d.(*ast.FuncDecl)
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				for _, s := range c.known {
					if s.at < len(n.Args) && called(n.Fun, s.call) {
						c.take(fn, n.Args[s.at], s)
					}
				}
			case *ast.CompositeLit:
				c.composite(fn, n)
			case *ast.ReturnStmt:
				if fn != nil && c.dir == "internal/failure" && fn.Name.Name == "ForUser" {
					c.take(fn, n.Results[0], source{jobLog: true})
				}
			}
			return true
		})
	}
}

// called reports whether the function of a call is the one of that name.
func called(fun ast.Expr, name string) bool {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name == name
	case *ast.SelectorExpr:
		x, _ := fun.X.(*ast.Ident)
		return name == "."+fun.Sel.Name || x != nil && name == x.Name+"."+fun.Sel.Name
	}
	return false
}

func (c *collector) composite(fn *ast.FuncDecl, lit *ast.CompositeLit) {
	for _, e := range lit.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		for name, s := range c.fields {
			typ, field := name[:strings.LastIndexByte(name, '.')], name[strings.LastIndexByte(name, '.')+1:]
			key, _ := pair.Key.(*ast.Ident)
			if key != nil && key.Name == field && called(lit.Type, typ) && (s.below == "" || s.below == c.dir) {
				c.take(fn, pair.Value, s)
			}
		}
	}
}

// take keeps a format as a message. One that is a parameter makes the function a
// constructor too.
func (c *collector) take(fn *ast.FuncDecl, format ast.Expr, s source) {
	if at := parameter(fn, format); at >= 0 {
		call := fn.Name.Name
		if fn.Recv != nil {
			call = "." + call
		}
		wrapper := source{call, at, s.jobLog, c.dir, s.after}
		if !slices.Contains(c.known, wrapper) {
			c.known = append(c.known, wrapper)
		}
		return
	}
	text, ok := c.text(format)
	text += s.after
	if !ok || len(letters.FindAllString(Shown(text), -1)) < 4 {
		return // the text of a cause
	}
	at := c.set.Position(format.Pos())
	place, err := filepath.Rel(c.top, at.Filename)
	if err != nil {
		place = at.Filename
	}
	c.found = append(c.found, Message{fmt.Sprintf("%s:%d", place, at.Line), text, s.jobLog})
}

// parameter returns which parameter of the function an expression is, alone or as the
// format of a Sprintf; -1 for none.
func parameter(fn *ast.FuncDecl, e ast.Expr) int {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) > 0 && (called(call.Fun, "fmt.Sprintf") || called(call.Fun, "fmt.Errorf")) {
		e = call.Args[0]
	}
	name, ok := e.(*ast.Ident)
	if !ok || fn == nil {
		return -1
	}
	at := 0
	for _, group := range fn.Type.Params.List {
		for _, p := range group.Names {
			if p.Name == name.Name {
				return at
			}
			at++
		}
	}
	return -1
}

// text returns the format that an expression is, with %s for what is not a text.
func (c *collector) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return c.text(e.X)
	case *ast.BinaryExpr:
		left, lok := c.text(e.X)
		right, rok := c.text(e.Y)
		if !lok {
			left = "%s"
		}
		if !rok {
			right = "%s"
		}
		return left + right, e.Op == token.ADD && (lok || rok)
	case *ast.CallExpr:
		if len(e.Args) > 0 && (called(e.Fun, "fmt.Sprintf") || called(e.Fun, "fmt.Errorf") || called(e.Fun, "errors.New")) {
			return c.text(e.Args[0])
		}
	case *ast.Ident:
		if text, ok := c.constants[e.Name]; ok {
			return text, true
		}
		if e.Obj != nil {
			if assign, ok := e.Obj.Decl.(*ast.AssignStmt); ok && len(assign.Lhs) == len(assign.Rhs) {
				return c.text(assign.Rhs[0])
			}
		}
	}
	return "", false
}

var (
	verbs   = regexp.MustCompile(`%[-+#0-9.\[\]]*[a-zA-Z]`)
	letters = regexp.MustCompile(`[A-Za-z]`)
)

// Shown is a format as pages write it: "…" stands for text that differs.
func Shown(format string) string {
	text := strings.ReplaceAll(verbs.ReplaceAllString(format, "…"), "%%", "%")
	for strings.Contains(text, "……") {
		text = strings.ReplaceAll(text, "……", "…")
	}
	return strings.TrimSpace(text)
}
