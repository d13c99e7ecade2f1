// Package gobin builds Go programs that a test starts as processes of their own, once for each test process.
package gobin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
)

var built struct {
	sync.Mutex
	errs map[string]error
}

// major is the end of a module's path that says which version of its interface it is.
var major = regexp.MustCompile(`/v[0-9]+$`)

// Build builds the package of this module, such as "./dds/ours", static as the product ships, and returns its path.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	return once(t, cpp.Root(), pkg)
}

// Product builds one of the product's programs, such as "robowarden-station", and returns its path.
func Product(t testing.TB, name string) string {
	t.Helper()
	return once(t, filepath.Join(cpp.Root(), ".."), "./agent/cmd/"+name)
}

func once(t testing.TB, dir, pkg string) string {
	t.Helper()
	name := pkg
	if major.MatchString(name) {
		name = filepath.Dir(name)
	}
	path := filepath.Join(cpp.Root(), "build", filepath.Base(name))
	built.Lock()
	defer built.Unlock()
	err, done := built.errs[pkg]
	if !done {
		err = build(dir, pkg, path)
		if built.errs == nil {
			built.errs = map[string]error{}
		}
		built.errs[pkg] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build takes a lock on the file's name, since test packages are processes that run at the same time.
func build(dir, pkg, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("gobin: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("gobin: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("gobin: lock %s: %w", lock.Name(), err)
	}
	// Under another name first: a program that runs cannot be written to.
	cmd := exec.Command("go", "build", "-trimpath", "-o", path+".new", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gobin: build %s: %w\n%s", pkg, err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("gobin: %w", err)
	}
	return nil
}
