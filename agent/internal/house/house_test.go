package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the list of linked packages, or docs/scenarios.md, anew")

const (
	module     = "github.com/robowarden/robowarden"
	root       = "../../.."
	importList = "docs/imports-robowarden.txt"
	maxLines   = 600
)

// coreMay is all that geofence and interlock may import: nothing that reads a clock, a file or a bus, starts a
// goroutine or draws a random number. Of package time they use types and arithmetic only, see TestCoresReadNoClock.
var coreMay = []string{
	"cmp", "encoding/binary", "errors", "fmt", "hash/crc32", "math", "math/bits", "slices", "sort", "strconv", "strings",
	"time", "unicode/utf8",
}

// arrow says what of the module one room may import, besides itself.
type arrow struct {
	room   string
	may    []string
	reason string
}

var arrows = []arrow{
	{"geofence", nil, "a pure core decides from what it is given"},
	{"interlock", nil, "a pure core decides from what it is given"},
	{"attest", nil, "signatures are checked without knowing who acts on them"},
	{"configs", nil, "documents are data; agent/config understands them"},
	{"hal", []string{"hal/msg"}, "a source must not know who listens to it"},
	{"agent", []string{"geofence", "interlock", "attest", "hal", "configs"}, "the composition root joins the rooms; nobody imports test"},
}

// never are packages that must not be linked into the robot's binary at all.
var never = map[string]string{
	"os/exec":                                        "no subprocess on the robot: what it would start, nobody has measured",
	"plugin":                                         "no code that is not in the signed binary",
	"net/http/pprof":                                 "no debugging door",
	"expvar":                                         "no debugging door",
	"net/rpc":                                        "no remote calls by name",
	"testing":                                        "nothing that only tests need",
	"runtime/cgo":                                    "the binary is static",
	"github.com/bluenviron/goroslib/v2":              "goroslib's Node is ended and fed by anybody; definitions and clients only",
	module + "/hal/ros1/rostest":                     "nothing that only tests need",
	module + "/hal/actuator/contract":                "nothing that only tests need",
	module + "/hal/modbus/modbustest":                "nothing that only tests need",
	module + "/hal/sim":                              "the simulation belongs to the station",
	module + "/agent/console":                        "the page is served from the courier's side",
	module + "/agent/internal/demo":                  "the demonstration belongs to the station",
	module + "/agent/internal/cli/keys":              "private keys are for the engineers' desks",
	module + "/agent/internal/cli/station":           "the station's commands belong to the station",
	module + "/agent/internal/cli/authority":         "who issues certificates is not on a robot",
	module + "/attest/identity/authority":            "who issues certificates is not on a robot",
	module + "/agent/fleet":                          "the consumer belongs to the station",
	module + "/agent/zones":                          "drawings are read on the engineer's desk",
	module + "/agent/explain":                        "what-ifs are asked on the engineer's desk",
	module + "/agent/recording":                      "recordings are read on the engineer's desk",
	module + "/agent/replay":                         "what-ifs are asked on the engineer's desk",
	module + "/agent/report":                         "reports are drawn on the engineer's desk",
	module + "/agent/policytest":                     "policies are tested on the engineer's desk",
	module + "/agent/policylint":                     "policies are checked on the engineer's desk",
	"github.com/sigstore/sigstore/pkg/signature/kms": "no cloud keys",
}

// sensitive are the standard packages whose coming and going is worth a look.
var sensitive = []string{
	"archive", "compress", "crypto/tls", "crypto/x509", "database", "debug", "encoding/gob", "encoding/xml", "html", "log",
	"mime", "net", "os", "os/exec", "os/signal", "os/user", "plugin", "reflect", "runtime/cgo", "runtime/debug", "syscall",
	"text/template", "unsafe",
}

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath        string
	Standard          bool
	Imports, CgoFiles []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Imports,CgoFiles"}, args...)...)
	cmd.Dir = root
	// The robot's own platform, so that the list does not depend on who runs the test.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list %v: %v", args, err)
		}
		pkgs = append(pkgs, p)
	}
}

