package machine

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// archive writes the initial file system: the "newc" format of the kernel's Documentation/driver-api/early-userspace
// (buffer-format). It is not compressed: an emulated processor would take longer to unpack it than to read it.
type archive struct {
	w   *bufio.Writer
	n   int
	ino int
	err error
}

// entry writes one file or folder. The mode has the file's type in it, as stat has.
func (a *archive) entry(name string, mode uint32, content []byte) {
	a.ino++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.ino, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	a.write([]byte(header + name + "\x00"))
	a.pad()
	a.write(content)
	a.pad()
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.n += len(b)
	}
}

func (a *archive) pad() { a.write(make([]byte, (4-a.n%4)%4)) }

// File modes with types.
const (
	folder     = 0o040755
	executable = 0o100755
	readable   = 0o100644
)

// passwd has the accounts that a deployment may name.
const passwd = `root:x:0:0::/:/bin/false
robowarden:x:900:900::/:/bin/false
robowarden-steward:x:901:901::/:/bin/false
robowarden-courier:x:902:902::/:/bin/false
`

// writeInitial writes the initial file system: the first process, the product and the modules.
func writeInitial(to io.Writer, p Parts) error {
	a := &archive{w: bufio.NewWriterSize(to, 1<<20)}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "usr", "usr/bin", "lib", "lib/modules", strings.TrimPrefix(wire.Data, "/")} {
		a.entry(d, folder, nil)
	}
	add := func(name, from string, mode uint32) {
		content, err := os.ReadFile(from)
		if err != nil && a.err == nil {
			a.err = err
		}
		a.entry(name, mode, content)
	}
	add("init", p.Init, executable)
	add(strings.TrimPrefix(wire.Program, "/"), p.Program, executable)
	a.entry("etc/passwd", readable, []byte(passwd))
	files, err := os.ReadDir(p.Modules)
	if err != nil {
		return fmt.Errorf("machine: initial file system: %w", err)
	}
	for _, f := range files {
		add(strings.TrimPrefix(wire.Modules, "/")+"/"+f.Name(), filepath.Join(p.Modules, f.Name()), readable)
	}
	a.entry("TRAILER!!!", 0, nil)
	if a.err == nil {
		a.err = a.w.Flush()
	}
	if a.err != nil {
		return fmt.Errorf("machine: initial file system: %w", a.err)
	}
	return nil
}

// writeInitialFile is writeInitial into a new file.
func writeInitialFile(path string, p Parts) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	err = writeInitial(f, p)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("machine: %w", cerr)
	}
	return err
}

// diskSize is that of the disk which survives a reset; the file is sparse.
const diskSize = "96M"

// writeDisk makes an ext4 file system with what is in the folder, which can keep files with fs-verity: its blocks are as large as the
// kernel's pages. Everything in it belongs to root.
func writeDisk(path, from string) error {
	if err := command(nil, filepath.Dir(path), "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-E", "root_owner=0:0", "-d", from, path, diskSize); err != nil {
		return fmt.Errorf("machine: disk: %w", err)
	}
	return nil
}
