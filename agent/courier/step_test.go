package courier

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/tpm"
)

// steps are what others see of a courier from its start to its result: messages at the broker, the result at the guard, and each
// command to the TPM. One of them may be the last.
type steps struct {
	mu   sync.Mutex
	seen []string
	at   string // the step that is to be the last, "" for none
	do   func() // what then happens, once
	over chan struct{}
}

// step is told what happens, before it is passed on.
func (s *steps) step(name string) {
	s.mu.Lock()
	n := 1
	for _, before := range s.seen {
		if before == name || strings.HasPrefix(before, name+" ") {
			n++
		}
	}
	if n > 1 {
		name = fmt.Sprintf("%s %d", name, n)
	}
	s.seen = append(s.seen, name)
	do := s.do
	if name != s.at {
		do = nil
	} else {
		s.do = nil
	}
	s.mu.Unlock()
	if do != nil {
		do()
		close(s.over)
	}
}

// begin forgets what was seen; at the named step something happens.
func (s *steps) begin(at string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.at, s.do, s.over = nil, at, do, make(chan struct{})
}

// done says whether it has happened.
func (s *steps) done() bool {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// commands are names of the TPM's commands that a courier needs.
var commands = map[uint32]string{
	0x131: "CreatePrimary", 0x144: "Startup", 0x15d: "Sign", 0x158: "Quote", 0x162: "ReadPublic", 0x165: "FlushContext",
	0x169: "NV_ReadPublic", 0x14e: "NV_Read", 0x17a: "GetCapability", 0x17e: "PCR_Read", 0x176: "StartAuthSession", 0x157: "Load", 0x161: "ContextLoad",
}

// relay stands before a software TPM and tells of each command before it passes it on. It returns its socket.
func (s *steps) relay(t *testing.T, behind string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(behind), "r")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.pass(c, behind) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return path
}

func (s *steps) pass(c net.Conn, behind string) {
	defer func() { _ = c.Close() }()
	up, err := net.Dial("unix", behind)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	for {
		command, err := exchange(c)
		if err != nil {
			return
		}
		code := binary.BigEndian.Uint32(command[6:])
		name, ok := commands[code]
		if !ok {
			name = fmt.Sprintf("TPM %#x", code)
		}
		s.step(name)
		if _, err := up.Write(command); err != nil {
			return
		}
		answer, err := exchange(up)
		if err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// exchange reads a command or an answer: tag, size, code, content.
func exchange(r io.Reader) ([]byte, error) {
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[2:])
	if size < 10 || size > 4096 {
		return nil, fmt.Errorf("a packet of %d bytes", size)
	}
	out := make([]byte, size)
	copy(out, head)
	_, err := io.ReadFull(r, out[10:])
	return out, err
}

// newStepWorld is a world whose courier has its keys in a TPM, and that tells of each step of an attestation.
func newStepWorld(t *testing.T) (*world, *softTPM, *steps) {
	t.Helper()
	w, chip, s := newWorld(t), startTPM(t), &steps{}
	keys, err := tpm.Open(chip.socket)
	if err != nil {
		t.Fatal(err)
	}
	w.broker.ca.issue("robot", "acme:r1", keys.Device().Public(), time.Hour)
	_ = keys.Close()
	w.config.Courier.TPM, w.config.Courier.Key = s.relay(t, chip.socket), ""
	w.pcrs = []int{0, 14}
	w.guard.record(3)
	newStation(t, w.broker, "steps", func(topic string, payload []byte) {
		switch name := strings.TrimPrefix(topic, testBase); {
		case name == TopicConnection && strings.Contains(string(payload), Online), strings.HasPrefix(name, "attestation/"):
			s.step(name)
		}
	})
	w.guard.set(func() {
		w.guard.asked = func(frame byte) {
			if frame == contract.FrameOrder {
				s.step(carried)
			}
		}
	})
	return w, chip, s
}

// carried is the step after which the robot is attested: the guard has the result. must are the steps that no tier leaves out.
const carried = "result carried"

var must = []string{TopicConnection, TopicHello, TopicChallenge, "Quote", "Sign", TopicEvidence, TopicResult, carried}

// attested counts the accepted results of all couriers of a world.
func (w *world) attested() int { return w.count(`"state":"attested"`) }

// wanted are the steps at which this tier interrupts: each, or those that no tier leaves out.
func (s *steps) wanted(t *testing.T) []string {
	t.Helper()
	var seen []string
	until(t, fmt.Sprintf("all of %v", must), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		last := 0
		for _, m := range must {
			i := slices.Index(s.seen, m)
			if i < 0 {
				return false
			}
			last = max(last, i)
		}
		seen = slices.Clone(s.seen[:last+1])
		return true
	})
	var out []string
	for _, name := range seen {
		if allSteps || slices.Contains(must, name) {
			out = append(out, name)
		}
	}
	t.Logf("%d of %d steps: %v", len(out), len(seen), out)
	return out
}

// reached waits for a step. How often the courier has something to sign before its result depends on what its journal waits for: one
// of the repeated commands may not come.
func (s *steps) reached(t *testing.T, w *world, at string, before int) bool {
	t.Helper()
	until(t, "step "+at, func() bool { return s.done() || !slices.Contains(must, at) && w.attested() > before })
	return s.done()
}

// TestCourierKilledAtEachStepOfAnAttestation ends the courier by kill -9 at each step from its start to its result: the next one,
// without a person, is attested.
func TestCourierKilledAtEachStepOfAnAttestation(t *testing.T) {
	w, _, s := newStepWorld(t)
	whole := func(at string) {
		t.Helper()
		before := w.attested()
		cmd := w.spawn()
		until(t, "an attestation after "+at, func() bool { return w.attested() > before })
		end(cmd)
	}
	whole("nothing")
	for _, at := range s.wanted(t) {
		gone := make(chan *exec.Cmd, 1)
		before := w.attested()
		s.begin(at, func() { end(<-gone) })
		cmd := w.spawn()
		gone <- cmd
		if !s.reached(t, w, at, before) {
			t.Logf("%s did not come this time", at)
		}
		end(cmd)
		s.begin("", nil)
		whole(at)
	}
	w.check()
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestTPMLosesPowerAtEachStepOfAnAttestation takes the TPM's power at each step from the courier's start to its result, for a
// moment: the same courier is attested, without a person.
func TestTPMLosesPowerAtEachStepOfAnAttestation(t *testing.T) {
	w, chip, s := newStepWorld(t)
	stop := w.run()
	until(t, "an attestation", func() bool { return w.attested() > 0 })
	stop()
	for _, at := range s.wanted(t) {
		before := w.attested()
		s.begin(at, func() { chip.off(); chip.on() })
		stop := w.run()
		if !s.reached(t, w, at, before) {
			t.Logf("%s did not come this time", at)
		}
		until(t, "an attestation after "+at, func() bool { return w.attested() > before })
		stop()
	}
	w.check()
}