// under says whether path is the room or lies in it.
func under(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func roomOf(path string) string { return strings.TrimPrefix(path, module+"/") }

// strays lists the imports that the arrows and the cores' list do not allow.
func strays(pkgs []pkg) []string {
	var bad []string
	for _, p := range pkgs {
		from := roomOf(p.ImportPath)
		at := slices.IndexFunc(arrows, func(a arrow) bool { return under(from, a.room) })
		if at < 0 {
			bad = append(bad, from+" is in no room that DESIGN names: add it to the arrows, with a reason")
			continue
		}
		a := arrows[at]
		for _, imp := range p.Imports {
			switch to, ours := strings.CutPrefix(imp, module+"/"); {
			case ours && !under(to, a.room) && !slices.ContainsFunc(a.may, func(m string) bool { return under(to, m) }):
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", from, to, a.reason))
			case a.room == "hal" && ours && from != to && !halMay(from, to):
				bad = append(bad, fmt.Sprintf("%s imports %s: of hal, only hal/msg, hal/bus and hal/actuator are for all", from, to))
			case !ours && under(from, "hal/rtps") && strings.Contains(imp, "."):
				bad = append(bad, fmt.Sprintf("%s imports %s: a participant of DDS is read by whoever audits it, so it is all ours", from, imp))
			case !ours && (a.room == "geofence" || a.room == "interlock") && !slices.Contains(coreMay, imp):
				bad = append(bad, fmt.Sprintf("%s imports %s, which is not on the cores' list: %s", from, imp, a.reason))
			}
		}
	}
	return bad
}

// halMay says whether one part of hal may import another: the data that all share, what all actuators have in common, its own parts, and the bus of ROS 2
// the participant that it stands on.
func halMay(from, to string) bool {
	switch {
	case under(from, "hal/rtps"):
		return under(to, "hal/rtps") // and so nothing that knows ROS
	case to == "hal/msg", to == "hal/actuator" && from != "hal/msg", to == "hal/bus" && from != "hal/msg", under(to, from):
		return true
	}
	return under(from, "hal/ros2") && (under(to, "hal/rtps") || under(to, "hal/ros2"))
}

func TestArrows(t *testing.T) {
	pkgs := list(t, "./...")
	if len(pkgs) < len(arrows) {
		t.Fatalf("found %d packages, expected all of the module's", len(pkgs))
	}
	for _, s := range strays(pkgs) {
		t.Error(s)
	}
}

// TestArrowsCanFail is the off case: every kind of stray import is told.
func TestArrowsCanFail(t *testing.T) {
	for _, p := range []pkg{
		{ImportPath: module + "/geofence", Imports: []string{"os"}},
		{ImportPath: module + "/interlock", Imports: []string{module + "/geofence"}},
		{ImportPath: module + "/hal/ros1", Imports: []string{module + "/hal/host"}},
		{ImportPath: module + "/hal/ros1", Imports: []string{module + "/hal/rtps"}},
		{ImportPath: module + "/hal/ros2", Imports: []string{module + "/hal/ros1"}},
		{ImportPath: module + "/hal/rtps", Imports: []string{module + "/hal/msg"}},
		{ImportPath: module + "/hal/rtps", Imports: []string{module + "/hal/bus"}},
		{ImportPath: module + "/hal/rtps/wire", Imports: []string{"github.com/rs/zerolog"}},
		{ImportPath: module + "/hal/msg", Imports: []string{module + "/hal/bus"}},
		{ImportPath: module + "/hal/msg", Imports: []string{module + "/agent/guard"}},
		{ImportPath: module + "/attest/order", Imports: []string{module + "/hal/msg"}},
		{ImportPath: module + "/agent", Imports: []string{module + "/test/plant"}},
		{ImportPath: module + "/pkg/util"},
	} {
		if len(strays([]pkg{p})) != 1 {
			t.Errorf("%s importing %v went unnoticed", p.ImportPath, p.Imports)
		}
	}
}

func TestLinkedIntoRobot(t *testing.T) {
	var have []string
	for _, p := range list(t, "-deps", "./agent/cmd/robowarden") {
		if why, ok := never[p.ImportPath]; ok {
			t.Errorf("%s is linked into the robot's binary: %s", p.ImportPath, why)
		}
		if len(p.CgoFiles) > 0 && !p.Standard {
			t.Errorf("%s needs cgo: the binary is static", p.ImportPath)
		}
		if !p.Standard || isSensitive(p.ImportPath) {
			have = append(have, p.ImportPath)
		}
	}
	slices.Sort(have)
	path := filepath.Join(root, importList)
	if *update {
		head := "# Linked into the robot's binary (linux/arm64): every package that is not standard, and the standard ones that can\n" +
			"# talk, start, unpack or step around types. Changes are reviewed. Written by: go test ./agent/internal/house -update\n"
		if err := os.WriteFile(path, []byte(head+strings.Join(have, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			want = append(want, line)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("what is linked into the robot's binary has changed (-reviewed +now). If it should have, say why in the commit and run\n"+
			"  go test ./agent/internal/house -update\n%s", diff)
	}
}

// walls are what each role must not link, though one binary holds them all: a mistake in one then cannot even name what
// another does. Within the process landlock and seccomp hold the same line.
var walls = []struct {
	role   string
	never  []string
	reason string
}{
	{"agent", []string{
		"github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket", module + "/agent/courier", module + "/agent/steward",
		module + "/agent/fleet", module + "/attest/tpm", module + "/attest/evidence", module + "/attest/verifier", module + "/hal/proc",
	}, "the guard links no network client but the robot's bus"},
	{"agent/steward", []string{
		"github.com/eclipse/paho.mqtt.golang", "github.com/bluenviron/goroslib/v2", module + "/hal/ros1", module + "/hal/ros2",
		module + "/hal/rtps", module + "/agent/courier", module + "/agent/guard", module + "/attest/tpm",
	}, "the steward opens no external socket; net/http is there for its metrics on a unix socket, and seccomp allows it no other"},
	{"agent/courier", []string{
		"github.com/bluenviron/goroslib/v2", module + "/hal/ros1", module + "/hal/ros2", module + "/hal/rtps", module + "/hal/proc",
	}, "the courier has nothing to do with the robot's bus"},
}

// TestRolesLinkTheirOwnOnly holds the walls between the roles.
func TestRolesLinkTheirOwnOnly(t *testing.T) {
	for _, w := range walls {
		if _, err := os.Stat(filepath.Join(root, w.role)); err != nil {
			t.Errorf("%s: %v", w.role, err)
			continue
		}
		for _, p := range list(t, "-deps", "./"+w.role) {
			for _, n := range w.never {
				if p.ImportPath == n {
					t.Errorf("%s links %s: %s", w.role, n, w.reason)
				}
			}
		}
	}
}

func isSensitive(path string) bool {
	if strings.Contains(path, "internal/") || strings.HasPrefix(path, "vendor/") {
		return false
	}
	return slices.ContainsFunc(sensitive, func(s string) bool { return under(path, s) })
}

// sources calls f for every Go file of both modules.
func sources(t *testing.T, f func(path string, src []byte)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "build" || d.Name() == "out") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		n++
		f(filepath.ToSlash(rel), src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatal("found no Go file")
	}
}

func TestFilesAreShort(t *testing.T) {
	sources(t, func(path string, src []byte) {
		if n := bytes.Count(src, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, expected at most %d: split it by what its parts are for", path, n, maxLines)
		}
	})
}

func TestFormOfSources(t *testing.T) {
	commented := map[string]bool{}
	fset := token.NewFileSet()
	sources(t, func(path string, src []byte) {
		file, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		commented[dir] = commented[dir] || file.Doc != nil
		for _, problem := range faults(path, file) {
			t.Error(problem)
		}
	})
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s has no package comment: say first what it is for and what it never does", dir)
		}
	}
}

// faults names what one file of the product must not hold.
func faults(path string, file *ast.File) []string {
	var bad []string
	core := strings.HasPrefix(path, "geofence/") || strings.HasPrefix(path, "interlock/")
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				bad = append(bad, path+": func init: what happens before main can neither be tested nor ordered")
			}
		case *ast.GoStmt:
			if core {
				bad = append(bad, path+": a core starts no goroutine")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && core && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
				bad = append(bad, path+": time."+n.Sel.Name+": a core is told the time")
			}
		}
		return true
	})
	return bad
}

// clock is what of package time reads a clock, waits, or reads the host's zone files.
var clock = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local",
}

// TestFaultsCanFail is the off case of TestFormOfSources.
func TestFaultsCanFail(t *testing.T) {
	const src = "package geofence\nimport \"time\"\nfunc init() { go func() {}(); _ = time.Now() }\n"
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := faults("geofence/x.go", file); len(got) != 3 {
		t.Errorf("expected three faults, found %q", got)
	}
	if got := faults("agent/x.go", file); len(got) != 1 {
		t.Errorf("expected one fault outside the cores, found %q", got)
	}
}
