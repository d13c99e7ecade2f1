package agent

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/order"
)

const siteRobot = "robowarden-example/diff-01"

// testSite is a robot's documents, keys and state in a folder; its guard is made by New and never run, so it talks to
// nobody.
type testSite struct {
	t              *testing.T
	dir            string
	root, engineer crypto.Signer
	policy         string
	// role is the engineer's.
	role order.Role
	// binding is that of policies, key lists and releases that are sent to a guard that runs, as its status tells it.
	binding order.Binding
}

func newTestSite(t *testing.T) *testSite {
	t.Helper()
	return newSiteOf(t, "diff-drive", func(_ string, raw []byte) []byte { return raw })
}

// newSiteOf is a site with one of the shipped examples; edit may change its documents.
func newSiteOf(t *testing.T, example string, edit func(name string, raw []byte) []byte) *testSite {
	t.Helper()
	s := &testSite{t: t, dir: t.TempDir(), role: order.RoleSafetyEngineer}
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml", "deployment.yaml"} {
		raw, err := os.ReadFile(filepath.Join("..", "configs", "examples", example, name))
		s.must(err)
		raw = edit(name, raw)
		s.write(name, raw)
		if name == "policy.yaml" {
			s.policy = string(raw)
		}
	}
	definitions, err := filepath.Glob(filepath.Join("..", "configs", "examples", example, "*.idl"))
	s.must(err)
	for _, name := range definitions {
		raw, err := os.ReadFile(name)
		s.must(err)
		s.write(filepath.Base(name), raw)
	}
	s.write("operator.key", []byte(strings.Repeat("ab", 32)))
	s.root, err = order.GenerateKey(order.Ed25519)
	s.must(err)
	s.engineer, err = order.GenerateKey(order.Ed25519)
	s.must(err)
	pem, err := order.MarshalPublicKey(s.root.Public())
	s.must(err)
	s.write("keys/roots.pem", pem)
	s.write("keys/keylist-001.dsse.json", s.keyList(1))
	s.write("policy.bundle", s.set(1))
	return s
}

func (s *testSite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *testSite) write(name string, data []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o700))
	s.must(os.WriteFile(path, data, 0o600))
}

func (s *testSite) sign(o *order.Order, key crypto.Signer) []byte {
	s.t.Helper()
	if o.Kind.Sequenced() && o.Binding == (order.Binding{}) {
		o.Binding = s.binding
	}
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	o.ID, o.Audience, o.Reason, o.NotBefore, o.NotAfter = order.NewID(), []string{siteRobot}, "a test", from, from.Add(24*time.Hour)
	out, err := order.Sign(o, key)
	s.must(err)
	return out
}

// delivered is what is signed for any run.
func (s *testSite) delivered(sign func() []byte) []byte {
	was := s.binding
	defer func() { s.binding = was }()
	s.binding = order.Binding{}
	return sign()
}

func (s *testSite) keyList(sequence uint64) []byte {
	s.t.Helper()
	entry := func(k crypto.Signer, person string, role order.Role) order.Key {
		id, err := order.KeyID(k.Public())
		s.must(err)
		pem, err := order.MarshalPublicKey(k.Public())
		s.must(err)
		from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
		return order.Key{ID: id, PEM: string(pem), Person: person, Roles: []order.Role{role}, NotBefore: from, NotAfter: from.Add(24 * time.Hour)}
	}
	return s.sign(&order.Order{Kind: order.KindKeyList, Sequence: sequence, KeyList: &order.KeyList{Keys: []order.Key{
		entry(s.root, "rita", order.RoleRoot), entry(s.engineer, "sven", s.role),
	}}}, s.root)
}

// set signs the policy with a sequence; its text has to say the same revision and the pins of the documents as they are.
func (s *testSite) set(sequence uint64, edit ...func(string) string) []byte {
	s.t.Helper()
	text := s.policy
	for _, f := range edit {
		text = f(text)
	}
	text = setRevision(text, sequence)
	sum := func(data []byte) string { d := sha256.Sum256(data); return hex.EncodeToString(d[:]) }
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(s.dir, name))
		s.must(err)
		return raw
	}
	return s.sign(&order.Order{Kind: order.KindPolicySet, Sequence: sequence, PolicySet: &order.PolicySet{
		Policy: []byte(text), PolicySHA256: sum([]byte(text)), ProfileSHA256: sum(read("profile.yaml")), TopicsSHA256: sum(read("topics.yaml")),
	}}, s.engineer)
}

