package main

import (
	"go/ast"
	"go/token"
)

// conditions returns every expression of a function that is true or false by its
// place or its operator: of if, for and a switch without a tag, the operands of
// &&, || and !, comparisons, and what a function returns whose result is a bool.
func conditions(function *ast.FuncDecl) []ast.Expr {
	c := collector{seen: map[ast.Expr]bool{}}
	c.results(function.Type, function.Body)
	ast.Inspect(function.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			c.add(n.Cond)
		case *ast.ForStmt:
			c.add(n.Cond)
		case *ast.SwitchStmt:
			c.cases(n)
		case *ast.BinaryExpr:
			c.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				c.add(n.X)
			}
		case *ast.FuncLit:
			c.results(n.Type, n.Body)
		}
		return true
	})
	return c.all
}

type collector struct {
	seen map[ast.Expr]bool
	all  []ast.Expr
}

func (c *collector) add(e ast.Expr) {
	// The opposite of !x is that of x, which is a condition itself.
	if not, ok := e.(*ast.UnaryExpr); ok && not.Op == token.NOT {
		e = not.X
	}
	if e == nil || c.seen[e] || constant(e) || joined(e) {
		return
	}
	c.seen[e] = true
	c.all = append(c.all, e)
}

// constant reports whether e is true or false itself: the condition before it decides
// which of them is returned.
func constant(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && (name.Name == "true" || name.Name == "false")
}

// joined reports whether e consists of two conditions, which are mutated separately, as
// is the operator between them.
func joined(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && (b.Op == token.LAND || b.Op == token.LOR)
}

func (c *collector) cases(s *ast.SwitchStmt) {
	if s.Tag != nil {
		return
	}
	for _, clause := range s.Body.List {
		for _, e := range clause.(*ast.CaseClause).List {
			c.add(e)
		}
	}
}

func (c *collector) binary(b *ast.BinaryExpr) {
	switch b.Op {
	case token.LAND, token.LOR:
		c.add(b.X)
		c.add(b.Y)
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		c.add(b)
	}
}

// results adds what a function returns, if its one result is a bool.
func (c *collector) results(t *ast.FuncType, body *ast.BlockStmt) {
	if t.Results == nil || len(t.Results.List) != 1 || len(t.Results.List[0].Names) > 1 {
		return
	}
	if name, ok := t.Results.List[0].Type.(*ast.Ident); !ok || name.Name != "bool" {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
			c.add(r.Results[0])
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
}
