package order_test

import (
	"bytes"
	"crypto/ed25519"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/attest/order"
)

// FuzzEnvelope feeds envelopes to the verifier. Whatever it accepts was signed: the fuzzer has no key, so only the
// seeds may come through, and their orders unchanged.
func FuzzEnvelope(f *testing.F) {
	s := fixedSite(f)
	v := s.verifier(f, s.enrolled(f))
	signed := map[string]*order.Order{}
	for i, kind := range order.Kinds() {
		o := s.orderOf(kind)
		o.ID = strings.Repeat(strconv.Itoa(i), 32)
		signed[o.ID] = o
		f.Add(sign(f, o, s.signerOf(kind)))
	}
	f.Add([]byte(`{"payloadType":"` + order.PayloadType + `","payload":"","signatures":[{"keyid":"","sig":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := v.Verify(at(noon), data)
		if err != nil {
			if order.ReasonOf(err) == "" {
				t.Errorf("refused without a reason: %v", err)
			}
		} else if diff := cmp.Diff(signed[x.Order.ID], x.Order); diff != "" {
			t.Errorf("an order that nobody signed:\n%s", diff)
		}
		env, err := order.ParseEnvelope(data)
		if err != nil {
			return
		}
		again, err := env.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := order.ParseEnvelope(again); err != nil || !cmp.Equal(env, back) {
			t.Errorf("an envelope does not survive being written: %v", err)
		}
		order.Show(data, s.list.KeyList, at(noon))
	})
}

// fixedSite is a site whose keys are the same in every process: the fuzzer runs several and compares their coverage.
func fixedSite(f *testing.F) *site {
	n := byte(0)
	draw := func(person string, role order.Role) holder {
		n++
		return holderOf(f, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)), person, role)
	}
	return newSite(f, func(s *site) {
		s.root, s.engineer = draw("rita", order.RoleRoot), draw("sven", order.RoleSafetyEngineer)
		s.operator = draw("olga", order.RoleOperator)
		s.list.ID = strings.Repeat("f", 32)
		s.verifierKey = draw("verifier-1", order.RoleVerifier)
		s.list.KeyList.Keys = []order.Key{s.root.key, s.engineer.key, s.operator.key, s.verifierKey.key}
	})
}

// FuzzOrder feeds payloads to the decoder, as a listed person with a strange tool could.
func FuzzOrder(f *testing.F) {
	s := newSite(f, nil)
	for _, kind := range order.Kinds() {
		f.Add([]byte(payloadOf(f, s.orderOf(kind))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := order.Decode(data)
		if err != nil {
			if r := order.ReasonOf(err); r != order.Malformed && r != order.Oversize {
				t.Errorf("refused with %q: %v", r, err)
			}
			return
		}
		payload, err := o.Encode()
		if err != nil {
			if order.ReasonOf(err) == order.Oversize {
				return // Numbers may need more digits in our form.
			}
			t.Fatalf("decoded and not encodable: %v", err)
		}
		back, err := order.Decode(payload)
		if err != nil || !cmp.Equal(o, back) {
			t.Errorf("an order does not survive being written: %v", err)
		}
	})
}

// FuzzFloors feeds records to the reader: what it reads has one form.
func FuzzFloors(f *testing.F) {
	floors := order.NewFloors()
	for _, c := range exampleClaims() {
		if err := floors.Use(at(noon), c); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(floors.Marshal(3))
	f.Add(order.NewFloors().Marshal(0))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum would keep the fuzzer out, so it is put right.
		body, _, _ := bytes.Cut(data, []byte("end "))
		fixed := append(bytes.Clone(body), "end "+order.Digest(body)+"\n"...)
		got, generation, err := order.UnmarshalFloors(fixed)
		if err == nil && !bytes.Equal(got.Marshal(generation), fixed) {
			t.Errorf("read and written again, %q becomes %q", fixed, got.Marshal(generation))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := newSite(b, nil)
	v := s.verifier(b, order.NewFloors())
	for _, h := range []holder{s.operator, s.button} {
		env := sign(b, sample(order.KindStop), h)
		b.Run(h.key.Person, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(at(noon), env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
