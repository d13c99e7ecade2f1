package interlock

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// allowed are the packages that this one may import, each because it does no I/O, keeps no state and reads no clock.
var allowed = []string{"encoding/binary", "errors", "fmt", "hash/crc32", "math", "math/bits", "slices", "strconv", "time"}

// forbidden are names of allowed packages that read a clock, wait, or write.
var forbidden = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.Tick", "time.NewTimer", "time.NewTicker",
	"time.AfterFunc", "time.LoadLocation", "time.Local", "fmt.Print", "fmt.Println", "fmt.Printf", "fmt.Fprintf",
	// These differ between architectures.
	"math.Hypot", "math.Exp", "math.Sin", "math.Cos", "math.Atan2", "math.Pow", "math.FMA", "math.Log",
}

// impure returns what a source file may not contain.
func impure(t *testing.T, name string, src any) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, i := range f.Imports {
		if path := strings.Trim(i.Path.Value, `"`); !slices.Contains(allowed, path) {
			found = append(found, "imports "+path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.ChanType:
			found = append(found, "has a channel")
		case *ast.RangeStmt:
		case *ast.MapType:
			found = append(found, "has a map, whose order is random")
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				found = append(found, "has an init function")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(forbidden, x.Name+"."+n.Sel.Name) {
				found = append(found, "uses "+x.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestPackageIsPure(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			for _, what := range impure(t, name, nil) {
				t.Errorf("%s %s", name, what)
			}
		}
	}
}

func TestImpureIsFound(t *testing.T) {
	for _, src := range []string{
		`package p; import "os"; var _ = os.Args`,
		`package p; import "time"; var _ = time.Now()`,
		`package p; import "math"; var _ = math.Hypot(1, 2)`,
		`package p; func f() { go f() }`,
		`package p; func init() {}`,
		`package p; var c chan int`,
		`package p; var m map[int]int`,
	} {
		if len(impure(t, "x.go", src)) == 0 {
			t.Errorf("nothing found in %s", src)
		}
	}
}
