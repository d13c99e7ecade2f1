package service

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// settle gives back what only the role's start needed: documents, parsers and compiled patterns on the heap, and the given
// pages of the program, which ran or were read then. Percent is how much the heap may grow from now on before it is
// collected.
//
// What is needed again of the program comes back from the page cache by a minor fault, a few pages at a time. So the code of
// a start, and of the other roles, does not count as this role's memory, and a kernel that looks for memory finds it unused.
// It comes before the role runs, since its first seconds fault. A kernel before 5.18 leaves locked pages as they are.
func settle(percent int, program []span) error {
	if percent > 0 {
		debug.SetGCPercent(percent)
	}
	debug.FreeOSMemory()
	return release(program)
}

// release gives pages of the program back.
func release(program []span) error {
	for _, r := range program {
		// The slice type of unix.Madvise would need unsafe pointers to what is no Go memory.
		if _, _, errno := unix.RawSyscall(unix.SYS_MADVISE, r.begin, r.end-r.begin, unix.MADV_DONTNEED_LOCKED); errno != 0 && errno != unix.EINVAL {
			return fmt.Errorf("pages %x to %x: %w", r.begin, r.end, errno)
		}
	}
	return nil
}

// mappings are where the program's own file lies in this process, as far as nobody may write there and nobody has: a
// debugger or a loader may, and what they wrote would be lost.
func mappings() ([]span, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("the program's own path: %w", err)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return pristine(bufio.NewScanner(f), self)
}

// span is a range of addresses.
type span struct{ begin, end uintptr }

// pristine finds in the text of an smaps file the mappings of a file that cannot be written to and have no page of their own.
func pristine(lines *bufio.Scanner, file string) ([]span, error) {
	var out []span
	var now span
	fits := false
	for lines.Scan() {
		line := lines.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			fits = len(fields) == 6 && fields[5] == file && (fields[1] == "r-xp" || fields[1] == "r--p")
			if _, err := fmt.Sscanf(fields[0], "%x-%x", &now.begin, &now.end); err != nil {
				return nil, fmt.Errorf("line %q: expected a range of addresses: %w", line, err)
			}
		case fits && len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				out = append(out, now)
			}
			fits = false
		}
	}
	return out, lines.Err()
}
