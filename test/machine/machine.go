// Package machine runs an ARM64 robot computer for a test: QEMU's "virt" with UEFI firmware, Debian's kernel, a
// software TPM and a disk that survives a reset, on a cable that only the test is at the other end of; it never runs
// anything of the product on the host.
//
// Everything is emulated, so nothing here measures how fast a robot is. The machine's own clocks are right.
package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// firmware is EDK2 for QEMU's virt machine, from qemu-efi-aarch64.
const firmware = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"

// bootLimit is generous: the processor is emulated and the host may be busy.
const bootLimit = 90 * time.Second

// Config describes a machine.
type Config struct {
	Parts Parts
	// Disk is a folder whose content the machine finds on its disk.
	Disk string
	// MemoryMiB is the machine's memory; default 320.
	MemoryMiB int
	// Devices adds what stops a robot past ROS: a watchdog card, two CAN ports on one bus, and a serial port whose other end is
	// Machine.Relay. GPIO lines and a virtual CAN bus are always there.
	Devices bool
	// Quick starts the kernel without firmware: sooner, but nothing is measured into the TPM.
	Quick bool
}

// Machine is a running robot computer.
type Machine struct {
	// Lines are the other ends of its GPIO lines.
	Lines *Lines
	// Relay is the other end of its serial port, of a machine with devices.
	Relay net.Conn

	qemu    *proc.Process
	tpm     *proc.Process
	monitor *monitor
	client  *client
	argv    []string
	dir     string
	boots   int
	// bootTook is how long the last start took by the host's clock.
	bootTook time.Duration
}

// onlyOne is held by the machine that is on.
var onlyOne sync.Mutex

// Boot starts a machine for the length of the test and waits until its userland serves. The error says which step
// failed, with the end of the console.
func Boot(t testing.TB, c Config) (*Machine, error) {
	t.Helper()
	dir := t.TempDir()
	initial, disk := filepath.Join(dir, "initial.cpio"), filepath.Join(dir, "disk.img")
	if err := writeInitialFile(initial, c.Parts); err != nil {
		return nil, err
	}
	if err := writeDisk(disk, c.Disk); err != nil {
		return nil, err
	}
	// There is one cable: another test's machine has to be off.
	onlyOne.Lock()
	t.Cleanup(onlyOne.Unlock)
	m := &Machine{client: newClient(), Lines: &Lines{held: map[int]bool{}}}
	tpmSocket, err := m.startTPM(t, dir)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	m.dir, m.argv = dir, c.argv(initial, disk, tpmSocket, dir)
	t.Cleanup(func() {
		m.off()
		if t.Failed() {
			t.Logf("the machine's console:\n%s", m.Console())
			keepEvidence(t, m.Console())
		}
	})
	if err := m.on(c); err != nil {
		return nil, err
	}
	return m, m.awaitBoot(t.Context(), begun)
}

// on gives the machine power and takes hold of the other ends of its wires.
func (m *Machine) on(c Config) (err error) {
	if m.qemu, err = proc.Start(proc.Spec{Name: "machine", Argv: m.argv}); err != nil {
		return err
	}
	if m.monitor, err = dialMonitor(filepath.Join(m.dir, socketQMP), 20*time.Second); err != nil {
		return fmt.Errorf("%w; QEMU wrote: %s", err, m.Console())
	}
	if err := m.Lines.connect(filepath.Join(m.dir, socketLines), m.monitor); err != nil {
		return err
	}
	if c.Devices {
		m.Relay, err = net.Dial("unix", filepath.Join(m.dir, socketRelay))
	}
	return err
}

// off takes its power away.
func (m *Machine) off() {
	if m.qemu != nil {
		m.qemu.Kill()
	}
	if m.monitor != nil {
		m.monitor.close()
	}
	m.Lines.close()
	if m.Relay != nil {
		_ = m.Relay.Close()
	}
}

// Names of the sockets of a machine's wires, in its folder.
const socketQMP, socketLines, socketRelay = "qmp", "lines", "relay"

// argv is QEMU's command line.
func (c Config) argv(initial, disk, tpm, dir string) []string {
	memory := c.MemoryMiB
	if memory == 0 {
		memory = 320
	}
	argv := []string{
		find("qemu-system-aarch64"), "-machine", "virt,gic-version=3,acpi=off", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi",
		"-smp", "2", "-m", strconv.Itoa(memory), "-nodefaults", "-display", "none", "-monitor", "none",
		"-kernel", c.Parts.Kernel, "-initrd", initial,
		// A kernel that panics starts again, as a robot's would; the console tells.
		"-append", "console=ttyAMA0 loglevel=4 panic=1 cma=0",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-qmp", "unix:" + filepath.Join(dir, socketQMP) + ",server=on,wait=off",
		// The way to the levels of GPIO lines; what it does is not logged.
		"-qtest", "unix:" + filepath.Join(dir, socketLines) + ",server=on,wait=off", "-qtest-log", "/dev/null",
		"-chardev", "socket,id=tpm,path=" + tpm, "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis-device,tpmdev=tpm0",
		"-drive", "if=none,id=disk,format=raw,file=" + disk, "-device", "virtio-blk-pci,drive=disk",
		"-netdev", "tap,id=cable,ifname=" + cable + ",script=no,downscript=no", "-device", "virtio-net-pci,netdev=cable,romfile=",
		"-device", "virtio-rng-pci",
	}
	if c.Devices {
		argv = append(argv, "-device", "i6300esb", "-action", "watchdog=reset",
			"-object", "can-bus,id=bus", "-device", "kvaser_pci,canbus=bus", "-device", "kvaser_pci,canbus=bus",
			"-chardev", "socket,id=relay,server=on,wait=off,path="+filepath.Join(dir, socketRelay), "-device", "pci-serial,chardev=relay")
	}
	if !c.Quick {
		argv = append(argv, "-bios", firmware)
	}
	return argv
}