func setRevision(text string, n uint64) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "revision:") {
			lines[i] = "revision: " + string(rune('0'+n))
		}
	}
	return strings.Join(lines, "\n")
}

// start makes a guard as a start would.
func (s *testSite) start() (*Agent, error) {
	return New(Options{
		Deployment: filepath.Join(s.dir, "deployment.yaml"), Version: "test",
		Epoch:  time.Now().Add(-time.Hour).UnixNano(),
		NewLog: func(string, string) zerolog.Logger { return zerolog.Nop() },
	})
}

// running starts a guard and makes its clock a trusted one.
func (s *testSite) running() *Agent {
	s.t.Helper()
	a, err := s.start()
	s.must(err)
	a.guard.SetTrust(2)
	s.binding = order.Binding{Nonce: a.nonce}
	return a
}

// kill lets go of what the kernel takes back from a killed process.
func (s *testSite) kill(a *Agent) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	s.must(errors.Join(a.control.close(), a.bus.node.Close(), a.journal.Close(ctx), a.state.dir.Close()))
}

// revision is the policy that a start puts into force.
func (s *testSite) revision() int64 {
	s.t.Helper()
	a, err := s.start()
	if err != nil {
		s.t.Fatalf("the guard does not start any more: %v", err)
	}
	defer s.kill(a)
	return a.cfg.Policy.Revision
}

// killedBefore ends the guard, as far as an order can tell, after the order was used up and before it comes into force.
func killedBefore(a *Agent) func(*order.Verified, []byte) (func() error, error) {
	return func(v *order.Verified, envelope []byte) (func() error, error) {
		_, err := a.stageOrder(v, envelope)
		return func() error { return nil }, err
	}
}

func TestRestartAfterAPolicyOrder(t *testing.T) {
	big := func(text string) string { return text + "\n# " + strings.Repeat("x", 400<<10) + "\n" }
	for _, c := range []struct {
		name  string
		do    func(s *testSite, a *Agent) Receipt
		apply bool
		want  int64
	}{
		{"no order (off)", func(*testSite, *Agent) Receipt { return Receipt{} }, false, 1},
		{"a policy", func(s *testSite, a *Agent) Receipt { return a.orders.apply(s.set(2)) }, true, 2},
		{"a large policy", func(s *testSite, a *Agent) Receipt { return a.orders.apply(s.set(2, big)) }, true, 2},
		{"a second policy while one waits", func(s *testSite, a *Agent) Receipt {
			a.orders.apply(s.set(2))
			return a.orders.apply(s.set(3))
		}, true, 3},
		{"a policy that is none is refused and not used up", func(s *testSite, a *Agent) Receipt {
			return a.orders.apply(s.set(2, func(string) string { return "kind: policy\nrevision: 2\n" }))
		}, false, 1},
		{"a newer policy in the deployment", func(s *testSite, a *Agent) Receipt {
			r := a.orders.apply(s.set(2))
			s.write("policy.bundle", s.delivered(func() []byte { return s.set(3) }))
			return r
		}, true, 3},
		{"killed after the policy was used up", func(s *testSite, a *Agent) Receipt {
			a.orders.stage = killedBefore(a)
			return a.orders.apply(s.set(2))
		}, true, 2},
		{"killed after the policy was stored, before it was used up", func(s *testSite, a *Agent) Receipt {
			a.orders.stage = func(v *order.Verified, envelope []byte) (func() error, error) {
				_, err := a.stageOrder(v, envelope)
				return nil, errors.Join(err, errors.New("killed"))
			}
			return a.orders.apply(s.set(2))
		}, false, 1},
		{"killed before the second of two policies was used up", func(s *testSite, a *Agent) Receipt {
			r := a.orders.apply(s.set(2))
			s.must(a.state.replace(policyNew, policyNext, s.delivered(func() []byte { return s.set(3) })))
			return r
		}, true, 2},
		{"a new key list", func(s *testSite, a *Agent) Receipt { return a.orders.apply(s.keyList(2)) }, true, 1},
		{"two new key lists", func(s *testSite, a *Agent) Receipt {
			a.orders.apply(s.keyList(2))
			return a.orders.apply(s.keyList(3))
		}, true, 1},
		{"a shorter chain of key lists", func(s *testSite, a *Agent) Receipt {
			s.must(a.state.storeKeyLists(keyListFmt, [][]byte{s.keyList(1), s.keyList(1)}))
			return a.orders.apply(s.keyList(2))
		}, true, 1},
		{"killed after the key list was stored, before it was used up", func(s *testSite, a *Agent) Receipt {
			a.orders.stage = func(v *order.Verified, envelope []byte) (func() error, error) {
				_, err := a.stageOrder(v, envelope)
				return nil, errors.Join(err, errors.New("killed"))
			}
			return a.orders.apply(s.keyList(2))
		}, false, 1},
		{"killed after the key list was used up", func(s *testSite, a *Agent) Receipt {
			a.orders.stage = killedBefore(a)
			return a.orders.apply(s.keyList(2))
		}, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestSite(t)
			a := s.running()
			if r := c.do(s, a); r.Applied != c.apply {
				t.Errorf("receipt %+v, want applied %t", r, c.apply)
			}
			s.kill(a)
			for range 2 {
				if got := s.revision(); got != c.want {
					t.Errorf("revision %d is in force after a restart, want %d", got, c.want)
				}
			}
		})
	}
}

