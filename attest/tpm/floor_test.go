package tpm

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// counters opens the machine's TPM for counters only.
func (m *machine) counters() *TPM {
	m.tb.Helper()
	t := must(OpenCounters(m.socket, Options{}))(m.tb)
	m.tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			m.tb.Error(err)
		}
	})
	return t
}

func (m *machine) wantFloor(t *TPM, name string, floor uint64, there bool) {
	m.tb.Helper()
	if v, ok, err := t.Floor(name); err != nil || v != floor || ok != there {
		m.tb.Errorf("floor of %s: %d, %v, %v; expected %d, %v", name, v, ok, err, floor, there)
	}
}

// TestFloor counts floors of two names beside another counter, through a power cut.
func TestFloor(t *testing.T) {
	m := newMachine(t)
	c := m.counters()
	m.wantFloor(c, "grasp", 0, false)
	if err := c.CreateCounter(BootCounter); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		must(c.IncrementCounter(BootCounter))(t)
	}
	for _, to := range []uint64{0, 3, 2, 5, 5} {
		if err := c.RaiseFloor("grasp", to); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RaiseFloor("arm", 2); err != nil {
		t.Fatal(err)
	}
	m.off()
	m.on()
	m.wantFloor(c, "grasp", 5, true)
	m.wantFloor(c, "arm", 2, true)
	m.wantFloor(c, "leg", 0, false)
	if err := c.RaiseFloor("grasp", MaxFloor+1); !errors.Is(err, ErrFloorHeight) {
		t.Error(err)
	}
	m.off()
	if _, _, err := c.Floor("grasp"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a TPM: %v", err)
	}
	if err := c.RaiseFloor("grasp", 6); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a TPM: %v", err)
	}
	m.on()
}

// TestFloorRaisedBitByBit ends each call after one step: the next one goes on.
func TestFloorRaisedBitByBit(t *testing.T) {
	m := newMachine(t)
	c := m.counters()
	c.options.RaiseTimeout = 1
	const to, steps = 3, 4 // One makes the counter.
	for n := 1; n < steps; n++ {
		if err := c.RaiseFloor("grasp", to); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("step %d: %v", n, err)
		}
		m.wantFloor(c, "grasp", uint64(n-1), true)
	}
	if err := c.RaiseFloor("grasp", to); err != nil {
		t.Fatal(err)
	}
	m.wantFloor(c, "grasp", to, true)
	if _, err := OpenCounters(m.socket, Options{RaiseTimeout: -1}); err == nil {
		t.Error("a time limit below zero was taken")
	}
}

// TestFloorOfABusyTPM: a TPM that is busy or has no room says nothing about the counter; one that refuses otherwise does.
func TestFloorOfABusyTPM(t *testing.T) {
	m := newMachine(t)
	if err := m.counters().RaiseFloor("grasp", 1); err != nil {
		t.Fatal(err)
	}
	r := newRelay(t, m.socket)
	c := must(OpenCounters(r.path, Options{}))(t)
	defer c.Close() //nolint:errcheck // the relay ends it
	for code, passes := range map[uint32]bool{
		uint32(tpm2.TPMRCMemory): true, uint32(tpm2.TPMRCObjectMemory): true, uint32(tpm2.TPMRCSessionMemory): true,
		uint32(tpm2.TPMRCObjectHandles): true, uint32(tpm2.TPMRCSessionHandles): true, uint32(tpm2.TPMRCCanceled): true,
		rcNVRate: true, uint32(tpm2.TPMRCFailure): false, uint32(tpm2.TPMRCNVLocked): false,
	} {
		c.options.Timeout = DefaultTimeout
		if code == rcNVRate { // It is asked again until then.
			c.options.Timeout = impatient.Timeout
		}
		r.set(func(command uint32) harm {
			if command != codeNVRead && command != codeIncrement {
				return nil
			}
			return func(c net.Conn, _ func(...byte) []byte) { _, _ = c.Write(response(code)) }
		})
		if _, _, err := c.Floor("grasp"); err == nil || errors.Is(err, ErrUnavailable) != passes {
			t.Errorf("%#x: read: %v", code, err)
		}
		if err := c.RaiseFloor("grasp", 2); err == nil || errors.Is(err, ErrUnavailable) != passes {
			t.Errorf("%#x: raised: %v", code, err)
		}
	}
	c.options.Timeout = DefaultTimeout
	r.set(nil)
	m.wantFloor(c, "grasp", 1, true)
}