// startTPM starts a software TPM with a state of its own and waits for its socket.
func (m *Machine) startTPM(t testing.TB, dir string) (socket string, err error) {
	state := filepath.Join(dir, "tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return "", fmt.Errorf("machine: TPM: %w", err)
	}
	// Only the bank that is quoted: the emulated processor would hash the kernel four times over.
	if err := command(nil, dir, "swtpm_setup", "--tpm2", "--tpmstate", "dir://"+state, "--pcr-banks", "sha256"); err != nil {
		return "", fmt.Errorf("machine: TPM: %w", err)
	}
	socket = filepath.Join(dir, "tpm.sock")
	m.tpm, err = proc.Start(proc.Spec{Name: "swtpm", Argv: []string{
		find("swtpm"), "socket", "--tpm2", "--tpmstate", "dir=" + state, "--ctrl", "type=unixio,path=" + socket,
	}})
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { m.tpm.Kill() })
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(socket); err == nil {
			return socket, nil
		}
		if !m.tpm.Running() || time.Now().After(deadline) {
			return "", fmt.Errorf("machine: the software TPM did not start; it wrote: %s", m.tpm.Output())
		}
		time.Sleep(5 * time.Millisecond) // The pause of a poll.
	}
}

// awaitBoot waits until the userland of one more start serves, then sets the machine's clock as a time service would.
func (m *Machine) awaitBoot(ctx context.Context, begun time.Time) error {
	m.boots++
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	pattern := fmt.Sprintf(`(?s)(?:%s.*){%d}|%s [^\n]*\n|Kernel panic[^\n]*\n`, wire.MarkReady, m.boots, wire.MarkFailed)
	found, err := m.qemu.WaitOutput(ctx, pattern)
	if err != nil {
		return fmt.Errorf("machine: start %d: the userland did not come up: %w", m.boots, err)
	}
	if !strings.HasPrefix(found[0], wire.MarkReady) {
		return fmt.Errorf("machine: start %d: %s", m.boots, strings.TrimSpace(found[0]))
	}
	m.bootTook = time.Since(begun)
	if err := m.Lines.hold(); err != nil {
		return err
	}
	for {
		if err = m.client.setClock(ctx); err == nil {
			return nil
		}
		// A cable that was just plugged in takes its time.
		select {
		case <-ctx.Done():
			return fmt.Errorf("machine: start %d: the userland does not serve: %w", m.boots, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Reset resets the machine as its reset button would: nothing is told, nothing is written. It returns at once; Booted
// waits for the next start.
func (m *Machine) Reset() (time.Time, error) {
	begun := time.Now()
	return begun, m.monitor.do("system_reset")
}

// Cut takes the machine's power and gives it again: what its disk has not been told is lost. It returns at once; Booted waits
// for the start.
func (m *Machine) Cut(c Config) (time.Time, error) {
	m.off()
	begun := time.Now()
	m.boots = 0
	return begun, m.on(c)
}

// Resets counts how often the machine was reset since it was switched on, by whatever.
func (m *Machine) Resets() (int, error) {
	err := m.monitor.do("query-status")
	return m.monitor.events["RESET"], err
}

// Booted waits for the start after a reset or a cut.
func (m *Machine) Booted(ctx context.Context, begun time.Time) error { return m.awaitBoot(ctx, begun) }

// BootTook is how long the last start took by the host's clock, firmware included.
func (m *Machine) BootTook() time.Duration { return m.bootTook }

// Console is what the machine has written, of long output only the start and the end.
func (m *Machine) Console() string { return m.qemu.Output() }

// Running says whether the machine has power.
func (m *Machine) Running() bool { return m.qemu.Running() }

// CPU is the host's processor time that the machine has used.
func (m *Machine) CPU() time.Duration {
	u, err := m.qemu.Usage()
	if err != nil {
		return 0 // It has ended.
	}
	return u.CPU
}

// keepEvidence stores the console of a failed test where CI picks it up.
func keepEvidence(t testing.TB, console string) {
	dir := filepath.Join("..", "out")
	name := filepath.Join(dir, "console-"+strings.ReplaceAll(t.Name(), "/", "-")+".log")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(name, []byte(console), 0o644)); err != nil {
		t.Logf("the console could not be kept: %v", err)
	}
}
