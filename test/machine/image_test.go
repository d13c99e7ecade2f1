package machine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// fakeParts are files with short texts in them.
func fakeParts(t *testing.T) Parts {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"init": "i", "program": "the product", "modules/order": "a.ko\n", "modules/a.ko": "abc"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Parts{Init: filepath.Join(dir, "init"), Program: filepath.Join(dir, "program"), Modules: filepath.Join(dir, "modules")}
}

// TestInitialFileSystemIsReadByCPIO lets cpio itself unpack what we pack.
func TestInitialFileSystemIsReadByCPIO(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		need.Missing(t, "no cpio here: run test/setup/install.sh")
	}
	var packed bytes.Buffer
	if err := writeInitial(&packed, fakeParts(t)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "--extract", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = dir, &packed
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{"init": "i", "usr/bin/robowarden": "the product", "lib/modules/order": "a.ko\n", "lib/modules/a.ko": "abc"} {
		if got := string(must(os.ReadFile(filepath.Join(dir, name)))(t)); got != want {
			t.Errorf("%s: %q, expected %q", name, got, want)
		}
	}
	if info := must(os.Stat(filepath.Join(dir, "usr/bin/robowarden")))(t); info.Mode().Perm() != 0o755 {
		t.Errorf("the product has mode %v", info.Mode())
	}
}

func TestInitialFileSystemIsTheSameEachTime(t *testing.T) {
	p := fakeParts(t)
	var a, b bytes.Buffer
	if err := writeInitial(&a, p); err != nil {
		t.Fatal(err)
	}
	if err := writeInitial(&b, p); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two archives of the same parts differ, so the TPM would measure something else each time")
	}
}

func TestMissingPartIsNamed(t *testing.T) {
	p := fakeParts(t)
	p.Program += ".gone"
	if err := writeInitial(&bytes.Buffer{}, p); err == nil || !strings.Contains(err.Error(), "program.gone") {
		t.Errorf("expected an error that names the file, found %v", err)
	}
}

// TestFailedStartIsNamed is the off run of every start: a machine that lacks a module says which, and Boot hands it on.
func TestFailedStartIsNamed(t *testing.T) {
	able(t)
	p := made.Parts
	p.Modules = t.TempDir()
	if err := os.WriteFile(filepath.Join(p.Modules, "order"), []byte("missing.ko\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Boot(t, Config{Parts: p, Disk: t.TempDir(), Quick: true, MemoryMiB: 192})
	if err == nil || !strings.Contains(err.Error(), wire.MarkFailed) || !strings.Contains(err.Error(), "missing.ko") {
		t.Errorf("expected a start that fails over missing.ko, found %v", err)
	}
}

// TestNetworkHasNoWayOut shows that what these tests start can reach nothing but each other.
func TestNetworkHasNoWayOut(t *testing.T) {
	able(t)
	if out := must(os.ReadFile("/proc/net/route"))(t); bytes.Count(out, []byte("\n")) != 2 {
		t.Errorf("expected one route, to the machine alone, found:\n%s", out)
	}
}
