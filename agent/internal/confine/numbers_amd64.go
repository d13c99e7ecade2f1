package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// lowHalf is where the lower half of an argument lies.
	lowHalf = 0
	// foreignNumbers are the x32 calls, which carry this architecture's mark.
	foreignNumbers = 0x40000000
)

// deniedHere are calls of this architecture that newer ones have dropped.
var deniedHere = []uintptr{
	unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_MKNOD, unix.SYS_USELIB,
	unix.SYS_SYSFS, unix.SYS__SYSCTL, unix.SYS_CREATE_MODULE,
}

// deniedModesHere are such calls of [deniedModes].
var deniedModesHere = []uintptr{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN}
