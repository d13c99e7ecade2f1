package order_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/internal/mutate"
	"github.com/robowarden/robowarden/attest/order"
)

// allowed are the changes of a release's payload that are another release in their own right, where whoever may release signs them.
var allowed = regexp.MustCompile(`^(` + strings.Join([]string{
	`reason (a letter more|a space before|capitals|upwards|absolute|last letter gone|another first letter)`, // A text.
	`id (another digit|a letter more|another first letter|last letter gone|upwards|absolute)`,
	`sequence (is 7|one more)`, `not_before .*`, `not_after .*`,
	`(body|body\.health|body\.artifacts\[.\]) .* comes twice, first otherwise`,
	`body\.(svn|rollback_floor|ramp_percent) (is 7|one more)`, `body\.version .*`,
	`body\.artifacts\[.\]\.version .*`, `body\.artifacts\[.\]\.(size_bytes|files) (is 7|one more)`,
	`body\.artifacts\[.\]\.name (a letter more|last letter gone|another first letter)`,
	`body\.artifacts\[.\]\.sha256 another (digit|first letter)`, `body\.artifacts\[.\]\.fallbacks\[.\] another (digit|first letter)`,
	`body\.artifacts\[.\]\.fallbacks (last removed|is null|is \[\])`, `body\.artifacts\[.\] fallbacks removed`, `body\.artifacts last removed`,
	`body\.health\.(settle_s|window_s) (is 7|one more)`, `body\.health\.criteria.*`, `body\.health (window_s|at_end|criteria) removed`, `body\.health\.(at_end|window_s) is null`,
	`body (profiles|ramp_percent) removed`, `body\.profiles (last removed|is null|is \[\])`, `body\.profiles\[.\] another (digit|first letter)`, `body\.ramp_percent is null`,
	`audience .*`, `audience\[.\] .*`,
}, "|") + `)$`)

// TestEveryMutantOfARelease changes each field of a signed release: without its signature, nothing passes; signed again by whoever may
// release, what passes says something that a release may say, and every refusal says where.
func TestEveryMutantOfARelease(t *testing.T) {
	s := newSite(t, nil)
	v := s.verifier(t, order.NewFloors())
	envelope := sign(t, sample(order.KindRelease), s.release)
	env, err := order.ParseEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(at(noon), envelope); err != nil {
		t.Fatal("the off run:", err)
	}
	list := mutate.Mutants(mutate.Parse(env.Payload))
	passed := 0
	for _, m := range list {
		text := mutate.Text(m.Doc)
		_, err := v.Verify(at(noon), marshal(t, &order.Envelope{PayloadType: env.PayloadType, Payload: []byte(text), Signatures: env.Signatures}))
		if err == nil {
			t.Errorf("%s %s: passed with the signature of another text", m.Path, m.What)
		}
		_, err = v.Verify(at(noon), rawSign(t, env.PayloadType, []byte(text), s.release))
		name := m.Path + " " + m.What
		var e *order.Error
		switch {
		case err == nil && !allowed.MatchString(name):
			t.Errorf("passed, signed again: %s", name)
		case err == nil:
			passed++
		case !errors.As(err, &e) || e.Detail == "" && e.Err == nil:
			t.Errorf("%s: the refusal says nothing: %v", name, err)
		}
	}
	around := 0
	for _, m := range mutate.Mutants(mutate.Parse(envelope)) {
		around++
		got, err := v.Verify(at(noon), []byte(mutate.Text(m.Doc)))
		switch name := m.Path + " " + m.What; {
		case err != nil:
		case len(got.Signers) != 1:
			t.Errorf("%s passed with %d signers", name, len(got.Signers))
		// One person's signature twice is one, and DSSE allows both alphabets.
		case name != "signatures first twice" && m.What != "base64 for addresses":
			t.Errorf("around the payload: %s passed", name)
		}
	}
	t.Logf("%d mutants of the payload, %d of them releases in their own right; %d of the envelope", len(list), passed, around)
	if len(list) < 200 || passed == 0 || passed > len(list)/2 {
		t.Errorf("%d mutants, %d passed: this proves nothing", len(list), passed)
	}
}
