package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// mutant is one changed condition.
type mutant struct {
	pkg, file, function string
	line                int
	// was is the condition's text, now what it becomes.
	was, now string
	// nth counts changes of one text in one function.
	nth int
	// source is the whole file with the change.
	source string
	// negated are the expressions whose negation amounts to the change.
	negated []span
}

// name stays the same while other lines of the file change.
func (m mutant) name() string {
	name := fmt.Sprintf("%s/%s %s: %s", m.pkg, m.file, m.function, m.now)
	if m.nth > 1 {
		name += fmt.Sprintf(" #%d", m.nth)
	}
	return name
}

func (m mutant) String() string { return fmt.Sprintf("%s (line %d: %s)", m.name(), m.line, m.was) }

// span is a part of a file, in bytes.
type span struct{ from, to int }

// edit replaces the text between two positions. To negate the expressions has the same
// effect.
type edit struct {
	from, to token.Pos
	by       string
	negated  []ast.Expr
}

// mutants returns every mutant of a file: each condition negated, and each && as ||
// and vice versa.
func mutants(pkg, file, text string) ([]mutant, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mutant
	seen := map[string]int{}
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	for _, d := range parsed.Decls {
		function, ok := d.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		for _, e := range edits(function) {
			was := text[offset(e.from):offset(e.to)]
			m := mutant{pkg: pkg, file: file, function: function.Name.Name, line: set.Position(e.from).Line, was: flat(was)}
			now := strings.ReplaceAll(e.by, "…", was)
			m.now, m.source = flat(now), text[:offset(e.from)]+now+text[offset(e.to):]
			for _, n := range e.negated {
				m.negated = append(m.negated, span{offset(n.Pos()), offset(n.End())})
			}
			seen[m.name()]++
			m.nth = seen[m.name()]
			all = append(all, m)
		}
	}
	return all, nil
}

// flat puts a text on one line.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

// edits are the changes to one function. "…" in one stands for the text that it
// replaces.
func edits(function *ast.FuncDecl) (all []edit) {
	for _, c := range conditions(function) {
		if _, one := c.(*ast.ParenExpr); one {
			continue // what is in it is a condition itself
		}
		all = append(all, edit{c.Pos(), c.End(), "!(…)", []ast.Expr{c}})
	}
	ast.Inspect(function, func(n ast.Node) bool {
		if b, ok := n.(*ast.BinaryExpr); ok && (b.Op == token.LAND || b.Op == token.LOR) {
			all = append(all, edit{b.OpPos, b.OpPos + 2, swapped(b.Op), []ast.Expr{b.X, b.Y, b}}) // De Morgan
		}
		return true
	})
	return all
}

func swapped(op token.Token) string {
	if op == token.LAND {
		return "/*&&*/||"
	}
	return "/*||*/&&"
}
