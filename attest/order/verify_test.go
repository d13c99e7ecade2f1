package order_test

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/attest/order"
)

func TestEachKindVerifies(t *testing.T) {
	s := newSite(t, nil)
	for _, kind := range order.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			o, by := s.orderOf(kind), s.signerOf(kind)
			env := sign(t, o, by)
			floors := order.NewFloors()
			if kind == order.KindKeyList {
				floors = s.enrolled(t)
			}
			v := s.verifier(t, floors)
			if err := v.Fault(); err != nil {
				t.Fatal(err)
			}
			got, err := v.Verify(at(noon), env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(o, got.Order); diff != "" {
				t.Errorf("the order changed on its way (-signed +verified):\n%s", diff)
			}
			if got.Repeat || got.Persons() != 1 || got.Signers[0].KeyID != by.key.ID || !got.HasRole(by.key.Roles[0]) {
				t.Errorf("verified as %+v", got)
			}
		})
	}
}

// enrolled is a ledger that has accepted the site's first key list.
func (s *site) enrolled(t testing.TB) *order.Floors {
	t.Helper()
	floors := order.NewFloors()
	x, err := s.verifier(t, floors).Verify(at(noon), s.cfg.KeyLists[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Use(at(noon), x.Claim()); err != nil {
		t.Fatal(err)
	}
	return floors
}

func TestRolesMaySignExactlyTheirKinds(t *testing.T) {
	// Written from the description of the roles, not from the table in the code.
	may := map[order.Role][]order.Kind{
		order.RoleRoot:           {order.KindKeyList},
		order.RoleSafetyEngineer: {order.KindStop, order.KindHalt, order.KindReset, order.KindGrant, order.KindPolicySet, order.KindRelease, order.KindOverride, order.KindSession},
		order.RoleOperator:       {order.KindStop, order.KindHalt, order.KindReset, order.KindOverride},
		order.RoleFleetManager:   {order.KindStop, order.KindHalt, order.KindGrant, order.KindSession},
		order.RoleVendor:         {order.KindStop, order.KindHalt},
		order.RoleStopOnly:       {order.KindStop, order.KindHalt},
		order.RoleVerifier:       {order.KindAttestationResult},
		order.RoleConsumer:       {},
		order.RoleRelease:        {order.KindRelease, order.KindHalt},
	}
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for _, h := range s.holders() {
		for _, kind := range order.Kinds() {
			t.Run(h.key.Person+"/"+string(kind), func(t *testing.T) {
				_, err := v.Verify(at(noon), sign(t, s.orderOf(kind), h))
				if contains(may[h.key.Roles[0]], kind) {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				wantReason(t, err, order.WrongRole)
			})
		}
	}
}

func contains(kinds []order.Kind, k order.Kind) bool {
	return slices.Contains(kinds, k)
}

func TestRefusalsByTarget(t *testing.T) {
	s := newSite(t, nil)
	for _, tc := range []struct {
		name   string
		kind   order.Kind
		change func(*order.Order)
		config func(*order.Config)
		want   order.Reason
	}{
		{name: "another robot", kind: order.KindReset, change: func(o *order.Order) { o.Audience = []string{"unitree/g1-0008"} }, want: order.WrongAudience},
		{name: "another group", kind: order.KindPolicySet, change: func(o *order.Order) { o.Audience = []string{"group:ward-4"} }, want: order.WrongAudience},
		{name: "stop for another robot", kind: order.KindStop, change: func(o *order.Order) { o.Audience = []string{"unitree/g1-0008"} }, want: order.WrongAudience},
		{name: "group by its bare name", kind: order.KindPolicySet, change: func(o *order.Order) { o.Audience = []string{"ward-3/x"} }, want: order.WrongAudience},
		{name: "another boot", kind: order.KindGrant, change: func(o *order.Order) { o.Binding.BootID = "00000000-9a3e-4f0e-8f1b-1d2c3b4a5968" }, want: order.BootMismatch},
		{name: "another nonce", kind: order.KindReset, change: func(o *order.Order) { o.Binding.Nonce = nonce + "ff" }, want: order.NonceMismatch},
		{name: "boot id unknown", kind: order.KindReset, config: func(c *order.Config) { c.BootID = "" }, want: order.BootMismatch},
		{name: "nonce unknown", kind: order.KindReset, config: func(c *order.Config) { c.Nonce = "" }, want: order.NonceMismatch},
		{name: "policy bound to another boot", kind: order.KindPolicySet, change: func(o *order.Order) { o.Binding.BootID = "00000000-9a3e-4f0e-8f1b-1d2c3b4a5968" }, want: order.BootMismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := s.orderOf(tc.kind)
			if tc.change != nil {
				tc.change(o)
			}
			site := *s
			if tc.config != nil {
				tc.config(&site.cfg)
			}
			_, err := site.verifier(t, order.NewFloors()).Verify(at(noon), sign(t, o, s.signerOf(tc.kind)))
			wantReason(t, err, tc.want)
		})
	}
}

func TestAudiencesThatReachTheRobot(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	for name, audience := range map[string][]string{
		"own id": {robot}, "own group": {"group:ward-3"}, "everyone": {"*"}, "one of several": {"unitree/g1-0008", "group:ward-3"},
	} {
		t.Run(name, func(t *testing.T) {
			o := sample(order.KindStop)
			o.Audience = audience
			if _, err := v.Verify(at(noon), sign(t, o, s.button)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestValidityIsJudgedWithTheClocksUncertainty(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	o := sample(order.KindPolicySet)
	env := sign(t, o, s.engineer)
	for _, tc := range []struct {
		name string
		now  order.Times
		want order.Reason
	}{
		{"just begun", order.Times{Civil: o.NotBefore, Trust: order.Trusted}, ""},
		{"about to begin", order.Times{Civil: o.NotBefore.Add(-1), Trust: order.Trusted}, order.NotYetValid},
		{"perhaps begun", order.Times{Civil: o.NotBefore.Add(time.Second), Uncertainty: 2 * time.Second, Trust: order.Holdover}, order.NotYetValid},
		{"about to end", order.Times{Civil: o.NotAfter.Add(-1), Trust: order.Holdover}, ""},
		{"just ended", order.Times{Civil: o.NotAfter, Trust: order.Trusted}, order.Expired},
		{"perhaps ended", order.Times{Civil: o.NotAfter.Add(-time.Second), Uncertainty: time.Second, Trust: order.Trusted}, order.Expired},
		{"uncertain over the whole validity", order.Times{Civil: noon, Uncertainty: 3 * time.Hour, Trust: order.Trusted}, order.NotYetValid},
		{"untrusted clock", order.Times{Civil: noon}, order.ClockUntrusted},
		{"no time at all", order.Times{Trust: order.Trusted}, order.ClockUntrusted},
		{"negative uncertainty", order.Times{Civil: noon, Uncertainty: -1, Trust: order.Trusted}, order.ClockUntrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := v.Verify(tc.now, env)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantReason(t, err, tc.want)
		})
	}
}

func TestEveryLooseningKindNeedsAClock(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, s.enrolled(t))
	for _, kind := range order.Kinds() {
		_, err := v.Verify(order.Times{}, sign(t, s.orderOf(kind), s.signerOf(kind)))
		if kind == order.KindStop || kind == order.KindHalt {
			if err != nil {
				t.Errorf("a %s was refused without a clock: %v", kind, err)
			}
			continue
		}
		wantReason(t, err, order.ClockUntrusted)
	}
}

// TestARefusalNeedsNoClock shows that a verifier can take its word back from a robot that has lost the time, once.
func TestARefusalNeedsNoClock(t *testing.T) {
	s := newSite(t, nil)
	floors := order.NewFloors()
	v := s.verifier(t, floors)
	env := sign(t, refusal(), s.verifierKey)
	x, err := v.Verify(order.Times{}, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := floors.Use(order.Times{}, x.Claim()); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(order.Times{}, env)
	wantReason(t, err, order.Replayed)
	_, err = v.Verify(order.Times{}, sign(t, refusal(), s.operator))
	wantReason(t, err, order.WrongRole)
	_, err = v.Verify(at(noon.Add(2*time.Hour)), sign(t, refusal(), s.verifierKey))
	wantReason(t, err, order.Expired)
}

func TestAGrantEndsAtItsOwnTime(t *testing.T) {
	s := newSite(t, nil)
	o := sample(order.KindGrant)
	env := sign(t, o, s.engineer)
	_, err := s.verifier(t, order.NewFloors()).Verify(at(o.Grant.Expires), env)
	wantReason(t, err, order.Expired)
}

func TestKeysRunOut(t *testing.T) {
	s := newSite(t, func(s *site) {
		for i := range s.list.KeyList.Keys[1:] {
			s.list.KeyList.Keys[i+1].NotAfter = noon
		}
	})
	v := s.verifier(t, s.enrolled(t))
	for _, kind := range []order.Kind{order.KindStop, order.KindReset, order.KindGrant, order.KindPolicySet} {
		_, err := v.Verify(at(noon.Add(time.Minute)), sign(t, s.orderOf(kind), s.signerOf(kind)))
		wantReason(t, err, order.KeyExpired)
	}
	stop := sign(t, sample(order.KindStop), s.button)
	if _, err := v.Verify(order.Times{}, stop); err != nil {
		t.Errorf("without a clock nobody knows that the key has run out, so it must stop the robot: %v", err)
	}
	if _, err := v.Verify(at(noon), stop); err != nil {
		t.Errorf("a key that may still be valid must stop the robot: %v", err)
	}
}

func TestDemoKeysCountInTheDemonstrationOnly(t *testing.T) {
	s := newSite(t, func(s *site) {
		for i := range s.list.KeyList.Keys[1:] {
			s.list.KeyList.Keys[i+1].Demo = true
		}
	})
	for _, kind := range order.Kinds() {
		if kind == order.KindKeyList {
			continue
		}
		env := sign(t, s.orderOf(kind), s.signerOf(kind))
		_, err := s.verifier(t, order.NewFloors()).Verify(at(noon), env)
		wantReason(t, err, order.DemoKey)
		demo := *s
		demo.cfg.AllowDemo = true
		got, err := demo.verifier(t, order.NewFloors()).Verify(at(noon), env)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Signers[0].Demo {
			t.Error("the verified order does not show that a demonstration key signed it")
		}
	}
}

// TestALateStopStops shows that a stop is judged by its validity only when it comes again.
func TestALateStopStops(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	env := sign(t, sample(order.KindStop), s.button)
	for _, civil := range []time.Time{noon.Add(-2 * time.Hour), noon, noon.Add(48 * time.Hour)} {
		if _, err := v.Verify(at(civil), env); err != nil {
			t.Errorf("at %s: %v", civil, err)
		}
	}
}

func TestADemoRootPutsNoListInForce(t *testing.T) {
	s := newSite(t, func(s *site) { s.list.KeyList.Keys[0].Demo = true })
	v := s.verifier(t, order.NewFloors())
	wantReason(t, v.Fault(), order.DemoKey)
	// Another root's signature beside it does not help: the pinned one is what the robot believes.
	second := newHolder(t, order.Ed25519, "rob", order.RoleRoot)
	both := *s
	list := listOf(1, s.root, second)
	list.KeyList.Keys[0].Demo = true
	both.cfg.KeyLists = [][]byte{sign(t, list, s.root, second)}
	wantReason(t, both.verifier(t, order.NewFloors()).Fault(), order.DemoKey)
	if v.KeyList() != nil {
		t.Error("the list is in force")
	}
	_, err := v.Verify(at(noon), sign(t, sample(order.KindStop), s.operator))
	wantReason(t, err, order.NoKeyList)
}

func TestTwoPersons(t *testing.T) {
	second := newHolder(t, order.Ed25519, "sofia", order.RoleSafetyEngineer)
	spare := newHolder(t, order.ECDSAP256, "sven", order.RoleSafetyEngineer)
	s := newSite(t, func(s *site) {
		s.list.KeyList.Keys = append(s.list.KeyList.Keys, second.key, spare.key)
		s.list.KeyList.RequiredSigners = map[order.Kind]int{order.KindPolicySet: 2}
	})
	v := s.verifier(t, order.NewFloors())
	o := sample(order.KindPolicySet)
	for _, tc := range []struct {
		name string
		by   []holder
		want order.Reason
	}{
		{"one person", []holder{s.engineer}, order.TooFewSigners},
		{"one person with two keys", []holder{s.engineer, spare}, order.TooFewSigners},
		{"a second person who may not sign", []holder{s.engineer, s.operator}, order.TooFewSigners},
		{"two persons", []holder{s.engineer, second}, ""},
		{"two persons, one with two keys", []holder{s.engineer, spare, second}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := v.Verify(at(noon), sign(t, o, tc.by...))
			if tc.want != "" {
				wantReason(t, err, tc.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Persons() != 2 {
				t.Errorf("%d persons counted, want 2", got.Persons())
			}
		})
	}
}

func TestTheSameSignatureTwiceCountsOnce(t *testing.T) {
	second := newHolder(t, order.Ed25519, "sofia", order.RoleSafetyEngineer)
	s := newSite(t, func(s *site) {
		s.list.KeyList.Keys = append(s.list.KeyList.Keys, second.key)
		s.list.KeyList.RequiredSigners = map[order.Kind]int{order.KindReset: 2}
	})
	env, err := order.ParseEnvelope(sign(t, sample(order.KindReset), s.operator))
	if err != nil {
		t.Fatal(err)
	}
	env.Signatures = append(env.Signatures, env.Signatures[0])
	data, err := env.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.verifier(t, order.NewFloors()).Verify(at(noon), data)
	wantReason(t, err, order.TooFewSigners)
}

func TestARepeatedOrder(t *testing.T) {
	s := newSite(t, nil)
	for _, tc := range []struct {
		kind  order.Kind
		later order.Times
		want  order.Reason // "" for accepted as a repeat.
	}{
		{order.KindReset, at(noon), order.Replayed},
		{order.KindGrant, at(noon), order.Replayed},
		{order.KindPolicySet, at(noon), ""},
		{order.KindPolicySet, at(noon.Add(1000 * time.Hour)), ""}, // What is in force loads again at every start.
		{order.KindPolicySet, order.Times{}, ""},                  // Also before the clock is known.
		{order.KindKeyList, order.Times{}, ""},
		{order.KindStop, at(noon), ""},
		{order.KindStop, order.Times{}, ""},
		{order.KindStop, at(noon.Add(2 * time.Hour)), order.Replayed},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			floors := s.enrolled(t)
			v := s.verifier(t, floors)
			env := sign(t, s.orderOf(tc.kind), s.signerOf(tc.kind))
			x, err := v.Verify(at(noon), env)
			if err != nil {
				t.Fatal(err)
			}
			if err := floors.Use(at(noon), x.Claim()); err != nil {
				t.Fatal(err)
			}
			again, err := v.Verify(tc.later, env)
			if tc.want != "" {
				wantReason(t, err, tc.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !again.Repeat {
				t.Error("the repeat is not marked as one")
			}
		})
	}
}

// TestWhatIsInForceIsNotJudgedByTheRunAgain: a start takes up what an earlier run accepted by its nonce or boot id. Whatever was not
// accepted, and whatever somebody sends, is judged by them.
func TestWhatIsInForceIsNotJudgedByTheRunAgain(t *testing.T) {
	s := newSite(t, nil)
	for kind, loads := range map[order.Kind]bool{
		order.KindPolicySet: true, order.KindKeyList: true, order.KindRelease: true, order.KindReset: false, order.KindStop: false, order.KindHalt: false,
	} {
		for _, used := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, used %t", kind, used), func(t *testing.T) {
				floors := s.enrolled(t)
				o := s.orderOf(kind)
				o.Binding = order.Binding{BootID: bootID, Nonce: nonce}
				env := sign(t, o, s.signerOf(kind))
				x, err := s.verifier(t, floors).Verify(at(noon), env)
				if err != nil {
					t.Fatal(err)
				}
				if used {
					if err := floors.Use(at(noon), x.Claim()); err != nil {
						t.Fatal(err)
					}
				}
				later := *s
				later.cfg.Nonce, later.cfg.BootID = strings.Repeat("f", 32), "00000000-0000-0000-0000-000000000000"
				v := later.verifier(t, floors)
				if kind == order.KindKeyList && used {
					// The list in force is the stored one, and needs its chain.
					later.cfg.KeyLists = append(later.cfg.KeyLists, env)
					v = later.verifier(t, floors)
					if v.Fault() != nil {
						t.Fatal(v.Fault())
					}
				}
				got, err := v.VerifyStored(at(noon.Add(time.Minute)), env)
				if loads && used {
					if err != nil || !got.Repeat {
						t.Errorf("stored: %+v, %v", got, err)
					}
				} else {
					wantReason(t, err, order.BootMismatch)
				}
				_, err = v.Verify(at(noon.Add(time.Minute)), env)
				wantReason(t, err, order.BootMismatch)
			})
		}
	}
}

func TestSequencesOnlyGoUp(t *testing.T) {
	s := newSite(t, nil)
	floors := order.NewFloors()
	v := s.verifier(t, floors)
	send := func(sequence uint64) error {
		o := sample(order.KindPolicySet)
		o.Sequence = sequence
		x, err := v.Verify(at(noon), sign(t, o, s.engineer))
		if err != nil {
			return err
		}
		return floors.Use(at(noon), x.Claim())
	}
	for _, step := range []struct {
		sequence uint64
		want     order.Reason
	}{
		{5, ""},
		{4, order.SequenceTooOld},
		{5, order.SequenceTooOld},
		{6, ""},
		{1, order.SequenceTooOld},
		{6 + order.MaxSequenceStep + 1, order.SequenceTooFar},
		{order.MaxSequence, order.SequenceTooFar},
		{6 + order.MaxSequenceStep, ""},
	} {
		err := send(step.sequence)
		if step.want == "" && err != nil {
			t.Fatalf("sequence %d: %v", step.sequence, err)
		}
		if step.want != "" {
			wantReason(t, err, step.want)
		}
	}
}

func TestOneGoodSignatureStops(t *testing.T) {
	s := newSite(t, nil)
	stranger := newHolder(t, order.ECDSAP256, "sally", order.RoleOperator)
	v := s.verifier(t, order.NewFloors())
	mixed := func(o *order.Order) []byte { return sign(t, o, stranger, s.operator) }
	if _, err := v.Verify(at(noon), mixed(sample(order.KindStop))); err != nil {
		t.Errorf("a stop with one good signature was refused: %v", err)
	}
	_, err := v.Verify(at(noon), mixed(sample(order.KindReset)))
	wantReason(t, err, order.UnknownKey)
	_, err = v.Verify(at(noon), sign(t, sample(order.KindStop), stranger))
	wantReason(t, err, order.UnknownKey)
}

func TestConfigurationsThatNoRobotHas(t *testing.T) {
	s := newSite(t, nil)
	for name, change := range map[string]func(*order.Config){
		"no robot id":        func(c *order.Config) { c.Robot = "" },
		"robot id is a star": func(c *order.Config) { c.Robot = "*" },
		"boot id in capitals": func(c *order.Config) {
			c.BootID = "5F0C3A52-9A3E-4F0E-8F1B-1D2C3B4A5968"
		},
		"short nonce":          func(c *order.Config) { c.Nonce = "00" },
		"group with a prefix":  func(c *order.Config) { c.Groups = []string{"group:x"} },
		"no roots":             func(c *order.Config) { c.Roots = nil },
		"more roots needed":    func(c *order.Config) { c.RequiredRoots = 2 },
		"the same root twice":  func(c *order.Config) { c.Roots = append(c.Roots, c.Roots[0]) },
		"a root that is a nil": func(c *order.Config) { c.Roots[0] = nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s.cfg
			cfg.Roots = []crypto.PublicKey{s.cfg.Roots[0]}
			change(&cfg)
			if _, err := order.NewVerifier(cfg, order.NewFloors()); err == nil {
				t.Error("accepted")
			}
		})
	}
}
