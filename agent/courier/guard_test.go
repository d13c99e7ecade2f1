package courier

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
)

// fakeGuard plays the guard's side of the contract with a real journal and the real verifier of signed documents.
type fakeGuard struct {
	t       testing.TB
	socket  string
	welcome contract.Welcome
	log     *journal.Log
	journal journal.Options
	docs    *order.Verifier
	now     func() order.Times

	mu     sync.Mutex
	conns  []*net.UnixConn
	frames []contract.Frame
	dials  int
	end    func()
	busy   bool // answers everything with "busy"
	signed int  // acknowledgements looked at lately
	since  time.Time
	mute   bool       // answers nothing
	asked  func(byte) // is told the type of each frame before it is answered
	lists  [][]byte   // key lists that are told after the welcome
	early  bool       // the policy lets safety events go out before the robot is attested
}

const testRobot = "acme/r1"

func (g *fakeGuard) listen() func() {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: g.socket, Net: "unixpacket"})
	if err != nil {
		g.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			all.Go(func() { g.serve(c) })
		}
	})
	return func() {
		_ = l.Close()
		g.mu.Lock()
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.conns = nil
		g.mu.Unlock()
		all.Wait()
		_ = os.Remove(g.socket)
	}
}

func (g *fakeGuard) serve(c *net.UnixConn) {
	g.mu.Lock()
	g.conns = append(g.conns, c)
	g.dials++
	g.mu.Unlock()
	defer func() { _ = c.Close() }()
	buf := make([]byte, contract.MaxPacket+1)
	if f, err := contract.ReadFrame(c, buf); err != nil || f.Type != contract.FrameHello {
		return
	}
	g.answer(c, 1, &g.welcome)
	g.mu.Lock()
	lists := g.lists
	g.mu.Unlock()
	if lists != nil {
		g.answer(c, 0, &contract.Keys{Lists: lists})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var heads sync.WaitGroup
	defer heads.Wait()
	defer cancel()
	heads.Go(func() { g.heads(ctx, c) })
	for {
		f, err := contract.ReadFrame(c, buf)
		if err != nil {
			return
		}
		f.Body = slices.Clone(f.Body)
		g.mu.Lock()
		g.frames = append(g.frames, f)
		busy, mute, asked := g.busy, g.mute, g.asked
		g.mu.Unlock()
		if asked != nil {
			asked(f.Type)
		}
		switch {
		case mute || f.ID == 0:
		case busy:
			g.answer(c, f.ID, &contract.Failure{Code: contract.FailureBusy, Text: "try again"})
		default:
			g.handle(c, f)
		}
	}
}

func (g *fakeGuard) answer(c *net.UnixConn, id uint32, b contract.Body) {
	f, err := contract.New(id, b)
	if err != nil {
		g.t.Error(err)
		return
	}
	_ = contract.WriteFrame(c, f, true)
}

func (g *fakeGuard) handle(c *net.UnixConn, f contract.Frame) {
	switch f.Type {
	case contract.FrameStatusRequest:
		g.mu.Lock()
		body := fmt.Appendf(nil, `{"mode":"normal","advisory":false,"axes":{"motion":"free"},"triggers":[],"policy":{"reports_unattested":%t}}`, g.early)
		g.mu.Unlock()
		_ = contract.WriteFrame(c, contract.Frame{Type: contract.FrameStatus, ID: f.ID, Body: body}, true)
	case contract.FrameAcknowledged:
		var a contract.Acknowledged
		r := &contract.Receipt{Text: "kept", Accepted: true}
		if err := f.Into(&a); err != nil {
			g.t.Error(err)
		}
		if g.tired() {
			g.answer(c, f.ID, &contract.Receipt{Reason: contract.FailureBusy, Text: "too many"})
			return
		}
		if _, _, err := g.docs.VerifyDocument(g.now(), order.AcknowledgementType, order.RoleConsumer, a.Envelope); err != nil {
			r = &contract.Receipt{Text: err.Error(), Reason: string(order.ReasonOf(err))}
		}
		g.answer(c, f.ID, r)
	case contract.FrameOrder:
		r := &contract.Receipt{Accepted: true, Applied: true, Text: "applied"}
		v, err := g.docs.Verify(g.now(), f.Body)
		if err != nil {
			r = &contract.Receipt{Text: err.Error(), Reason: string(order.ReasonOf(err))}
		} else {
			r.Kind = string(v.Order.Kind)
		}
		g.answer(c, f.ID, r)
	default:
		g.answer(c, f.ID, &contract.Receipt{Accepted: true, Text: "taken"})
	}
}

// tired bounds the acknowledgements that are looked at, as the guard does: 20 at once, 5 a second.
func (g *fakeGuard) tired() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := int(time.Since(g.since).Seconds() * 5); n > 0 {
		g.signed, g.since = max(0, g.signed-n), time.Now()
	}
	if g.signed >= 20 {
		return true
	}
	g.signed++
	return false
}

