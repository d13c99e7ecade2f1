package agent

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/order"
)

// damage overwrites files of the site that match the pattern.
func (s *testSite) damage(pattern string) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, pattern))
	s.must(err)
	if len(files) == 0 {
		s.t.Fatalf("nothing matches %s", pattern)
	}
	for _, f := range files {
		s.must(os.WriteFile(f, []byte("damaged"), 0o600))
	}
}

func (s *testSite) remove(names ...string) {
	s.t.Helper()
	for _, n := range names {
		s.must(os.RemoveAll(filepath.Join(s.dir, n)))
	}
}

// TestStartIsHeldRatherThanRefused: on a robot that ran before, what cannot be read must neither leave it unguarded nor
// open it. The guard starts, holds it, and its socket is there.
func TestStartIsHeldRatherThanRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *testSite)
		held  bool
		// named is true where policy and key list in force name the run of the guard that accepted them, in the deployment as well.
		named bool
	}{
		"nothing is wrong (off)":                             {func(*testSite) {}, false, false},
		"nothing is wrong, and they name a run (off)":        {func(*testSite) {}, false, true},
		"record of used orders damaged, and they name a run": {func(s *testSite) { s.damage("state/floors.*") }, true, true},
		"record of used orders gone, and they name a run":    {func(s *testSite) { s.remove("state/floors.a", "state/floors.b") }, true, true},
		"record of used orders damaged":                      {func(s *testSite) { s.damage("state/floors.*") }, true, false},
		"record of used orders gone":                         {func(s *testSite) { s.remove("state/floors.a", "state/floors.b") }, true, false},
		"root keys gone":                                     {func(s *testSite) { s.remove("keys/roots.pem") }, true, false},
		"root keys damaged":                                  {func(s *testSite) { s.damage("keys/roots.pem") }, true, false},
		"key list damaged":                                   {func(s *testSite) { s.damage("keys/keylist-001.dsse.json") }, true, false},
		"key list gone":                                      {func(s *testSite) { s.remove("keys/keylist-001.dsse.json") }, true, false},
		"key list unreadable": {func(s *testSite) {
			s.remove("keys/keylist-001.dsse.json")
			s.must(os.Mkdir(filepath.Join(s.dir, "keys/keylist-001.dsse.json"), 0o700))
		}, true, false},
		"documents of the replay unwritten": {func(s *testSite) { s.remove("state/documents"); s.write("state/documents", []byte("a file")) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			if c.named {
				s.nameTheRun(a)
			}
			s.kill(a)
			c.spoil(s)
			a, err := s.start()
			if err != nil {
				t.Fatalf("the robot stays unguarded: %v", err)
			}
			defer s.kill(a)
			for range 5 {
				a.guard.Tick(a.clock.Boot())
			}
			missing := false
			for _, trigger := range a.guard.Status().Triggers {
				missing = missing || trigger.Code == "policy.missing" && trigger.Present
			}
			if missing != c.held {
				t.Errorf("policy.missing is %t, expected %t", missing, c.held)
			}
			if c.held && a.guard.Status().Axes.Motion != "stop" {
				t.Errorf("motion is %q", a.guard.Status().Axes.Motion)
			}
			if _, err := os.Lstat(a.control.path); err != nil {
				t.Errorf("control socket: %v", err)
			}
			if r := a.orders.apply(s.sign(&order.Order{Kind: order.KindStop, Stop: &order.Stop{Category: 2}}, s.engineer)); c.named && !r.Applied {
				t.Errorf("a stop: %+v", r)
			}
			if r := a.orders.apply(s.set(3)); c.held && r.Applied {
				t.Errorf("a policy came into force: %+v", r)
			}
		})
	}
}

// nameTheRun puts a policy and a key list in force that name the run of the guard, and the policy into the deployment.
func (s *testSite) nameTheRun(a *Agent) {
	s.t.Helper()
	policy := s.set(2)
	for _, envelope := range [][]byte{policy, s.keyList(2)} {
		if r := a.orders.apply(envelope); !r.Applied {
			s.t.Fatalf("%+v", r)
		}
	}
	s.must(a.state.flush())
	s.write("policy.bundle", policy)
}

