// Package wire is what the test and the first process of the test's machine tell each other; it never does anything.
package wire

import "time"

// Addresses of the two ends of the only network there is, and the guest's port.
var (
	HostIP  = [4]byte{10, 77, 0, 1}
	GuestIP = [4]byte{10, 77, 0, 2}
	Netmask = [4]byte{255, 255, 255, 0}
)

// Host and Guest are the addresses as text, Address is where the guest serves.
const (
	Host    = "10.77.0.1"
	Guest   = "10.77.0.2"
	Address = Guest + ":7700"
)

// Places in the guest.
const (
	// Data is where the disk is mounted that survives a reset; it holds the deployment, the state and the journal.
	Data = "/data"
	// Program is the product.
	Program = "/usr/bin/robowarden"
	// Modules holds the kernel's modules and the file "order".
	Modules = "/lib/modules"
	// DiskDevice and TPMDevice appear when the modules are loaded.
	DiskDevice = "/dev/vda"
	TPMDevice  = "/dev/tpmrm0"
	// CAN is the virtual CAN bus.
	CAN = "vcan0"
	// CANPort and CANFar are the two CAN ports of a machine with devices, on one bus of CANBitrate bits per second. The second
	// carries that bus on to the host: each frame is a datagram, as the kernel's struct can_frame, from and to CANPortUDP.
	CANPort    = "can0"
	CANFar     = "can1"
	CANBitrate = 500_000
	CANPortUDP = 7701
	// Relay is the serial port of a machine with devices, Chip its GPIO chip.
	Relay = "/dev/ttyS0"
	Chip  = "/dev/gpiochip0"
	// Init is the first process, which is also the program that takes memory away when started with HogArg and the most MiB.
	Init   = "/init"
	HogArg = "hog"
	// EventLog is the firmware's log of what it measured.
	EventLog = "/sys/kernel/security/tpm0/binary_bios_measurements"
)

// Marks on the console.
const (
	MarkReady  = "machine: userland"
	MarkFailed = "machine: failed:"
)

// Facts are about the machine.
type Facts struct {
	// Userland is the kernel's clock when the first process began, Now at the answer.
	Userland, Now time.Duration
	// Kernel and Machine are as uname says.
	Kernel, Machine string
	// BootID is the kernel's.
	BootID string
	// MemTotalKiB and MemAvailableKiB are as /proc/meminfo says.
	MemTotalKiB, MemAvailableKiB int64
	// ProgramSHA256 and ProgramBytes are of the product as it lies in the machine.
	ProgramSHA256 string
	ProgramBytes  int64
}

// Clock is a time in nanoseconds: asked for, the boot clock; set, the civil time at the moment when the boot clock was
// zero. A wild clock is set by nobody whom the kernel would believe.
type Clock struct {
	CivilAtBootNS int64
	Wild          bool
}

// BusOff has a CAN port leave the bus, or come back.
type BusOff struct{ Off bool }

// Disk says what becomes of the disk: full but for nothing, and read-only.
type Disk struct{ Full, ReadOnly bool }

// Start starts a program that runs until it is told to end.
type Start struct {
	Name string
	Argv []string
	// Env is added to a small environment.
	Env []string
}

// Running is one process of the product.
type Running struct {
	PID  int
	Argv []string
	// RSSKiB is resident memory, PSSKiB the same with pages that processes share split among them, HWMKiB the peak.
	RSSKiB, PSSKiB, HWMKiB int64
	Threads, Files         int
	// CPU is user and system time so far, by the machine's clock.
	CPU time.Duration
	// Policy is the scheduling policy as the kernel numbers it; 2 is SCHED_RR.
	Policy int
}

// Output is what a started program wrote and whether it runs.
type Output struct {
	Running bool
	Exit    string
	Text    string
}

// Signal is sent to one process.
type Signal struct{ PID, Signal int }

// Attestation is what the machine's TPM says, with the firmware's log that explains it.
type Attestation struct {
	// AK and Device are the TPM's two public keys (TPMT_PUBLIC).
	AK, Device []byte
	// Attest, Signature and PCRs are the quote.
	Attest, Signature []byte
	PCRs              map[int][]byte
	// EventLog is the firmware's.
	EventLog []byte
	// Took is how long the quote took by the machine's clock.
	Took time.Duration
}

// Challenge asks for a quote over these PCRs and this nonce.
type Challenge struct {
	Nonce []byte
	PCRs  []int
}

// Extend extends one PCR of the SHA-256 bank.
type Extend struct {
	PCR    int
	Digest [32]byte
}
