package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperMark makes the test's own program the confined process: role, stage and attempt are in its environment.
const helperMark = "CONFINE_TEST"

// order is what a confined process is told to do.
type order struct {
	Role     string
	Attempts []string
	Stage    stage
}

// answer is what it says about one attempt.
type answer struct {
	Attempt string
	Report  Report
	Text    string
	Refused bool
}

func TestMain(m *testing.M) {
	if text := os.Getenv(helperMark); text != "" {
		confined(text)
		return
	}
	os.Exit(m.Run())
}

func confined(text string) {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	r, err := raise(&o)
	if err != nil {
		panic(err)
	}
	// The test makes a file once the walls stand.
	_ = os.WriteFile(o.Stage.Own+"/raised", nil, 0o600)
	for range 1000 {
		if _, err := os.Stat(o.Stage.Later + "/later"); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	out := json.NewEncoder(os.Stdout)
	for _, name := range o.Attempts {
		at := slices.IndexFunc(attempts, func(a attempt) bool { return a.name == name })
		a := answer{Attempt: name, Report: r}
		if err := attempts[at].try(&o.Stage); err != nil {
			// Landlock answers EXDEV where a file would come under other rules.
			a.Refused = errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EXDEV)
			a.Text = err.Error()
		}
		_ = out.Encode(a)
	}
}

// raise puts up the role's walls; the role "none" is the off case.
func raise(o *order) (r Report, err error) {
	s := &o.Stage
	switch o.Role {
	case "guard":
		r, err = Guard(GuardOptions{Paths: Paths{Read: []string{s.Config, s.Later + "/later", "/missing", "/missing/too"}, Write: []string{s.Own, s.Journal}}})
	case "steward":
		r, err = Steward(StewardOptions{})
	case "courier":
		r, err = Courier(CourierOptions{
			Paths: Paths{Read: []string{s.Config, s.Journal, s.Later + "/later", "/etc/hosts"}, Write: []string{s.Own}, Devices: []string{"/dev/null"}},
			Ports: []uint16{uint16(s.Port), 53},
		})
	}
	return r, err
}

// final are attempts after which the process is another one, or none: each is made in a process of its own.
var final = []string{"exec", "exec itself", "call of another architecture"}

// try makes all attempts of one role.
func try(t *testing.T, role string) map[string]answer {
	t.Helper()
	var together []string
	for i := range attempts {
		if !slices.Contains(final, attempts[i].name) {
			together = append(together, attempts[i].name)
		}
	}
	s := newStage(t)
	out := run(t, role, s, together)
	for _, name := range final {
		maps.Copy(out, run(t, role, s, []string{name}))
	}
	return out
}