// TestFloorCutWhileItIsMade leaves a counter as each step of its making leaves it: the floor is none, and raising goes on.
func TestFloorCutWhileItIsMade(t *testing.T) {
	for name, c := range map[string]struct {
		base    uint64
		counted bool
	}{
		"the first one defined":  {unfinished, false},
		"the first one counted":  {unfinished, true},
		"the second one defined": {7, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			raw := m.raw()
			area := floorArea(firstFloor, "grasp", c.base, false)
			if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(raw); err != nil {
				t.Fatal(err)
			}
			if c.counted {
				if err := increment(raw, firstFloor, area); err != nil {
					t.Fatal(err)
				}
			}
			raw.link.Close()
			tpm := m.counters()
			m.wantFloor(tpm, "grasp", 0, false)
			if err := tpm.RaiseFloor("grasp", 3); err != nil {
				t.Fatal(err)
			}
			m.wantFloor(tpm, "grasp", 3, true)
		})
	}
}

// TestFloorThatCannotBeReadWhileItIsMade has the TPM refuse to say where a counter began, after which another program may
// have counted: none stays behind that says a floor which nobody has raised.
func TestFloorThatCannotBeReadWhileItIsMade(t *testing.T) {
	m := newMachine(t)
	r := newRelay(t, m.socket)
	c := must(OpenCounters(r.path, Options{}))(t)
	defer c.Close() //nolint:errcheck // the relay ends it
	reads := 0
	r.set(func(code uint32) harm {
		if code != codeNVRead {
			return nil
		}
		if reads++; reads != 2 { // The first one says where counters begin now.
			return nil
		}
		return func(c net.Conn, _ func(...byte) []byte) { _, _ = c.Write(response(uint32(tpm2.TPMRCFailure))) }
	})
	if err := c.RaiseFloor("grasp", 1); !errors.Is(err, tpm2.TPMRCFailure) {
		t.Fatalf("%v after %d reads", err, reads)
	}
	m.wantFloor(c, "grasp", 0, false)
	r.set(nil)
	if err := c.RaiseFloor("grasp", 1); err != nil {
		t.Fatal(err)
	}
	m.wantFloor(c, "grasp", 1, true)
}

// TestFloorThatSomebodyReplaced puts other things into the counter's place: none is taken for it.
func TestFloorThatSomebodyReplaced(t *testing.T) {
	m := newMachine(t)
	tpm := m.counters()
	if err := tpm.RaiseFloor("grasp", 4); err != nil {
		t.Fatal(err)
	}
	var found *floorCounter
	replace := func(area tpm2.TPMSNVPublic) {
		t.Helper()
		raw := m.raw()
		defer raw.link.Close()
		if found == nil {
			found, _ = must2(findFloor(raw, "grasp"))(t)
		}
		if err := found.undefine(raw); err != nil {
			t.Fatal(err)
		}
		if area.NVIndex == 0 {
			return
		}
		if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(raw); err != nil {
			t.Fatal(err)
		}
		found = &floorCounter{index: firstFloor, area: area}
	}
	orderly := floorArea(firstFloor, "grasp", 1, false)
	orderly.Attributes.Orderly = true
	replace(orderly)
	if _, _, err := tpm.Floor("grasp"); !errors.Is(err, ErrCounter) {
		t.Errorf("a counter that may go back: %v", err)
	}
	if err := tpm.RaiseFloor("grasp", 5); !errors.Is(err, ErrCounter) {
		t.Errorf("raised on it: %v", err)
	}
	memory := counterArea(firstFloor, false)
	memory.Attributes.NT = tpm2.TPMNTOrdinary
	replace(memory)
	m.wantFloor(tpm, "grasp", 0, false)
	replace(tpm2.TPMSNVPublic{})
	m.wantFloor(tpm, "grasp", 0, false)
	// Made anew it begins at zero again, which whoever remembers the floor notices.
	if err := tpm.RaiseFloor("grasp", 1); err != nil {
		t.Fatal(err)
	}
	m.wantFloor(tpm, "grasp", 1, true)
	raw := m.raw()
	area := floorArea(firstFloor+1, "grasp", 1, false)
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(raw); err != nil {
		t.Fatal(err)
	}
	raw.link.Close()
	if _, _, err := tpm.Floor("grasp"); !errors.Is(err, ErrCounter) {
		t.Errorf("two counters: %v", err)
	}
}

// TestFloorsHaveRoom fills every place.
func TestFloorsHaveRoom(t *testing.T) {
	m := newMachine(t)
	tpm := m.counters()
	var err error
	n := 0
	for ; err == nil && n <= 64; n++ {
		err = tpm.RaiseFloor(fmt.Sprint("a", n), 1)
	}
	if n < 8 || err == nil {
		t.Fatalf("%d counters, %v: a TPM has room for less, or there is no bound", n, err)
	}
	t.Logf("%d counters, then: %v", n-1, err)
	m.wantFloor(tpm, "a0", 1, true)
}

func must2[A, B any](a A, b B, err error) func(testing.TB) (A, B) {
	return func(tb testing.TB) (A, B) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return a, b
	}
}
