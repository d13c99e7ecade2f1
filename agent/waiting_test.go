package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// aged is what somebody found out about the age of the disk.
func aged(state guard.AgeState, cause interlock.Cause) *ageKeeper {
	return &ageKeeper{found: guard.Age{State: state, Cause: cause}}
}

func diskUnproven() *ageKeeper { return aged(guard.AgeUnproven, interlock.CauseUnanswered) }

func diskProven() *ageKeeper { return aged(guard.AgeProven, interlock.CauseNone) }

const formerNonce = "ffffffffffffffffffffffffffffffff"

// lateOffice is an office whose guard has run for so long that an order of this run needs no nonce for its age.
func lateOffice(t *testing.T, edit ...func(policy string) string) *office {
	t.Helper()
	o := newOffice(t, append(edit, gates)...)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	o.orders.began = o.clock.Boot() - time.Minute
	o.orders.halt = func(string, string) error { return nil }
	return o
}

// kindsOfOrders are all that a person can send, with who signs them; tightens are those that must never wait.
var kindsOfOrders = map[string]struct {
	by       string
	tightens bool
	order    func(o *office) *order.Order
}{
	"reset":    {"olga", false, func(o *office) *order.Order { return o.order(order.KindReset) }},
	"grant":    {"sven", false, func(o *office) *order.Order { return o.order(order.KindGrant) }},
	"lease":    {"sven", false, func(o *office) *order.Order { return o.zoneGrant("gate") }},
	"override": {"sven", false, func(o *office) *order.Order { return o.order(order.KindOverride) }},
	"session":  {"sven", false, func(o *office) *order.Order { return o.order(order.KindSession) }},
	"policy set": {"sven", false, func(o *office) *order.Order {
		d := o.order(order.KindPolicySet)
		d.Sequence, d.PolicySet = 2, &order.PolicySet{Policy: []byte("x"), PolicySHA256: order.Digest([]byte("x")), ProfileSHA256: someHex, TopicsSHA256: someHex}
		return d
	}},
	"key list": {"rita", false, func(o *office) *order.Order {
		d := o.order(order.KindKeyList)
		d.Sequence, d.KeyList = 2, o.orders.verifier.Load().KeyList()
		return d
	}},
	"release": {"sven", false, func(o *office) *order.Order {
		d := o.order(order.KindRelease)
		d.Sequence, d.Release = 2, aRelease()
		return d
	}},
	"stop": {"button", true, func(o *office) *order.Order { return o.order(order.KindStop) }},
	"halt": {"button", true, func(o *office) *order.Order {
		d := o.order(order.KindHalt)
		d.Halt = &order.Halt{Version: "1"}
		return d
	}},
	"grant taken back": {"sven", true, func(o *office) *order.Order {
		return o.zoneGrant("gate", func(d *order.Order) { d.Grant.Answer = order.AnswerRevoked })
	}},
	"override ended": {"sven", true, func(o *office) *order.Order {
		d := o.order(order.KindOverride)
		d.Override = &order.Override{Triggers: []string{"pose.covariance"}, End: true}
		return d
	}},
	"session ended": {"sven", true, func(o *office) *order.Order {
		d := o.order(order.KindSession)
		d.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
		return d
	}},
}

// bind names what an order is bound to; one that is bound to no run is of this one by its time, and by its boot where it has to be.
func bind(d *order.Order, to string) *order.Order {
	d.NotBefore = noon.Add(-25 * time.Second)
	switch {
	case to != "":
		d.Binding = order.Binding{Nonce: to}
	case d.Kind.Bound():
		d.Binding = order.Binding{BootID: testBoot}
	}
	return d
}

