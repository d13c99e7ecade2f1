// Package cpp builds the C++ peers with CMake, once for all test packages; it never builds anything of the product.
package cpp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/test/internal/need"
)

// Root is the directory of the test module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Binary builds what is out of date and returns the path of the named program.
func Binary(t testing.TB, name string) string {
	t.Helper()
	need.ROS(t)
	need.DDS(t)
	built.Do(func() { built.dir, built.err = build() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// built is what this process has looked at; a source does not change while its tests run.
var built struct {
	sync.Once
	dir string
	err error
}

// build runs CMake and make. Test packages run as separate processes at the same time, so a file lock lets only one
// build; the others then find everything up to date, which takes make a fraction of a second.
func build() (string, error) {
	dir := filepath.Join(Root(), "build")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cpp: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("cpp: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("cpp: lock %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "Makefile")); errors.Is(err, os.ErrNotExist) {
		if err := run("cmake", "-S", Root(), "-B", dir, "-DCMAKE_BUILD_TYPE=Release"); err != nil {
			return "", err
		}
	}
	return dir, run("cmake", "--build", dir, "-j2")
}

func run(name string, args ...string) error {
	// The C++ ROS packages belong to the system's Python; another one on PATH would be found first.
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH=/usr/bin:/bin:"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cpp: %s %v: %w\n%s", name, args, err, out)
	}
	return nil
}
