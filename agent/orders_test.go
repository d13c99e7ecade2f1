package agent

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

const (
	testRobot = "robowarden-demo/demo-humanoid-01"
	testBoot  = "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968"
	testNonce = "000102030405060708090a0b0c0d0e0f"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// faultFS keeps files in memory, and fails or hangs when told to.
type faultFS struct {
	mu    sync.Mutex
	files map[string][]byte
	fail  error
	hang  chan struct{} // writes wait until it is closed
	inUse chan struct{} // closed when a write hangs
}

func newFaultFS() *faultFS { return &faultFS{files: map[string][]byte{}} }

func (f *faultFS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.files[name]; ok {
		return bytes.Clone(b), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (f *faultFS) WriteSync(name string, data []byte) error {
	f.mu.Lock()
	hang, inUse, fail := f.hang, f.inUse, f.fail
	f.hang, f.inUse = nil, nil
	f.mu.Unlock()
	if hang != nil {
		close(inUse)
		<-hang
	}
	if fail != nil {
		return fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[name] = bytes.Clone(data)
	return nil
}

func (f *faultFS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files[to] = f.files[from]
	delete(f.files, from)
	return nil
}

func (f *faultFS) SyncDir() error { return nil }

// discard is a sink and a journal for a guard whose orders are tested.
type discard struct {
	guard.NoGates
	mu    sync.Mutex
	notes int
	// receipts are the last one of each order, by its digest; last is the newest.
	receipts map[string]Receipt
	last     Receipt
}

func (*discard) Command(uint64, msg.Twist)         {}
func (*discard) Lock(uint64, bool)                 {}
func (*discard) Challenge(int, []byte)             {}
func (*discard) Rungs(uint64, uint32, guard.Calls) {}
func (*discard) Private(uint64, bool)              {}
func (*discard) CommandChallenge(int, []byte)      {}

func (d *discard) Append(kind uint8, _ time.Duration, text []byte, _ bool) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if kind == guard.RecordOrder {
		d.notes++
		d.last = Receipt{}
		_ = json.Unmarshal(text, &d.last)
		d.receipts[d.last.Digest] = d.last
	}
	return 1, true
}

// stepClock moves by 10 ms whenever it is read, so that a guard that is only spoken to still gets older.
type stepClock struct {
	mu   sync.Mutex
	boot time.Duration
}

func (c *stepClock) Boot() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot += 10 * time.Millisecond
	return c.boot
}

func (c *stepClock) Civil() int64 { return noon.UnixNano() }

// office is a guard with its orders and everybody who may sign one.
type office struct {
	t       *testing.T
	orders  *orders
	guard   *guard.Guard
	fs      *faultFS
	clock   *stepClock
	journal *discard
	people  map[string]crypto.Signer
	times   order.Times
}

func newOffice(t *testing.T, edit ...func(policy string) string) *office {
	t.Helper()
	o := &office{
		t: t, fs: newFaultFS(), clock: &stepClock{}, journal: &discard{receipts: map[string]Receipt{}}, people: map[string]crypto.Signer{},
		times: order.Times{Civil: noon, Uncertainty: time.Second, Trust: order.Trusted},
	}
	list := &order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{testRobot}, Sequence: 1,
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), Reason: "enrolment", KeyList: &order.KeyList{},
	}
	for name, role := range map[string]order.Role{
		"rita": order.RoleRoot, "sven": order.RoleSafetyEngineer, "olga": order.RoleOperator, "otto": order.RoleOperator,
		"sara": order.RoleSupervisor, "finn": order.RoleFleetManager, "vera": order.RoleVendor, "button": order.RoleStopOnly,
		"sven's other key": order.RoleSupervisor, "vic": order.RoleVerifier, "carl": order.RoleConsumer,
	} {
		key, err := order.GenerateKey(order.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := order.MarshalPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		id, err := order.KeyID(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		o.people[name] = key
		list.KeyList.Keys = append(list.KeyList.Keys, order.Key{
			ID: id, PEM: string(pem), Person: strings.TrimSuffix(name, "'s other key"), Roles: []order.Role{role}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour),
		})
	}
	l := &ledger{store: order.OpenStore(o.fs, true)}
	v, err := order.NewVerifier(order.Config{
		Robot: testRobot, BootID: testBoot, Nonce: testNonce, Roots: []crypto.PublicKey{o.people["rita"].Public()}, RequiredRoots: 1,
		KeyLists: [][]byte{o.sign(list, "rita")},
	}, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Fault(); err != nil {
		t.Fatal(err)
	}
	params := demoParams(t, edit...)
	core, err := guard.NewCore(params, guard.Start{})
	if err != nil {
		t.Fatal(err)
	}
	beat, err := guard.NewHeartbeat("operator", testRobot, [16]byte{1}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	o.guard = guard.New(guard.Options{
		Core: core, Clock: o.clock, Sink: o.journal, Journal: o.journal, Heartbeats: []*guard.Heartbeat{beat}, Persist: func([]byte) {}, Log: zerolog.Nop(),
	})
	o.orders = &orders{
		ledger: l, guard: o.guard, log: zerolog.Nop(), zones: func() *geofence.Set { return params.Set },
		now:   func() (order.Times, time.Duration) { return o.times, o.clock.Boot() },
		stage: func(*order.Verified, []byte) (func() error, error) { return func() error { return nil }, nil },
		nonce: testNonce, inbox: newInbox(o.clock.Boot), used: make(chan usedStop, maxUsedStops),
		channel: func(name string) int {
			return slices.IndexFunc(params.Channels, func(c guard.ChannelParams) bool { return c.Name == name })
		},
	}
	o.orders.verifier.Store(v)
	return o
}

func demoParams(t *testing.T, edit ...func(policy string) string) *guard.Params {
	t.Helper()
	demo := func(name string) string { return filepath.Join("..", "configs", "demo", name) }
	files := []string{demo("profile.yaml"), demo("topics.yaml"), demo("policy.yaml")}
	if len(edit) > 0 {
		raw, err := os.ReadFile(files[2])
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, f := range edit {
			text = f(text)
		}
		files[2] = filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(files[2], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: "demo-humanoid-01", ROS: &config.ROS{Node: "/robowarden"}}
	p, err := guard.NewParams(cfg, "/robowarden", noon.Add(-24*time.Hour).UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (o *office) sign(d *order.Order, names ...string) []byte {
	o.t.Helper()
	var keys []crypto.Signer
	for _, n := range names {
		keys = append(keys, o.people[n])
	}
	envelope, err := order.Sign(d, keys...)
	if err != nil {
		o.t.Fatal(err)
	}
	return envelope
}

func (o *office) order(kind order.Kind) *order.Order {
	d := &order.Order{
		Kind: kind, ID: order.NewID(), Audience: []string{testRobot}, NotBefore: noon.Add(-time.Minute), NotAfter: noon.Add(time.Hour), Reason: "test",
	}
	if kind.Bound() {
		d.Binding = order.Binding{BootID: testBoot, Nonce: testNonce}
	}
	switch kind {
	case order.KindStop:
		d.Stop = &order.Stop{Category: 2}
	case order.KindReset:
		d.Reset = &order.Reset{All: true}
	case order.KindGrant:
		d.Grant = &order.Grant{Scope: order.ScopeEgress, Zone: "pharmacy", MaxSpeedMPS: 0.1, Expires: noon.Add(10 * time.Minute)}
	case order.KindAttestationResult:
		d.AttestationResult = &order.AttestationResult{Verdict: order.VerdictAccepted, Tier: order.TierTPM, EvidenceSHA256: someHex}
	case order.KindOverride:
		d.Override = &order.Override{Triggers: []string{"pose.covariance"}, MaxSpeedMPS: 0.2, Expires: noon.Add(5 * time.Minute)}
	case order.KindSession:
		d.Session = &order.Session{
			Channel: "operator", Level: order.LevelControl, Who: "Olga", Role: "operator", From: "control room", Expires: noon.Add(5 * time.Minute),
		}
	case order.KindPolicySet, order.KindKeyList, order.KindRelease, order.KindHalt:
	}
	return d
}

// serve runs the orders' own goroutines for the test's time.
func (o *office) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = o.orders.run(ctx) })
	wait.Go(func() { _ = o.orders.record(ctx) })
	o.t.Cleanup(func() { cancel(); wait.Wait() })
}

// tick gives the guard n ticks of 10 ms.
func (o *office) tick(n int) {
	for range n {
		o.guard.Tick(o.clock.Boot())
	}
}

func (o *office) stopped() bool {
	return o.status("order.stop") != nil
}

func (o *office) status(code string) *guard.TriggerStatus {
	s := o.guard.Status()
	for i := range s.Triggers {
		if s.Triggers[i].Code == code {
			return &s.Triggers[i]
		}
	}
	return nil
}

func TestRefusedOrdersDoNothing(t *testing.T) {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	other := o.order(order.KindStop)
	other.Audience = []string{"somebody/else"}
	old := o.order(order.KindReset)
	old.NotAfter = noon.Add(-30 * time.Second)
	boot := o.order(order.KindReset)
	boot.Binding = order.Binding{Nonce: "ffffffffffffffffffffffffffffffff"}
	unknown := o.order(order.KindReset)
	unknown.Reset = &order.Reset{Triggers: []string{"no.such-trigger"}}
	zone := o.order(order.KindGrant)
	zone.Grant.Zone = "no-such-zone"
	scope := o.order(order.KindGrant)
	scope.Grant.Scope = order.ScopeZone
	stranger, err := order.GenerateKey(order.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	o.people["stranger"] = stranger
	for _, c := range []struct {
		name     string
		envelope []byte
		reason   string
	}{
		{"nothing", nil, ""},
		{"rubbish", []byte("{]"), ""},
		{"a changed byte", flip(o.sign(o.order(order.KindStop), "olga")), ""},
		{"a stranger's key", o.sign(o.order(order.KindStop), "stranger"), "unknown-key"},
		{"another robot", o.sign(other, "olga"), "wrong-audience"},
		{"expired", o.sign(old, "olga"), "expired"},
		{"another guard's nonce", o.sign(boot, "olga"), "nonce-mismatch"},
		{"a button resets", o.sign(o.order(order.KindReset), "button"), "wrong-role"},
		{"an operator grants", o.sign(o.order(order.KindGrant), "olga"), "wrong-role"},
		{"unknown trigger", o.sign(unknown, "olga"), "unknown-trigger"},
		{"unknown zone", o.sign(zone, "sven"), "unknown-zone"},
		{"a zone that no grant opens", o.sign(scope, "sven"), "wrong-zone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := o.orders.apply(c.envelope)
			if r.Accepted || r.Applied || r.Text == "" || r.Reason == "" {
				t.Errorf("found %+v, expected a refusal with a reason", r)
			}
			if c.reason != "" && r.Reason != c.reason {
				t.Errorf("found reason %q, expected %q (%s)", r.Reason, c.reason, r.Text)
			}
		})
	}
	if o.stopped() {
		t.Error("a refused order stopped the robot")
	}
}

func TestStopThenReset(t *testing.T) {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	stop := o.sign(o.order(order.KindStop), "button")
	if r := o.orders.apply(stop); !r.Applied || !o.stopped() {
		t.Fatalf("not stopped: %+v", r)
	}
	o.tick(5)
	reset := o.sign(o.order(order.KindReset), "olga")
	r := o.orders.apply(reset)
	if !r.Applied || o.stopped() {
		t.Fatalf("not reset: %+v", r)
	}
	o.tick(2)
	if o.stopped() {
		t.Error("the stop came back")
	}
	if r := o.orders.apply(reset); r.Accepted || r.Reason != "replayed" {
		t.Errorf("the reset counts twice: %+v", r)
	}
	if r := o.orders.apply(stop); !r.Applied || !o.stopped() {
		t.Errorf("a stop that is sent again does not stop: %+v", r)
	}
}

// TestTwoPersonsAreCountedWhateverTheirRoles: one person with many roles must not hide a second.
func TestTwoPersonsAreCountedWhateverTheirRoles(t *testing.T) {
	all := []order.Role{order.RoleSafetyEngineer, order.RoleOperator, order.RoleFleetManager, order.RoleVendor, order.RoleStopOnly}
	v := &order.Verified{Order: &order.Order{}}
	v.Signers = []order.Signer{{Person: "a", Roles: all}, {Person: "b", Roles: all}}
	persons := map[uint64]int{}
	for _, s := range signers(v) {
		if s.Person != 0 {
			persons[s.Person]++
			if s.Role >= interlock.NumRoles {
				t.Errorf("role %d is none", s.Role)
			}
		}
	}
	if len(persons) != 2 {
		t.Errorf("%d persons are counted, expected 2", len(persons))
	}
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	o.fs.mu.Lock()
	o.fs.fail = errors.New("no space left on device")
	o.fs.mu.Unlock()
	if r := o.orders.apply(o.sign(o.order(order.KindStop), "olga")); !r.Applied || !o.stopped() {
		t.Fatalf("a full disk kept the robot moving: %+v", r)
	}
	o.tick(5)
	if r := o.orders.apply(o.sign(o.order(order.KindReset), "olga")); r.Applied || r.Reason != "state-unwritable" || !o.stopped() {
		t.Errorf("a reset took effect that is not recorded: %+v", r)
	}
	if r := o.orders.apply(o.sign(o.order(order.KindGrant), "sven")); r.Applied || r.Reason != "state-unwritable" {
		t.Errorf("a grant took effect that is not recorded: %+v", r)
	}
}

// TestStopDoesNotWaitForADiskThatHangs: a reset is being written and the disk hangs; a stop comes over each path.
func TestStopDoesNotWaitForADiskThatHangs(t *testing.T) {
	for _, path := range []string{"socket", "bus"} {
		t.Run(path, func(t *testing.T) {
			o := newOffice(t)
			hang, inUse := make(chan struct{}), make(chan struct{})
			o.serve()
			release := sync.OnceFunc(func() { close(hang) })
			t.Cleanup(release) // A failure must not hang as well.
			o.guard.SetTrust(2)
			o.tick(5)
			o.fs.mu.Lock()
			o.fs.hang, o.fs.inUse = hang, inUse
			o.fs.mu.Unlock()
			reset := make(chan Receipt, 1)
			go func() { reset <- o.orders.apply(o.sign(o.order(order.KindReset), "olga")) }()
			<-inUse
			stop := o.sign(o.order(order.KindStop), "button")
			done := make(chan struct{})
			go func() {
				defer close(done)
				if path == "bus" {
					o.orders.offer(1, stop)
				} else {
					o.orders.apply(stop)
				}
			}()
			eventually(t, "stop", o.stopped)
			release()
			<-done
			<-reset
		})
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

func TestBusTakesStopsOnly(t *testing.T) {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	o.orders.offer(1, o.sign(o.order(order.KindStop), "button"))
	eventually(t, "stop", o.stopped)
	o.tick(5)
	o.orders.offer(1, o.sign(o.order(order.KindReset), "olga"))
	eventually(t, "the refusal", func() bool { o.journal.mu.Lock(); defer o.journal.mu.Unlock(); return o.journal.notes >= 2 })
	if !o.stopped() {
		t.Error("the bus released the robot")
	}
}

// TestFloodOnTheBus: many senders send rubbish with a known key's id as fast as they can; a stop of another sender comes
// through, the control socket is served, and the journal is not filled.
func TestFloodOnTheBus(t *testing.T) {
	o := newOffice(t)
	o.serve()
	o.guard.SetTrust(2)
	o.tick(5)
	forged := o.sign(o.order(order.KindStop), "olga")
	i := bytes.Index(forged, []byte(`"sig":"`)) + 10
	forged[i] ^= 3
	if r := o.orders.apply(forged); r.Accepted {
		t.Skip("the forgery is none")
	}
	end := make(chan struct{})
	var wait sync.WaitGroup
	for n := range 4 {
		wait.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					o.orders.offer(uint32(100+n), forged) //nolint:gosec // small
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	if r := o.orders.apply(o.sign(o.order(order.KindReset), "olga")); !r.Accepted {
		t.Errorf("the control socket is not served: %+v", r)
	}
	o.orders.offer(7, o.sign(o.order(order.KindStop), "button"))
	eventually(t, "stop", o.stopped)
	t.Logf("stopped %v into the flood", time.Since(start))
	close(end)
	wait.Wait()
	o.journal.mu.Lock()
	defer o.journal.mu.Unlock()
	if o.journal.notes > 10 {
		t.Errorf("%d records of refused orders", o.journal.notes)
	}
}

func TestInboxBounds(t *testing.T) {
	now := time.Duration(0)
	b := newInbox(func() time.Duration { return now })
	for n := range 200 {
		for range 50 {
			b.put(uint32(n), []byte("x")) //nolint:gosec // small
		}
	}
	if len(b.senders) > inboxSenders {
		t.Errorf("%d senders", len(b.senders))
	}
	n := 0
	for b.next() != nil {
		n++
	}
	if n == 0 || n > inboxSenders*inboxEach {
		t.Errorf("%d orders waited", n)
	}
	if b.put(1000, make([]byte, inboxBytes+1)) {
		t.Error("an order larger than any stop was taken")
	}
	for i := range inboxBurst {
		if !b.put(2000, []byte{byte(i)}) && i < inboxEach {
			t.Errorf("order %d of a new sender was dropped", i)
		}
		b.next()
	}
	if b.put(2000, nil) {
		t.Error("no bound on one sender's rate")
	}
	now += time.Hour
	if !b.put(2000, []byte("later")) || string(b.next()) != "later" {
		t.Error("a sender that was too quick is never heard again")
	}
}
