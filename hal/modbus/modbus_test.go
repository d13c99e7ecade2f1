package modbus

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/actuator/contract"
	"github.com/robowarden/robowarden/hal/modbus/modbustest"
)

const unit, coil = 3, 7

// rigFor is a relay that lets the robot run while its coil is on.
func rigFor(relay *modbustest.Relay, c Config) *contract.Rig {
	c.Unit, c.Coil = unit, coil
	mood := func(m modbustest.Mood) func() func() {
		return func() func() {
			relay.Be(m)
			return func() { relay.Be(modbustest.Good) }
		}
	}
	return &contract.Rig{
		Device: New(c), Refresh: 20 * time.Millisecond, Timeout: time.Second,
		State: func() actuator.State {
			if relay.Coil(coil) != c.StopOn {
				return actuator.Run
			}
			return actuator.Stop
		},
		Break: map[actuator.Fault]func() func(){
			actuator.Silent: mood(modbustest.Mute), actuator.Refused: mood(modbustest.Refuses),
			actuator.Malformed: mood(modbustest.Stale),
			actuator.Mismatch: func() func() {
				relay.Be(modbustest.Lies)
				relay.Force(coil, c.StopOn)
				return func() { relay.Be(modbustest.Good) }
			},
		},
	}
}

func TestContractTCP(t *testing.T) {
	contract.Run(t, func(t *testing.T) *contract.Rig {
		relay := modbustest.New(unit)
		at, err := relay.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { relay.Close() })
		r := rigFor(relay, Config{Address: at})
		r.Break[actuator.Gone] = func() func() {
			relay.Close()
			return func() {
				if _, err := relay.Listen(at.String()); err != nil {
					t.Error(err)
				}
			}
		}
		return r
	})
}

// TestContractSerial runs over a pseudo terminal: the kernel's line discipline is real, the wire is not.
func TestContractSerial(t *testing.T) {
	contract.Run(t, func(t *testing.T) *contract.Rig {
		relay := modbustest.New(unit)
		relay.Force(coil, true)
		far, path := terminal(t)
		go relay.ServeSerial(far)
		return rigFor(relay, Config{Serial: path, Baud: 115200, StopOn: true})
	})
}

// terminal returns the far end of a serial line, and the path of the near one.
func terminal(t *testing.T) (*os.File, string) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = far.Close() })
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/dev/pts/" + strconv.Itoa(n)
	// While nobody has the near end open, reading the far one fails.
	keep, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keep.Close() })
	if err := setRaw(keep, 115200, Even); err != nil {
		t.Fatal(err)
	}
	return far, path
}

func apply(r *Relay, s actuator.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return r.Apply(ctx, s)
}

// TestSomebodyElseSwitches is a mismatch first, and set right at the next call.
func TestSomebodyElseSwitches(t *testing.T) {
	for _, s := range []actuator.State{actuator.Run, actuator.Stop} {
		relay := modbustest.New(unit)
		at, err := relay.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(relay.Close)
		r := New(Config{Address: at, Unit: unit, Coil: coil})
		if err := apply(r, s); err != nil {
			t.Fatal(err)
		}
		relay.Force(coil, s == actuator.Stop)
		if f := actuator.FaultOf(apply(r, s)); f != actuator.Mismatch {
			t.Errorf("%v: found %v, expected a mismatch", s, f)
		}
		if err := apply(r, s); err != nil || relay.Coil(coil) != (s == actuator.Run) {
			t.Errorf("%v: not set right: %v", s, err)
		}
		_ = r.Close(false)
	}
}

// TestFrames pins the bytes to the specification's own examples and to a frame that others publish.
func TestFrames(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"write coil 173 on (6.5)":      {writeRequest(172, true), "0500acff00"},
		"read one coil":                {readRequest(19), "0100130001"},
		"over TCP":                     {appendTCP(nil, 0x1501, 0xff, readRequest(4)), "150100000006ff0100040001"},
		"serial, CRC low byte first":   {appendRTU(nil, 1, []byte{4, 0, 0, 0, 2}), "01040000000271cb"},
		"serial, write single coil on": {appendRTU(nil, 17, writeRequest(172, true)), "110500acff004e8b"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestTwoCRCs compares ours with the server's, which computes it another way.
func TestTwoCRCs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := appendRTU(nil, rapid.Byte().Draw(t, "unit"), rapid.SliceOfN(rapid.Byte(), 2, 250).Draw(t, "pdu"))
		if pdu, err := parseRTU(frame, frame[0]); err != nil || !bytes.Equal(pdu, frame[1:len(frame)-2]) {
			t.Fatalf("% x: %v", frame, err)
		}
		frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := parseRTU(frame, frame[0]); err == nil {
			t.Fatalf("a flipped bit went unnoticed: % x", frame)
		}
	})
}

// FuzzReply: whatever a device answers, a coil is believed only from the one reply that there is for it.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"010101", "010100", "8104", "0500acff00", "0500ac0000", "", "01", "010102"} {
		b, _ := hex.DecodeString(s)
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, reply []byte, read bool) {
		request := writeRequest(coil, true)
		if read {
			request = readRequest(coil)
		}
		on, err := parseReply(request, reply)
		if err != nil {
			if on {
				t.Error("an error and a coil")
			}
			return
		}
		if want := map[bool]string{true: "010101", false: "010100"}[on]; read && hex.EncodeToString(reply) != want {
			t.Errorf("% x taken for %t", reply, on)
		}
		if !read && !bytes.Equal(reply, request) {
			t.Errorf("% x taken for the echo", reply)
		}
	})
}

// FuzzSerialFrame never panics, and takes no frame of another unit.
func FuzzSerialFrame(f *testing.F) {
	f.Add(appendRTU(nil, unit, []byte{1, 1, 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if pdu, err := parseRTU(frame, unit); err == nil && (frame[0] != unit || len(pdu) != len(frame)-3) {
			t.Errorf("% x taken", frame)
		}
		if len(frame) >= mbapHeader {
			if n, err := parseHeader(frame[:mbapHeader], 1, unit); err == nil && (n < 1 || n > maxPDU) {
				t.Errorf("length %d taken", n)
			}
		}
	})
}
