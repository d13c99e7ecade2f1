package courier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/attest/evidence"
)

// maxKernelFile is the most that is read of one of the kernel's files, in bytes. Only the list of mounts comes near it, where
// there are thousands of them.
const maxKernelFile = 1 << 20

// kernelFiles is where the kernel's files are: "/" but in tests.
type kernelFiles string

// DebugFiles are the files and folders from which open debug interfaces are told, for whoever raises walls.
func DebugFiles() []string {
	return []string{"/sys/devices/virtual/tty/console", "/sys/module", "/sys/kernel/security/lockdown", "/proc/sys/kernel"}
}

// read returns a whole file without its last line break, or an error.
func (k kernelFiles) read(path string) (string, error) {
	f, err := os.Open(filepath.Join(string(k), path))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxKernelFile+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxKernelFile:
		return "", fmt.Errorf("%s has more than %d bytes, the most that is read: what is left out may be what matters", path, maxKernelFile)
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// commandLine is the digest of the kernel's command line, "" if it cannot be read.
func (k kernelFiles) commandLine() string {
	text, err := k.read("proc/cmdline")
	if err != nil {
		return ""
	}
	return fingerprint([]byte(text))
}

// debug lists the debug interfaces that are open. What cannot be told is listed as such: unknown is never fine.
func (k kernelFiles) debug() []string {
	var out []string
	// see adds what a file shows. A file that is not there means what the kernel does without it.
	see := func(name, path, absent string, judge func(string) []string) {
		switch text, err := k.read(path); {
		case err == nil:
			out = append(out, judge(text)...)
		case !errors.Is(err, fs.ErrNotExist):
			out = append(out, name+"-unknown")
		case absent != "":
			out = append(out, absent)
		}
	}
	when := func(open bool, name string) []string {
		if open {
			return []string{name}
		}
		return nil
	}
	see("console", "sys/devices/virtual/tty/console/active", "", serialConsoles)
	see("kgdb", "sys/module/kgdboc/parameters/kgdboc", "", func(s string) []string { return when(s != "", "kgdb") })
	see("lockdown", "sys/kernel/security/lockdown", "lockdown-none", func(s string) []string {
		return when(!strings.Contains(s, "[integrity]") && !strings.Contains(s, "[confidentiality]"), "lockdown-none")
	})
	see("ptrace", "proc/sys/kernel/yama/ptrace_scope", "ptrace", func(s string) []string { return when(s == "0", "ptrace") })
	see("debugfs", "proc/self/mountinfo", "debugfs-unknown", func(s string) []string { return when(strings.Contains(s, " - debugfs "), "debugfs") })
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > evidence.MaxDebug {
		out = append(out[:evidence.MaxDebug-1], "zz-more")
	}
	if out == nil {
		out = []string{}
	}
	return out
}

// serialConsoles are the kernel's consoles that somebody can reach by a wire: all but virtual terminals.
func serialConsoles(active string) []string {
	var out []string
	for name := range strings.FieldsSeq(active) {
		clean := strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) {
				return r
			}
			return '-'
		}, strings.ToLower(name))
		if virtual := strings.TrimLeft(strings.TrimPrefix(clean, "tty"), "0123456789") == "" && strings.HasPrefix(clean, "tty"); !virtual {
			out = append(out, "console-"+clean[:min(len(clean), 32)])
		}
	}
	return out
}

// content turns what the guard's status says of artifacts into claims: the digests that the steward has measured, with the
// security version of the release in force where they are that release's. What does not fit is left out, and a verifier
// that demands it says so.
func (s *status) content() []evidence.Artifact {
	var out []evidence.Artifact
	for _, c := range s.Content {
		a := evidence.Artifact{Name: c.Name, SHA256: c.SHA256}
		if r := s.Release; r != nil {
			for _, x := range r.Artifacts {
				if x.Name == c.Name && x.SHA256 == c.SHA256 {
					a.SVN = r.SVN
				}
			}
		}
		if one := (&evidence.Claims{Artifacts: []evidence.Artifact{a}}); len(out) < evidence.MaxArtifacts && one.ArtifactsFit() {
			out = append(out, a)
		}
	}
	evidence.SortArtifacts(out)
	return slices.CompactFunc(out, func(a, b evidence.Artifact) bool { return a.Name == b.Name })
}
