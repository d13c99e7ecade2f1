package scale

import (
	"context"
	"crypto"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/proc"
)

const (
	prefix = "site/robots"
	// everybody is the group of robots that the key list is for.
	everybody = "everybody"
)

// site is a fleet of robots and the folder of the verifiers that know them.
type site struct {
	t      testing.TB
	dir    string
	build  *build
	store  *verifier.DirStore
	root   crypto.Signer
	list   []byte // The key list's envelope.
	keys   map[string]string
	robots []*robot
	// spread is how long after the first of a round its last robot asks first: each at a moment of its own.
	spread time.Duration
	again  atomic.Int64 // Attempts to connect of all robots, but the first of each.
}

// verifiers are who the key list gives the role; each has a key of its own.
var verifiers = []string{"ada", "bea"}

// newSite enrols robots.
func newSite(t testing.TB, robots int) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), build: newBuild(), keys: map[string]string{}}
	s.store = must(verifier.OpenDir(filepath.Join(s.dir, "verifier")))(t)
	if err := s.store.SaveReferences(s.build.references()); err != nil {
		t.Fatal(err)
	}
	s.root = must(order.GenerateKey(order.Ed25519))(t)
	list := &order.KeyList{}
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	add := func(person string, role order.Role, key crypto.Signer) {
		list.Keys = append(list.Keys, order.Key{
			ID: must(order.KeyID(key.Public()))(t), PEM: string(must(order.MarshalPublicKey(key.Public()))(t)), Person: person,
			Roles: []order.Role{role}, NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		})
	}
	add("rita", order.RoleRoot, s.root)
	for _, name := range verifiers {
		key := must(order.GenerateKey(order.ECDSAP256))(t)
		add(name, order.RoleVerifier, key)
		s.keyFile(name, key)
	}
	s.keyFile("stranger", must(order.GenerateKey(order.ECDSAP256))(t))
	s.list = must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{"group:" + everybody}, Sequence: 1, NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		Reason: "keys", KeyList: list,
	}, s.root))(t)
	for i := range robots {
		s.robots = append(s.robots, s.newRobot(i))
	}
	return s
}

