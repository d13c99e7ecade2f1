package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/counter"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// chip is a TPM and the courier before it, as the format describes them; test/e2e and agent/courier have real ones.
type chip struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	value uint64 // 0: no counter
	fault string // answers only this
	forge func(a *contract.Counter)
	name  []byte
}

func newChip(t *testing.T) *chip {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &chip{t: t, key: key, name: counter.Name(counter.Index)}
}

// act does what a request asks for.
func (c *chip) act(q contract.CounterRequest) {
	switch {
	case c.fault != "":
	case c.value == 0 && q.Make:
		c.value = 40 // where a new counter begins is up to the TPM
	case c.value > 0 && c.value < q.To:
		c.value++
	}
}

// answer is what the courier brings after that.
func (c *chip) answer(q contract.CounterRequest) contract.Counter {
	switch {
	case c.fault != "":
		return contract.Counter{Nonce: q.Nonce, Fault: c.fault}
	case c.value == 0:
		return contract.Counter{Nonce: q.Nonce, Fault: contract.CounterMissing}
	}
	nonce, _ := hex.DecodeString(q.Nonce)
	be := binary.BigEndian
	b := be.AppendUint16(be.AppendUint32(nil, 0xff544347), 0x8014)
	b = append(be.AppendUint16(b, 0), 0, 32)
	b = append(append(b, nonce...), make([]byte, 25)...)
	b = append(append(be.AppendUint16(b, uint16(len(c.name))), c.name...), 0, 0, 0, 8) //nolint:gosec // 34
	b = be.AppendUint64(b, c.value)
	sum := sha256.Sum256(b)
	r, s, err := ecdsa.Sign(rand.Reader, c.key, sum[:])
	if err != nil {
		c.t.Fatal(err)
	}
	signature := append([]byte{0, 0x18, 0, 0x0b, 0, 32}, r.FillBytes(make([]byte, 32))...)
	signature = append(append(signature, 0, 32), s.FillBytes(make([]byte, 32))...)
	key, err := x509.MarshalPKIXPublicKey(c.key.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	a := contract.Counter{Nonce: q.Nonce, Attest: b, Signature: signature, Key: key}
	if c.forge != nil {
		c.forge(&a)
	}
	return a
}

// ages notes what the guard is told.
type ages []guard.Age

func (a *ages) Age(found guard.Age) { *a = append(*a, found) }

// disk is a robot's state directory and its guard's runs.
type disk struct {
	t          *testing.T
	state      *stateDir
	generation uint64
	boot       time.Duration
	tpm        bool
	told       ages
	k          *ageKeeper
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, state: openTestState(t), generation: 1, tpm: true}
	if err := markNew(d.state); err != nil {
		t.Fatal(err)
	}
	return d
}

// start begins a run of the guard.
func (d *disk) start() *ageKeeper {
	d.k = newAgeKeeper(d.state, d.tpm, func() uint64 { return d.generation }, func() time.Duration { return d.boot }, zerolog.Nop())
	d.told = nil
	d.k.guard = &d.told
	d.k.start()
	return d.k
}

// talk lets the courier answer until nothing is asked any more, or for steps of the exchange: each is a request handed out, what the
// TPM does, an answer taken, or its judgement. It says whether it came to its end.
func (d *disk) talk(c *chip, steps int) bool {
	d.t.Helper()
	spend := func() bool { steps--; return steps >= 0 }
	for range 20 {
		q, due := d.k.request(&roleConn{})
		if !due {
			return true
		}
		if !spend() {
			return false
		}
		if c.act(q); !spend() {
			return false
		}
		a := c.answer(q)
		if err := d.k.take(&a); err != nil {
			d.t.Fatal(err)
		}
		if !spend() {
			return false
		}
		got := <-d.k.answers
		d.k.judge(&got)
	}
	d.t.Fatalf("the questions do not end: %+v", d.k.status())
	return false
}

const everything = 1 << 20

// run is a run from its start until all is said.
func (d *disk) run(c *chip) guard.Age {
	d.t.Helper()
	d.start()
	d.talk(c, everything)
	return d.k.found
}

func (d *disk) want(what string, state guard.AgeState, cause interlock.Cause, waits bool) {
	d.t.Helper()
	want := guard.Age{State: state, Cause: cause}
	if d.k.found != want || len(d.told) == 0 || d.told[len(d.told)-1] != want {
		d.t.Errorf("%s: found %+v, told %+v, expected %s, %s", what, d.k.found, d.told, state, cause)
	}
	if state, why := d.k.finding(); (state != guard.AgeProven) != waits {
		d.t.Errorf("%s: orders wait because %q, expected %t", what, why, waits)
	}
}