// TestADeliveredKeyListOfAnotherRun: it counts only if the run that it names has accepted it. Off, it names none.
func TestADeliveredKeyListOfAnotherRun(t *testing.T) {
	for _, nonce := range []string{"", formerNonce} {
		s := newTestSite(t)
		s.binding = order.Binding{Nonce: nonce}
		s.write("keys/keylist-001.dsse.json", s.keyList(7))
		a, err := s.start()
		if (err == nil) != (nonce == "") || err != nil && !strings.Contains(err.Error(), string(order.NoKeyList)) {
			t.Errorf("nonce %q: %v", nonce, err)
		}
		if err == nil {
			s.kill(a)
		}
	}
}

// TestFirstStartIsRefused: a robot that was never enrolled is told so at once.
func TestFirstStartIsRefused(t *testing.T) {
	s := newTestSite(t)
	s.remove("keys/roots.pem")
	for range 2 {
		if _, err := s.start(); err == nil || !strings.Contains(err.Error(), errNoRoots.Error()) {
			t.Errorf("found %v", err)
		}
	}
}

// TestFailedStartLeavesNothingBehind: what a start that failed has taken, the next one gets.
func TestFailedStartLeavesNothingBehind(t *testing.T) {
	s := newTestSite(t)
	s.write("control.sock", []byte("no socket"))
	for range 3 {
		if _, err := s.start(); err == nil || !strings.Contains(err.Error(), "expected a socket or nothing") {
			t.Fatalf("found %v", err)
		}
	}
	s.remove("control.sock")
	a, err := s.start()
	s.must(err)
	s.must(a.Close())
	s.must(a.Close())
	if _, err := os.Lstat(filepath.Join(s.dir, "control.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after the end: %v", err)
	}
}

// TestDamagedTimeDoesNotLoosen: whoever damages or removes the newest trusted time must not be able to set the clock back.
func TestDamagedTimeDoesNotLoosen(t *testing.T) {
	later := time.Now().Add(10 * time.Hour).UnixNano()
	for name, c := range map[string]struct {
		spoil     func(s *testSite)
		untrusted bool
	}{
		"intact (off)":   {func(*testSite) {}, false},
		"damaged":        {func(s *testSite) { s.damage("state/newest-time") }, true},
		"gone":           {func(s *testSite) { s.remove("state/newest-time") }, true},
		"a byte changed": {func(s *testSite) { flipByte(s, "state/newest-time") }, true},
		"empty":          {func(s *testSite) { s.must(os.Truncate(filepath.Join(s.dir, "state/newest-time"), 0)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			s.must(a.state.storeTime(later))
			s.kill(a)
			c.spoil(s)
			b := &Agent{opt: Options{Epoch: 1}, log: zerolog.Nop()}
			var err error
			b.state, err = openState(filepath.Join(s.dir, "state"), b.log)
			s.must(err)
			s.must(b.openTime())
			if b.trust.stepped != c.untrusted {
				t.Errorf("the clock counts as stepped: %t, expected %t", b.trust.stepped, c.untrusted)
			}
			if !c.untrusted && b.trust.floor != later {
				t.Errorf("floor %d, expected %d", b.trust.floor, later)
			}
		})
	}
}

func flipByte(s *testSite, name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	data, err := os.ReadFile(path)
	s.must(err)
	data[0] ^= 1
	s.must(os.WriteFile(path, data, 0o600))
}

// TestHeadsFollowTheJournal: what the guard notes becomes a head once it is on disk, and the next run goes on in the chain.
func TestHeadsFollowTheJournal(t *testing.T) {
	s := newTestSite(t)
	var before contract.Head
	for run := range 2 {
		a := s.running()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 2)
		go func() { done <- a.journal.Run(ctx) }()
		go func() { done <- a.heads.run(ctx) }()
		a.noteStart()
		var head contract.Head
		eventually(t, "a head", func() bool {
			var ok bool
			head, ok = a.heads.current()
			return ok && head.Seq > before.Seq
		})
		if head.BootID != bootUUID(a.boot) || len(head.Evidence) != 64 || head.Evidence == before.Evidence {
			t.Errorf("run %d: %+v", run, head)
		}
		point := &contract.Checkpoint{BootID: head.BootID, Seq: head.Seq, Digest: head.Digest, Evidence: head.Evidence}
		if err := a.heads.knows(point); err != nil {
			t.Errorf("run %d: %v", run, err)
		}
		point.Evidence = someHex
		if err := a.heads.knows(point); err == nil {
			t.Errorf("run %d: a head that was never told", run)
		}
		stop()
		<-done
		<-done
		s.must(a.journal.Close(t.Context()))
		stored, err := a.heads.load()
		if err != nil || stored.Seq < head.Seq {
			t.Errorf("run %d: stored %d, %v", run, stored.Seq, err)
		}
		s.kill(a)
		before = head
	}
	flipByte(s, "state/evidence")
	a := s.running()
	defer s.kill(a)
	if _, err := a.heads.load(); err == nil {
		t.Error("a damaged position was read")
	}
}

