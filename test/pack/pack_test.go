package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stand is a program that stands in for the robot's: a package does not look inside.
func stand(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "robowarden")
	if err := os.WriteFile(path, bytes.Repeat([]byte("program "), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, p Package) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSameInputSamePackage(t *testing.T) {
	p := Package{Root: "../..", Arch: "arm64", Version: "v1.2.3", Epoch: 1700000000, Binary: stand(t)}
	first := write(t, p)
	// Another copy of the program with another time and mode, another moment, another folder.
	p.Binary = stand(t)
	if err := os.Chmod(p.Binary, 0o700); err != nil { //nolint:gosec // a mode that must not matter
		t.Fatal(err)
	}
	if !bytes.Equal(first, write(t, p)) {
		t.Error("two packages of the same input differ")
	}
	// The off case: another time is another package.
	p.Epoch++
	if bytes.Equal(first, write(t, p)) {
		t.Error("packages of two commits are alike")
	}
}

func TestPackageIsWhatDpkgExpects(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("needs dpkg-deb")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		p := Package{Root: "../..", Arch: arch, Version: "v1.2.3-4-gabcdef", Epoch: 1700000000, Binary: stand(t)}
		path, err := run(&p, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) != "robowarden_1.2.3+4+gabcdef_"+arch+".deb" {
			t.Error(path)
		}
		out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--info", path).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Architecture: "+arch+"\n") || !strings.Contains(string(out), "postinst") {
			t.Errorf("%v\n%s", err, out)
		}
		out, err = exec.CommandContext(t.Context(), "dpkg-deb", "--contents", path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{
			"-rwxr-xr-x root/root     80000 2023-11-14 22:13 ./usr/bin/robowarden\n",
			"drwx------ root/root         0 2023-11-14 22:13 ./etc/robowarden/credentials/guard/\n",
			"./usr/lib/systemd/system/robowarden-guard.service\n",
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("expected %q in\n%s", want, out)
			}
		}
		if strings.Contains(string(out), "deployment.yaml") && strings.Contains(string(out), "./etc/robowarden/deployment.yaml") {
			t.Error("the package configures the robot by itself")
		}
	}
}

func TestFaults(t *testing.T) {
	good := Package{Root: "../..", Arch: "amd64", Version: "1", Epoch: 1, Binary: stand(t)}
	for name, change := range map[string]func(*Package){
		"architecture": func(p *Package) { p.Arch = "riscv64" }, "epoch": func(p *Package) { p.Epoch = 0 },
		"binary": func(p *Package) { p.Binary = "/missing" }, "root": func(p *Package) { p.Root = "/missing" },
	} {
		p := good
		change(&p)
		folder := t.TempDir()
		if path, err := run(&p, folder); err == nil {
			t.Errorf("%s: made %s", name, path)
		}
		if left, _ := os.ReadDir(folder); len(left) != 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
}

func TestDebianVersion(t *testing.T) {
	for from, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-4-gabc": "1.2.3+4+gabc", "v1.2.3-dirty": "1.2.3+dirty", "dev": "0~dev", "abcdef0": "0~abcdef0", "": "0~", "12ab": "12ab",
	} {
		if got := debianVersion(from); got != want {
			t.Errorf("%q: %q, expected %q", from, got, want)
		}
	}
}