// TestWhichOrdersWait is the whole table: what is sent, what is known of the disk, and which run of the guard it names.
func TestWhichOrdersWait(t *testing.T) {
	disks := map[string]struct {
		age  func() *ageKeeper
		none string // what becomes of a loosening order that names no run
	}{
		"proven":         {diskProven, ""},
		"unproven":       {diskUnproven, ReasonWaits},
		"no TPM":         {func() *ageKeeper { return aged(guard.AgeUnproven, interlock.CauseUncounted) }, ReasonWaits},
		"TPM gone":       {func() *ageKeeper { return aged(guard.AgeUnproven, interlock.CauseTPMUnavailable) }, ReasonWaits},
		"set back":       {func() *ageKeeper { return aged(guard.AgeSetBack, interlock.CauseBehind) }, reasonUnproven},
		"nobody said it": {func() *ageKeeper { return nil }, ReasonWaits},
	}
	for kind, k := range kindsOfOrders {
		for disk, d := range disks {
			for run, nonce := range map[string]string{"this": testNonce, "a former": formerNonce, "none": ""} {
				want := map[string]string{"a former": string(order.NonceMismatch)}[run]
				if run == "none" && !k.tightens {
					want = d.none
				}
				t.Run(kind+", "+disk+", "+run, func(t *testing.T) {
					o := lateOffice(t)
					o.orders.age = d.age()
					before := o.guard.Status()
					r := o.orders.apply(o.sign(bind(k.order(o), nonce), k.by))
					if r.Reason != want || r.Accepted != (want == "") {
						t.Fatalf("%+v, expected %q", r, want)
					}
					if after := o.guard.Status(); want != "" && (len(after.Overrides) != len(before.Overrides) || len(after.Sessions) != 0 || after.Axes != before.Axes) {
						t.Errorf("it changed something: %+v", after)
					}
					if waits := want == ReasonWaits; waits != (len(o.orders.waitingStatus()) == 1) || waits != strings.Contains(r.Text, "--nonce "+testNonce) && want != reasonUnproven {
						t.Errorf("%+v wait, and the receipt says %q", o.orders.waitingStatus(), r.Text)
					}
				})
			}
		}
	}
}

// TestWhatWaitsCountsOnceItMay: each kind waits, does nothing meanwhile, and takes effect with the proof, once. An order of the same
// bytes that comes again meanwhile is the same order.
func TestWhatWaitsCountsOnceItMay(t *testing.T) {
	for kind, k := range kindsOfOrders {
		if k.tightens {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			o := lateOffice(t)
			o.orders.age = diskUnproven()
			o.orders.apply(o.sign(o.order(order.KindStop), "button"))
			o.tick(5)
			envelope := o.sign(bind(k.order(o), ""), k.by)
			for range 2 {
				if r := o.orders.apply(envelope); r.Reason != ReasonWaits {
					t.Fatalf("%+v", r)
				}
			}
			o.orders.goOn()
			if got := o.orders.waitingStatus(); len(got) != 1 || got[0].Kind != string(claimed(envelope).Kind) {
				t.Fatalf("%+v wait", got)
			}
			notes := o.journal.notes
			o.orders.age = diskProven()
			o.orders.goOn()
			if r := o.journal.last; o.journal.notes != notes+1 || !r.Accepted || len(o.orders.waitingStatus()) != 0 {
				t.Errorf("with the proof: %+v, %+v wait", r, o.orders.waitingStatus())
			}
			if r := o.orders.apply(envelope); !k.order(o).Kind.Sequenced() && r.Reason != string(order.Replayed) {
				t.Errorf("once more: %+v", r)
			}
		})
	}
}

// TestWhatWaitsDoesNotOutliveWhatItWasSignedFor: what somebody does meanwhile goes before the order that waits. Off, nobody does anything.
func TestWhatWaitsDoesNotOutliveWhatItWasSignedFor(t *testing.T) {
	reset := func(o *office) []byte { return o.sign(bind(o.order(order.KindReset), ""), "olga") }
	for name, c := range map[string]struct {
		order     func(o *office) []byte
		meanwhile func(o *office)
		reason    string
	}{
		"a reset, nothing (off)": {reset, func(*office) {}, ""},
		"a reset, another stop":  {reset, func(o *office) { o.orders.apply(o.sign(o.order(order.KindStop), "button")) }, reasonOvertaken},
		"a reset, and somebody signed it with the nonce": {reset, func(o *office) {
			o.orders.apply(o.sign(bind(o.order(order.KindReset), testNonce), "olga"))
		}, reasonOvertaken},
		"an override, nothing (off)": {func(o *office) []byte { return o.sign(bind(o.order(order.KindOverride), ""), "sven") }, func(*office) {}, ""},
		"an override, its end": {
			func(o *office) []byte { return o.sign(bind(o.order(order.KindOverride), ""), "sven") },
			func(o *office) {
				d := o.order(order.KindOverride)
				d.Override = &order.Override{Triggers: []string{"pose.covariance"}, End: true}
				o.orders.apply(o.sign(d, "sven"))
			}, reasonOvertaken,
		},
		"a session, and so much time": {
			func(o *office) []byte { return o.sign(bind(o.order(order.KindSession), ""), "sven") },
			func(o *office) { o.times.Civil = noon.Add(5 * time.Minute) }, string(order.Expired),
		},
		"a session, and the disk was set back": {
			func(o *office) []byte { return o.sign(bind(o.order(order.KindSession), ""), "sven") },
			func(o *office) {
				o.orders.age = aged(guard.AgeSetBack, interlock.CauseBehind)
				o.orders.goOn()
			}, reasonUnproven,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := lateOffice(t)
			o.orders.age = diskUnproven()
			o.orders.apply(o.sign(o.order(order.KindStop), "button"))
			o.tick(5)
			envelope := c.order(o)
			r := o.orders.apply(envelope)
			if r.Reason != ReasonWaits {
				t.Fatalf("%+v", r)
			}
			c.meanwhile(o)
			o.tick(5)
			stopped := o.stopped()
			o.orders.age = diskProven()
			o.orders.goOn()
			o.tick(5)
			if r = o.journal.receipts[r.Digest]; r.Applied != (c.reason == "") || r.Reason != c.reason {
				t.Errorf("%+v, expected %q", r, c.reason)
			}
			if reset := strings.HasPrefix(name, "a reset") && c.reason == ""; o.stopped() != (stopped && !reset) {
				t.Errorf("stopped %v, before the proof %v", o.stopped(), stopped)
			}
			if len(o.orders.waitingStatus()) != 0 || c.reason != "" && o.overridden()+o.remote() != 0 {
				t.Errorf("%+v wait, %d are overridden, %d sessions", o.orders.waitingStatus(), o.overridden(), o.remote())
			}
		})
	}
}

