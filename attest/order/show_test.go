package order_test

import (
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

func TestShowSaysWhatAnOrderDoes(t *testing.T) {
	s := newSite(t, func(s *site) { s.list.KeyList.RequiredSigners = map[order.Kind]int{order.KindGrant: 1} })
	all := sample(order.KindReset)
	all.Reset = &order.Reset{All: true}
	power := sample(order.KindStop)
	power.Stop.Category = 1
	egress := sample(order.KindGrant)
	egress.Grant.Scope, egress.Grant.SingleUse = order.ScopeEgress, false
	for _, tc := range []struct {
		name string
		o    *order.Order
		want []string
	}{
		{"stop", sample(order.KindStop), []string{"stops the robot, category 2", "good, olga [operator]", "verifies;"}},
		{"stop with power", power, []string{"category 1: controlled, then power"}},
		{"reset", sample(order.KindReset), []string{"clears the latched triggers pose.stale, channel.operator", "boot " + bootID, "nonce " + nonce}},
		{"reset of all", all, []string{"clears every latched trigger"}},
		{"grant", sample(order.KindGrant), []string{"inside zone pharmacy at up to 0.3 m/s until 2026-11-22T12:30:00Z, once"}},
		{"egress", egress, []string{"move to leave zone pharmacy at up to 0.3 m/s until 2026-11-22T12:30:00Z\n"}},
		{"policy", sample(order.KindPolicySet), []string{"revision 1 of the policy", "only with the robot profile sha256:", "sequence   1"}},
		{"result", sample(order.KindAttestationResult), []string{"ACCEPTS", "quoted by a TPM", "reasons: eventlog-absent", "nonce " + nonce}},
		{"refusal by a software key", refusal(), []string{"REFUSES", "SOFTWARE KEY", "reasons: agent-digest"}},
		{"key list", s.orderOf(order.KindKeyList), []string{"these 10 keys", "olga [operator] until 2027", "a grant needs 1 persons"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := order.Show(sign(t, tc.o, s.signerOf(tc.o.Kind)), s.list.KeyList, at(noon))
			for _, want := range append(tc.want, "checked the aisle", robot, "until 2026-11-22T13:00:00Z", tc.o.ID, "verdict    verifies;") {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
		})
	}
}

// refusal is a verifier's no to a robot without a TPM.
func refusal() *order.Order {
	o := sample(order.KindAttestationResult)
	o.AttestationResult.Verdict, o.AttestationResult.Tier = order.VerdictRefused, order.TierSoftwareKey
	o.AttestationResult.Reasons = []string{"agent-digest"}
	return o
}

func TestShowSaysWhyAnOrderIsRefused(t *testing.T) {
	s := newSite(t, nil)
	stranger := newHolder(t, order.Ed25519, "sally", order.RoleOperator)
	demo := newHolder(t, order.Ed25519, "dora", order.RoleOperator)
	demo.key.Demo = true
	list := &order.KeyList{Keys: append(s.list.KeyList.Keys[:len(s.list.KeyList.Keys):len(s.list.KeyList.Keys)], demo.key)}
	reset := sample(order.KindReset)
	changed := strings.Replace(string(sign(t, reset, s.operator)), "eyJ", "eyI", 1)
	for _, tc := range []struct {
		name string
		env  []byte
		list *order.KeyList
		now  time.Time
		want []string
	}{
		{"no key list", sign(t, reset, s.operator), nil, noon, []string{"REFUSED: no-key-list", "NOT GOOD"}},
		{"unknown key", sign(t, reset, stranger), list, noon, []string{"REFUSED: unknown-key", "NOT GOOD " + stranger.key.ID}},
		{"wrong role", sign(t, reset, s.vendor), list, noon, []string{"REFUSED: wrong-role", "good, vera [vendor]"}},
		{"expired", sign(t, reset, s.operator), list, noon.Add(2 * time.Hour), []string{"REFUSED: expired", "good, olga"}},
		{"demonstration key", sign(t, reset, demo), list, noon, []string{"verifies", "DEMONSTRATION KEY"}},
		{"changed", []byte(changed), list, noon, []string{"REFUSED: malformed", "NOT GOOD", "bad-signature"}},
		{"no envelope", []byte("hello"), list, noon, []string{"REFUSED: malformed"}},
		{"key list alone", s.cfg.KeyLists[0], nil, noon, []string{"verifies", "good, rita [root]"}},
		{"key list not by a root", sign(t, s.list, s.operator), nil, noon, []string{"REFUSED: wrong-role"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := order.Show(tc.env, tc.list, at(tc.now))
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
		})
	}
}

// TestErrorsHelpPeople checks that a refusal carries what to do, in one line without capitals at its head.
func TestErrorsHelpPeople(t *testing.T) {
	s := newSite(t, nil)
	_, err := s.verifier(t, order.NewFloors()).Verify(at(noon), sign(t, sample(order.KindReset), s.vendor))
	want := "wrong-role: vera has [vendor], none of which may sign a reset (a reset needs one of [safety-engineer operator supervisor security])"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if order.ReasonOf(nil) != "" {
		t.Error("no error has a reason")
	}
}
