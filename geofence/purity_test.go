package geofence

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"
)

// checked parses and type-checks Go source for the checks below.
func checked(t *testing.T, fset *token.FileSet, files []*ast.File) *types.Info {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	if _, err := conf.Check("geofence", fset, files, info); err != nil {
		t.Fatalf("type check: %v", err)
	}
	return info
}

func sources(t *testing.T, fset *token.FileSet) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// unroundedProducts lists floating-point products whose rounding a compiler may
// drop by fusing them with a sum: all that are not the operand of a conversion
// or of another product or quotient.
func unroundedProducts(fset *token.FileSet, info *types.Info, file *ast.File) []string {
	var bad []string
	var stack []ast.Node
	isFloat := func(e ast.Expr) bool {
		tv := info.Types[e]
		b, ok := tv.Type.Underlying().(*types.Basic)
		return ok && tv.Value == nil && b.Info()&types.IsFloat != 0
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.MUL_ASSIGN && isFloat(a.Lhs[0]) {
			bad = append(bad, fset.Position(n.Pos()).String())
		}
		b, ok := n.(*ast.BinaryExpr)
		if !ok || b.Op != token.MUL || !isFloat(b) {
			return true
		}
		for i := len(stack) - 2; i >= 0; i-- {
			switch p := stack[i].(type) {
			case *ast.ParenExpr:
				continue
			case *ast.BinaryExpr:
				if p.Op == token.MUL || p.Op == token.QUO {
					return true
				}
			case *ast.CallExpr:
				if id, ok := p.Fun.(*ast.Ident); ok && id.Name == "float64" {
					return true
				}
			}
			break
		}
		bad = append(bad, fset.Position(b.Pos()).String())
		return true
	})
	return bad
}

func TestEveryProductIsRounded(t *testing.T) {
	fset := token.NewFileSet()
	files := sources(t, fset)
	info := checked(t, fset, files)
	for _, f := range files {
		for _, place := range unroundedProducts(fset, info, f) {
			t.Errorf("%s: wrap the product in float64(...): arm64 may fuse it with a sum", place)
		}
	}
}

func TestUnroundedProductIsFound(t *testing.T) {
	for _, tc := range []struct {
		expr string
		want int
	}{
		{"a*b + c", 1}, {"float64(a*b) + c", 0}, {"float64(a*b*c) + a", 0}, {"-(a * b)", 1}, {"max(a*b, c)", 1}, {"2 * 3.0", 0},
	} {
		fset := token.NewFileSet()
		src := fmt.Sprintf("package geofence\nfunc f(a, b, c float64) float64 { return %s }", tc.expr)
		file, err := parser.ParseFile(fset, "x.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		info := checked(t, fset, []*ast.File{file})
		if got := len(unroundedProducts(fset, info, file)); got != tc.want {
			t.Errorf("%s: found %d, want %d", tc.expr, got, tc.want)
		}
	}
}

func TestImportsAndCallsAreFromTheAllowList(t *testing.T) {
	allowed := []string{
		"math", "math/bits", "slices", "cmp", "errors", "fmt", "strings", "strconv", "time", "encoding/binary",
	}
	// These differ between architectures, or ask the machine.
	banned := map[string][]string{
		"math": {"Hypot", "Sin", "Cos", "Sincos", "Tan", "Atan", "Atan2", "Asin", "Acos", "Exp", "Exp2", "Log", "Pow", "Cbrt", "FMA", "Mod"},
		"time": {"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc", "LoadLocation", "Local"},
		"fmt":  {"Print", "Println", "Printf", "Scan"},
	}
	fset := token.NewFileSet()
	for _, f := range sources(t, fset) {
		for _, imp := range f.Imports {
			if path := strings.Trim(imp.Path.Value, `"`); !slices.Contains(allowed, path) {
				t.Errorf("%s: imports %s", fset.Position(imp.Pos()), path)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: starts a goroutine", fset.Position(g.Pos()))
			}
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: has an init", fset.Position(fn.Pos()))
			}
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && slices.Contains(banned[x.Name], s.Sel.Name) {
					t.Errorf("%s: uses %s.%s", fset.Position(s.Pos()), x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
}
