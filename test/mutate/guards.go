package main

import (
	"go/ast"
	"go/token"
)

// Kinds of mutants.
const (
	// kindAny is any small change.
	kindAny = "any"
	// kindGuards are guard clauses that are left out: an if or a case whose body leaves the function, the loop or the
	// switch, and that is never entered any more.
	kindGuards = "guards"
	// kindClauses are guard clauses and every other if and case.
	kindClauses = "clauses"
)

// guards finds the clauses of one function. A condition becomes "false && (…)", so that what it uses stays used and the
// mutant compiles; a case of a switch over a value is taken out whole.
type guards struct {
	finder
	every bool
}

func (g *guards) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		if g.wanted(n.Body.List) {
			g.never(n.Cond, "the guard is left out"+g.column(n.Pos()))
		}
	case *ast.SwitchStmt:
		for _, s := range n.Body.List {
			c, ok := s.(*ast.CaseClause)
			if !ok || c.List == nil || !g.wanted(c.Body) {
				continue
			}
			if n.Tag != nil {
				g.add(c.Pos(), c.End(), "", "the case is left out"+g.column(c.Pos()))
				continue
			}
			for _, e := range c.List {
				g.never(e, "the case is left out"+g.column(e.Pos()))
			}
		}
	}
	return true
}

// wanted says whether a clause with this body is looked at.
func (g *guards) wanted(body []ast.Stmt) bool {
	return g.every || len(body) > 0 && leaves(body[len(body)-1])
}

// leaves says whether the statement leaves what is around it.
func leaves(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE || s.Tok == token.BREAK || s.Tok == token.GOTO
	}
	return false
}

// never makes a condition false and keeps its text.
func (g *guards) never(cond ast.Expr, what string) {
	p, q := g.fset.Position(cond.Pos()), g.fset.Position(cond.End())
	g.add(cond.Pos(), cond.End(), "false && ("+string(g.src[p.Offset:q.Offset])+")", what)
	(*g.all)[len(*g.all)-1].cond = true
}