// TestHowMuchWaits: so many orders wait, and so many bytes; who comes beyond them is told so, and a stop finds its way at once.
func TestHowMuchWaits(t *testing.T) {
	o := lateOffice(t)
	o.orders.age = diskUnproven()
	for range maxWaiting {
		if r := o.orders.apply(o.sign(bind(o.order(order.KindReset), ""), "olga")); r.Reason != ReasonWaits {
			t.Fatalf("%+v", r)
		}
	}
	if r := o.orders.apply(o.sign(bind(o.order(order.KindReset), ""), "olga")); r.Reason != reasonUnproven || !strings.Contains(r.Text, testNonce) {
		t.Errorf("one too many: %+v", r)
	}
	if r := o.orders.apply(o.sign(bind(o.order(order.KindStop), ""), "button")); !r.Applied || len(o.orders.waiting.all()) != 0 {
		t.Errorf("a stop: %+v", r)
	}
	q := &waiting{}
	if q.add(&waitingOrder{envelope: make([]byte, maxWaitingBytes), digest: [32]byte{1}}) == nil || q.add(&waitingOrder{envelope: []byte{1}, digest: [32]byte{2}}) != nil {
		t.Error("the bytes are not bounded")
	}
	if q.drop(func(*waitingOrder) bool { return true }); q.bytes != 0 || q.add(&waitingOrder{envelope: []byte{1}}) == nil {
		t.Error("room is not given back")
	}
}

// copyState keeps an image of the robot's state, and returns what puts it back.
func (s *testSite) copyState() (restore func()) {
	s.t.Helper()
	dir, image := filepath.Join(s.dir, "state"), filepath.Join(s.t.TempDir(), "image")
	s.must(os.CopyFS(image, os.DirFS(dir)))
	return func() {
		s.t.Helper()
		s.must(os.RemoveAll(dir))
		s.must(os.CopyFS(dir, os.DirFS(image)))
	}
}

