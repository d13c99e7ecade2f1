package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// mutant is one change: the bytes of a file from one offset to another become text.
type mutant struct {
	file     string
	line     int
	fn       string // the function around it
	source   string // its line, without spaces at the ends
	from, to int
	text     string
	what     string
	cond     bool // it makes a condition false, and nothing else
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d %s: %s", filepath.Base(m.file), m.line, m.fn, m.what)
}

// id names a mutant whatever lines come before it.
func (m mutant) id() string {
	return strings.Join([]string{filepath.Base(m.file), m.fn, m.source, m.what}, " | ")
}

// swaps are the operators and what they become.
var swaps = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GTR}, token.LEQ: {token.LSS, token.GTR}, token.GTR: {token.GEQ, token.LSS}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL}, token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
	token.AND: {token.OR}, token.OR: {token.AND}, token.AND_NOT: {token.AND}, token.REM: {token.QUO},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN}, token.INC: {token.DEC}, token.DEC: {token.INC},
	token.OR_ASSIGN: {token.AND_ASSIGN},
}

// mutants finds all of a kind that the files of a package allow, tests aside, in the order of files and offsets.
func mutants(dir, kind string) ([]mutant, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, src, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				f := finder{fset: fset, src: src, file: name, fn: fn.Name.Name, all: &all}
				if kind == kindAny {
					ast.Inspect(fn.Body, f.visit)
					continue
				}
				g := guards{finder: f, every: kind == kindClauses}
				ast.Inspect(fn.Body, g.visit)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no Go code to change; give the folder of a package with -pkg", dir)
	}
	return all, nil
}

// finder collects the mutants of one function.
type finder struct {
	fset     *token.FileSet
	src      []byte
	file, fn string
	all      *[]mutant
}

func (f *finder) add(from, to token.Pos, text, what string) {
	p, q := f.fset.Position(from), f.fset.Position(to)
	start, end := bytes.LastIndexByte(f.src[:p.Offset], '\n')+1, len(f.src)
	if n := bytes.IndexByte(f.src[p.Offset:], '\n'); n >= 0 {
		end = p.Offset + n
	}
	*f.all = append(*f.all, mutant{
		file: f.file, line: p.Line, fn: f.fn, source: strings.TrimSpace(string(f.src[start:end])), from: p.Offset, to: q.Offset, text: text, what: what,
	})
}

func (f *finder) operator(at token.Pos, op token.Token) {
	for _, other := range swaps[op] {
		f.add(at, at+token.Pos(len(op.String())), other.String(), op.String()+" becomes "+other.String()+f.column(at))
	}
}

// column tells mutants of one line apart.
func (f *finder) column(at token.Pos) string {
	return " at " + strconv.Itoa(f.fset.Position(at).Column)
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		f.operator(n.OpPos, n.Op)
	case *ast.IncDecStmt:
		f.operator(n.TokPos, n.Tok)
	case *ast.AssignStmt:
		f.operator(n.TokPos, n.Tok)
		if n.Tok != token.DEFINE {
			f.drop(n)
		}
	case *ast.ExprStmt:
		f.drop(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT || n.Op == token.SUB {
			f.add(n.OpPos, n.OpPos+1, "", n.Op.String()+" is left out"+f.column(n.OpPos))
		}
	case *ast.BasicLit:
		f.number(n)
	case *ast.Ident:
		f.name(n)
	}
	return true
}

func (f *finder) drop(n ast.Stmt) {
	f.add(n.Pos(), n.End(), "", "the statement is left out")
}

func (f *finder) number(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		f.add(n.Pos(), n.End(), "("+n.Value+"+1)", n.Value+" becomes one more"+f.column(n.Pos()))
	case token.FLOAT:
		f.add(n.Pos(), n.End(), "(2*"+n.Value+"+1)", n.Value+" becomes twice as much and one"+f.column(n.Pos()))
	default:
	}
}

func (f *finder) name(n *ast.Ident) {
	if other := map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}[n.Name]; other != "" {
		f.add(n.Pos(), n.End(), other, n.Name+" becomes "+other+f.column(n.Pos()))
	}
}

// equivalents reads lines "id: reason"; an id ends at the first ": " after its change.
func equivalents(text string) (map[string]string, error) {
	known := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, ok := strings.Cut(line, " => ")
		if !ok || strings.Count(id, " | ") < 3 || reason == "" {
			return nil, fmt.Errorf("equivalent.txt:%d: expected \"file | function | line | change => reason\"", i+1)
		}
		known[id] = reason
	}
	return known, nil
}

// fate is what became of a mutant.
type fate int

const (
	survived fate = iota
	killed
	stillborn
)

// attempt runs the package's tests with the change laid over its file.
func attempt(ctx context.Context, m mutant, timeout time.Duration, args []string) (fate, string, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return survived, "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	src, err := os.ReadFile(m.file)
	if err != nil {
		return survived, "", err
	}
	changed := filepath.Join(dir, filepath.Base(m.file))
	text := string(src[:m.from]) + m.text + string(src[m.to:])
	file, err := filepath.Abs(m.file)
	if err != nil {
		return survived, "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return survived, "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return survived, "", err
	}
	pkg, binary := filepath.Dir(file), filepath.Join(dir, "tests")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", list, "-o", binary, ".")
	build.Dir = pkg
	if out, err := build.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return survived, "", ctx.Err()
		}
		if !bytes.Contains(out, []byte(filepath.Base(m.file))) {
			return survived, "", fmt.Errorf("build of %s: %w\n%s", m, err, out)
		}
		return stillborn, "", nil
	}
	out, err := runTests(ctx, pkg, binary, timeout, args)
	if ctx.Err() != nil {
		return survived, "", ctx.Err()
	}
	if err == nil {
		return survived, "", nil
	}
	return killed, first(out), nil
}

// patience is how many times its limit a test may take by the clock. The limit itself is of processor time: on a machine with
// other work to do tests that pass take long, and a busy machine must kill no mutants.
const patience = 30

// runTests runs a test binary in its package's folder, for at most so much of the processors' time. The limit is a hard one:
// Go programs ignore the signal of a soft one.
func runTests(ctx context.Context, pkg, binary string, most time.Duration, args []string, env ...string) ([]byte, error) {
	limit := fmt.Sprintf(`ulimit -t %d; exec "$0" "$@"`, max(1, int(most.Seconds())))
	args = append([]string{"-c", limit, binary, "-test.failfast", "-test.timeout", (patience * most).String()}, args...)
	test := exec.CommandContext(ctx, "sh", args...) //nolint:gosec // our own binary
	test.Dir, test.Env = pkg, append(os.Environ(), env...)
	return test.CombinedOutput()
}

// first names the test that failed first.
func first(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			return strings.Fields(name)[0]
		}
	}
	if bytes.Contains(out, []byte("test timed out")) || bytes.Contains(out, []byte("SIGXCPU")) {
		return "timed out"
	}
	return "crashed"
}
