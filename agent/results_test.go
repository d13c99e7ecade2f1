package agent

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/order"
)

// newVerifierOffice is an office whose clock is trusted, with its goroutines.
func newVerifierOffice(t *testing.T) *office {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	return o
}

// result signs an attestation result that was issued so many seconds after noon less a minute.
func (o *office) result(issued int, edit ...func(d *order.Order)) []byte {
	d := o.order(order.KindAttestationResult)
	d.NotBefore = noon.Add(-time.Minute + time.Duration(issued)*time.Second)
	for _, f := range edit {
		f(d)
	}
	return o.sign(d, "vic")
}

func refusedResult(d *order.Order) {
	d.AttestationResult.Verdict, d.AttestationResult.Reasons = order.VerdictRefused, []string{"pcr-mismatch:7"}
}

func (o *office) attestation() string {
	o.tick(1)
	s := o.guard.Status().Attestation
	return s.State + " " + s.Tier
}

// TestResultOfAnotherNeverCounts signs results that are right but for one thing.
func TestResultOfAnotherNeverCounts(t *testing.T) {
	o := newVerifierOffice(t)
	const otherNonce, otherBoot = "ffffffffffffffffffffffffffffffff", "ffffffff-9a3e-4f0e-8f1b-1d2c3b4a5968"
	for name, c := range map[string]struct {
		envelope []byte
		reason   string
	}{
		"another guard's nonce":    {o.result(1, func(d *order.Order) { d.Binding.Nonce = otherNonce }), string(order.NonceMismatch)},
		"another boot":             {o.result(1, func(d *order.Order) { d.Binding.BootID = otherBoot }), string(order.BootMismatch)},
		"another robot":            {o.result(1, func(d *order.Order) { d.Audience = []string{"somebody/else"} }), string(order.WrongAudience)},
		"expired":                  {o.result(1, func(d *order.Order) { d.NotAfter = noon.Add(-time.Second) }), string(order.Expired)},
		"not yet valid":            {o.result(600), string(order.NotYetValid)},
		"signed by an operator":    {o.sign(o.order(order.KindAttestationResult), "olga"), string(order.WrongRole)},
		"signed by the consumer":   {o.sign(o.order(order.KindAttestationResult), "carl"), string(order.WrongRole)},
		"refused, of another boot": {o.result(1, refusedResult, func(d *order.Order) { d.Binding.BootID = otherBoot }), string(order.BootMismatch)},
	} {
		t.Run(name, func(t *testing.T) {
			if r := o.orders.apply(c.envelope); r.Accepted || r.Applied || r.Reason != c.reason {
				t.Errorf("found %+v, expected %q", r, c.reason)
			}
			if got := o.attestation(); got != "unattested none" {
				t.Errorf("the guard says %q", got)
			}
		})
	}
	t.Run("from the bus", func(t *testing.T) {
		o.orders.offer(1, o.result(1))
		o.tick(5)
		if got := o.attestation(); got != "unattested none" {
			t.Errorf("the guard says %q", got)
		}
	})
	// The off case: the same thing, right.
	if r := o.orders.apply(o.result(1)); !r.Applied {
		t.Errorf("a good result: %+v", r)
	}
	if got := o.attestation(); got != "attested tpm" {
		t.Errorf("the guard says %q", got)
	}
}

// TestResultsCountInTheOrderOfTheirIssue: a courier that holds results back, repeats them or sends them in another order
// gains nothing.
func TestResultsCountInTheOrderOfTheirIssue(t *testing.T) {
	for name, c := range map[string]struct {
		send []string // "a2" accepts and was issued at second 2, "r3" refuses; a repeated word is the very same envelope
		want string
	}{
		"accepted":                              {[]string{"a1"}, "attested"},
		"refused":                               {[]string{"r1"}, "failed"},
		"accepted, then refused":                {[]string{"a1", "r2"}, "failed"},
		"refused, then accepted":                {[]string{"r1", "a2"}, "attested"},
		"an older acceptance held back":         {[]string{"r2", "a1"}, "failed"},
		"an acceptance of the refusal's second": {[]string{"r2", "a2"}, "failed"},
		"an older refusal held back":            {[]string{"a2", "r1"}, "attested"},
		"an acceptance repeated":                {[]string{"a1", "r2", "a1"}, "failed"},
		"a refusal repeated":                    {[]string{"r1", "a2", "r1"}, "attested"},
		"renewed":                               {[]string{"a1", "a5"}, "attested"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newVerifierOffice(t)
			made := map[string][]byte{}
			for _, word := range c.send {
				var at int
				var kind rune
				if _, err := fmt.Sscanf(word, "%c%d", &kind, &at); err != nil {
					t.Fatal(err)
				}
				if made[word] == nil {
					made[word] = o.result(at)
					if kind == 'r' {
						made[word] = o.result(at, refusedResult)
					}
				}
				o.orders.apply(made[word])
			}
			o.tick(1)
			if got := o.guard.Status().Attestation.State; got != c.want {
				t.Errorf("the guard says %q, expected %q", got, c.want)
			}
		})
	}
}