// image is a copy of the disk.
func (d *disk) image() []byte {
	b, err := d.state.dir.ReadFile(ageFile)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *disk) restore(image []byte) {
	if err := d.state.replace(ageNew, ageFile, image); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) wipe() {
	if err := os.Remove(filepath.Join(d.state.path, ageFile)); err != nil {
		d.t.Fatal(err)
	}
}

// reset is what a signed reset does.
func (d *disk) reset(c *chip) {
	d.t.Helper()
	d.k.accept()
	<-d.k.resets
	if !d.k.begin() {
		d.t.Fatal("not stored")
	}
	d.talk(c, everything)
}

func TestDiskThatWasSetBackIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(d *disk, c *chip)
		state guard.AgeState
		cause interlock.Cause
		waits bool
	}{
		"nothing (off)": {func(*disk, *chip) {}, guard.AgeProven, interlock.CauseNone, false},
		"nothing, for many starts (off)": {func(d *disk, c *chip) {
			for range 5 {
				d.run(c)
			}
		}, guard.AgeProven, interlock.CauseNone, false},
		"an image of one start before": {func(d *disk, c *chip) {
			old := d.image()
			d.run(c)
			d.restore(old)
		}, guard.AgeSetBack, interlock.CauseBehind, true},
		"an image of before orders were used, and counted": {func(d *disk, c *chip) {
			old := d.image()
			d.generation++
			d.boot += countEvery
			d.k.recount()
			d.talk(c, everything)
			d.restore(old)
			d.generation--
		}, guard.AgeSetBack, interlock.CauseBehind, true},
		"an image of before the TPM counted at all": {func(d *disk, _ *chip) { d.wipe() }, guard.AgeSetBack, interlock.CauseForgotten, true},
		"the mark is damaged":                       {func(d *disk, _ *chip) { d.restore([]byte("damaged")) }, guard.AgeSetBack, interlock.CauseForgotten, true},
		"the record of used orders alone": {func(d *disk, c *chip) {
			d.generation++
			d.run(c)
			d.generation--
		}, guard.AgeSetBack, interlock.CausePartBehind, true},
		"the disk in another robot": {func(_ *disk, c *chip) { c.key = newChip(c.t).key }, guard.AgeSetBack, interlock.CauseOtherTPM, true},
		"the TPM was cleared":       {func(_ *disk, c *chip) { c.value = 0 }, guard.AgeSetBack, interlock.CauseCounterGone, true},
		"the counter was made anew": {func(_ *disk, c *chip) { c.value += 7 }, guard.AgeSetBack, interlock.CauseBehind, true},
		"the counter stands lower":  {func(_ *disk, c *chip) { c.value -= 2 }, guard.AgeSetBack, interlock.CauseCounterReplaced, true},
		"memory in the counter's place": {func(_ *disk, c *chip) {
			c.name = counter.Name(counter.Index + 1)
		}, guard.AgeSetBack, interlock.CauseCounterReplaced, true},
		"the courier sees memory in its place": {func(_ *disk, c *chip) { c.fault = contract.CounterReplaced }, guard.AgeSetBack, interlock.CauseCounterReplaced, true},
		"the image without its TPM": {func(d *disk, c *chip) {
			old := d.image()
			d.run(c)
			d.restore(old)
			c.fault = contract.CounterUnavailable
		}, guard.AgeUnproven, interlock.CauseTPMUnavailable, true},
		"the image without its TPM, the deployment changed": {func(d *disk, c *chip) {
			old := d.image()
			d.run(c)
			d.restore(old)
			c.fault, d.tpm = contract.CounterNoTPM, false
		}, guard.AgeUnproven, interlock.CauseUncounted, true},
		"an image of before the TPM counted at all, and the courier says that it never did": {func(d *disk, c *chip) {
			d.wipe()
			c.fault = contract.CounterMissing
		}, guard.AgeSetBack, interlock.CauseCounterGone, true},
		"the mark is damaged, and the courier says that the TPM never counted": {func(d *disk, c *chip) {
			d.restore([]byte("damaged"))
			c.fault = contract.CounterMissing
		}, guard.AgeSetBack, interlock.CauseCounterGone, true},
		"the TPM refuses":                 {func(_ *disk, c *chip) { c.fault = contract.CounterRefused }, guard.AgeUnproven, interlock.CauseTPMRefused, true},
		"forged by the courier":           {func(_ *disk, c *chip) { c.forge = func(a *contract.Counter) { a.Attest[len(a.Attest)-1]++ } }, guard.AgeUnproven, interlock.CauseNotProven, true},
		"no TPM ever, deployment changed": {func(d *disk, _ *chip) { d.wipe(); d.tpm = false }, guard.AgeUnproven, interlock.CauseUncounted, true},
	} {
		t.Run(name, func(t *testing.T) {
			d, chip := newDisk(t), newChip(t)
			if found := d.run(chip); found.State != guard.AgeProven {
				t.Fatalf("the first start: %+v", d.k.status())
			}
			c.do(d, chip)
			d.run(chip)
			d.want(name, c.state, c.cause, c.waits)
			if c.state == guard.AgeSetBack {
				d.run(chip)
				d.want("again after a restart without a reset", c.state, c.cause, true)
				chip.fault, chip.name = "", counter.Name(counter.Index)
				d.reset(chip)
				d.want("after a reset", guard.AgeProven, interlock.CauseNone, false)
				d.run(chip)
				d.want("at the next start", guard.AgeProven, interlock.CauseNone, false)
			}
		})
	}
}