// heads sends the head as the guard does.
func (g *fakeGuard) heads(ctx context.Context, c *net.UnixConn) {
	var mu sync.Mutex
	at := evidencelog.Position{}
	var digest journal.Digest
	var follow sync.WaitGroup
	defer follow.Wait()
	follow.Go(func() {
		_ = evidencelog.Follow(ctx, evidencelog.Options{Dir: g.welcome.Journal, Log: evidencelog.Guard, Poll: 10 * time.Millisecond}, func(r *evidencelog.Record) error {
			mu.Lock()
			at, digest = r.Position(), r.Digest
			mu.Unlock()
			return nil
		})
	})
	var sent evidencelog.Position
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
		mu.Lock()
		p, d := at, digest
		mu.Unlock()
		if p == sent {
			continue
		}
		sent = p
		g.answer(c, 0, &contract.Head{
			BootID: evidencelog.FormatBoot(p.BootID), Seq: p.Seq, Digest: hex.EncodeToString(d[:]), EvidenceSeq: p.Seq, Evidence: hex.EncodeToString(p.Digest[:]),
		})
	}
}

// tell sends key lists over every connection, and after the welcome of later ones.
func (g *fakeGuard) tell(lists ...[]byte) {
	g.mu.Lock()
	g.lists = lists
	conns := slices.Clone(g.conns)
	g.mu.Unlock()
	for _, c := range conns {
		g.answer(c, 0, &contract.Keys{Lists: lists})
	}
}

// send sends a body over every connection.
func (g *fakeGuard) send(b contract.Body) {
	g.mu.Lock()
	conns := slices.Clone(g.conns)
	g.mu.Unlock()
	for _, c := range conns {
		g.answer(c, 0, b)
	}
}

// got are the bodies of all frames of a type.
func (g *fakeGuard) got(kind byte) [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out [][]byte
	for _, f := range g.frames {
		if f.Type == kind {
			out = append(out, f.Body)
		}
	}
	return out
}

// people hold the keys of a site.
type people struct {
	root, verifier, consumer, operator crypto.Signer
	list                               []byte
	keys                               *order.KeyList
	later                              [][]byte // lists that the guard has taken since
}