// run makes attempts in one confined process.
func run(t *testing.T, role string, s *stage, names []string) map[string]answer {
	t.Helper()
	raw, err := json.Marshal(order{role, names, *s})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{helperMark + "=" + string(raw), "GOTRACEBACK=single"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	_ = os.Remove(s.Own + "/raised")
	_ = os.Remove(s.Later + "/later")
	done := make(chan struct{})
	var later sync.WaitGroup
	later.Go(func() {
		for {
			if _, err := os.Stat(s.Own + "/raised"); err == nil {
				_ = os.WriteFile(s.Later+"/later", nil, 0o600)
				return
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	text, err := cmd.Output()
	close(done)
	later.Wait()
	out := map[string]answer{}
	for line := range bytes.Lines(text) {
		var a answer
		if json.Unmarshal(line, &a) == nil && a.Attempt != "" {
			out[a.Attempt] = a
		}
	}
	var end *exec.ExitError
	if errors.As(err, &end) && end.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSYS {
		out[names[0]] = answer{Refused: true, Text: "killed for it"}
		return out
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", role, err, stderr.String())
	}
	for _, name := range names {
		if _, ok := out[name]; !ok {
			out[name] = answer{Text: "became another program"}
		}
	}
	return out
}

func newStage(t *testing.T) *stage {
	t.Helper()
	root, err := os.MkdirTemp("", "cf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	s := &stage{Parent: os.Getpid()}
	for dir, file := range map[*string]string{&s.Own: "mine", &s.Journal: "j", &s.Foreign: "f", &s.Config: "c", &s.Later: "first"} {
		*dir = filepath.Join(root, file+"dir")
		if err := errors.Join(os.Mkdir(*dir, 0o755), os.WriteFile(filepath.Join(*dir, file), []byte("content"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.WriteFile(filepath.Join(s.Journal, "spare"), nil, 0o600)
	s.Socket = filepath.Join(s.Own, "s")
	s.Abstract = fmt.Sprintf("@confine-test-%d-%s", os.Getpid(), filepath.Base(root))
	s.PeerSocket = filepath.Join(s.Foreign, "p")
	serve := func(network, address string) net.Addr {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr()
	}
	s.Port = serve("tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	s.OtherPort = serve("tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	serve("unix", s.Abstract)
	serve("unix", s.PeerSocket)
	return s
}

// may lists what each role goes on doing. Everything else must be refused, and must succeed without the walls.
var may = map[string][]string{
	"guard": {
		"read own config", "read a file that came later", "write own file", "read journal", "write journal", "remove from journal", "truncate journal", "change mode",
		"listen on own socket", "dial broker port", "dial other port", "dial unix socket", "TCP socket", "signal itself", "threads, files and clocks",
	},
	"steward": {
		// Files are the unit's business, see [Steward].
		"read own config", "read a file that came later", "write a file that came later", "write own config", "write own file", "read journal", "write journal", "remove from journal", "truncate journal",
		"read foreign file", "write foreign file", "truncate foreign file", "make foreign file", "link foreign file here",
		"read another process's descriptors", "listen on own socket", "dial abstract socket", "dial unix socket", "sock_diag socket",
		"signal itself", "threads, files and clocks",
	},
	"courier": {
		"read own config", "read a file that came later", "write own file", "read journal", "listen on own socket", "dial broker port", "dial unix socket",
		"UDP socket", "TCP socket", "signal itself", "threads, files and clocks",
	},
}

// landlocked names the wall that an attempt runs into, where a kernel may not have it.
var landlocked = map[string]string{
	"write own config": WallFiles, "write a file that came later": WallFiles, "write journal": WallFiles, "remove from journal": WallFiles, "read foreign file": WallFiles,
	"write foreign file": WallFiles, "make foreign file": WallFiles, "link foreign file here": WallFiles, "truncate journal": WallTruncate,
	"truncate foreign file": WallTruncate, "read another process's descriptors": WallFiles, "listen on TCP": WallListen,
	"dial other port": WallPorts, "dial abstract socket": WallAbstract,
}

func TestEveryWallIsTried(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: without the walls, the kernel must let every attempt through")
	}
	off := try(t, "none")
	results := map[string]map[string]answer{}
	for role := range may {
		results[role] = try(t, role)
	}
	for i := range attempts {
		name := attempts[i].name
		t.Run(name, func(t *testing.T) {
			// These two are refused by some kernels for everybody.
			if a := off[name]; a.Refused && name != "call of another architecture" && name != "type into a terminal" {
				t.Errorf("without walls: refused all the same: %s", a.Text)
			}
			for role, all := range results {
				got, standing := all[name], all["signal itself"].Report
				wall := landlocked[name]
				if wall == "" || role == "steward" {
					wall = WallSockets
				}
				switch {
				case slices.Contains(may[role], name):
					if got.Text != "" {
						t.Errorf("%s: refused: %s", role, got.Text)
					}
				case !standing.Up(wall):
					t.Logf("%s: not tried, the kernel has no such wall: %s", role, standing.String())
				case !got.Refused:
					t.Errorf("%s: went through (%s)", role, got.Text)
				}
			}
		})
	}
}

func TestReportNamesWhatIsMissing(t *testing.T) {
	for role := range may {
		r := run(t, role, newStage(t), []string{"signal itself"})["signal itself"].Report
		t.Log(r.String())
		if r.Role != role || len(r.Walls) < 5 {
			t.Errorf("%+v", r)
		}
		for _, w := range r.Walls {
			if !w.Up && w.Why == "" {
				t.Errorf("%s: wall %s is missing without a reason", role, w.Name)
			}
		}
	}
	for _, c := range []struct {
		have, need int
		err        error
		up         bool
	}{{0, 1, nil, false}, {3, 4, nil, false}, {4, 4, nil, true}, {7, 4, nil, true}, {7, 4, errors.New("x"), false}} {
		if w := wall("w", c.have, c.need, c.err); w.Up != c.up || !w.Up && w.Why == "" {
			t.Errorf("%+v: %+v", c, w)
		}
	}
	r := Report{Role: "r", Walls: []Wall{{Name: "a", Up: true}, {Name: "b"}}}
	if got := r.String(); got != "r: 1 of 2 walls stand, missing: b" || r.Up("b") || !r.Up("a") || r.Up("c") {
		t.Error(got)
	}
}

func TestCourierNeedsAPort(t *testing.T) {
	if _, err := Courier(CourierOptions{}); err == nil {
		t.Error("confined without a port to reach")
	}
}

// TestProgramsAreValid interprets the filters: no jump leaves the program, and every path answers.
func TestProgramsAreValid(t *testing.T) {
	sockets := []socketRule{unixSockets, streams(afINET), streams(afINET6), datagrams(afINET), datagrams(afINET6), netlink(netlinkRoute, netlinkSockDiag)}
	for _, modes := range []bool{false, true} {
		code := program(sockets, modes)
		if len(code) > 4096 {
			t.Fatalf("%d instructions, the kernel takes 4096", len(code))
		}
		for number := range uint32(600) {
			for arg := range uint32(64) {
				if _, err := interpret(code, auditArch, number, [3]uint32{arg, arg, arg}); err != nil {
					t.Fatalf("call %d(%d, …): %v", number, arg, err)
				}
			}
		}
		if got, _ := interpret(code, auditArch^1, 0, [3]uint32{}); got != kill {
			t.Errorf("another architecture: %#x", got)
		}
		for _, c := range []struct {
			args [3]uint32
			want uint32
		}{
			{[3]uint32{afINET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 6}, allow},
			{[3]uint32{afINET, unix.SOCK_STREAM, 262}, refuse},
			{[3]uint32{afINET, unix.SOCK_DGRAM, 17}, allow},
			{[3]uint32{afINET, unix.SOCK_DGRAM, 6}, refuse},
			{[3]uint32{afUNIX, unix.SOCK_SEQPACKET, 0}, allow},
			{[3]uint32{afNETLINK, unix.SOCK_RAW, netlinkSockDiag}, allow},
			{[3]uint32{afNETLINK, unix.SOCK_RAW, 9}, refuse},
			{[3]uint32{unix.AF_PACKET, unix.SOCK_RAW, 0}, refuse},
			{[3]uint32{afCAN, unix.SOCK_RAW, unix.CAN_RAW}, refuse},
		} {
			if got, err := interpret(code, auditArch, unix.SYS_SOCKET, c.args); err != nil || got != c.want {
				t.Errorf("socket%v: %#x, %v, expected %#x", c.args, got, err, c.want)
			}
		}
		if got, _ := interpret(code, auditArch, unix.SYS_READ, [3]uint32{}); got != allow {
			t.Errorf("read: %#x", got)
		}
	}
}

// TestCANIsForWhoHasAStopFrame: one protocol of one family, and nothing else of it.
func TestCANIsForWhoHasAStopFrame(t *testing.T) {
	for name, c := range map[string]struct {
		rules []socketRule
		args  [3]uint32
		want  uint32
	}{
		"a frame":                   {[]socketRule{unixSockets, canFrames}, [3]uint32{afCAN, unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, unix.CAN_RAW}, allow},
		"a broadcast manager":       {[]socketRule{unixSockets, canFrames}, [3]uint32{afCAN, unix.SOCK_DGRAM, unix.CAN_BCM}, refuse},
		"a guard without one (off)": {[]socketRule{unixSockets}, [3]uint32{afCAN, unix.SOCK_RAW, unix.CAN_RAW}, refuse},
	} {
		if got, err := interpret(program(c.rules, false), auditArch, unix.SYS_SOCKET, c.args); err != nil || got != c.want {
			t.Errorf("%s: %#x, %v, expected %#x", name, got, err, c.want)
		}
	}
}

// interpret runs a filter as the kernel does.
func interpret(code []unix.SockFilter, arch, number uint32, args [3]uint32) (uint32, error) {
	var acc uint32
	for pc := 0; pc < len(code); pc++ {
		i := code[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		}
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			switch {
			case i.K == offsetNumber:
				acc = number
			case i.K == offsetArch:
				acc = arch
			case i.K >= offsetArgs && (i.K-offsetArgs-lowHalf)%8 == 0 && (i.K-offsetArgs)/8 < 3:
				acc = args[(i.K-offsetArgs)/8]
			default:
				return 0, fmt.Errorf("load of offset %d", i.K)
			}
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= i.K
		case equal:
			jump(acc == i.K)
		case atLeast:
			jump(acc >= i.K)
		case anyBitOf:
			jump(acc&i.K != 0)
		case unix.BPF_RET | unix.BPF_K:
			return i.K, nil
		default:
			return 0, fmt.Errorf("instruction %d is %#x", pc, i.Code)
		}
	}
	return 0, errors.New("left the program")
}