// TestAGuardEndsWithoutWhoNeverDoes: an order that is still being judged, as a large policy is on a busy computer, keeps
// nobody from ending the guard, and the end is one in order.
func TestAGuardEndsWithoutWhoNeverDoes(t *testing.T) {
	s := newTestSite(t)
	raw, err := os.ReadFile(filepath.Join(s.dir, "deployment.yaml"))
	s.must(err)
	s.write("deployment.yaml", bytes.Replace(raw, []byte("127.0.0.1:11311"), []byte("127.0.0.1:1"), 1)) // Nobody is there.
	a, err := s.start()
	s.must(err)
	a.patience = 300 * time.Millisecond
	judging, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	a.control.order = func([]byte) Receipt { close(judging); <-release; return Receipt{} }
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	go func() { _, _ = SendOrder(ctx, a.control.path, []byte("{}")) }()
	select {
	case <-judging:
	case <-time.After(time.Minute):
		t.Fatal("the order was never judged")
	}
	cancel()
	select {
	case err := <-done:
		s.must(err)
	case <-time.After(time.Minute):
		t.Fatal("the guard does not end")
	}
	if _, err := os.Stat(filepath.Join(a.state.path, runningFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the end is none in order: %v", err)
	}
}

// TestRunningGuardTalksWithItsRoles runs a whole guard, without a bus, and is its steward and its courier.
func TestRunningGuardTalksWithItsRoles(t *testing.T) {
	s := newTestSite(t)
	raw, err := os.ReadFile(filepath.Join(s.dir, "deployment.yaml"))
	s.must(err)
	raw = bytes.Replace(raw, []byte("127.0.0.1:11311"), []byte("127.0.0.1:1"), 1) // Nobody is there.
	s.write("deployment.yaml", append(raw, `
courier: {broker: "tls://127.0.0.1:8883", prefix: test, ca: ca.pem, certificate: robot.pem, key: robot.key.pem, state_dir: courier, bandwidth_kib_s: 64}
steward: {period: 1s, state_dir: steward}
`...))
	a, err := s.start()
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * shutdownTimeout):
			t.Error("the guard does not end")
		}
	})
	dialCtx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	hello := contract.Hello{Role: contract.Courier, Min: contract.OldestVersion, Max: contract.Version, Program: "test"}
	courier, w, err := contract.Dial(dialCtx, a.control.path, hello)
	s.must(err)
	defer courier.Close() //nolint:errcheck // the test's end
	if w.Robot != siteRobot || w.Nonce != a.nonce || w.BootID != bootUUID(a.boot) || w.Journal == "" || !strings.HasPrefix(w.Policy, "sha256:") {
		t.Errorf("welcome %+v", w)
	}
	hello.Role = contract.Steward
	steward, _, err := contract.Dial(dialCtx, a.control.path, hello)
	s.must(err)
	defer steward.Close() //nolint:errcheck // the test's end
	next := func(c *contract.Conn, typ byte, body contract.Body) {
		t.Helper()
		for {
			f, err := c.Receive()
			s.must(err)
			if f.Type == typ {
				s.must(f.Into(body))
				return
			}
		}
	}
	var peers contract.Peers
	next(steward, contract.FramePeers, &peers)
	var head contract.Head
	next(courier, contract.FrameHead, &head)
	point, err := contract.New(9, contract.Checkpoint{
		Log: "guard", BootID: head.BootID, Seq: head.Seq, Digest: head.Digest, Evidence: head.Evidence, KeyID: "k", Signature: []byte{1},
	})
	s.must(err)
	s.must(courier.Send(point))
	var r Receipt
	next(courier, contract.FrameReceipt, &r)
	if !r.Accepted {
		t.Errorf("checkpoint: %+v", r)
	}
	claim, err := contract.New(0, contract.Session{State: contract.SessionFailed, Detail: "no TPM", LeaseMS: 1000})
	s.must(err)
	s.must(courier.Send(claim))
	eventually(t, "the claim in the status", func() bool {
		st, ok := a.Status().(Status)
		return ok && st.Attestation.State == "failed" && len(st.Roles.Connected) == 2 && st.Roles.Session != nil
	})
}