// TestDiskSetBackWithoutATPM: nothing notices that, so what was used up before does not count again until it is signed for the run that
// hears it. Each run ends as by a kill. Off, the disk is as it was, and its record refuses the used order by itself.
func TestDiskSetBackWithoutATPM(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := newTestSite(t)
		stop := func(a *Agent) {
			if r := a.orders.apply(s.sign(&order.Order{Kind: order.KindStop, Stop: &order.Stop{Category: 2}}, s.engineer)); !r.Applied {
				t.Fatalf("%+v", r)
			}
			for range 5 {
				a.guard.Tick(a.clock.Boot())
			}
		}
		stopped := func(a *Agent) bool {
			for range 5 {
				a.guard.Tick(a.clock.Boot())
			}
			var held bool
			a.guard.With(func(c *guard.Core) { held = c.Decision().LatchedSet.Has(interlock.OrderStop) })
			return held
		}
		reset := func(b order.Binding) []byte {
			return s.sign(&order.Order{Kind: order.KindReset, Binding: b, Reset: &order.Reset{All: true}}, s.engineer)
		}
		// reseted resets the stop: a busy computer may need more than one look at its cause.
		reseted := func(a *Agent, b order.Binding) []byte {
			for range 50 {
				envelope := reset(b)
				stopped(a)
				if r := a.orders.apply(envelope); r.Applied && !stopped(a) {
					return envelope
				} else if !r.Accepted {
					t.Fatalf("%+v", r)
				}
			}
			t.Fatal("the stop cannot be reset")
			return nil
		}
		a := s.running()
		stop(a)
		s.must(a.state.flush())
		restore := s.copyState()
		former := reset(order.Binding{Nonce: a.nonce, BootID: bootUUID(a.boot)})
		// Used up in a run in which a TPM vouched for the disk, say; the TPM is gone since.
		a.orders.age = diskProven()
		used := reseted(a, order.Binding{BootID: bootUUID(a.boot)})
		policy := s.delivered(func() []byte { return s.set(2) })
		if r := a.orders.apply(policy); !r.Applied {
			t.Fatalf("%+v", r)
		}
		list := s.keyList(2)
		if r := a.orders.apply(list); !r.Applied {
			t.Fatalf("%+v", r)
		}
		s.must(a.state.flush())
		s.kill(a)
		if !off {
			restore()
		}

		a = s.running()
		if off {
			if r := a.orders.apply(used); r.Reason != string(order.Replayed) || stopped(a) {
				t.Errorf("off: %+v, stopped %v", r, stopped(a))
			}
			// What was bound to the run before is in force all the same.
			if v := a.verify.InForce(); v == nil || v.Order.Sequence != 2 || a.cfg.Policy.Revision != 2 || a.verify.Fault() != nil {
				t.Errorf("off: key list %+v, policy %d, %v", v, a.cfg.Policy.Revision, a.verify.Fault())
			}
			s.kill(a)
			continue
		}
		if !stopped(a) || a.cfg.Policy.Revision != 1 {
			t.Fatal("this is no disk that was set back")
		}
		for what, c := range map[string]struct {
			envelope []byte
			reason   string
		}{
			"a used reset": {used, ReasonWaits}, "a used policy": {policy, ReasonWaits}, "a key list of another run": {list, string(order.NonceMismatch)},
			"a reset of another run": {former, string(order.NonceMismatch)},
		} {
			if r := a.orders.apply(c.envelope); r.Accepted || r.Reason != c.reason || !strings.Contains(r.Text, a.nonce) {
				t.Errorf("%s: %+v", what, r)
			}
		}
		a.orders.goOn()
		if !stopped(a) || a.cfg.Policy.Revision != 1 {
			t.Error("a used order counts again")
		}
		s.kill(a)

		// What waited is forgotten, and was not used up: a kill between its coming and its effect changes nothing.
		a = s.running()
		if a.orders.goOn(); !stopped(a) || a.cfg.Policy.Revision != 1 || len(a.orders.waitingStatus()) != 0 {
			t.Error("what waited counts after a kill")
		}
		if r := a.orders.apply(s.set(2)); !r.Applied || !stopped(a) {
			t.Errorf("a policy that is signed for this run: %+v", r)
		}
		reseted(a, order.Binding{Nonce: a.nonce})
		s.must(a.state.flush())
		s.kill(a)
		if got := s.revision(); got != 2 {
			t.Errorf("policy %d is in force after a restart", got)
		}
	}
}

// TestNothingThatLoosensComesBackWithTheDisk: overrides, sessions and grants end with the guard, so none is restored with an old disk.
func TestNothingThatLoosensComesBackWithTheDisk(t *testing.T) {
	s := newSiteOf(t, "diff-drive", func(name string, raw []byte) []byte {
		if name == "policy.yaml" {
			raw = append(raw, "\noverrides:\n  - {triggers: [pose.covariance], roles: [safety-engineer], persons: 1, lasts: 8h, max_speed_mps: 0.3}\n"...)
		}
		return raw
	})
	a := s.running()
	a.guard.Tick(a.clock.Boot())
	override := &order.Override{Triggers: []string{"pose.covariance"}, MaxSpeedMPS: 0.1, Expires: time.Now().UTC().Truncate(time.Second).Add(time.Hour)}
	if r := a.orders.apply(s.sign(&order.Order{Kind: order.KindOverride, Binding: order.Binding{Nonce: a.nonce}, Override: override}, s.engineer)); !r.Applied {
		t.Fatalf("%+v", r)
	}
	was := a.guard.Status()
	s.must(a.state.flush())
	s.kill(a)
	a = s.running()
	defer s.kill(a)
	a.guard.Tick(a.clock.Boot())
	if now := a.guard.Status(); len(was.Overrides) != 1 || len(now.Overrides)+len(now.Sessions)+len(now.Leases) != 0 {
		t.Errorf("before %+v, after %+v %+v %+v", was.Overrides, now.Overrides, now.Sessions, now.Leases)
	}
}