func (s *site) keyFile(name string, key crypto.Signer) {
	s.t.Helper()
	s.keys[name] = filepath.Join(s.dir, name+".key")
	if err := os.WriteFile(s.keys[name], must(order.MarshalPrivateKey(key))(s.t), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// newRobot makes a robot's keys and enrols it.
func (s *site) newRobot(i int) *robot {
	s.t.Helper()
	r := &robot{
		site: s, id: fmt.Sprintf("acme/runner-%04d", i), boot: fmt.Sprintf("%08x-9a3e-4f0e-8f1b-1d2c3b4a5968", i), nonce: order.NewID(),
		device: must(order.GenerateKey(order.ECDSAP256))(s.t), ak: newAK(s.t), refused: map[string]int{},
		got: make(chan struct{}, 1), asked: make(chan struct{}, 1), up: make(chan struct{}, 1), ended: make(chan struct{}), bytes: &traffic{}, last: map[string][]byte{},
	}
	r.attester = must(evidence.NewAttester(r.id, r.boot, order.TierTPM))(s.t)
	r.guard = must(order.NewVerifier(order.Config{
		Robot: r.id, Groups: []string{everybody}, BootID: r.boot, Nonce: r.nonce, Roots: []crypto.PublicKey{s.root.Public()}, KeyLists: [][]byte{s.list},
	}, order.NewFloors()))(s.t)
	e := &verifier.Enrolment{Identity: &evidence.Identity{Robot: r.id, Tier: order.TierTPM, AK: r.ak.area, Key: r.device.Public()}, References: "g1"}
	if err := s.store.Enrol(e, false); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// ids are the robots' names.
func (s *site) ids() []string {
	var out []string
	for _, r := range s.robots {
		out = append(out, r.id)
	}
	return out
}

// verifier starts a verifier with somebody's key and waits until messages come to it.
func (s *site) verifier(name string, c broker.Credentials, more ...string) *proc.Process {
	s.t.Helper()
	p := proc.StartT(s.t, proc.Spec{Name: "verifier " + name, Argv: append([]string{
		gobin.Product(s.t, "robowarden-station"), "verifier", "--state-dir", filepath.Join(s.dir, "verifier"), "--key", s.keys[name], "--prefix", prefix,
		"--ca", c.CA, "--certificate", c.Certificate, "--certificate-key", c.Key,
	}, more...)})
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := p.WaitOutput(ctx, `"message":"connected"`); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// connect connects every robot, some at once, each to the brokers in another order.
func (s *site) connect(a *broker.Authority, urls ...string) {
	s.t.Helper()
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	errs := make(chan error, len(s.robots))
	for i, r := range s.robots {
		c := a.ClientWith(s.t, broker.CommonName(r.id), r.device)
		k := i % len(urls)
		order := append(append([]string{}, urls[k:]...), urls[:k]...)
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := r.connect(c.TLS, order...); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	s.t.Cleanup(func() {
		for _, r := range s.robots {
			r.end()
		}
	})
	select {
	case err := <-errs:
		s.t.Fatal(err)
	default:
	}
}

// round has every robot attest once.
type round struct {
	took              time.Duration
	answered, again   int // Robots that have a result, and hellos beyond the first.
	accepted          int
	by                map[string]int // Results, by who has signed them.
	upBytes, dowBytes int64
}

// attest runs a round: each robot asks, and asks again when nothing came for the time of patience. When a number of
// robots have their results, meanwhile is called once.
func (s *site) attest(patience, within time.Duration, at int, meanwhile func()) round {
	s.t.Helper()
	end := make(chan struct{})
	timer := time.AfterFunc(within, func() { close(end) })
	defer timer.Stop()
	var mu sync.Mutex
	out := round{by: map[string]int{}}
	up, down := s.traffic()
	start := time.Now()
	var all sync.WaitGroup
	reached := make(chan struct{})
	for _, r := range s.robots {
		all.Go(func() {
			if s.spread > 0 {
				time.Sleep(rand.N(s.spread)) // The moment at which it starts is what is drawn.
			}
			hellos, ok := r.attest(patience, end)
			mu.Lock()
			defer mu.Unlock()
			out.again += hellos - 1
			if !ok {
				return
			}
			if out.answered++; out.answered == at {
				close(reached)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			out.by[r.signers[len(r.signers)-1]]++
			if r.results[len(r.results)-1].AttestationResult.Verdict == order.VerdictAccepted {
				out.accepted++
			}
		})
	}
	if meanwhile != nil {
		select {
		case <-reached:
			meanwhile()
		case <-end:
		}
	}
	all.Wait()
	out.took = time.Since(start)
	up2, down2 := s.traffic()
	out.upBytes, out.dowBytes = up2-up, down2-down
	return out
}

// traffic is what all robots' connections have carried.
func (s *site) traffic() (up, down int64) {
	for _, r := range s.robots {
		up, down = up+r.bytes.up.Load(), down+r.bytes.down.Load()
	}
	return up, down
}

// complete checks that every robot has an accepted result, and says what robots have refused otherwise.
func (s *site) complete(what string, r round) {
	s.t.Helper()
	if r.answered == len(s.robots) && r.accepted == r.answered {
		return
	}
	why := map[string]int{}
	for _, r := range s.robots {
		r.mu.Lock()
		for k, n := range r.refused {
			why[k] += n
		}
		for _, o := range r.results {
			for _, reason := range o.AttestationResult.Reasons {
				if o.AttestationResult.Verdict != order.VerdictAccepted {
					why["refused: "+reason]++
				}
			}
		}
		r.mu.Unlock()
	}
	s.t.Errorf("%s: of %d robots %d have a result, %d an accepted one; not taken: %v", what, len(s.robots), r.answered, r.accepted, why)
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 2 minutes: %s", what)
		}
	}
}

// said says whether a process has written all these words in one line.
func said(p *proc.Process, words ...string) bool {
	for line := range strings.Lines(p.Output()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}