func newPeople(t testing.TB, dir string) *people {
	t.Helper()
	p := &people{}
	list := &order.KeyList{}
	draw := func(name string, roles ...order.Role) crypto.Signer {
		key, err := order.GenerateKey(order.ECDSAP256)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := order.MarshalPublicKey(key.Public())
		id, _ := order.KeyID(key.Public())
		list.Keys = append(list.Keys, order.Key{
			ID: id, PEM: string(text), Person: name, Roles: roles, NotBefore: floor(time.Now().Add(-time.Hour)), NotAfter: floor(time.Now().Add(time.Hour)),
		})
		if name == "rita" {
			if err := os.WriteFile(filepath.Join(dir, "roots.pem"), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return key
	}
	p.root, p.verifier = draw("rita", order.RoleRoot), draw("vera", order.RoleVerifier)
	p.consumer, p.operator = draw("connie", order.RoleConsumer), draw("otto", order.RoleOperator)
	p.keys = list
	var err error
	p.list, err = order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{testRobot}, Sequence: 1, NotBefore: floor(time.Now().Add(-time.Hour)),
		NotAfter: floor(time.Now().Add(time.Hour)), Reason: "keys", KeyList: list,
	}, p.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keylist1.dsse.json"), p.list, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// successor signs a key list with another verifier in place of the one before.
func (p *people) successor(t testing.TB, sequence uint64, signer crypto.Signer) (list []byte, verifier crypto.Signer) {
	t.Helper()
	verifier, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := order.MarshalPublicKey(verifier.Public())
	id, _ := order.KeyID(verifier.Public())
	next := &order.KeyList{Keys: slices.Clone(p.keys.Keys)}
	for i := range next.Keys {
		if next.Keys[i].Person == "vera" {
			next.Keys[i].ID, next.Keys[i].PEM, next.Keys[i].Person = id, string(text), "victor"
		}
	}
	list, err = order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{testRobot}, Sequence: sequence, NotBefore: floor(time.Now().Add(-time.Hour)),
		NotAfter: floor(time.Now().Add(time.Hour)), Reason: "another verifier", KeyList: next,
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return list, verifier
}

func floor(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// newFakeGuard starts a guard below dir.
func newFakeGuard(t testing.TB, dir string, p *people, boot [16]byte) *fakeGuard {
	t.Helper()
	g := &fakeGuard{
		t: t, socket: filepath.Join(dir, "guard.sock"),
		welcome: contract.Welcome{
			Version: contract.Version, Robot: testRobot, BootID: evidencelog.FormatBoot(boot), Nonce: order.NewID(), Journal: filepath.Join(dir, "guard"),
			Policy: "sha256:" + strings.Repeat("1", 64), Profile: "sha256:" + strings.Repeat("2", 64), Topics: "sha256:" + strings.Repeat("3", 64),
		},
		now: func() order.Times {
			return order.Times{Civil: time.Now(), Uncertainty: time.Second, Trust: order.Trusted}
		},
	}
	o := journal.DefaultOptions(boot, func() time.Duration { return 42 * time.Second })
	o.WriteEvery, o.SyncEvery = time.Millisecond, 5*time.Millisecond
	g.journal = o
	var err error
	if g.log, err = journal.Open(g.welcome.Journal, o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	log := g.log
	go func() { _ = log.Run(ctx); close(done) }()
	t.Cleanup(func() { _ = log.Close(context.Background()); cancel(); <-done })
	g.verify(p)
	g.end = g.listen()
	t.Cleanup(func() { g.end() })
	return g
}

// set changes the guard while it runs.
func (g *fakeGuard) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *fakeGuard) close()  { g.end(); g.end = func() {} }
func (g *fakeGuard) reopen() { g.end = g.listen() }

// again starts the guard anew in the same boot: with another nonce.
func (g *fakeGuard) again(p *people) {
	g.t.Helper()
	g.close()
	g.welcome.Nonce = order.NewID()
	g.verify(p)
	g.reopen()
}

// verify makes the verifier of this run.
func (g *fakeGuard) verify(p *people) {
	var err error
	if g.docs, err = order.NewVerifier(order.Config{
		Robot: testRobot, BootID: g.welcome.BootID, Nonce: g.welcome.Nonce, Roots: []crypto.PublicKey{p.root.Public()}, RequiredRoots: 1,
		KeyLists: append([][]byte{p.list}, p.later...),
	}, order.NewFloors()); err != nil {
		g.t.Fatal(err)
	}
}

// rotate begins another segment of the journal.
func (g *fakeGuard) rotate() {
	g.t.Helper()
	if err := g.log.Close(context.Background()); err != nil {
		g.t.Fatal(err)
	}
	var err error
	if g.log, err = journal.Open(g.welcome.Journal, g.journal); err != nil {
		g.t.Fatal(err)
	}
	log, done := g.log, make(chan struct{})
	go func() { _ = log.Run(context.Background()); close(done) }()
	g.t.Cleanup(func() { _ = log.Close(context.Background()); <-done })
}

// record appends n records; every third is not evidence.
func (g *fakeGuard) record(n int) {
	g.t.Helper()
	for i := range n {
		kind := journal.Kind(guard.RecordOrder)
		if i%3 == 2 {
			kind = journal.Kind(guard.RecordEvent)
		}
		b, _ := json.Marshal(map[string]int{"n": i})
		g.log.Append(kind, time.Duration(i), b, false)
		if i%1000 == 999 {
			if err := g.log.Sync(context.Background()); err != nil {
				g.t.Fatal(err)
			}
		}
	}
	if err := g.log.Sync(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}