// TestARobotThatRanWithoutACounter is one whose TPM is to count from now on: it looks like one whose disk was set back, so the courier's
// word is not enough, and the key of whoever answers for that is not pinned before. Off, a robot at its first start needs nobody.
func TestARobotThatRanWithoutACounter(t *testing.T) {
	for _, first := range []bool{false, true} {
		d, chip := newDisk(t), newChip(t)
		if !first {
			d.wipe()
		}
		if d.run(chip); first {
			d.want("the first start", guard.AgeProven, interlock.CauseNone, false)
			continue
		}
		for range 2 {
			d.want("it ran without", guard.AgeSetBack, interlock.CauseCounterGone, true)
			if !strings.Contains(d.k.status().Text, "sign the reset") {
				t.Errorf("nobody is told what to do: %+v", d.k.status())
			}
			d.run(chip)
		}
		if _, err := d.state.dir.ReadFile(ageFile); err == nil || chip.value != 0 {
			t.Errorf("a counter was begun without a reset: %d, %v", chip.value, err)
		}
		d.reset(chip)
		d.want("after the reset", guard.AgeProven, interlock.CauseNone, false)
	}
}

// TestTheFirstStartIsWrittenDown: only a robot that never ran, and whose deployment names a TPM, is marked as new; later, what is
// there stays.
func TestTheFirstStartIsWrittenDown(t *testing.T) {
	for name, c := range map[string]struct{ before, tpm, fresh bool }{
		"with a TPM": {false, true, true}, "without (off)": {false, false, false}, "a TPM later": {true, true, false},
	} {
		s := newTestSite(t)
		if c.before {
			s.kill(s.running())
		}
		if c.tpm {
			raw, err := os.ReadFile(filepath.Join(s.dir, "deployment.yaml"))
			s.must(err)
			s.write("deployment.yaml", append(raw, `
courier: {broker: "tls://127.0.0.1:1", prefix: test, ca: ca.pem, certificate: robot.pem, tpm: tpm.sock, state_dir: courier, bandwidth_kib_s: 64}
`...))
		}
		a := s.running()
		if a.age.fresh != c.fresh || a.age.marked || a.age.expected != c.tpm {
			t.Errorf("%s: fresh %t, marked %t, expected %t", name, a.age.fresh, a.age.marked, a.age.expected)
		}
		s.kill(a)
	}
	d := newDisk(t)
	if k := d.start(); !k.fresh || k.marked {
		t.Errorf("fresh %t, marked %t", k.fresh, k.marked)
	}
	d.run(newChip(t))
	counted := d.image()
	if err := markNew(d.state); err != nil || string(d.image()) != string(counted) {
		t.Errorf("what was counted is gone: %v", err)
	}
}

// TestCutAnywhereTheCountGoesOn ends the guard after each step of the exchange, at the first start and at later ones: the next start
// goes on, and nobody is needed.
func TestCutAnywhereTheCountGoesOn(t *testing.T) {
	for _, starts := range []int{0, 1, 3} {
		for steps := 0; ; steps++ {
			d, chip := newDisk(t), newChip(t)
			for range starts {
				d.run(chip)
			}
			d.start()
			over := d.talk(chip, steps)
			for n := range 3 {
				if d.run(chip); n == 0 || n == 2 {
					d.want("after the cut", guard.AgeProven, interlock.CauseNone, false)
				}
			}
			if over {
				t.Logf("%d starts, %d steps", starts, steps)
				break
			}
		}
	}
}

