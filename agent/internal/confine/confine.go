// Package confine locks a role into what it needs, from inside and for good: files, network, other processes, the kernel.
// It never loosens anything, and never pretends: a wall that the kernel does not offer is named in the [Report].
//
// Two mechanisms of the kernel are used. Landlock knows paths and ports, seccomp knows system calls and their plain
// arguments. What neither knows, such as addresses on the network, is the unit's business (configs/systemd).
package confine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Names of walls.
const (
	// WallFiles keeps the process from files that are not its own.
	WallFiles = "files"
	// WallTruncate keeps it from cutting files short that it may not write.
	WallTruncate = "truncate"
	// WallDevices keeps it from commands to devices that are not its own.
	WallDevices = "devices"
	// WallListen keeps it from listening on a TCP port.
	WallListen = "listen"
	// WallPorts keeps it from connecting to TCP ports that are not its own.
	WallPorts = "ports"
	// WallAbstract keeps it from unix sockets without a file of other processes.
	WallAbstract = "abstract-sockets"
	// WallExec keeps it from starting any program, its own included, and from making new code.
	WallExec = "exec"
	// WallSockets keeps it from kinds of sockets that it does not need.
	WallSockets = "sockets"
	// WallProcesses keeps it from signalling, tracing and reading the memory of other processes.
	WallProcesses = "processes"
	// WallKernel keeps it from changing the computer: mounts, clocks, modules, namespaces, users.
	WallKernel = "kernel"
)

// Wall is one restriction and whether it stands.
type Wall struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
	// Why says why it does not stand, or how far it reaches.
	Why string `json:"why,omitempty"`
}

// Report says behind which walls a role works.
type Report struct {
	Role string `json:"role"`
	// LandlockABI is the kernel's version of Landlock, 0 for none.
	LandlockABI int    `json:"landlock_abi"`
	Walls       []Wall `json:"walls"`
}

// Missing names the walls that do not stand.
func (r *Report) Missing() []string {
	var out []string
	for _, w := range r.Walls {
		if !w.Up {
			out = append(out, w.Name)
		}
	}
	return out
}

// Up says whether a wall stands.
func (r *Report) Up(name string) bool {
	for _, w := range r.Walls {
		if w.Name == name {
			return w.Up
		}
	}
	return false
}

// String is one line for people.
func (r *Report) String() string {
	missing := r.Missing()
	if len(missing) == 0 {
		return fmt.Sprintf("%s: all %d walls stand", r.Role, len(r.Walls))
	}
	return fmt.Sprintf("%s: %d of %d walls stand, missing: %s", r.Role, len(r.Walls)-len(missing), len(r.Walls), strings.Join(missing, ", "))
}

// Paths are the files of a role. A folder stands for everything below it. A file stands for itself only: where another
// file takes its place, name the folder. What does not exist yet may be read, but not written, once it does.
type Paths struct {
	// Read may be read.
	Read []string
	// Write may be read, written, made, renamed and removed.
	Write []string
	// Devices may be read, written and commanded (ioctl).
	Devices []string
}

// GuardOptions are what the guard needs after its start.
type GuardOptions struct {
	Paths Paths
	// Datagrams allows UDP, which DDS needs; TCP is always allowed.
	Datagrams bool
	// CAN allows raw sockets of CAN, for a stop frame.
	CAN bool
}

// Guard confines the calling process, which must be the guard after it has bound its ports and before it runs. It can
// listen on no further TCP port and start no program. It can still connect to any TCP port: publishers of ROS choose
// theirs, and Landlock knows ports but no addresses; the unit's address list is that wall.
//
// The error means that a wall that the kernel offers could not be raised.
func Guard(o GuardOptions) (Report, error) {
	r := Report{Role: "guard"}
	err := r.landlock(o.Paths, ll.AccessNetBindTCP, nil)
	sockets := []socketRule{unixSockets, streams(afINET), streams(afINET6)}
	if o.Datagrams {
		sockets = append(sockets, datagrams(afINET), datagrams(afINET6))
	}
	if o.CAN {
		sockets = append(sockets, canFrames)
	}
	return r, errors.Join(err, r.seccomp(program(sockets, false)))
}

