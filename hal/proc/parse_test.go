package proc

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestBothSourcesOfSocketsAgree(t *testing.T) {
	for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", network)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for _, conn := range []net.Conn{c, in} {
			p := pairOf(conn)
			k := kernelSockets{root: "/proc"}
			a, ok, err := k.Lookup(p.Local, p.Remote)
			if !ok || err != nil || k.tables {
				t.Fatalf("%+v: %v, %v, tables %v", a, ok, err, k.tables)
			}
			b, ok, err := fromTables("/proc", p.Local, p.Remote)
			if a.Cookie = 0; a != b || !ok || err != nil {
				t.Errorf("%+v by sock_diag, %+v in the table (%v, %v)", a, b, ok, err)
			}
			// A finder that has only the tables finds the same.
			f := newFinder(t, func(o *Options) { o.Sockets = &kernelSockets{root: "/proc", asked: true, tables: true} })
			if got := find(t, f, p); !got.Found() || got.PID != os.Getpid() {
				t.Errorf("%+v", got)
			}
		}
		if _, ok, err := fromTables("/proc", pairOf(c).Local, pairOf(c).Local); ok || err != nil {
			t.Errorf("a connection that is none: %v, %v", ok, err)
		}
		_, _, _ = c.Close(), in.Close(), l.Close()
	}
}

func TestKernelThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := fromTables(dir, netip.AddrPort{}, netip.AddrPort{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "net/tcp6"), []byte("heading\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fromTables(dir, netip.AddrPort{}, netip.AddrPort{}); err == nil {
		t.Error("nonsense was taken")
	}
	a := netip.MustParseAddrPort("127.0.0.1:9")
	f := newFinder(t, func(o *Options) {
		o.Sockets = &kernelSockets{root: filepath.Join(dir, "none"), asked: true, tables: true}
	})
	if got := find(t, f, Pair{Local: a, Remote: a}); got.Why != ReasonKernel {
		t.Errorf("%+v", got)
	}
	f = newFinder(t, func(o *Options) { o.Addresses = func() ([]netip.Addr, error) { return nil, unix.EIO } })
	if got := find(t, f, Pair{Local: a, Remote: netip.MustParseAddrPort("192.0.2.1:9")}); got.Why != ReasonKernel {
		t.Errorf("%+v", got)
	}
}

func TestParseCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/plant.service\n":                             "/system.slice/plant.service",
		"1:name=systemd:/system.slice/a.service\n0::/\n":               "/system.slice/a.service",
		"4:memory:/x\n1:name=systemd:/system.slice/a.service\n0::/b\n": "/b",
		"0::/\n":                        "/",
		"0::/../../elsewhere.service\n": "",
		"0::/..\n":                      "",
		"0::/a.service (deleted)\n":     "",
		"0::relative\n":                 "",
		"0::/a\x01b\n":                  "",
		"4:memory:/x\n":                 "",
		"0::/cut":                       "",
		"nonsense\n":                    "",
		"0::/" + strings.Repeat("a", 2000) + "\n": "",
		"": "",
	} {
		got, err := parseCgroup([]byte(text))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, expected %q", text, got, err, want)
		}
	}
}

func TestUnit(t *testing.T) {
	for cgroup, want := range map[string]string{
		"/system.slice/plant.service":                         "plant.service",
		"/system.slice/system-getty.slice/getty@tty1.service": "getty@tty1.service",
		"/robowarden.slice/robowarden-guard.service":          "robowarden-guard.service",
		"/system.slice/docker-0123.scope":                     "docker-0123.scope",
		"/system.slice/_cpu.service":                          "cpu.service",
		"/init.scope":                                         "init.scope",
		"/":                                                   "",
		"/machine":                                            "",
		"/process/x.service":                                  "",
		"/system.slice/robot/plant.service":                   "",
		// A user may call its own groups as it likes: what counts is what the system's manager named.
		"/user.slice/user-1000.slice/user@1000.service/app.slice/plant.service": "user@1000.service",
		"/system.slice/evil.service/system.slice/plant.service":                 "evil.service",
	} {
		if got := unit(cgroup); got != want {
			t.Errorf("%s: %q, expected %q", cgroup, got, want)
		}
	}
}

