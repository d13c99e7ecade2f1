package agent

import (
	"crypto"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

func (o *office) overridden() int { return len(o.guard.Status().Overrides) }

func (o *office) remote() int { return len(o.guard.Status().Sessions) }

func readyOffice(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	return o
}

func TestOverrideOrders(t *testing.T) {
	with := func(change func(d *order.Order)) func(o *office) *order.Order {
		return func(o *office) *order.Order {
			d := o.order(order.KindOverride)
			change(d)
			return d
		}
	}
	journal := with(func(d *order.Order) { d.Override.Triggers = []string{"journal.unwritable"} })
	for name, c := range map[string]struct {
		order   func(o *office) *order.Order
		signers []string
		applied bool
		reason  string
	}{
		"as it should be":                   {with(func(*order.Order) {}), []string{"sven"}, true, ""},
		"two of two persons":                {journal, []string{"sven", "sara"}, true, ""},
		"one of two persons":                {journal, []string{"sven"}, false, ""},
		"one of two persons, by two keys":   {journal, []string{"sven", "sven's other key"}, false, ""},
		"a role that the policy lacks":      {with(func(*order.Order) {}), []string{"olga"}, false, ""},
		"a role that may sign none":         {with(func(*order.Order) {}), []string{"finn"}, false, "wrong-role"},
		"longer than the policy lets it":    {with(func(d *order.Order) { d.Override.Expires = noon.Add(11 * time.Minute) }), []string{"sven"}, false, ""},
		"faster than the policy lets it":    {with(func(d *order.Order) { d.Override.MaxSpeedMPS = 0.31 }), []string{"sven"}, false, ""},
		"a trigger that nobody can":         {with(func(d *order.Order) { d.Override.Triggers = []string{"order.stop"} }), []string{"sven", "sara"}, false, ""},
		"half of it":                        {with(func(d *order.Order) { d.Override.Triggers = []string{"pose.covariance", "order.stop"} }), []string{"sven", "sara"}, false, ""},
		"a trigger that there is not":       {with(func(d *order.Order) { d.Override.Triggers = []string{"pose.wrong"} }), []string{"sven"}, false, "unknown-trigger"},
		"for another run of the guard":      {with(func(d *order.Order) { d.Binding.Nonce = "ffffffffffffffffffffffffffffffff" }), []string{"sven"}, false, "nonce-mismatch"},
		"before it would end, after noon":   {with(func(d *order.Order) { d.Override.Expires = noon }), []string{"sven"}, false, ""},
		"within the clock's own error":      {with(func(d *order.Order) { d.Override.Expires = noon.Add(time.Second) }), []string{"sven"}, false, ""},
		"just beyond the clock's own error": {with(func(d *order.Order) { d.Override.Expires = noon.Add(30 * time.Second) }), []string{"sven"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := readyOffice(t)
			r := o.orders.apply(o.sign(c.order(o), c.signers...))
			if r.Applied != c.applied || (o.overridden() > 0) != c.applied || r.Reason != c.reason || r.Text == "" {
				t.Errorf("found %+v, %d in force", r, o.overridden())
			}
		})
	}
}

func TestOverrideByTwoOrders(t *testing.T) {
	o := readyOffice(t)
	ask := func(names ...string) Receipt {
		d := o.order(order.KindOverride)
		d.Override.Triggers = []string{"journal.unwritable"}
		return o.orders.apply(o.sign(d, names...))
	}
	first := ask("sven")
	if first.Applied || first.Triggers["journal.unwritable"] != "waits for a second person" {
		t.Fatalf("the first: %+v", first)
	}
	if r := ask("sven's other key"); r.Applied {
		t.Fatalf("the same person's other key was a second person: %+v", r)
	}
	if r := ask("sara"); !r.Applied || o.overridden() != 1 {
		t.Fatalf("the second: %+v", r)
	}
}

// TestAuthorityIsUsedOnce and counts only with a clock, while what ends it needs none.
func TestAuthorityIsUsedOnce(t *testing.T) {
	o := readyOffice(t)
	override, session := o.sign(o.order(order.KindOverride), "sven"), o.sign(o.order(order.KindSession), "sven")
	trusted := o.times
	o.times.Trust = order.Untrusted
	for _, e := range [][]byte{override, session} {
		if r := o.orders.apply(e); r.Accepted || r.Reason != "clock-untrusted" {
			t.Errorf("without a clock: %+v", r)
		}
	}
	o.times = trusted
	for _, e := range [][]byte{override, session} {
		if r := o.orders.apply(e); !r.Applied {
			t.Errorf("with a clock: %+v", r)
		}
		if r := o.orders.apply(e); r.Accepted || r.Reason != "replayed" {
			t.Errorf("a second time: %+v", r)
		}
	}
	if o.overridden() != 1 || o.remote() != 1 {
		t.Fatalf("in force: %d overrides, %d sessions", o.overridden(), o.remote())
	}
	o.times.Trust = order.Untrusted
	end, over := o.order(order.KindOverride), o.order(order.KindSession)
	end.Override = &order.Override{Triggers: []string{"pose.covariance"}, End: true}
	over.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
	for _, d := range []*order.Order{end, over} {
		if r := o.orders.apply(o.sign(d, "sven")); !r.Applied {
			t.Errorf("an end without a clock: %+v", r)
		}
	}
	if o.overridden() != 0 || o.remote() != 0 {
		t.Errorf("in force after their ends: %d overrides, %d sessions", o.overridden(), o.remote())
	}
}

// TestAuthorityIsDurableBeforeItCounts: a disk that takes nothing lets nothing begin, and lets everything end.
func TestAuthorityIsDurableBeforeItCounts(t *testing.T) {
	o := readyOffice(t)
	if r := o.orders.apply(o.sign(o.order(order.KindSession), "sven")); !r.Applied {
		t.Fatalf("a session: %+v", r)
	}
	o.fs.mu.Lock()
	o.fs.fail = errors.New("no space left on device")
	o.fs.mu.Unlock()
	if r := o.orders.apply(o.sign(o.order(order.KindOverride), "sven")); r.Applied || r.Reason != "state-unwritable" || o.overridden() != 0 {
		t.Errorf("an override took effect that is not recorded: %+v", r)
	}
	over := o.order(order.KindSession)
	over.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
	if r := o.orders.apply(o.sign(over, "sven")); !r.Applied || o.remote() != 0 {
		t.Errorf("a full disk kept a session open: %+v", r)
	}
}

// TestKilledBetweenDurableAndEffective: whatever the moment of a kill, the order counts at most once, and the next guard
// has none of it.
func TestKilledBetweenDurableAndEffective(t *testing.T) {
	for _, kind := range []order.Kind{order.KindOverride, order.KindSession} {
		o := readyOffice(t)
		envelope := o.sign(o.order(kind), "sven")
		v, err := o.orders.verifier.Load().Verify(o.times, envelope)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.orders.ledger.Commit(o.times, v); err != nil {
			t.Fatal(err)
		}
		// Here the guard dies; its successor reads the record of used orders.
		if o.overridden()+o.remote() != 0 {
			t.Fatalf("a %s took effect before it was given to the core", kind)
		}
		floors := &ledger{store: order.OpenStore(o.fs, false)}
		next, err := order.NewVerifier(order.Config{
			Robot: testRobot, BootID: testBoot, Nonce: testNonce, Roots: []crypto.PublicKey{o.people["rita"].Public()}, RequiredRoots: 1,
			KeyLists: o.orders.verifier.Load().Chain(),
		}, floors)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := next.Verify(o.times, envelope); order.ReasonOf(err) != order.Replayed {
			t.Errorf("a %s that was durable counts once more after a kill: %v", kind, err)
		}
	}
}

func TestSessionOrders(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(s *order.Session)
		by      string
		applied bool
		reason  string
	}{
		"as it should be":      {func(*order.Session) {}, "sara", true, ""},
		"to look":              {func(s *order.Session) { s.Level = order.LevelView }, "finn", true, ""},
		"by an operator":       {func(*order.Session) {}, "olga", false, "wrong-role"},
		"an unknown channel":   {func(s *order.Session) { s.Channel = "nobody" }, "sara", false, "unknown-channel"},
		"an autonomy channel":  {func(s *order.Session) { s.Channel = "planner" }, "sara", false, ""},
		"over before it began": {func(s *order.Session) { s.Expires = noon }, "sara", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := readyOffice(t)
			d := o.order(order.KindSession)
			c.change(d.Session)
			r := o.orders.apply(o.sign(d, c.by))
			if r.Applied != c.applied || (o.remote() > 0) != c.applied || r.Reason != c.reason || r.Text == "" {
				t.Errorf("found %+v, %d open", r, o.remote())
			}
		})
	}
}

