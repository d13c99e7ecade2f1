package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/robowarden/robowarden/test/internal/cpp"
)

// Parts are what a machine is made of, as files of the host.
type Parts struct {
	// Kernel is Debian's, Modules a folder with its modules and the file "order".
	Kernel, Modules string
	// Release names the kernel and its package's version.
	Release string
	// Init is the first process, Program the product; both are static and for arm64.
	Init, Program string
	// Host is the product for this host, Station what runs at an engineer's desk.
	Host, Station string
}

// ErrMissing wraps what the host lacks; such a test is skipped unless everything is demanded.
var ErrMissing = errors.New("machine: this computer cannot run the ARM64 machine")

// tools are the programs that the machine needs on the host.
var tools = []string{"qemu-system-aarch64", "swtpm", "aarch64-linux-gnu-gcc-12", "mke2fs", "depmod", "ip", "make"}

// Build makes or finds all parts. Once everything is there, it costs what the Go tool needs to see that.
func Build() (Parts, error) {
	for _, tool := range tools {
		if find(tool) == "" {
			return Parts{}, fmt.Errorf("%w: no %s: run test/setup/install.sh", ErrMissing, tool)
		}
	}
	for _, f := range []string{firmware, "/dev/net/tun"} {
		if _, err := os.Stat(f); err != nil {
			return Parts{}, fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
	root := cpp.Root()
	dir := filepath.Join(root, "build", "machine")
	kernel := filepath.Join(dir, "kernel")
	if err := command(nil, root, "sh", filepath.Join(root, "machine", "kernel.sh"), kernel); err != nil {
		return Parts{}, fmt.Errorf("%w: the kernel: %w", ErrMissing, err)
	}
	release, err := os.ReadFile(filepath.Join(kernel, "version"))
	if err != nil {
		return Parts{}, fmt.Errorf("machine: %w", err)
	}
	p := Parts{
		Kernel: filepath.Join(kernel, "vmlinuz"), Modules: filepath.Join(kernel, "modules"), Release: strings.TrimSpace(string(release)),
		Init: filepath.Join(dir, "guest"), Program: filepath.Join(root, "..", "bin", "robowarden-linux-arm64"),
	}
	p.Host, p.Station = filepath.Join(root, "..", "bin", "robowarden"), filepath.Join(root, "..", "bin", "robowarden-station")
	// The product is built as it ships, by its own makefile.
	if err := command(nil, filepath.Join(root, ".."), "make", "-s", "build"); err != nil {
		return Parts{}, fmt.Errorf("machine: the product: %w", err)
	}
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64"}
	if err := command(env, root, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.Init, "./machine/guest"); err != nil {
		return Parts{}, fmt.Errorf("machine: the first process: %w", err)
	}
	return p, nil
}

// find looks for a program where root's programs are as well, since a user's PATH may leave those out.
func find(tool string) string {
	if path, err := exec.LookPath(tool); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if info, err := os.Stat(filepath.Join(dir, tool)); err == nil && info.Mode()&0o111 != 0 {
			return filepath.Join(dir, tool)
		}
	}
	return ""
}

// command runs a program to its end; its output is the error's.
func command(env []string, dir, name string, args ...string) error {
	cmd := exec.Command(find(name), args...)
	cmd.Dir = dir
	// What runs the tests may have set flags for make.
	cmd.Env = append(append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL="), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}
