package order_test

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// listOf is a key list order naming these holders.
func listOf(sequence uint64, holders ...holder) *order.Order {
	o := base(order.KindKeyList)
	o.Sequence = sequence
	o.KeyList = &order.KeyList{}
	for _, h := range holders {
		o.KeyList.Keys = append(o.KeyList.Keys, h.key)
	}
	return o
}

// adopt verifies, commits and puts in force a key list.
func adopt(t *testing.T, v *order.Verifier, floors *order.Floors, env []byte) *order.Verifier {
	t.Helper()
	x, err := v.Verify(at(noon), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Use(at(noon), x.Claim()); err != nil {
		t.Fatal(err)
	}
	next, err := v.WithKeyList(x)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestTheFirstKeyListComesFromAPinnedRoot(t *testing.T) {
	s := newSite(t, nil)
	stranger := newHolder(t, order.ECDSAP256, "sally", order.RoleRoot)
	cfg := s.cfg
	cfg.KeyLists = nil
	floors := order.NewFloors()
	v, err := order.NewVerifier(cfg, floors)
	if err != nil {
		t.Fatal(err)
	}
	if v.KeyList() != nil || v.Fault() != nil {
		t.Errorf("a robot without a key list has the list %v and the fault %v", v.KeyList(), v.Fault())
	}
	stop := sign(t, sample(order.KindStop), s.operator)
	_, err = v.Verify(at(noon), stop)
	wantReason(t, err, order.NoKeyList)
	_, err = v.Verify(at(noon), sign(t, sample(order.KindStop), s.root))
	wantReason(t, err, order.WrongRole)
	_, err = v.Verify(at(noon), sign(t, listOf(1, stranger, s.operator), stranger))
	wantReason(t, err, order.NoKeyList)
	next := adopt(t, v, floors, s.cfg.KeyLists[0])
	if _, err := next.Verify(at(noon), stop); err != nil {
		t.Errorf("the operator's stop is refused after the key list came: %v", err)
	}
	_, err = v.Verify(at(noon), stop)
	wantReason(t, err, order.NoKeyList) // The old verifier did not change.
	if _, err := v.WithKeyList(&order.Verified{Order: sample(order.KindStop)}); err == nil {
		t.Error("a stop was put in force as a key list")
	}
}

func TestRootsAreReplacedStepByStep(t *testing.T) {
	s := newSite(t, nil)
	second := newHolder(t, order.Ed25519, "rob", order.RoleRoot)
	third := newHolder(t, order.ECDSAP256, "ruth", order.RoleRoot)
	floors := s.enrolled(t)
	v := s.verifier(t, floors)

	_, err := v.Verify(at(noon), sign(t, listOf(2, second, s.operator), second))
	wantReason(t, err, order.UnknownKey)
	_, err = v.Verify(at(noon), sign(t, listOf(2, second, s.operator), s.root))
	wantReason(t, err, order.TooFewSigners) // By the new list's own rules, one of its roots has to sign as well.
	v = adopt(t, v, floors, sign(t, listOf(2, second, s.operator), s.root, second))
	_, err = v.Verify(at(noon), sign(t, listOf(3, s.root, s.operator), s.root))
	wantReason(t, err, order.UnknownKey) // The first root, pinned or not, has been taken out.
	v = adopt(t, v, floors, sign(t, listOf(3, third, s.operator), second, third))
	if n := len(v.Chain()); n != 2 {
		t.Errorf("%d lists lead from the pinned root to the list in force, want 2", n)
	}

	cfg := s.cfg
	cfg.KeyLists = v.Chain()
	again, err := order.NewVerifier(cfg, floors)
	if err != nil || again.Fault() != nil {
		t.Fatal(err, again.Fault())
	}
	if again.KeyList().Find(third.key.ID) == nil || again.KeyList().Find(second.key.ID) != nil {
		t.Error("after a restart another list is in force")
	}
	// A list that the pinned root has signed needs no chain.
	v = adopt(t, again, floors, sign(t, listOf(4, s.root, third, s.operator), third, s.root))
	if n := len(v.Chain()); n != 1 {
		t.Errorf("%d lists are stored, want 1", n)
	}
}

func TestStoredKeyListsThatDoNotHold(t *testing.T) {
	s := newSite(t, nil)
	stranger := newHolder(t, order.ECDSAP256, "sally", order.RoleRoot)
	first := s.cfg.KeyLists[0]
	second := sign(t, listOf(2, s.root, s.operator), s.root)
	other := listOf(2, s.root, s.operator)
	other.Audience = []string{"unitree/g1-0008"}
	for _, tc := range []struct {
		name  string
		lists [][]byte
		want  order.Reason
	}{
		{"signed by a stranger", [][]byte{sign(t, listOf(1, stranger, s.operator), stranger)}, order.NoKeyList},
		{"changed", [][]byte{bytes.Replace(first, []byte(`"payload":"eyJ`), []byte(`"payload":"eyI`), 1)}, order.BadSignature},
		{"newest first", [][]byte{second, first}, order.SequenceTooOld},
		{"the same one twice", [][]byte{first, first}, order.SequenceTooOld},
		{"a stop", [][]byte{sign(t, sample(order.KindStop), s.root)}, order.WrongRole},
		{"for another robot", [][]byte{first, sign(t, other, s.root)}, order.WrongAudience},
		{"empty", [][]byte{nil}, order.Malformed},
		{"too many", make([][]byte, order.MaxChain+1), order.Malformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site := *s
			site.cfg.KeyLists = tc.lists
			v := site.verifier(t, order.NewFloors())
			if tc.name == "a stop" {
				if v.Fault() == nil {
					t.Error("a stop passes as a key list")
				}
				return
			}
			wantReason(t, v.Fault(), tc.want)
			if v.KeyList() != nil || v.Chain() != nil {
				t.Error("a key list is in force")
			}
			if _, err := v.Verify(at(noon), second); err != nil {
				t.Errorf("the way out, a new key list by the pinned root, is refused: %v", err)
			}
		})
	}
}

func TestARolledBackKeyListCountsForStopsOnly(t *testing.T) {
	s := newSite(t, nil)
	floors := s.enrolled(t)
	newest := sign(t, listOf(2, s.root, s.operator), s.root)
	adopt(t, s.verifier(t, floors), floors, newest)

	v := s.verifier(t, floors) // Its disk still holds the first list.
	wantReason(t, v.Fault(), order.SequenceTooOld)
	if _, err := v.Verify(at(noon), sign(t, sample(order.KindStop), s.button)); err != nil {
		t.Errorf("a stop was refused: %v", err)
	}
	for _, kind := range []order.Kind{order.KindReset, order.KindGrant, order.KindPolicySet} {
		_, err := v.Verify(at(noon), sign(t, s.orderOf(kind), s.signerOf(kind)))
		wantReason(t, err, order.SequenceTooOld)
	}
	x, err := v.Verify(order.Times{}, newest) // Sent again, even without a clock.
	if err != nil || !x.Repeat {
		t.Fatalf("the newest list is no repeat: %v", err)
	}
	next, err := v.WithKeyList(x)
	if err != nil {
		t.Fatal(err)
	}
	if next.Fault() != nil {
		t.Error(next.Fault())
	}
	if _, err := next.Verify(at(noon), sign(t, sample(order.KindReset), s.operator)); err != nil {
		t.Errorf("a reset is refused after the list was mended: %v", err)
	}
}

func TestTwoKeyListsWithOneSequence(t *testing.T) {
	s := newSite(t, nil)
	floors := s.enrolled(t)
	v := s.verifier(t, floors)
	_, err := v.Verify(at(noon), sign(t, listOf(1, s.root, s.vendor), s.root))
	wantReason(t, err, order.SequenceTooOld)
	site := *s
	site.cfg.KeyLists = [][]byte{sign(t, listOf(1, s.root, s.vendor), s.root)}
	wantReason(t, site.verifier(t, floors).Fault(), order.SequenceTooOld)
}

func TestAListFromTheEnrolmentIsNotReplacedByAnOlderOne(t *testing.T) {
	s := newSite(t, nil)
	delivered := sign(t, listOf(100000, s.root, s.operator), s.root)
	s.cfg.KeyLists = [][]byte{delivered}
	floors := order.NewFloors()
	v := s.verifier(t, floors)
	for _, sequence := range []uint64{1, 99999, 100000} {
		_, err := v.Verify(at(noon), sign(t, listOf(sequence, s.root, s.vendor), s.root))
		wantReason(t, err, order.SequenceTooOld)
	}
	if _, err := v.Verify(at(noon), delivered); err != nil {
		t.Errorf("the list in force is refused: %v", err)
	}
	if err := floors.Use(at(noon), v.InForce().Claim()); err != nil {
		t.Fatal(err)
	}
	if f, ok := floors.Floor(order.KindKeyList); !ok || f.Sequence != 100000 {
		t.Errorf("the ledger knows %v, %v", f, ok)
	}
	next := adopt(t, v, floors, sign(t, listOf(100001, s.root, s.operator), s.root))
	if got := next.InForce().Order.Sequence; got != 100001 {
		t.Errorf("list %d is in force", got)
	}
	cfg := s.cfg
	cfg.KeyLists = nil
	if empty, err := order.NewVerifier(cfg, floors); err != nil || empty.InForce() != nil {
		t.Error("a robot without a list has one in force", err)
	}
}

func TestSeveralPinnedRoots(t *testing.T) {
	second := newHolder(t, order.Ed25519, "rob", order.RoleRoot)
	s := newSite(t, func(s *site) {
		s.list.KeyList.Keys = append(s.list.KeyList.Keys, second.key)
		s.list.KeyList.RequiredSigners = map[order.Kind]int{order.KindKeyList: 2}
	})
	s.cfg.Roots = append(s.cfg.Roots, second.priv.Public())
	wantReason(t, s.verifier(t, order.NewFloors()).Fault(), order.TooFewSigners)
	s.cfg.RequiredRoots = 2
	wantReason(t, s.verifier(t, order.NewFloors()).Fault(), order.TooFewSigners)
	s.list.KeyList.RequiredSigners = nil
	s.cfg.KeyLists = [][]byte{sign(t, s.list, second)}
	wantReason(t, s.verifier(t, order.NewFloors()).Fault(), order.TooFewSigners)
	s.cfg.KeyLists = [][]byte{sign(t, s.list, s.root, second)}
	if err := s.verifier(t, order.NewFloors()).Fault(); err != nil {
		t.Error(err)
	}
}

func TestAKeyTakenOutNoLongerVouches(t *testing.T) {
	s := newSite(t, nil)
	floors := s.enrolled(t)
	v := s.verifier(t, floors)
	policy := sign(t, sample(order.KindPolicySet), s.engineer)
	x, err := v.Verify(at(noon), policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Use(at(noon), x.Claim()); err != nil {
		t.Fatal(err)
	}
	retired := s.engineer
	retired.key.NotAfter = noon.Add(time.Minute)
	kept := adopt(t, v, floors, sign(t, listOf(2, s.root, retired), s.root))
	if _, err := kept.Verify(at(noon.Add(time.Hour)), policy); err != nil {
		t.Errorf("a policy in force is refused since its signer's key has run out: %v", err)
	}
	gone := adopt(t, kept, floors, sign(t, listOf(3, s.root, s.operator), s.root))
	_, err = gone.Verify(at(noon), policy)
	wantReason(t, err, order.UnknownKey)
}

func TestOpenKeyList(t *testing.T) {
	s := newSite(t, nil)
	roots := []crypto.PublicKey{s.root.priv.Public()}
	env := s.cfg.KeyLists[0]
	for _, pins := range [][]crypto.PublicKey{nil, roots} {
		list, err := order.OpenKeyList(env, pins)
		if err != nil || list.Find(s.vendor.key.ID) == nil {
			t.Errorf("the list does not open: %v", err)
		}
	}
	_, err := order.OpenKeyList(env, []crypto.PublicKey{s.vendor.priv.Public()})
	wantReason(t, err, order.NoKeyList)
	for _, pins := range [][]crypto.PublicKey{nil, roots} {
		_, err = order.OpenKeyList(sign(t, s.list, s.operator), pins)
		if err == nil {
			t.Error("a list that no root signed opens")
		}
		_, err = order.OpenKeyList(sign(t, sample(order.KindStop), s.root), pins)
		if err == nil {
			t.Error("a stop opens as a key list")
		}
		_, err = order.OpenKeyList([]byte("{}"), pins)
		wantReason(t, err, order.Malformed)
	}
}
