package malicious

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

// forgeries are signed documents that must not count, each with the reasons that may be given.
func forgeries() []Attack {
	past := func() time.Time { return time.Now().UTC().Truncate(time.Second).Add(-time.Minute) }
	result := func(t Target) *order.Order {
		return &order.Order{
			Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{t.Robot}, NotBefore: past(), NotAfter: past().Add(time.Hour),
			Reason: "forged", Binding: order.Binding{BootID: t.BootID, Nonce: t.Nonce},
			AttestationResult: &order.AttestationResult{Verdict: "accepted", Tier: "tpm", EvidenceSHA256: strings.Repeat("ab", 32)},
		}
	}
	reset := func(t Target) *order.Order {
		return &order.Order{
			Kind: order.KindReset, ID: order.NewID(), Audience: []string{t.Robot}, NotBefore: past(), NotAfter: past().Add(time.Hour),
			Reason: "forged", Binding: order.Binding{BootID: t.BootID, Nonce: t.Nonce}, Reset: &order.Reset{All: true},
		}
	}
	stranger := func(Target) (crypto.Signer, error) { return order.GenerateKey(order.Ed25519) }
	operator := func(t Target) (crypto.Signer, error) { return t.Operator, nil }
	otherBoot := "00000000-0000-4000-8000-000000000000"
	type one struct {
		name   string
		make   func(Target) *order.Order
		key    func(Target) (crypto.Signer, error)
		change func(*order.Order)
		want   []order.Reason
	}
	list := []one{
		{"reset-by-a-stranger", reset, stranger, nil, []order.Reason{order.UnknownKey}},
		{"result-by-a-stranger", result, stranger, nil, []order.Reason{order.UnknownKey}},
		{"result-by-an-operator", result, operator, nil, []order.Reason{order.WrongRole}},
		{"reset-of-another-robot", reset, operator, func(o *order.Order) { o.Audience = []string{"acme/runner-2"} }, []order.Reason{order.WrongAudience}},
		{"reset-of-another-boot", reset, operator, func(o *order.Order) { o.Binding.BootID = otherBoot }, []order.Reason{order.BootMismatch}},
		{"reset-of-another-guard", reset, operator, func(o *order.Order) { o.Binding.Nonce = strings.Repeat("0", 32) }, []order.Reason{order.NonceMismatch}},
		{"reset-of-yesterday", reset, operator, func(o *order.Order) { o.NotBefore, o.NotAfter = past().Add(-2*time.Hour), past().Add(-time.Hour) }, []order.Reason{order.Expired}},
		{"reset-of-tomorrow", reset, operator, func(o *order.Order) { o.NotBefore, o.NotAfter = past().Add(time.Hour), past().Add(2*time.Hour) }, []order.Reason{order.NotYetValid}},
	}
	var out []Attack
	for _, o := range list {
		out = append(out, Attack{"order/" + o.name, "an order that counts", func(ctx context.Context, t Target) error {
			key, err := o.key(t)
			if err != nil {
				return err
			}
			forged := o.make(t)
			if o.change != nil {
				o.change(forged)
			}
			envelope, err := order.Sign(forged, key)
			if err != nil {
				return err
			}
			return refused(ctx, t, envelope, o.want...)
		}})
	}
	return append(out,
		Attack{"order/replayed", "an accepted order that counts twice", func(ctx context.Context, t Target) error {
			return refused(ctx, t, t.Used, order.Replayed)
		}},
		Attack{"order/changed", "an order that says more than was signed", func(ctx context.Context, t Target) error {
			at := bytes.LastIndexByte(t.Used, '"') - 8
			bad := bytes.Clone(t.Used)
			if bad[at]++; bad[at] == '[' || bad[at] == '{' || bad[at] == ':' {
				bad[at] = 'A'
			}
			return refused(ctx, t, bad, order.BadSignature, order.Malformed)
		}},
		Attack{"order/no-envelope", "a parser that falls over", func(ctx context.Context, t Target) error {
			return refused(ctx, t, []byte(`{"payloadType":"application/vnd.robowarden.order.v1+json","payload":"e30=","signatures":[]}`), order.Malformed, order.UnknownKey)
		}},
		Attack{"acknowledgement/forged", "a robot that deletes what nobody has", acknowledgements},
		Attack{"checkpoint/made-up", "a journal full of checkpoints", checkpoints},
	)
}

// refused sends an order in both roles and checks the reason.
func refused(ctx context.Context, t Target, envelope []byte, want ...order.Reason) error {
	for _, role := range []string{"courier", "steward"} {
		l, err := enter(ctx, t, role)
		if err != nil {
			return err
		}
		accepted, reason, err := l.receipt('O', string(envelope))
		_ = l.Close()
		if err != nil {
			return err
		}
		if accepted || !slices.Contains(want, order.Reason(reason)) {
			return fmt.Errorf("as %s: accepted %t, reason %q: expected a refusal with %q", role, accepted, reason, want)
		}
	}
	return nil
}

// acknowledgements forges them in every way; none may be taken.
func acknowledgements(ctx context.Context, t Target) error {
	l, err := enter(ctx, t, "courier")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	stranger, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		return err
	}
	good := order.Acknowledgement{Robot: t.Robot, Log: "guard", BootID: t.BootID, Seq: order.MaxSequence, Digest: strings.Repeat("00", 32)}
	for name, key := range map[string]crypto.Signer{"a stranger": stranger, "an operator": t.Operator} {
		payload, err := good.Encode()
		if err != nil {
			return err
		}
		envelope, err := order.SignDocument(order.AcknowledgementType, payload, key)
		if err != nil {
			return err
		}
		for _, e := range [][]byte{envelope, []byte("{}"), bytes.Repeat([]byte("x"), 20<<10), t.Used} {
			accepted, reason, err := l.receipt('A', fmt.Sprintf(`{"envelope":%q}`, base64.StdEncoding.EncodeToString(e)))
			if err != nil {
				return err
			}
			if accepted {
				return fmt.Errorf("an acknowledgement by %s was accepted (%s)", name, reason)
			}
		}
	}
	return nil
}

// checkpoints sends made-up ones as fast as the contract allows; at most one a second may be written.
func checkpoints(ctx context.Context, t Target) error {
	l, err := enter(ctx, t, "courier")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	body, err := json.Marshal(map[string]any{
		"log": "guard", "boot_id": t.BootID, "seq": order.MaxSequence, "digest": strings.Repeat("00", 32), "evidence": strings.Repeat("00", 32),
		"key_id": "SHA256:" + strings.Repeat("A", 43), "signature": []byte("made up"),
	})
	if err != nil {
		return err
	}
	taken := 0
	for range 30 {
		accepted, _, err := l.receipt('C', string(body))
		if err != nil {
			return err
		}
		if accepted {
			taken++
		}
	}
	if taken > 2 {
		return fmt.Errorf("%d of 30 checkpoints were taken at once: expected one a second", taken)
	}
	return nil
}
