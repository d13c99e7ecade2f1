package can

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/actuator/contract"
)

const (
	stopID, answerID = 0x80, 0x81
	// silence is how long the drive runs on without a frame.
	silence = 60 * time.Millisecond
)

// wire is a CAN bus with one drive, and the controller of the guard's computer. It is written from the kernel's
// Documentation/networking/can.rst: own frames come back once they are out, errors come as frames.
type wire struct {
	mu     sync.Mutex
	cond   chan struct{} // closed and replaced when something is there to be read
	queue  []frame
	own    []bool
	heard  time.Time
	may    bool // the drive's last word from the guard
	broken wireFault
	closed bool
}

type wireFault int

const (
	fine    wireFault = iota
	alone             // nobody acknowledges: frames wait in the controller
	offBus            // bus-off
	down              // the interface is down
	deaf              // the drive ignores frames, and says that it may run
	mumbles           // the drive answers with something else than it does
)

func newWire() *wire { return &wire{cond: make(chan struct{})} }

func (w *wire) push(f frame, own bool) {
	w.queue, w.own = append(w.queue, f), append(w.own, own)
	close(w.cond)
	w.cond = make(chan struct{})
}

func (w *wire) send(f *frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.broken {
	case down:
		return syscall.ENETDOWN
	case alone:
		return nil
	case offBus:
		w.push(frame{id: errorFlag | errBusOff, n: 8}, false)
		return syscall.ENOBUFS
	case deaf:
	case fine, mumbles:
		w.heard, w.may = time.Now(), f.data[0] == 1
	}
	w.push(*f, true)
	// What another node says meanwhile is filtered by the kernel; what the drive says is not.
	says := byte(0)
	if w.may {
		says = 1
	}
	if w.broken == mumbles {
		says = 7
	}
	w.push(content(answerID, []byte{says, 9}), false)
	return nil
}

func (w *wire) receive(deadline time.Time) (frame, bool, error) {
	for {
		w.mu.Lock()
		if len(w.queue) > 0 {
			f, own := w.queue[0], w.own[0]
			w.queue, w.own = w.queue[1:], w.own[1:]
			w.mu.Unlock()
			return f, own, nil
		}
		cond := w.cond
		w.mu.Unlock()
		select {
		case <-cond:
		case <-time.After(time.Until(deadline)):
			return frame{}, false, os.ErrDeadlineExceeded
		}
	}
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.queue, w.own = nil, nil
	return nil
}

func (w *wire) be(f wireFault) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.broken = fine
	}
}

func (w *wire) state() actuator.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.may && time.Since(w.heard) < silence {
		return actuator.Run
	}
	return actuator.Stop
}

// frameOn is the stop frame on a wire.
func frameOn(w *wire, answers bool) *Frame {
	c := Config{Interface: "can0", ID: stopID, Stop: []byte{0, 5}, Run: []byte{1, 5}}
	if answers {
		c.AnswerID, c.HasAnswer, c.AnswerStop = answerID, true, []byte{0}
	}
	f := New(c)
	f.open = func(string, []uint32) (bus, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.broken == down {
			return nil, syscall.ENODEV
		}
		return w, nil
	}
	return f
}

func TestContract(t *testing.T) {
	for name, answers := range map[string]bool{"frame alone": false, "with the drive's answer": true} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(*testing.T) *contract.Rig {
				w := newWire()
				r := &contract.Rig{
					Device: frameOn(w, answers), State: w.state, Refresh: 10 * time.Millisecond, Timeout: 500 * time.Millisecond,
					Break: map[actuator.Fault]func() func(){
						actuator.Silent: func() func() { return w.be(alone) }, actuator.BusOff: func() func() { return w.be(offBus) },
						actuator.Gone: func() func() { return w.be(down) },
					},
				}
				if answers {
					r.Break[actuator.Mismatch] = func() func() {
						w.mu.Lock()
						w.may = false
						w.mu.Unlock()
						return w.be(deaf)
					}
				}
				return r
			})
		})
	}
}

