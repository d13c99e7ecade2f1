package tpm

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"
)

// TestEveryEndorsementKey has a TPM make each of the TCG's endorsement keys, its certificate and its chain read back, and a
// credential for it opened.
func TestEveryEndorsementKey(t *testing.T) {
	f := newFactory(t)
	opened := 0
	for _, k := range endorsementKinds {
		m := newMachine(t)
		tpm := m.open()
		p, err := call(tpm, "key", time.Minute, repeatable, func(c *conn) (*Public, error) { return tpm.public(c, k.kind) })
		if err != nil {
			t.Logf("%#x: this TPM makes no such key: %v", k.index, err)
			continue
		}
		der := f.issue(t, p.Key(), nil)
		m.writeNV(k.index, append(bytes.Clone(der), 0xff, 0xff))
		m.writeNV(nvChainFirst, f.cert.Raw[:300]) // one certificate over two indices, and what was there before
		m.writeNV(nvChainFirst+1, append(bytes.Clone(f.cert.Raw[300:]), bytes.Repeat([]byte{0xff}, 700)...))
		ek := must(tpm.Endorsement())(t)
		if !bytes.Equal(ek.Public, p.Bytes()) || !bytes.Equal(ek.Certificate, der) || len(ek.Chain) != 1 || !bytes.Equal(ek.Chain[0], f.cert.Raw) {
			t.Errorf("%#x: key %x, certificate %x, chain %x", k.index, ek.Public, ek.Certificate, ek.Chain)
		}
		if _, err := VerifyEndorsement(ek, f.pool, x509.NewCertPool(), noon); err != nil {
			t.Errorf("%#x: %v", k.index, err)
		}
		cred := must(MakeCredential(ek.Public, tpm.AKPublic(), digest("secret")))(t)
		if got := must(tpm.ActivateCredential(ek, cred))(t); !bytes.Equal(got, digest("secret")) {
			t.Errorf("%#x: secret %x", k.index, got)
		}
		if h := m.loaded(); len(h) != 0 {
			t.Errorf("%#x: still loaded: %x", k.index, h)
		}
		opened++
	}
	if opened < 5 {
		t.Errorf("%d kinds of keys, expected at least P-256 and RSA 2048 of both ranges and P-384", opened)
	}
}

// TestChainsAreBounded reads chains that no vendor writes.
func TestChainsAreBounded(t *testing.T) {
	one := newFactory(t).cert.Raw
	for name, c := range map[string]struct {
		all  []byte
		want int
	}{
		"none": {nil, 0}, "empty": {make([]byte, 64), 0}, "one": {one, 1}, "cut": {one[:len(one)-1], 0}, "two": {append(bytes.Clone(one), one...), 2},
		"many": {bytes.Repeat(one, maxChain+1), maxChain}, "no certificate": {[]byte{2, 1, 1}, 0},
	} {
		if got := splitDER(c.all); len(got) != c.want {
			t.Errorf("%s: %d certificates, expected %d", name, len(got), c.want)
		}
	}
}

func TestVendorsAreNamed(t *testing.T) {
	for number, want := range map[string]string{
		"id:49465800": "IFX (id:49465800)", "id:53544D20": "STM (id:53544D20)", "id:414D4400": "AMD (id:414D4400)", "id:00001014": `"id:00001014"`,
		"id:": `"id:"`, "": `""`, "IFX": `"IFX"`, "id:4946zz00": `"id:4946zz00"`, "id:49460a58": `"id:49460a58"`,
	} {
		if got := (Maker{Manufacturer: number}).Vendor(); got != want {
			t.Errorf("%q: %s, expected %s", number, got, want)
		}
	}
}