// TestTPMThatComesLate: a fault is named and asked about again, and what was proven stays so.
func TestTPMThatComesLate(t *testing.T) {
	d, chip := newDisk(t), newChip(t)
	chip.fault = contract.CounterUnavailable
	d.run(chip)
	d.want("away at the first start", guard.AgeUnproven, interlock.CauseTPMUnavailable, true)
	if _, due := d.k.request(&roleConn{}); due {
		t.Error("asked again at once")
	}
	d.boot += ageRetry
	chip.fault = ""
	d.talk(chip, everything)
	d.want("there", guard.AgeProven, interlock.CauseNone, false)
	if first := d.told[0]; first.Cause != interlock.CauseUnanswered || d.k.mark.value != 40 {
		t.Errorf("told %+v first, counter %d", first, d.k.mark.value)
	}
	chip.fault, d.generation, d.boot = contract.CounterUnavailable, 2, d.boot+countEvery
	d.k.recount()
	d.talk(chip, everything)
	d.want("away later", guard.AgeProven, interlock.CauseNone, false)
	chip.fault, d.boot = "", d.boot+ageRetry
	d.talk(chip, everything)
	if chip.value != 41 || d.k.mark.value != 41 {
		t.Errorf("counted to %d, the disk says %d, expected 41", chip.value, d.k.mark.value)
	}
	d.boot += countEvery
	if d.k.recount(); d.k.wanted {
		t.Error("counts although no order was used up") // NV memory wears out
	}
}

// TestAnswersOfOthersAreRefused: only the answer to the open question counts, and once.
func TestAnswersOfOthersAreRefused(t *testing.T) {
	d, chip := newDisk(t), newChip(t)
	d.run(chip)
	d.start()
	early := contract.Counter{Nonce: strings.Repeat("0", 64), Fault: contract.CounterMissing}
	if d.k.take(&early) == nil {
		t.Error("an answer before the question")
	}
	conn := &roleConn{}
	q, due := d.k.request(conn)
	if !due {
		t.Fatal("nothing is asked")
	}
	old := chip.answer(contract.CounterRequest{Nonce: strings.Repeat("1", 64)})
	if d.k.take(&old) == nil {
		t.Error("an answer to another question")
	}
	if _, due := d.k.request(conn); due {
		t.Error("asked twice")
	}
	d.boot += answerLate
	again, due := d.k.request(conn)
	if !due || again.Nonce == q.Nonce {
		t.Errorf("asked again %t, with another nonce %t", due, again.Nonce != q.Nonce)
	}
	late := chip.answer(q)
	if d.k.take(&late) == nil {
		t.Error("an answer that came too late")
	}
	good := chip.answer(again)
	if err := d.k.take(&good); err != nil {
		t.Error(err)
	}
	if d.k.take(&good) == nil {
		t.Error("the same answer twice")
	}
	// A statement with the nonce of another question inside the right frame is not the TPM's word.
	<-d.k.answers
	d.k.want(0, false, 0)
	q, _ = d.k.request(conn)
	swapped := chip.answer(contract.CounterRequest{Nonce: strings.Repeat("1", 64)})
	swapped.Nonce = q.Nonce
	if err := d.k.take(&swapped); err != nil {
		t.Fatal(err)
	}
	got := <-d.k.answers
	d.k.judge(&got)
	d.want("an old statement", guard.AgeUnproven, interlock.CauseNotProven, true)
}

// TestOrdersWaitForTheTPM: with a TPM, what may have been used up before waits for its word; what is bound to this run does not.
func TestOrdersWaitForTheTPM(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	defer s.kill(a)
	d, chip := newDisk(t), newChip(t)
	d.tpm = false
	a.orders.age = d.start()
	d.want("no TPM", guard.AgeUnproven, interlock.CauseUncounted, true)
	if r := a.orders.apply(s.keyList(2)); !r.Applied {
		t.Fatalf("bound to this run (off): %+v", r)
	}
	d.tpm = true
	a.orders.age = d.start()
	list := s.delivered(func() []byte { return s.keyList(3) })
	if r := a.orders.apply(list); r.Accepted || r.Reason != ReasonWaits {
		t.Errorf("before the TPM's word: %+v", r)
	}
	reset := func(binding order.Binding) Receipt {
		return a.orders.apply(s.sign(&order.Order{Kind: order.KindReset, Binding: binding, Reset: &order.Reset{All: true}}, s.engineer))
	}
	if r := reset(order.Binding{BootID: bootUUID(a.boot)}); r.Accepted {
		t.Errorf("a reset that is bound to the boot alone: %+v", r)
	}
	if r := reset(order.Binding{Nonce: a.nonce}); !r.Accepted {
		t.Errorf("a reset that is bound to this run: %+v", r)
	}
	d.talk(chip, everything)
	if a.orders.goOn(); a.orders.verifier.Load().InForce().Order.Sequence != 3 || len(a.orders.waiting.all()) != 0 {
		t.Errorf("after the TPM's word the list is not in force, or the reset waits still: %+v", a.orders.waitingStatus())
	}
	if r := a.orders.apply(s.delivered(func() []byte { return s.keyList(4) })); !r.Applied {
		t.Errorf("after the TPM's word: %+v", r)
	}
}