func apply(f *Frame, s actuator.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	return f.Apply(ctx, s)
}

// TestADriveThatSaysOtherwise is believed, and not its bus.
func TestADriveThatSaysOtherwise(t *testing.T) {
	w := newWire()
	w.be(mumbles)
	if f := actuator.FaultOf(apply(frameOn(w, true), actuator.Stop)); f != actuator.Mismatch {
		t.Errorf("found %v, expected a mismatch", f)
	}
	if err := apply(frameOn(newWire(), false), actuator.Stop); err != nil {
		t.Errorf("without answers (off): %v", err)
	}
}

// TestAForeignFrameConfirmsNothing: the same frame from somebody else is not ours.
func TestAForeignFrameConfirmsNothing(t *testing.T) {
	w := newWire()
	w.be(alone)
	w.mu.Lock()
	w.push(content(stopID, []byte{0, 5}), false)
	w.mu.Unlock()
	if f := actuator.FaultOf(apply(frameOn(w, false), actuator.Stop)); f != actuator.Silent {
		t.Errorf("found %v, expected silence", f)
	}
}

// TestBusOffLastsUntilTheControllerIsBack, whether it says so or a frame shows it.
func TestBusOffLastsUntilTheControllerIsBack(t *testing.T) {
	w := newWire()
	f := frameOn(w, false)
	w.be(offBus)
	if got := actuator.FaultOf(apply(f, actuator.Stop)); got != actuator.BusOff {
		t.Fatalf("found %v, expected bus-off", got)
	}
	w.be(alone)
	if got := actuator.FaultOf(apply(f, actuator.Stop)); got != actuator.BusOff {
		t.Errorf("found %v while nothing comes out, expected bus-off still", got)
	}
	w.mu.Lock()
	w.push(frame{id: errorFlag | errRestarted, n: 8}, false)
	w.mu.Unlock()
	if got := actuator.FaultOf(apply(f, actuator.Stop)); got != actuator.Silent {
		t.Errorf("found %v after the controller came back, expected silence", got)
	}
	w.be(fine)
	if err := apply(f, actuator.Stop); err != nil {
		t.Error(err)
	}
}

// TestFrameLayout pins struct can_frame on a little-endian computer, as the kernel's header has it.
// babbler is a bus with a full queue on which another node never stops talking.
type babbler struct{ heard int }

func (*babbler) send(*frame) error { return syscall.ENOBUFS }

func (b *babbler) receive(time.Time) (frame, bool, error) {
	if b.heard++; b.heard > 1e8 {
		return frame{}, false, os.ErrDeadlineExceeded // for a test that fails, not one that hangs
	}
	return content(answerID, []byte{1}), false, nil
}

func (*babbler) Close() error { return nil }

// TestABabblingNodeKeepsNobodyFromTryingAgain: Apply comes back although the socket never runs dry.
func TestABabblingNodeKeepsNobodyFromTryingAgain(t *testing.T) {
	b := &babbler{}
	f := frameOn(newWire(), true)
	f.open = func(string, []uint32) (bus, error) { return b, nil }
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if fault := actuator.FaultOf(f.Apply(ctx, actuator.Stop)); fault != actuator.Silent || b.heard > 1e8 {
		t.Errorf("%v after %d frames", fault, b.heard)
	}
}

func TestFrameLayout(t *testing.T) {
	f := content(0x123|extendedFlag, []byte{1, 2, 3})
	b := appendFrame(nil, &f)
	if got := hex.EncodeToString(b); got != "23010080030000000102030000000000" {
		t.Errorf("got %s", got)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(make([]byte, frameLen))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFrame(b)
		if err != nil {
			return
		}
		if got.n > 8 || len(b) != frameLen {
			t.Fatalf("took % x", b)
		}
		again := appendFrame(nil, &got)
		if !bytes.Equal(again[:5], b[:5]) || !bytes.Equal(again[8:], b[8:]) {
			t.Errorf("% x became % x", b, again)
		}
	})
}