// StewardOptions are what the steward needs after its start.
type StewardOptions struct{}

// Steward confines the calling process, which must be the steward. It gets no socket but unix ones and those that ask the
// kernel for sockets and addresses, so that nothing it reads can leave the computer.
//
// It is not put under Landlock: the kernel then hides from it the descriptors and executables of all other processes
// (Landlock's rule for ptrace covers them), which it is there to read. Its unit mounts the file system read-only instead;
// the report says whether that is so.
func Steward(StewardOptions) (Report, error) {
	r := Report{Role: "steward", LandlockABI: landlockABI()}
	r.Walls = append(r.Walls, readOnlySystem("/usr", "/etc"))
	return r, r.seccomp(program([]socketRule{unixSockets, netlink(netlinkRoute, netlinkSockDiag)}, true))
}

// CourierOptions are what the courier needs after its start.
type CourierOptions struct {
	// Paths: journals are to be read only.
	Paths Paths
	// Ports are the TCP ports that it may connect to: the broker's, and 53 for names.
	Ports []uint16
}

// Courier confines the calling process, which must be the courier. It reaches only the broker's port, listens on no port,
// and writes only what is its own.
func Courier(o CourierOptions) (Report, error) {
	r := Report{Role: "courier"}
	if len(o.Ports) == 0 {
		return r, errors.New("confine courier: option Ports: expected the broker's port, found none")
	}
	err := r.landlock(o.Paths, ll.AccessNetBindTCP|ll.AccessNetConnectTCP, o.Ports)
	sockets := []socketRule{unixSockets, streams(afINET), streams(afINET6), datagrams(afINET), datagrams(afINET6)}
	return r, errors.Join(err, r.seccomp(program(sockets, true)))
}

// Landlock's versions that brought what the walls need.
const (
	abiFiles    = 1
	abiTruncate = 3
	abiNet      = 4
	abiDevices  = 5
	abiScopes   = 6
)

// Rights of the three kinds of paths. Nobody gets the right to execute.
const (
	readRights  landlock.AccessFSSet = ll.AccessFSReadFile | ll.AccessFSReadDir
	writeRights landlock.AccessFSSet = readRights | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir |
		ll.AccessFSMakeSock | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir | ll.AccessFSRefer
	deviceRights landlock.AccessFSSet = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSIoctlDev
	// fileOnly are the rights that a single file can have.
	fileOnly landlock.AccessFSSet = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev
)

// landlock raises the walls of files, ports and scopes as far as this kernel knows them.
func (r *Report) landlock(p Paths, net landlock.AccessNetSet, ports []uint16) error {
	r.LandlockABI = landlockABI()
	// Version 6 is the newest that was tested against; later ones add kinds that would be denied unseen.
	c := landlock.V6.BestEffort()
	c.HandledAccessNet = net
	// Signals are seccomp's: under Landlock a thread could not interrupt its neighbours on some kernels.
	c.Scoped = ll.ScopeAbstractUnixSocket
	rules, err := rules(p)
	for _, port := range ports {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	if err == nil {
		err = c.Restrict(rules...)
	}
	walls := []struct {
		name string
		abi  int
	}{{WallFiles, abiFiles}, {WallTruncate, abiTruncate}, {WallListen, abiNet}, {WallDevices, abiDevices}, {WallAbstract, abiScopes}}
	if net&ll.AccessNetConnectTCP != 0 {
		walls = append(walls, struct {
			name string
			abi  int
		}{WallPorts, abiNet})
	}
	for _, w := range walls {
		r.Walls = append(r.Walls, wall(w.name, r.LandlockABI, w.abi, err))
	}
	if err != nil {
		return fmt.Errorf("confine %s: landlock: %w", r.Role, err)
	}
	return nil
}

func wall(name string, have, need int, err error) Wall {
	switch {
	case have == 0:
		return Wall{Name: name, Why: "this kernel has no Landlock, or it is not switched on at boot (lsm=landlock,…)"}
	case have < need:
		return Wall{Name: name, Why: fmt.Sprintf("this kernel's Landlock is version %d, expected at least %d", have, need)}
	case err != nil:
		return Wall{Name: name, Why: err.Error()}
	}
	return Wall{Name: name, Up: true}
}