// TestPolicyForOtherDocumentsWaitsForARestart changes the profile under a running guard: gate, ladder and watches are
// those of the old one, so a policy for the new one must not come into force half.
func TestPolicyForOtherDocumentsWaitsForARestart(t *testing.T) {
	s := newTestSite(t)
	a := s.running()
	defer s.kill(a)
	raw, err := os.ReadFile(filepath.Join(s.dir, "profile.yaml"))
	s.must(err)
	old := sha256.Sum256(raw)
	raw = append(raw, "# changed\n"...)
	s.write("profile.yaml", raw)
	fresh := sha256.Sum256(raw)
	r := a.orders.apply(s.set(2, func(text string) string {
		if !strings.Contains(text, hex.EncodeToString(old[:])) {
			t.Fatal("the policy does not pin the profile")
		}
		return strings.Replace(text, hex.EncodeToString(old[:]), hex.EncodeToString(fresh[:]), 1)
	}))
	if r.Applied || !strings.Contains(r.Text, "profile") {
		t.Errorf("receipt %+v", r)
	}
}

// TestDocumentCutByAPowerCutIsWrittenAgain damages a stored document, by whose name a replay would take it for whole.
func TestDocumentCutByAPowerCutIsWrittenAgain(t *testing.T) {
	s := newTestSite(t)
	s.kill(s.running())
	files, err := filepath.Glob(filepath.Join(s.dir, "state", "documents", "*.yaml"))
	s.must(err)
	if len(files) != 3 {
		t.Fatalf("%d documents are stored, want 3", len(files))
	}
	for _, f := range files {
		s.must(os.Truncate(f, 0))
	}
	s.kill(s.running())
	for _, f := range files {
		raw, err := os.ReadFile(f)
		s.must(err)
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:])+".yaml" != filepath.Base(f) {
			t.Errorf("%s holds %d bytes that are not what its name says", filepath.Base(f), len(raw))
		}
	}
}

// TestOrderlyEndWithoutALatchIsNoLossOfLatches ends a first run in which nothing latched.
func TestOrderlyEndWithoutALatchIsNoLossOfLatches(t *testing.T) {
	s := newTestSite(t)
	for run := range 3 {
		a := s.running()
		for range 5 {
			a.guard.Tick(a.clock.Boot())
		}
		for _, trigger := range a.guard.Status().Triggers {
			if trigger.Code == "latch.unreadable" {
				t.Errorf("run %d: %s, cause %s, though nothing was ever latched", run, trigger.Code, trigger.Cause)
			}
			t.Log(run, trigger.Code, trigger.Latched)
		}
		s.must(a.state.flush())
		s.kill(a)
	}
}
