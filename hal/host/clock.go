// Package host reads the robot computer's clocks and identity for the agent; it never sets a clock, opens a socket or
// changes the host.
package host

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sync says how far the kernel trusts its own civil time.
type Sync uint8

// Kernel clock states.
const (
	// SyncUnknown means that the kernel could not be asked.
	SyncUnknown Sync = iota
	// Unsynchronised means that no time service disciplines the clock (adjtimex: STA_UNSYNC or TIME_ERROR).
	Unsynchronised
	// Synchronised means that a time service disciplines the clock.
	Synchronised
)

// Clock reads the kernel's clocks. The zero value is ready to use.
type Clock struct{}

// Boot returns CLOCK_BOOTTIME: the time since boot with suspend included. Go's monotonic clock stops in suspend, so
// ages and deadlines measured with it would be too short after a resume.
func (Clock) Boot() time.Duration {
	var ts unix.Timespec
	// Go's scheduler is not told of the call: it does not wait, and telling wakes the runtime's monitor thread whenever the
	// process was idle, on the way of a command.
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0) //nolint:gosec // the kernel fills ts
	if errno != 0 {
		// The call cannot fail with a valid clock id on any kernel since 2.6.39. A zero would make every age
		// negative, so the only honest answer is to stop: the interlocks outside this process then act.
		panic(fmt.Sprintf("host: clock_gettime(CLOCK_BOOTTIME): %v", errno))
	}
	return time.Duration(ts.Nano())
}

// Civil returns CLOCK_REALTIME in nanoseconds since the Unix epoch, without any monotonic part.
func (Clock) Civil() int64 {
	return time.Now().UnixNano()
}

// Sync asks the kernel whether a time service disciplines the clock (adjtimex(2), read only).
func (Clock) Sync() Sync {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return SyncUnknown
	}
	const timeError = 5 // TIME_ERROR in <sys/timex.h>
	if state == timeError || tx.Status&unix.STA_UNSYNC != 0 {
		return Unsynchronised
	}
	return Synchronised
}

// BootID returns the kernel's random id of this boot, 16 bytes, from /proc/sys/kernel/random/boot_id.
func BootID() ([16]byte, error) {
	var id [16]byte
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, fmt.Errorf("boot id: %w", err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(raw)), "-", "")
	if n, err := hex.Decode(id[:], []byte(text)[:min(len(text), 32)]); err != nil || n != len(id) || len(text) != 32 {
		return [16]byte{}, fmt.Errorf("boot id: expected 32 hex digits, found %q", text)
	}
	return id, nil
}
