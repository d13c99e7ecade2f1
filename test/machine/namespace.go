package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// insideEnv marks the process that is in the network of its own; its value is what the parent hands on.
const insideEnv = "ROBOWARDEN_MACHINE_INSIDE"

// Inside says whether this process is in a network of its own; note is what its parent gave to Enter.
func Inside() (note string, inside bool) { return os.LookupEnv(insideEnv) }

// niceness is that of all that runs in the network of its own.
const niceness = -5

// Enter runs this very program again, with the same arguments, in a network that nothing else is in: the loopback and,
// later, the machine's cable. The note is handed on. It returns the other process's exit code.
func Enter(note string) (exitCode int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("machine: %w", err)
	}
	// A robot and its computer have their processors for themselves, so robot, planner and machine go before whatever else
	// this host does. Without the right to say so they run all the same.
	cmd := exec.Command("nice", append([]string{"-n", strconv.Itoa(niceness), self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), insideEnv+"="+note)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setsid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		// In a user namespace of its own, everybody may make a network.
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	// The child dies with the thread that started it, so this one has to stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: no network of its own: %w", ErrMissing, err)
	}
	return 0, nil
}

// cable is the host's end of the machine's network cable.
const cable = "robot0"

// Wire sets the loopback up and lays the cable. It works in a network of its own only.
func Wire() error {
	if _, inside := Inside(); !inside {
		return errors.New("machine: not in a network of its own: nothing is changed in the system's")
	}
	// Where the kernel groups processes by session, niceness counts only within a group, and the group has its own. Some
	// kernels have no such groups, and some users no right to go first: both only make the tests slower.
	_ = os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(niceness)), 0o644)
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"tuntap", "add", "dev", cable, "mode", "tap"},
		{"addr", "add", wire.Host + "/24", "dev", cable},
		{"link", "set", cable, "up"},
	} {
		if err := command(nil, "/", "ip", args...); err != nil {
			return fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
	return nil
}