// TestResultEndsOnTheBootClock: neither a clock that is set back nor one that stands keeps a result alive.
func TestResultEndsOnTheBootClock(t *testing.T) {
	o := newVerifierOffice(t)
	o.orders.apply(o.result(1, func(d *order.Order) { d.NotAfter = noon.Add(10 * time.Second) }))
	if got := o.guard.Status().Attestation.State; got != "attested" {
		t.Fatalf("the guard says %q", got)
	}
	o.tick(700) // Two readings of 10 ms each; civil time stands still at noon.
	if got := o.guard.Status().Attestation.State; got != "expired" {
		t.Errorf("the guard says %q", got)
	}
	if o.status("attestation.expired") == nil {
		t.Error("nothing says so")
	}
}

// TestHungDiskLeavesPlacesForStopsAndStatus: eight orders that loosen something come while the disk hangs. They are
// answered in bounded time, and neither a stop nor a refused attestation nor the status waits for them.
func TestHungDiskLeavesPlacesForStopsAndStatus(t *testing.T) {
	o := newVerifierOffice(t)
	path := listenWith(t, &control{
		users: newUsers(nil, zerolog.Nop()), order: o.orders.apply, status: func() any { return "fine" }, log: zerolog.Nop(),
	})
	hang, inUse := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(hang) })
	t.Cleanup(release)
	o.fs.mu.Lock()
	o.fs.hang, o.fs.inUse = hang, inUse
	o.fs.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answers := make(chan Receipt, 8)
	var senders sync.WaitGroup
	for range 8 {
		envelope := o.sign(o.order(order.KindReset), "olga")
		senders.Go(func() {
			if r, err := contract.SendOrder(ctx, path, envelope); err == nil {
				answers <- r
			}
		})
	}
	<-inUse
	for n := range 5 { // Those that find the queue full are told at once.
		select {
		case r := <-answers:
			if r.Reason != reasonBusy || r.Accepted {
				t.Errorf("found %+v", r)
			}
		case <-time.After(2 * time.Second):
			t.Fatalf("only %d of 5 orders too many were answered within 2 s", n)
		}
	}
	start := time.Now()
	if _, err := contract.ReadStatus(ctx, path); err != nil {
		t.Error(err)
	}
	if r, err := contract.SendOrder(ctx, path, o.result(3, refusedResult)); err != nil || !r.Applied {
		t.Errorf("a refused attestation: %+v, %v", r, err)
	}
	if r, err := contract.SendOrder(ctx, path, o.sign(o.order(order.KindStop), "button")); err != nil || !r.Applied {
		t.Errorf("a stop: %+v, %v", r, err)
	}
	if took := time.Since(start); took > 2*usedStopWait+time.Second {
		t.Errorf("status, refusal and stop took %v", took)
	}
	if !o.stopped() {
		t.Error("the robot is not stopped")
	}
	release()
	senders.Wait()
}

// TestRepeatedStopSaysSo: the very same envelope stops a robot again that was reset since, and its receipt says so.
func TestRepeatedStopSaysSo(t *testing.T) {
	o := newVerifierOffice(t)
	stop := o.sign(o.order(order.KindStop), "olga")
	if r := o.orders.apply(stop); !r.Applied || r.Repeat {
		t.Fatalf("first: %+v", r)
	}
	o.tick(300)
	if r := o.orders.apply(o.sign(o.order(order.KindReset), "olga")); !r.Applied {
		t.Fatalf("reset: %+v", r)
	}
	if r := o.orders.apply(stop); !r.Applied || !r.Repeat {
		t.Errorf("again: %+v", r)
	}
	if !o.stopped() {
		t.Error("the robot is not stopped")
	}
}

func TestAcknowledgements(t *testing.T) {
	o := newVerifierOffice(t)
	a := &acknowledgements{robot: testRobot, boot: testBoot, verify: func(e []byte) ([]byte, error) {
		payload, _, err := o.orders.verifier.Load().VerifyDocument(o.times, order.AcknowledgementType, order.RoleConsumer, e)
		return payload, err
	}}
	sign := func(who string, seq uint64, edit func(*order.Acknowledgement)) []byte {
		ack := order.Acknowledgement{Robot: testRobot, Log: "guard", BootID: testBoot, Seq: seq, Digest: someHex}
		edit(&ack)
		payload, err := ack.Encode()
		if err != nil {
			t.Fatal(err)
		}
		e, err := order.SignDocument(order.AcknowledgementType, payload, o.people[who])
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	same := func(*order.Acknowledgement) {}
	for _, c := range []struct {
		name     string
		envelope []byte
		ok       bool
		want     uint64
	}{
		{"rubbish", []byte("{}"), false, 0},
		{"by the verifier", sign("vic", 7, same), false, 0},
		{"another robot's", sign("carl", 7, func(a *order.Acknowledgement) { a.Robot = "somebody/else" }), false, 0},
		{"an unknown log", sign("carl", 7, func(a *order.Acknowledgement) { a.Log = "kitchen" }), false, 0},
		{"another boot's", sign("carl", 9, func(a *order.Acknowledgement) { a.BootID = "ffffffff-9a3e-4f0e-8f1b-1d2c3b4a5968" }), true, 0},
		{"good", sign("carl", 7, same), true, 7},
		{"an older one", sign("carl", 3, same), true, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := a.take(c.envelope); (err == nil) != c.ok {
				t.Errorf("found %v", err)
			}
			if got := a.list()["guard"]; got != c.want {
				t.Errorf("acknowledged up to %d, expected %d", got, c.want)
			}
		})
	}
}
