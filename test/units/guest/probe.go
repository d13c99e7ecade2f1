package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// foreignHost is an address that is this computer's and not localhost; it stands for any other computer.
const (
	foreignHost = "10.9.9.9"
	foreignPort = ":7007"
	masterAddr  = "127.0.0.1:11311"
)

func listenForeign() (net.Listener, error) { return net.Listen("tcp", foreignHost+foreignPort) }

// attempt tries to get through one wall of the units; may names the roles that are let through.
type attempt struct {
	name string
	may  string
	try  func() error
}

func touch(path string) error {
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		_ = os.Remove(path)
	}
	return err
}

func list(path string) error {
	_, err := os.ReadDir(path)
	return err
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func call(number uintptr, args ...uintptr) error {
	var a [3]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall(number, a[0], a[1], a[2]); errno != 0 {
		return errno
	}
	return nil
}

// declined takes the kernel's complaint about senseless arguments for a way through: only a wall says no.
func declined(err error) error {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSYS) {
		return err
	}
	return nil
}

const bad = ^uintptr(0)

var probes = []attempt{
	{"write the system", "", func() error { return touch("/usr/bin/probe") }},
	{"write the configuration", "", func() error { return touch("/etc/robowarden/probe") }},
	{"write anywhere", "", func() error { return touch("/var/probe") }},
	{"write the guard's state", "guard", func() error { return touch("/var/lib/robowarden/probe") }},
	{"write the courier's state", "courier", func() error { return touch("/var/lib/robowarden-courier/probe") }},
	{"read the guard's journal", "guard steward courier", func() error { return list("/var/lib/robowarden/journal") }},
	{"read root's files", "", func() error { return list("/root") }},
	{"read passwords", "", func() error { _, err := os.ReadFile("/etc/shadow"); return err }},
	{"read others' credentials", "", func() error { return list("/etc/robowarden/credentials/courier") }},
	{"read the disk", "", func() error { f, err := os.Open("/dev/vda"); _ = f.Close(); return err }},
	{"see other processes", "steward", func() error { _, err := os.Readlink("/proc/1/exe"); return err }},
	{"write kernel settings", "", func() error {
		f, err := os.OpenFile("/proc/sys/kernel/printk", os.O_WRONLY, 0)
		_ = f.Close()
		return err
	}},
	{"write control groups", "", func() error { return os.Mkdir("/sys/fs/cgroup/probe"+fmt.Sprint(os.Getpid()), 0o755) }},
	{"read the kernel's log", "", func() error { f, err := os.Open("/dev/kmsg"); _ = f.Close(); return err }},
	{"talk to another computer", "courier", func() error {
		c, err := net.DialTimeout("tcp", foreignHost+foreignPort, 3*time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	}},
	{"talk to this computer", "guard courier", func() error {
		c, err := net.DialTimeout("tcp", masterAddr, 3*time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	}},
	{"ask the kernel for sockets", "steward", func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG) }},
	{"packet socket", "", func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"real time", "guard", func() error {
		p := struct{ priority int32 }{1}
		return call(unix.SYS_SCHED_SETSCHEDULER, 0, 1, uintptr(unsafe.Pointer(&p)))
	}},
	{"make memory code", "", func() error {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			err = unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC)
		}
		return err
	}},
	{"become another user", "", func() error { return call(unix.SYS_SETRESUID, 0, 0, 0) }},
	{"new namespace", "", func() error { return declined(call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|1)) }},
	{"mount", "", func() error { return declined(call(unix.SYS_MOUNT, bad, bad, bad)) }},
	{"bpf", "", func() error { return declined(call(unix.SYS_BPF, 9999, 0, 0)) }},
	{"load module", "", func() error { return declined(call(unix.SYS_INIT_MODULE, bad, 1<<40, bad)) }},
	{"set clock", "", func() error { return declined(call(unix.SYS_CLOCK_SETTIME, 99, bad)) }},
	{"set host name", "", func() error { return declined(call(unix.SYS_SETHOSTNAME, bad, 1<<40)) }},
	{"reboot", "", func() error { return declined(call(unix.SYS_REBOOT, 1, 2, 3)) }},
	{"setuid file", "", func() error {
		path := os.TempDir() + "/probe-setuid"
		err := os.WriteFile(path, nil, 0o600)
		if err == nil {
			err = unix.Chmod(path, 0o4755)
			_ = os.Remove(path)
		}
		return err
	}},
}

// probe makes every attempt and writes what did not go through, by name.
func probe(out string) error {
	got := map[string]string{}
	for _, p := range probes {
		got[p.name] = ""
		if err := p.try(); err != nil {
			got[p.name] = strings.ReplaceAll(err.Error(), "\n", " ")
			if got[p.name] == "" {
				got[p.name] = "refused"
			}
		}
	}
	raw, err := json.Marshal(got)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err = os.Stdout.Write(raw)
		return err
	}
	return os.WriteFile(out, raw, 0o600)
}

// plant is a master, and a node that has what the guard reads.
func plant() error {
	m, err := rostest.NewMasterAt(masterAddr)
	if err != nil {
		return err
	}
	defer m.Close()
	p := &rostest.Publisher{Name: "/plant", Host: "127.0.0.1", Topic: "/battery_state", Type: "sensor_msgs/BatteryState", MD5: "4ddae7f048e32fda22cac764685e3974"}
	if err := p.Start(m.URI()); err != nil {
		return err
	}
	// Header and empty frame; seven numbers, three states, present; no cells; no place, no serial number.
	body := make([]byte, 16+7*4+3+1+2*4+4+4)
	for {
		p.Send(body)
		time.Sleep(100 * time.Millisecond)
	}
}
