package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "another"} {
		if err := Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPrivate(path, 7); err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".f.new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	Sweep(path)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := Write(path, bytes.Repeat([]byte("x"), 8), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() ([]byte, error){
		"too large": func() ([]byte, error) { return Read(path, 7) },
		"others":    func() ([]byte, error) { return ReadPrivate(path, 100) },
		"a pipe":    func() ([]byte, error) { return Read(filepath.Join(dir, "pipe"), 100) },
		"a folder":  func() ([]byte, error) { return Read(dir, 100) },
		"nothing":   func() ([]byte, error) { return Read(path+"2", 100) },
	} {
		if got, err := read(); err == nil || (name == "nothing") != errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := Write(filepath.Join(dir, "none", "f"), nil, 0o600); err == nil {
		t.Error("written into a folder that is not there")
	}
}
