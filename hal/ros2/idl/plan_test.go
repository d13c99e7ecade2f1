package idl

import (
	"encoding/hex"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// A humanoid's low-level state as a vendor would define it, in both languages.
const (
	motorMsg = `# one joint's motor
uint8 MODE_OFF = 0
uint8 mode
float32 q            # rad
float32 dq 0.0       # rad/s
float32 ddq
float32 tau_est
float32 q_raw
int8[2] temperature
uint32[2] sensor
float32 vol
uint16 flags
float64 odometer
`
	imuMsg = `float32[4] quaternion
float32[3] gyroscope
float32[3] accelerometer
float32[3] rpy
int16 temperature
`
	faultMsg = "uint16 code\nstring text\n"
	stateMsg = `uint32[2] version
uint8 mode_pr
uint8 mode_machine
uint32 tick
string robot
ImuState imu_state
MotorState[35] motor_state
Fault[] faults
acme_msgs/MotorState[] hands
uint8[<=40] wireless_remote
int32 mode
bool estop
float64[6] grid
int64 odometer
float64[] extra
uint32 crc
`
	stateIDL = `#ifndef STATE_IDL
#define STATE_IDL
#include "other.idl"
module acme_msgs { module msg { module dds_ {
  const long MOTORS = 5 * (3 + 4);
  @verbatim (language="comment", text=
    "one motor" "
     with more")
  struct MotorState_ {
    octet mode; float q, dq, ddq; // several at once
    float tau_est, q_raw; int8 temperature[2]; unsigned long sensor[2]; float vol;
    @unit("flags") unsigned short flags; double odometer;
  };
  typedef float Three[3];
  @final struct ImuState_ { float quaternion[4]; Three gyroscope, accelerometer, rpy; short temperature; };
  struct Fault_ { unsigned short code; string text; };
  enum Mode { IDLE, WALK, FALL };
  typedef sequence<octet, 40> Remote;
  /* the state */
  struct LowState_ {
    unsigned long version[2]; octet mode_pr; octet mode_machine; @key unsigned long tick; string robot;
    ImuState_ imu_state; acme_msgs::msg::dds_::MotorState_ motor_state[MOTORS]; sequence<Fault_> faults;
    sequence<::acme_msgs::msg::dds_::MotorState_> hands; Remote wireless_remote; Mode mode; boolean estop; double grid[2][3];
    long long odometer; sequence<double> extra; unsigned long crc;
  };
}; }; };
#endif
`
)

func acme(tb testing.TB) *Set {
	tb.Helper()
	s := NewSet()
	for _, d := range [][2]string{{"LowState", stateMsg}, {"ImuState", imuMsg}, {"MotorState", motorMsg}, {"Fault", faultMsg}} {
		if err := s.AddMsg("acme_msgs/"+d[0], d[0]+".msg", d[1]); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func acmeIDL(tb testing.TB) *Set {
	tb.Helper()
	s := NewSet()
	if err := s.AddIDL("state.idl", stateIDL); err != nil {
		tb.Fatal(err)
	}
	return s
}

func typeOf(tb testing.TB, s *Set, name string) *Struct {
	tb.Helper()
	t, err := s.Type(name)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func compile(tb testing.TB, t *Struct, paths ...string) *Plan {
	tb.Helper()
	p, err := Compile(t, paths)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// stateSamples are LowStates that other implementations serialised.
func stateSamples(tb testing.TB) (list [][]byte) {
	tb.Helper()
	text, err := os.ReadFile("testdata/lowstate.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == "LowState" {
			b, err := hex.DecodeString(f[2])
			if err != nil {
				tb.Fatal(err)
			}
			list = append(list, b)
		}
	}
	return list
}

// at is the number that the sample's counter gave as the n-th, from 0.
func at(n int) float64 { return -6.5 + float64(n)*0.5 }

// motorAt: 13 numbers of the counter come before the motors, and each motor takes 7: q, dq, ddq, tau_est, q_raw, vol,
// odometer.
func motorAt(motor, field int) float64 { return at(13 + 7*motor + field) }

func statePaths() (paths []string, want []float64) {
	add := func(path string, v float64) {
		paths = append(paths, path)
		want = append(want, v)
	}
	add("crc", 0xfeedbeef) // paths in any order
	add("mode_pr", 1)
	add("mode_machine", 5)
	add("version[1]", 4)
	add("tick", 123456)
	add("imu_state.quaternion[0]", at(0))
	add("imu_state.rpy[0]", at(10))
	add("imu_state.rpy[2]", at(12))
	add("imu_state.temperature", -40)
	for _, i := range []int{0, 3, 17, 34} {
		p := "motor_state[" + itoa(int64(i)) + "]."
		add(p+"mode", float64(i%3))
		add(p+"q", motorAt(i, 0))
		add(p+"tau_est", motorAt(i, 3))
		add(p+"temperature[0]", float64(30+i))
		add(p+"temperature[1]", float64(-i))
		add(p+"sensor[1]", 4000000000-float64(i))
		add(p+"flags", 60000+float64(i))
		add(p+"odometer", motorAt(i, 6))
	}
	add("faults[0].code", 100)
	add("faults[2].code", 102)
	add("faults[3].code", math.NaN())
	add("hands[1].q", motorAt(36, 0))
	add("hands[0].odometer", motorAt(35, 6))
	add("hands[2].q", math.NaN())
	add("wireless_remote[0]", 200)
	add("wireless_remote[10]", 210)
	add("wireless_remote[11]", math.NaN())
	add("mode", 2)
	add("estop", 1)
	add("odometer", -123456789012)
	after := 13 + 7*37
	add("extra[0]", at(after+6))
	add("extra[2]", at(after+8))
	add("crc", 0xfeedbeef) // and twice
	return paths, want
}

func TestPlansReadVendorTypes(t *testing.T) {
	paths, want := statePaths()
	after := 13 + 7*37
	msg := compile(t, typeOf(t, acme(t), "acme_msgs/LowState"), append(paths, "grid[0]", "grid[5]")...)
	idl := compile(t, typeOf(t, acmeIDL(t), "acme_msgs::msg::dds_::LowState_"), append(slices.Clone(paths), "grid[0][0]", "grid[1][2]")...)
	want = append(want, at(after), at(after+5))
	for i, payload := range stateSamples(t) {
		for name, p := range map[string]*Plan{"msg": msg, "idl": idl} {
			got := make([]float64, p.Len())
			if err := p.Read(payload, got); err != nil {
				t.Fatal(i, name, err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("sample %d, %s: %s", i, name, diff)
			}
			if n := testing.AllocsPerRun(100, func() { _ = p.Read(payload, got) }); n != 0 {
				t.Errorf("sample %d, %s: %v allocations", i, name, n)
			}
		}
	}
}

func TestPlansRefuseCutPayloads(t *testing.T) {
	p := compile(t, typeOf(t, acme(t), "acme_msgs/msg/LowState"), "mode_pr", "motor_state[34].q", "hands[0].q")
	dst := make([]float64, 3)
	for _, payload := range stateSamples(t) {
		for cut := range len(payload) {
			if err := p.Read(payload[:cut], dst); err == nil {
				t.Fatalf("%d of %d bytes are read", cut, len(payload))
			}
			for _, v := range dst {
				if !math.IsNaN(v) {
					t.Fatalf("values of a refused payload: %v", dst)
				}
			}
		}
		if err := p.Read(append(slices.Clone(payload), 0, 0, 0, 0), dst); !errors.Is(err, cdr.ErrTrailing) {
			t.Errorf("a word too many: %v", err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = p.Read(payload[:1000], dst) }); n != 0 {
			t.Errorf("%v allocations for a refusal", n)
		}
	}
	if err := p.Read(stateSamples(t)[0], dst[:2]); !errors.Is(err, ErrSlots) {
		t.Errorf("room for two of three: %v", err)
	}
}

func TestPlansRefuseWrongContent(t *testing.T) {
	s := NewSet()
	if err := s.AddMsg("a/M", "M.msg", "bool[2] b\nstring<=3 s\nint8[<=2] few\nstring[] many\n"); err != nil {
		t.Fatal(err)
	}
	p := compile(t, typeOf(t, s, "a/M"), "b[1]")
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"all well", []byte{0, 1, 0, 0, 0, 1, 0, 0, 4, 0, 0, 0, 'a', 'b', 'c', 0, 2, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0}, nil},
		{"bool of two", []byte{0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, cdr.ErrFlag},
		{"long string", []byte{0, 1, 0, 0, 0, 1, 0, 0, 5, 0, 0, 0, 'a', 'b', 'c', 'd', 0, 0, 0, 0, 0, 0, 0, 0}, cdr.ErrText},
		{"string without its end", []byte{0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, cdr.ErrString},
		{"long sequence", []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5, 6, 7, 0, 0, 0, 0, 0}, cdr.ErrCount},
		{"more strings than bytes", []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0}, cdr.ErrCount},
		{"XCDR2", []byte{0, 7, 0, 0, 0, 1, 0, 0}, cdr.ErrEncapsulation},
		{"nothing", nil, cdr.ErrShort},
	} {
		if err := p.Read(c.b, make([]float64, 1)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// TestWrongDefinitionsAreNoticed: a definition that is not the sender's does not go unseen, in most cases.
func TestWrongDefinitionsAreNoticed(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"member left out", "uint32[2] sensor\n", ""},
		{"member too much", "float32 vol\n", "float32 vol\nfloat64 power\n"},
		{"smaller member", "float64 odometer", "float32 odometer"},
	} {
		s := NewSet()
		for name, text := range map[string]string{
			"LowState": stateMsg, "ImuState": imuMsg, "MotorState": strings.Replace(motorMsg, c.old, c.new, 1), "Fault": faultMsg,
		} {
			if err := s.AddMsg("acme_msgs/"+name, name, text); err != nil {
				t.Fatal(err)
			}
		}
		p := compile(t, typeOf(t, s, "acme_msgs/LowState"), "tick")
		for _, payload := range stateSamples(t) {
			if err := p.Read(payload, make([]float64, 1)); err == nil {
				t.Errorf("%s: the payload is read", c.name)
			}
		}
	}
}

func TestPathsThatAreWrong(t *testing.T) {
	state := typeOf(t, acme(t), "acme_msgs/msg/LowState")
	for _, c := range []struct{ path, want string }{
		{"imu_stat.rpy[0]", `path "imu_stat.rpy[0]":1:1: expected a field of acme_msgs/msg/LowState, found imu_stat; did you mean imu_state?`},
		{"motor_state[3].Q", "did you mean q?"},
		{"motor_state[35].q", "path \"motor_state[35].q\":1:12: expected an index from 0 to 34, found 35"},
		{"motor_state.q", "expected an index, found \"q\"; choose an element of acme_msgs/msg/MotorState[35], such as [0]"},
		{"motor_state[3]", "the structure acme_msgs/msg/MotorState; add one of its fields: mode, q, dq"},
		{"motor_state", "the array acme_msgs/msg/MotorState[35]; add an index"},
		{"wireless_remote[40]", "expected an index from 0 to 39, found 40"},
		{"faults[99999999].code", "expected an index below"},
		{"robot", "expected the path of a number, found a text"},
		{"mode_pr[0]", "an index on uint8"},
		{"mode_pr.x", "uint8 has no fields"},
		{"zzzzzz", "it has version, mode_pr, mode_machine, tick, robot, imu_state"},
		{"", "expected a path"},
		{"[3]", "expected a path"},
		{"a..b", "expected a path"},
		{"motor_state[", "expected a path"},
		{"motor_state[-1].q", "expected a path"},
		{"motor_state[1]q", "expected a path"},
		{"mode_pr.", "expected a path"},
		{strings.Repeat("a.", 600), "expected a path"},
	} {
		_, err := Compile(state, []string{c.path, "mode_pr"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n%v, want\n%s", c.path, err, c.want)
		}
	}
	if _, err := Compile(state, nil); err == nil {
		t.Error("a plan of nothing")
	}
	if _, err := Compile(state, make([]string, MaxPaths+1)); err == nil {
		t.Error("a plan of too much")
	}
	var all *Error
	if _, err := Compile(state, make([]string, MaxPaths)); !errors.As(err, &all) || len(all.Problems) != MaxProblems || all.Omitted != MaxPaths-MaxProblems {
		t.Errorf("problems are not counted: %v", err)
	}
}

// BenchmarkPlan reads 35 joints' positions and velocities from a payload of 2.3 kB.
func BenchmarkPlan(b *testing.B) {
	var paths []string
	for i := range 35 {
		p := "motor_state[" + itoa(int64(i)) + "]."
		paths = append(paths, p+"q", p+"dq")
	}
	p := compile(b, typeOf(b, acme(b), "acme_msgs/LowState"), paths...)
	dst := make([]float64, p.Len())
	for i, payload := range stateSamples(b)[:2] {
		b.Run([]string{"le", "be"}[i], func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if err := p.Read(payload, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
