//go:build qualify

package units

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// limit bounds the machine's whole life. The processor is emulated, and other tests may have the host's.
const limit = 25 * time.Minute

// steps is how many checks the machine makes; guest/checks.go lists them.
const steps = 9

// TestUnitsInARobotComputer installs the package in a Debian with systemd, starts the three units, kills roles, lets the
// guard stand still, and tries to cross every wall. What the machine writes to its console is the witness.
func TestUnitsInARobotComputer(t *testing.T) {
	need.Root(t)
	for _, tool := range []string{"debootstrap", "mke2fs", "cpio", "modprobe", "qemu-system-x86_64", "dpkg-deb"} {
		if find(tool) == tool {
			need.Missing(t, "no %s here: run test/setup/install.sh", tool)
		}
	}
	begun := time.Now()
	base := must(filepath.Abs("../build/units"))(t)
	run(t, ".", "sh", "root.sh", base)
	t.Logf("root made in %.1f s", time.Since(begun).Seconds())
	disk := filepath.Join(t.TempDir(), "media.img")
	media(t, disk)
	begun = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	m := proc.StartT(t, proc.Spec{Name: "machine", Argv: argv(base, disk)})
	_, err := m.WaitOutput(ctx, `RW-END after|Kernel panic|emergency mode`)
	console := m.Output()
	t.Cleanup(func() {
		if t.Failed() {
			keep(t, console)
		}
	})
	if err != nil {
		t.Fatalf("the machine did not come to its end: %v", err)
	}
	results := regexp.MustCompile(`RW-(OK|FAIL) ([^\r\n]*)`).FindAllStringSubmatch(console, -1)
	for _, r := range results {
		t.Logf("%s %s", r[1], r[2])
		if r[1] == "FAIL" {
			t.Errorf("%s", r[2])
		}
	}
	if len(results) != steps {
		t.Errorf("%d of %d checks were made; the console ends:\n%s", len(results), steps, console[max(0, len(console)-4000):])
	}
	t.Logf("machine ran for %.1f s", time.Since(begun).Seconds())
}

// argv is QEMU's command line. A busy host starves the timer that the kernel would check at first. The base image stays as it is: what the machine writes is thrown away.
func argv(base, disk string) []string {
	return []string{
		find("qemu-system-x86_64"), "-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2", "-smp", "2", "-m", "1024", "-nodefaults",
		"-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none",
		"-kernel", filepath.Join(base, "vmlinuz"), "-initrd", filepath.Join(base, "initrd.img"),
		"-append", "root=/dev/vda rw console=ttyS0 no_timer_check loglevel=4 panic=-1 systemd.show_status=0 mitigations=off nokaslr audit=0 selinux=0 apparmor=0",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-drive", "if=virtio,format=raw,snapshot=on,file=" + filepath.Join(base, "base.ext4"),
		"-drive", "if=virtio,format=raw,snapshot=on,file=" + disk,
		"-device", "virtio-rng-pci",
	}
}

// media makes the disk with the package, the test's own program and the robot's documents.
func media(t *testing.T, image string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(t.TempDir(), "robowarden")
	build(t, "../..", binary, "./agent/cmd/robowarden")
	build(t, "..", filepath.Join(dir, "guest"), "./units/guest")
	run(t, "..", "go", "run", "./pack", "-root", "..", "-arch", "amd64", "-binary", binary, "-version", "0.0.1", "-epoch", "1700000000", "-out", dir)
	debs := must(filepath.Glob(filepath.Join(dir, "*.deb")))(t)
	if len(debs) != 1 {
		t.Fatalf("packages %v, expected one", debs)
	}
	if err := os.Rename(debs[0], filepath.Join(dir, "robowarden.deb")); err != nil {
		t.Fatal(err)
	}
	writeSite(t, filepath.Join(dir, "etc"))
	run(t, ".", find("mke2fs"), "-q", "-t", "ext4", "-d", dir, image, "128M")
}

func build(t *testing.T, dir, out, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
}

// find looks where Debian puts tools for root as well.
func find(tool string) string {
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if _, err := os.Stat(dir + tool); err == nil {
			return dir + tool
		}
	}
	if path, err := exec.LookPath(tool); err == nil {
		return path
	}
	return tool
}

// keep stores the console of a failed test where CI picks it up.
func keep(t *testing.T, console string) {
	dir := filepath.Join("..", "out")
	name := filepath.Join(dir, fmt.Sprintf("console-%s.log", t.Name()))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(name, []byte(console), 0o644)); err != nil {
		t.Logf("the console could not be kept: %v", err)
	}
}
