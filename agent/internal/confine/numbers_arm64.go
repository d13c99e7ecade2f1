package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// lowHalf is where the lower half of an argument lies.
	lowHalf = 0
	// foreignNumbers: there are none with this architecture's mark.
	foreignNumbers = 0
)

// deniedHere are calls of this architecture only: none.
var deniedHere = []uintptr{unix.SYS_KEXEC_FILE_LOAD}

// deniedModesHere are such calls of [deniedModes].
var deniedModesHere []uintptr