// TestResetTakesUpWhatThereIs: the signed reset of state.rolled-back, and no other, is what begins anew.
func TestResetTakesUpWhatThereIs(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	defer s.kill(a)
	a.age.guard = a.guard
	a.age.setBack(interlock.CauseBehind, "")
	tick := func() {
		for range 300 {
			a.guard.Tick(a.clock.Boot())
		}
	}
	tick()
	if axes := a.guard.Status().Axes; axes.Motion != "stop" {
		t.Fatalf("motion is %q", axes.Motion)
	}
	reset := func(triggers ...string) Receipt {
		return a.orders.apply(s.sign(&order.Order{Kind: order.KindReset, Binding: order.Binding{Nonce: a.nonce}, Reset: &order.Reset{Triggers: triggers}}, s.engineer))
	}
	reset("restart.unclean")
	if len(a.age.resets) != 0 {
		t.Error("another trigger's reset begins anew")
	}
	if r := reset("state.rolled-back"); r.Applied || len(a.age.resets) != 0 {
		t.Errorf("a safety engineer may not: %+v", r)
	}
	// The same key becomes that of somebody who handles incidents: a list that is bound to this run does not wait.
	s.role = order.RoleSecurity
	s.binding = order.Binding{Nonce: a.nonce}
	list := s.keyList(2)
	if s.binding = (order.Binding{}); !a.orders.apply(list).Applied {
		t.Fatal("the key list is not taken")
	}
	if r := reset("state.rolled-back"); !r.Applied || len(a.age.resets) != 1 {
		t.Errorf("who handles incidents: %+v, %d new beginnings", r, len(a.age.resets))
	}
}

// TestCourierOfTheVersionBeforeIsNotAskedForTheCounter: it would not know the frame. What it does not bring stays unproven.
func TestCourierOfTheVersionBeforeIsNotAskedForTheCounter(t *testing.T) {
	for version, want := range map[int]bool{contract.VersionCounter - 1: false, contract.VersionCounter: true} {
		s := newRoleSite(t)
		asked := make(chan struct{}, 1)
		s.roles.counter = func(*roleConn) (contract.CounterRequest, bool) {
			select {
			case asked <- struct{}{}:
			default:
			}
			return contract.CounterRequest{Nonce: someHex}, true
		}
		s.roles.counted = func(*contract.Counter) error { return nil }
		c := s.speaking(contract.Courier, version)
		s.mu.Lock()
		s.lists = [][]byte{[]byte("{}")} // pushed in the same turn, before the question
		s.mu.Unlock()
		if f := answer(t, c, 0); f.Type != contract.FrameKeys {
			t.Fatalf("frame %q", f.Type)
		}
		if want {
			if f := answer(t, c, 0); f.Type != contract.FrameCounterRequest {
				t.Errorf("version %d: frame %q", version, f.Type)
			}
			s.send(c, 7, contract.Counter{Nonce: someHex, Fault: contract.CounterNoTPM})
			if r := receipt(t, c, 7); !r.Accepted {
				t.Errorf("version %d: %+v", version, r)
			}
			continue
		}
		s.peers.poke()
		s.send(c, 7, contract.Session{State: contract.SessionAttesting, LeaseMS: 1000})
		receipt(t, c, 7)
		if len(asked) > 0 {
			t.Errorf("version %d was asked", version)
		}
		_ = c.Send(contract.Frame{Type: contract.FrameCounter, Body: []byte(`{}`)})
		if code := ended(t, c); code != contract.FailureNotYours {
			t.Errorf("version %d: ended with %q", version, code)
		}
	}
}

// FuzzAgeMark feeds files: what is read has one form.
func FuzzAgeMark(f *testing.F) {
	m := ageMark{value: 3, generation: 9}
	f.Add(m.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := decodeAge(data); err == nil && string(m.encode()) != string(data) {
			t.Errorf("%x is read as %+v", data, m)
		}
	})
}