// TestEndsDoNotWaitForADiskThatHangs: a reset is being written and the disk hangs. What ends an override or a session acts
// meanwhile; what begins one still waits until it is durable, and a used one stays used.
func TestEndsDoNotWaitForADiskThatHangs(t *testing.T) {
	o := readyOffice(t)
	used := o.sign(o.order(order.KindSession), "sven")
	for _, e := range [][]byte{used, o.sign(o.order(order.KindOverride), "sven")} {
		if r := o.orders.apply(e); !r.Applied {
			t.Fatalf("before: %+v", r)
		}
	}
	hang, inUse := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(hang) })
	var senders sync.WaitGroup
	t.Cleanup(func() { release(); senders.Wait() }) // A failure must not hang as well.
	o.fs.mu.Lock()
	o.fs.hang, o.fs.inUse = hang, inUse
	o.fs.mu.Unlock()
	senders.Go(func() { o.orders.apply(o.sign(o.order(order.KindReset), "olga")) })
	<-inUse
	end, over := o.order(order.KindOverride), o.order(order.KindSession)
	end.Override = &order.Override{Triggers: []string{"pose.covariance"}, End: true}
	over.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
	for _, d := range []*order.Order{end, over} {
		senders.Go(func() { o.orders.apply(o.sign(d, "sven")) })
	}
	eventually(t, "their ends", func() bool { return o.overridden()+o.remote() == 0 })
	again := make(chan Receipt, 1)
	senders.Go(func() { again <- o.orders.apply(used) })
	release()
	if r := <-again; r.Accepted || r.Reason != "replayed" || o.remote() != 0 {
		t.Errorf("the order that opened the session, again: %+v", r)
	}
}

// TestAnEndOvertakesWhatWaitsForTheDisk: a session is ended while the order that opens it waits for the disk. It must not
// open afterwards.
func TestAnEndOvertakesWhatWaitsForTheDisk(t *testing.T) {
	o := readyOffice(t)
	o.serve()
	hang, inUse := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(hang) })
	var senders sync.WaitGroup
	t.Cleanup(func() { release(); senders.Wait() }) // A failure must not hang as well.
	o.fs.mu.Lock()
	o.fs.hang, o.fs.inUse = hang, inUse
	o.fs.mu.Unlock()
	opened := make(chan Receipt, 1)
	open, over := o.sign(o.order(order.KindSession), "sven"), o.order(order.KindSession)
	over.Session = &order.Session{Channel: "operator", Level: order.LevelEnd}
	end := o.sign(over, "sven")
	senders.Go(func() { opened <- o.orders.apply(open) })
	<-inUse
	o.orders.apply(end)
	release()
	if r := <-opened; r.Accepted || r.Applied || r.Reason != "overtaken" || o.remote() != 0 {
		t.Errorf("a session outlives its end: %+v, %d open", r, o.remote())
	}
}