func TestInterpreter(t *testing.T) {
	for exe, want := range map[string]bool{
		"/usr/bin/python3.11": true, "/usr/bin/python3": true, "/usr/bin/node": true, "/usr/bin/bash": true, "/lib64/ld-linux-x86-64.so.2": true,
		"/usr/bin/qemu-aarch64-static": true, "/opt/plant": false, "/usr/bin/pythonic": false, "/usr/bin/nodelet": false, "/usr/bin/short": false, "": false,
	} {
		if interpreter(exe) != want {
			t.Errorf("%s: %v", exe, !want)
		}
	}
}

func TestFileSystem(t *testing.T) {
	const table = "22 28 0:21 / /sys rw - sysfs sysfs rw\n36 35 98:0 /a\\040b /mnt\\012x rw,noatime master:1 - ext3 /dev/root rw\n40 1 0:5 / /m rw\n"
	for mount, want := range map[uint64]string{22: "sysfs", 36: "ext3", 40: "", 7: ""} {
		if got, ok := fileSystem([]byte(table), mount); got != want || ok != (want != "") {
			t.Errorf("mount %d: %q, %v", mount, got, ok)
		}
	}
}

func TestStatusIsReadOnceOnly(t *testing.T) {
	const good = "Name:\tx\nUid:\t1\t1\t1\t1\nTracerPid:\t0\n"
	if id, err := parseStatus([]byte(good)); err != nil || id.uid != [4]int{1, 1, 1, 1} {
		t.Error(id, err)
	}
	for name, text := range map[string]string{
		"no uid": "TracerPid:\t0\n", "no tracer": "Uid:\t1\t1\t1\t1\n", "two uids": good + "Uid:\t0\t0\t0\t0\n", "two tracers": good + "TracerPid:\t0\n",
		"three ids": "Uid:\t1\t1\t1\nTracerPid:\t0\n", "negative": "Uid:\t-1\t1\t1\t1\nTracerPid:\t0\n", "too large": "Uid:\t1\t1\t1\t4294967296\nTracerPid:\t0\n",
		"words": "Uid:\ta\tb\tc\td\nTracerPid:\t0\n", "tracer of words": "Uid:\t1\t1\t1\t1\nTracerPid:\tx\n",
	} {
		if id, err := parseStatus([]byte(text)); err == nil {
			t.Errorf("%s: taken as %+v", name, id)
		}
	}
}

func TestPrintableIsPrintableAndShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "s"))
		got := printable(s)
		if len(got) > maxText+len("…") || strings.ContainsAny(got, "\n\x00\x1b") {
			t.Errorf("%q", got)
		}
		if printable(got) != got && len(got) <= maxText {
			t.Errorf("not stable: %q", got)
		}
	})
}

// FuzzParsers feeds every reader of the kernel's texts and messages: none panics, and none finds something in garbage that
// a second reading does not.
func FuzzParsers(f *testing.F) {
	f.Add([]byte("0::/system.slice/plant.service\n"))
	f.Add([]byte("Name:\tx\nUid:\t1\t1\t1\t1\nTracerPid:\t0\n"))
	f.Add([]byte("1 (a b) c) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0"))
	f.Add([]byte("   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0"))
	f.Add([]byte("36 35 98:0 / / rw - ext4 /dev/root rw\n"))
	f.Add(question(netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2"), 1, 1))
	f.Add(append([]byte{unix.AF_INET, 1, 0, 0}, make([]byte, diagMessage)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if group, err := parseCgroup(b); err == nil && (group == "" || group[0] != '/' || len(unit(group)) > len(group)) {
			t.Errorf("cgroup %q", group)
		}
		_, _ = parseStatus(b)
		_, _ = parseStart(b)
		_, _ = parseLine(string(b))
		_, _ = fileSystem(b, 36)
		if _, _, content, err := message(b); err == nil {
			_, _ = parseSocket(content)
		}
		_ = onlyIPv6(b)
		if s, err := parseSocket(b); err == nil && (!s.Local.IsValid() || !s.Remote.IsValid()) {
			t.Errorf("%+v", s)
		}
	})
}
