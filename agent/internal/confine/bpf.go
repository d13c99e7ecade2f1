package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data of <linux/seccomp.h>. Arguments are 64 bits wide; of the ones looked at here, the kernel
// itself uses the lower 32.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// Answers of a filter.
const (
	allow  = uint32(unix.SECCOMP_RET_ALLOW)
	refuse = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	// absent makes a caller fall back to the older call, whose arguments a filter can see.
	absent = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
	kill   = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

// assembler writes a classic BPF program. Jumps only ever lead forward, over the block that was written last.
type assembler struct{ code []unix.SockFilter }

func (a *assembler) load(offset uint32) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

// argument loads the lower half of a system call's argument.
func (a *assembler) argument(n int) { a.load(offsetArgs + 8*uint32(n) + lowHalf) }

func (a *assembler) and(mask uint32) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
}

func (a *assembler) answer(k uint32) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k})
}

// Comparisons of the accumulator.
const (
	equal    = uint16(unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K)
	atLeast  = uint16(unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K)
	anyBitOf = uint16(unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K)
)

// when writes a block that is entered only if the comparison holds, and skipped otherwise.
func (a *assembler) when(compare uint16, k uint32, block func()) {
	at := len(a.code)
	a.code = append(a.code, unix.SockFilter{Code: compare, K: k})
	block()
	// A jump is at most 255 long; every block here is far shorter, and TestProgramsAreValid looks.
	a.code[at].Jf = uint8(len(a.code) - at - 1)
}

// unless writes a block that is entered only if the comparison does not hold.
func (a *assembler) unless(compare uint16, k uint32, block func()) {
	at := len(a.code)
	a.code = append(a.code, unix.SockFilter{Code: compare, K: k})
	block()
	a.code[at].Jt = uint8(len(a.code) - at - 1)
}

// on writes what happens for one system call; the block must answer.
func (a *assembler) on(number uintptr, block func()) { a.when(equal, uint32(number), block) }

// header refuses calls in the manner of another architecture, whose numbers mean something else.
func (a *assembler) header() {
	a.load(offsetArch)
	a.unless(equal, auditArch, func() { a.answer(kill) })
	a.load(offsetNumber)
	if foreignNumbers != 0 {
		a.when(atLeast, foreignNumbers, func() { a.answer(kill) })
	}
}

// install puts a filter on all threads of the process at once. It cannot be taken off again.
func install(code []unix.SockFilter) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	const setFilter = 1                                                                                                        // SECCOMP_SET_MODE_FILTER
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, setFilter, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // the kernel reads the program
	runtime.KeepAlive(code)
	switch {
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case tid != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", tid)
	}
	return nil
}
