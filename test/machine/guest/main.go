//go:build linux

// Command guest is the first process of the test's ARM64 robot computer: it brings the machine up and does, over a
// network that only the test is in, what the test asks; it never judges anything.
//
// It stands for what a robot's operating system does around the product: mounts, modules, address, time service,
// starting programs. Its interface is HTTP with JSON, on the port that both sides take from package machine's wire.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/machine/wire"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == wire.HogArg {
		hog(os.Args[2])
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: expected to be the first process of a virtual machine")
		os.Exit(2)
	}
	if err := boot(); err != nil {
		fmt.Println(wire.MarkFailed, err)
		// The console is read by the test; the pause lets the serial line run empty.
		time.Sleep(time.Second)
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

// boot does what an init does, then serves for ever.
func boot() error {
	started := uptime()
	for _, m := range []struct{ what, where, kind, options string }{
		{"dev", "/dev", "devtmpfs", ""},
		{"proc", "/proc", "proc", ""},
		{"sys", "/sys", "sysfs", ""},
		{"security", "/sys/kernel/security", "securityfs", ""},
		{"run", "/run", "tmpfs", "mode=0755,size=8m"},
		{"tmp", "/tmp", "tmpfs", "size=8m"},
	} {
		if err := mount(m.what, m.where, m.kind, m.options); err != nil {
			return err
		}
	}
	// The launch step's log lies there, empty after each start.
	if err := os.MkdirAll("/run/robowarden", 0o755); err != nil {
		return err
	}
	if err := modules(); err != nil {
		return err
	}
	if err := waitFor(wire.DiskDevice, wire.TPMDevice, "/sys/class/net/eth0"); err != nil {
		return err
	}
	if err := mount(wire.DiskDevice, wire.Data, "ext4", ""); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	if err := canBus(); err != nil {
		return err
	}
	if err := canPorts(); err != nil {
		return err
	}
	// Nothing that the machine does from here on may need its root to be written.
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("root read-only: %w", err)
	}
	s := newServer(started)
	// The mark is the last thing before serving: what waits for it may ask at once, since the port is bound already.
	listener, err := s.listen()
	if err != nil {
		return err
	}
	fmt.Printf("%s after %.2f s\n", wire.MarkReady, started.Seconds())
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 30 * time.Second}
	return server.Serve(listener)
}

func mount(what, where, kind, options string) error {
	if err := os.MkdirAll(where, 0o755); err != nil {
		return err
	}
	err := unix.Mount(what, where, kind, 0, options)
	// The kernel mounts devtmpfs by itself on some configurations.
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", what, where, err)
	}
	return nil
}

// modules loads what the initial file system brings, in its order.
func modules() error {
	order, err := os.ReadFile(filepath.Join(wire.Modules, "order"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		f, err := os.Open(filepath.Join(wire.Modules, name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return nil
}

// waitFor polls for devices, which appear when their drivers have looked around.
func waitFor(paths ...string) error {
	deadline := time.Now().Add(30 * time.Second)
	for _, p := range paths {
		for {
			_, err := os.Stat(p)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the device did not appear: %w", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// network gives the machine its address. There is no route to anywhere else.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	for _, i := range []struct {
		name          string
		address, mask []byte
	}{
		{"lo", []byte{127, 0, 0, 1}, []byte{255, 0, 0, 0}},
		{"eth0", wire.GuestIP[:], wire.Netmask[:]},
	} {
		for _, step := range []struct {
			request uint
			value   []byte
		}{{unix.SIOCSIFADDR, i.address}, {unix.SIOCSIFNETMASK, i.mask}} {
			r, err := unix.NewIfreq(i.name)
			if err == nil {
				err = r.SetInet4Addr(step.value)
			}
			if err == nil {
				err = unix.IoctlIfreq(fd, step.request, r)
			}
			if err != nil {
				return fmt.Errorf("address of %s: %w", i.name, err)
			}
		}
		r, err := unix.NewIfreq(i.name)
		if err == nil {
			r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
			err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
		}
		if err != nil {
			return fmt.Errorf("set %s up: %w", i.name, err)
		}
	}
	return nil
}

// uptime is the time since the kernel started, suspended time included.
func uptime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // It cannot fail with a clock that every kernel has.
	return time.Duration(ts.Nano())
}
