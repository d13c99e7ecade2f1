package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"pgregory.net/rapid"
)

// forger signs statements as a key does that signs anything: what a restricted key in a TPM would refuse.
type forger struct{ key *ecdsa.PrivateKey }

func newForger(tb testing.TB) forger {
	tb.Helper()
	return forger{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)}
}

// sign returns the signature over any bytes.
func (f forger) sign(tb testing.TB, attest []byte) []byte {
	tb.Helper()
	d := sha256.Sum256(attest)
	r, s, err := ecdsa.Sign(rand.Reader, f.key, d[:])
	if err != nil {
		tb.Fatal(err)
	}
	return tpm2.Marshal(tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
		Hash: tpm2.TPMAlgSHA256, SignatureR: tpm2.TPM2BECCParameter{Buffer: r.Bytes()}, SignatureS: tpm2.TPM2BECCParameter{Buffer: s.Bytes()},
	})})
}

// statement is a good statement about zero PCRs, to be changed.
func statement(nonce []byte, pcrs ...int) tpm2.TPMSAttest {
	sum := sha256.Sum256(make([]byte, 32*len(pcrs)))
	return tpm2.TPMSAttest{
		Magic: tpm2.TPMGeneratedValue, Type: tpm2.TPMSTAttestQuote, ExtraData: tpm2.TPM2BData{Buffer: nonce},
		QualifiedSigner: tpm2.TPM2BName{Buffer: make([]byte, 34)}, ClockInfo: tpm2.TPMSClockInfo{ResetCount: 7, Safe: true},
		Attested: tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{PCRSelect: selection(pcrs), PCRDigest: tpm2.TPM2BDigest{Buffer: sum[:]}}),
	}
}

func zeroPCRs(pcrs ...int) map[int][32]byte {
	out := map[int][32]byte{}
	for _, n := range pcrs {
		out[n] = [32]byte{}
	}
	return out
}

func TestForgedStatementsAreRefusedByName(t *testing.T) {
	f := newForger(t)
	nonce := digest("nonce")
	withSelection := func(s ...tpm2.TPMSPCRSelection) func(*tpm2.TPMSAttest) {
		return func(a *tpm2.TPMSAttest) {
			sum := sha256.Sum256(make([]byte, 64))
			a.Attested = tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{
				PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: s}, PCRDigest: tpm2.TPM2BDigest{Buffer: sum[:]},
			})
		}
	}
	bits := func(alg tpm2.TPMIAlgHash, b ...byte) tpm2.TPMSPCRSelection {
		return tpm2.TPMSPCRSelection{Hash: alg, PCRSelect: b}
	}
	for name, c := range map[string]struct {
		change func(*tpm2.TPMSAttest)
		bytes  func([]byte) []byte
		nonce  []byte
		pcrs   map[int][32]byte
		err    error
		says   string
	}{
		"nothing wrong":        {},
		"not from a tpm":       {change: func(a *tpm2.TPMSAttest) { a.Magic = 0xff544348 }, err: ErrNotFromTPM},
		"a time, not a quote":  {change: asTime, err: ErrWrongType},
		"trailing byte":        {bytes: func(b []byte) []byte { return append(b, 0) }, err: ErrMalformed, says: "not in the one encoding"},
		"cut":                  {bytes: func(b []byte) []byte { return b[:len(b)-1] }, err: ErrMalformed},
		"nothing":              {bytes: func([]byte) []byte { return nil }, err: ErrMalformed},
		"too much":             {bytes: func(b []byte) []byte { return append(b, make([]byte, maxStructure)...) }, err: ErrMalformed, says: "at most 2048"},
		"another nonce":        {nonce: digest("other"), err: ErrQualifyingData},
		"shorter nonce":        {nonce: nonce[:31], err: ErrQualifyingData},
		"no nonce to expect":   {nonce: []byte{}, err: ErrQualifyingData, says: "too few"},
		"15 bytes to expect":   {nonce: nonce[:15], err: ErrQualifyingData, says: "too few"},
		"no PCR":               {change: withSelection(bits(tpm2.TPMAlgSHA256, 0, 0, 0)), err: ErrPCRSelection, says: "no PCR at all"},
		"no bank":              {change: withSelection(), err: ErrPCRSelection, says: "0 banks"},
		"SHA-1 bank":           {change: withSelection(bits(tpm2.TPMAlgSHA1, 1, 0, 0)), err: ErrPCRSelection, says: "bank 0x4"},
		"two banks":            {change: withSelection(bits(tpm2.TPMAlgSHA1, 1, 0, 0), bits(tpm2.TPMAlgSHA256, 1, 0, 0)), err: ErrPCRSelection, says: "2 banks"},
		"the bank twice":       {change: withSelection(bits(tpm2.TPMAlgSHA256, 1, 0, 0), bits(tpm2.TPMAlgSHA256, 2, 0, 0)), err: ErrPCRSelection, says: "2 banks"},
		"PCR 24":               {change: withSelection(bits(tpm2.TPMAlgSHA256, 1, 0, 0, 1)), err: ErrPCRSelection, says: "PCR 24"},
		"one PCR more":         {pcrs: zeroPCRs(0, 7, 8), err: ErrPCRSelection, says: "quoted [0 7], values given for [0 7 8]"},
		"one PCR less":         {pcrs: zeroPCRs(0), err: ErrPCRSelection},
		"another PCR":          {pcrs: zeroPCRs(0, 8), err: ErrPCRSelection},
		"no values":            {pcrs: map[int][32]byte{}, err: ErrPCRSelection},
		"another value":        {pcrs: map[int][32]byte{0: {}, 7: {1}}, err: ErrPCRDigest},
		"values swapped":       {pcrs: map[int][32]byte{0: {1}, 7: {}}, err: ErrPCRDigest},
		"digest of other size": {change: func(a *tpm2.TPMSAttest) { q, _ := a.Attested.Quote(); q.PCRDigest.Buffer = q.PCRDigest.Buffer[:20] }, err: ErrPCRDigest},
	} {
		t.Run(name, func(t *testing.T) {
			a := statement(nonce, 0, 7)
			if c.change != nil {
				c.change(&a)
			}
			q := Quote{Attest: tpm2.Marshal(a), PCRs: zeroPCRs(0, 7)}
			if c.bytes != nil {
				q.Attest = c.bytes(q.Attest)
			}
			q.Signature = f.sign(t, q.Attest)
			if c.pcrs != nil {
				q.PCRs = c.pcrs
			}
			expect := nonce
			if c.nonce != nil {
				expect = c.nonce
			}
			info, err := VerifyQuote(f.key.Public(), q, expect)
			if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, expected %v saying %q", err, c.err, c.says)
			}
			if err == nil && (info.ResetCount != 7 || !info.Safe || len(info.PCRs) != 2) || err != nil && info.PCRs != nil {
				t.Errorf("info %+v with error %v", info, err)
			}
		})
	}
}

func asTime(a *tpm2.TPMSAttest) {
	a.Type = tpm2.TPMSTAttestTime
	a.Attested = tpm2.NewTPMUAttest(tpm2.TPMSTAttestTime, &tpm2.TPMSTimeAttestInfo{})
}

func TestSignaturesAreRefusedByName(t *testing.T) {
	f, other := newForger(t), newForger(t)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	weak := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	edKey := ed25519.PublicKey(make([]byte, 32))
	nonce := digest("nonce")
	q := Quote{Attest: tpm2.Marshal(statement(nonce, 3)), PCRs: zeroPCRs(3)}
	q.Signature = f.sign(t, q.Attest)
	off := f.key.PublicKey
	off.X = new(big.Int).Add(off.X, big.NewInt(1)) //nolint:staticcheck // that it makes an invalid key is the point
	ecc := func(change func(*tpm2.TPMSSignatureECC)) []byte {
		s := must(tpm2.Unmarshal[tpm2.TPMTSignature](q.Signature))(t)
		change(must(s.Signature.ECDSA())(t))
		return tpm2.Marshal(*s)
	}
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		sig  []byte
		err  error
		says string
	}{
		"right":                      {key: f.key.Public(), sig: q.Signature},
		"another key":                {key: other.key.Public(), sig: q.Signature, err: ErrSignature},
		"no key":                     {sig: q.Signature, err: ErrKey},
		"a nil key":                  {key: (*ecdsa.PublicKey)(nil), sig: q.Signature, err: ErrKey},
		"an empty key":               {key: &ecdsa.PublicKey{}, sig: q.Signature, err: ErrKey},
		"a nil RSA key":              {key: (*rsa.PublicKey)(nil), sig: q.Signature, err: ErrKey},
		"point off the curve":        {key: &off, sig: q.Signature, err: ErrKey, says: "not on its curve"},
		"P-224":                      {key: &must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))(t).PublicKey, sig: q.Signature, err: ErrKey},
		"1024 bits":                  {key: weak, sig: q.Signature, err: ErrKey, says: "2048 to 4096 bits"},
		"exponent 3":                 {key: &rsa.PublicKey{N: rsaKey.N, E: 3}, sig: q.Signature, err: ErrKey, says: "exponent 3"},
		"Ed25519":                    {key: edKey, sig: q.Signature, err: ErrKey},
		"a key by value":             {key: f.key.PublicKey, sig: q.Signature, err: ErrKey},
		"an RSA key":                 {key: rsaKey.Public(), sig: q.Signature, err: ErrSignature, says: "algorithm 0x18"},
		"no signature":               {key: f.key.Public(), err: ErrMalformed},
		"trailing byte":              {key: f.key.Public(), sig: append(bytes.Clone(q.Signature), 0), err: ErrMalformed, says: "not in the one encoding"},
		"cut":                        {key: f.key.Public(), sig: q.Signature[:len(q.Signature)-1], err: ErrMalformed},
		"too much":                   {key: f.key.Public(), sig: make([]byte, maxStructure+1), err: ErrMalformed},
		"over a SHA-1 digest":        {key: f.key.Public(), sig: ecc(func(s *tpm2.TPMSSignatureECC) { s.Hash = tpm2.TPMAlgSHA1 }), err: ErrSignature, says: "algorithm 0x4"},
		"zeros":                      {key: f.key.Public(), sig: ecc(func(s *tpm2.TPMSSignatureECC) { s.SignatureR.Buffer, s.SignatureS.Buffer = nil, nil }), err: ErrSignature},
		"numbers beyond the group's": {key: f.key.Public(), sig: ecc(func(s *tpm2.TPMSSignatureECC) { s.SignatureS.Buffer = bytes.Repeat([]byte{255}, 200) }), err: ErrSignature},
		"an HMAC":                    {key: f.key.Public(), sig: append([]byte{0, 5, 0, 0xb}, make([]byte, 32)...), err: ErrSignature, says: "algorithm 0x5"},
		"null":                       {key: f.key.Public(), sig: []byte{0, 0x10}, err: ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			q := q
			q.Signature = c.sig
			if _, err := VerifyQuote(c.key, q, nonce); !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, expected %v saying %q", err, c.err, c.says)
			}
		})
	}
}

func TestRSASignatures(t *testing.T) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	nonce := digest("nonce")
	q := Quote{Attest: tpm2.Marshal(statement(nonce, 3)), PCRs: zeroPCRs(3)}
	sum := sha256.Sum256(q.Attest)
	for alg, raw := range map[tpm2.TPMIAlgSigScheme][]byte{
		tpm2.TPMAlgRSASSA: must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))(t),
		tpm2.TPMAlgRSAPSS: must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil))(t),
	} {
		for _, hash := range []tpm2.TPMIAlgHash{tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1} {
			body := &tpm2.TPMSSignatureRSA{Hash: hash, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: raw}}
			q.Signature = tpm2.Marshal(tpm2.TPMTSignature{SigAlg: alg, Signature: tpm2.NewTPMUSignature(alg, body)})
			_, err := VerifyQuote(key.Public(), q, nonce)
			if good := hash == tpm2.TPMAlgSHA256; good != (err == nil) || !good && !errors.Is(err, ErrSignature) {
				t.Errorf("algorithm %#x, hash %#x: %v", uint16(alg), uint16(hash), err)
			}
			if _, err := VerifyQuote(newForger(t).key.Public(), q, nonce); !errors.Is(err, ErrSignature) {
				t.Errorf("with an ECDSA key: %v", err)
			}
			body.Sig.Buffer = slices.Concat([]byte{0}, raw[:len(raw)-1])
			q.Signature = tpm2.Marshal(tpm2.TPMTSignature{SigAlg: alg, Signature: tpm2.NewTPMUSignature(alg, body)})
			if _, err := VerifyQuote(key.Public(), q, nonce); !errors.Is(err, ErrSignature) {
				t.Errorf("shifted signature: %v", err)
			}
		}
	}
}

// Every single bit of what a TPM has sent counts.
func TestEveryBitCounts(t *testing.T) {
	tpm := newMachine(t).open()
	nonce := digest("nonce")
	q := must(tpm.Quote(nonce, []int{0, 7, 14, 17}))(t)
	everyBit(t, tpm.AK().Key(), q, nonce)
}

func everyBit(t *testing.T, ak crypto.PublicKey, q Quote, nonce []byte) {
	t.Helper()
	if _, err := VerifyQuote(ak, q, nonce); err != nil {
		t.Fatal(err) // the off case: unchanged, it is good
	}
	flips := 0
	flip := func(what string, b []byte, put func([]byte) (Quote, []byte)) {
		for i := range 8 * len(b) {
			c := bytes.Clone(b)
			c[i/8] ^= 1 << (i % 8)
			changed, n := put(c)
			if _, err := VerifyQuote(ak, changed, n); err == nil {
				t.Errorf("accepted with bit %d of the %s flipped", i, what)
			}
			flips++
		}
	}
	flip("statement", q.Attest, func(b []byte) (Quote, []byte) { return Quote{b, q.Signature, q.PCRs}, nonce })
	flip("signature", q.Signature, func(b []byte) (Quote, []byte) { return Quote{q.Attest, b, q.PCRs}, nonce })
	flip("nonce", nonce, func(b []byte) (Quote, []byte) { return q, b })
	for n, v := range q.PCRs {
		flip("PCR", v[:], func(b []byte) (Quote, []byte) {
			pcrs := maps.Clone(q.PCRs)
			pcrs[n] = [32]byte(b)
			return Quote{q.Attest, q.Signature, pcrs}, nonce
		})
	}
	t.Logf("%d bits", flips)
}

// A quote that another program recorded from another TPM, with an RSA key.
func TestRecordedQuoteOfKeylime(t *testing.T) {
	read := func(name string) []byte { return must(os.ReadFile(vectors(t, "keylime-quote/"+name)))(t) }
	block, _ := pem.Decode(read("akpub.pem"))
	key := must(x509.ParsePKIXPublicKey(block.Bytes))(t)
	ak := must(ParsePublic(read("ak.pub")[2:]))(t)
	if !sameKey(ak.Key(), key) || !bytes.Equal(ak.Name(), read("ak.name")) {
		t.Errorf("key %v, name %x", ak.Key(), ak.Name())
	}
	if err := ak.CheckAK(); err != nil {
		t.Error(err)
	}
	q := Quote{Attest: read("quote.out"), Signature: read("quotesig.out"), PCRs: map[int][32]byte{}}
	// quotepcr.out is tpm2-tools' own: a selection of 132 bytes, a count, a list of 4 + 8 × (2 + 64) bytes.
	values := read("quotepcr.out")[140:]
	for i, n := range []int{15, 16, 22} {
		q.PCRs[n] = [32]byte(values[66*i+2:])
	}
	nonce := read("rand.out")
	info, err := VerifyQuote(key, q, nonce)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", info)
	if bytes.Equal(info.QualifiedSigner, ak.EndorsementSigner()) {
		t.Error("keylime's key is a child of the endorsement key, not a primary")
	}
	everyBit(t, key, q, nonce)
}

func TestParsePublicRefuses(t *testing.T) {
	good := tpm2.Marshal(signingTemplate(true, "x"))
	for name, c := range map[string]struct {
		area []byte
		says string
	}{
		"nothing":     {nil, "0 bytes"},
		"too much":    {make([]byte, maxStructure+1), "2049 bytes"},
		"trailing":    {append(bytes.Clone(good), 0), "not in the one encoding"},
		"cut":         {good[:20], "public area"},
		"no point":    {good, "not on its curve"},
		"SHA-1 name":  {func() []byte { b := bytes.Clone(good); b[3] = 4; return b }(), "named by algorithm 0x4"},
		"symmetric":   {must(hex.DecodeString("0008000b00000000000000050000" + "0000"))(t), "key type 0x8"},
		"wrong union": {append([]byte{0xff, 0xff}, good[2:]...), "public area"},
	} {
		if p, err := ParsePublic(c.area); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; expected %q", name, p, err, c.says)
		}
	}
}

func TestKindsOfKeysAreToldApart(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	ek := must(ParsePublic(must(tpm.Endorsement())(t).Public))(t)
	device := must(ParsePublic(tpm.DevicePublic()))(t)
	for name, c := range map[string]struct {
		key            *Public
		ak, device, ek bool
	}{"attestation key": {tpm.AK(), true, false, false}, "device key": {device, false, true, false}, "endorsement key": {ek, false, false, true}} {
		if ok := c.key.CheckAK() == nil; ok != c.ak {
			t.Errorf("%s as attestation key: %v", name, c.key.CheckAK())
		}
		if ok := c.key.CheckDevice() == nil; ok != c.device {
			t.Errorf("%s as device key: %v", name, c.key.CheckDevice())
		}
		if ok := c.key.CheckEK() == nil; ok != c.ek {
			t.Errorf("%s as endorsement key: %v", name, c.key.CheckEK())
		}
	}
	for what, change := range map[string]func(*tpm2.TPMAObject){
		"fixedTPM is clear": func(a *tpm2.TPMAObject) { a.FixedTPM = false }, "fixedParent is clear": func(a *tpm2.TPMAObject) { a.FixedParent = false },
		"sensitiveDataOrigin is clear": func(a *tpm2.TPMAObject) { a.SensitiveDataOrigin = false }, "restricted is clear": func(a *tpm2.TPMAObject) { a.Restricted = false },
		"sign is clear": func(a *tpm2.TPMAObject) { a.SignEncrypt = false }, "decrypt is set": func(a *tpm2.TPMAObject) { a.Decrypt = true },
	} {
		area := *tpm.AK().area
		change(&area.ObjectAttributes)
		p := must(ParsePublic(tpm2.Marshal(area)))(t)
		if err := p.CheckAK(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, expected %s", err, what)
		}
		if bytes.Equal(p.Name(), tpm.AKName()) {
			t.Error("the name does not cover the attributes")
		}
	}
}

// Whatever comes in: an error or proven values, no panic.
func FuzzVerifyQuote(f *testing.F) {
	nonce := digest("nonce")
	key := ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}, D: big.NewInt(1)}
	key.X, key.Y = elliptic.P256().Params().Gx, elliptic.P256().Params().Gy
	forger := forger{&key}
	good := tpm2.Marshal(statement(nonce, 0, 7))
	f.Add(good, forger.sign(f, good), true)
	f.Add(good[:30], []byte{0, 0x14, 0, 0xb, 1, 0}, true)
	f.Add([]byte("\xffTCG\x80\x18"), []byte{0, 0x18, 0, 0xb}, false)
	f.Fuzz(func(t *testing.T, attest, signature []byte, resign bool) {
		if resign { // past the signature, to the parser of the statement
			signature = forger.sign(t, attest)
		}
		info, err := VerifyQuote(key.Public(), Quote{attest, signature, zeroPCRs(0, 7)}, nonce)
		if err == nil && (len(info.PCRs) != 2 || !bytes.Equal(attest[:4], []byte("\xffTCG"))) {
			t.Fatalf("%+v", info)
		}
	})
}

func FuzzParsePublic(f *testing.F) {
	f.Add(tpm2.Marshal(signingTemplate(true, "x")))
	f.Add(tpm2.Marshal(tpm2.RSAEKTemplate))
	f.Add(tpm2.Marshal(tpm2.ECCEKTemplate))
	f.Add(tpm2.Marshal(highECC(tpm2.TPMAlgSHA384, tpm2.TPMECCNistP384)))
	f.Fuzz(func(t *testing.T, area []byte) {
		p, err := ParsePublic(area)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), area) || len(p.Name()) != nameBytes && (len(p.Name()) != 50 || p.CheckAK() == nil || p.CheckDevice() == nil) || checkKey(p.Key()) != nil {
			t.Fatalf("%x", area)
		}
		_, _, _ = p.CheckAK(), p.CheckDevice(), p.CheckEK()
		_, _ = MakeCredential(area, area, make([]byte, 32))
	})
}

// Any set of PCRs with any values: a quote over them verifies with them, and with no other set.
func TestPropertyQuote(t *testing.T) {
	f := newForger(t)
	rapid.Check(t, func(rt *rapid.T) {
		nonce := rapid.SliceOfN(rapid.Byte(), minQualifyingData, maxQualifyingData).Draw(rt, "nonce")
		draw := func(label string) map[int][32]byte {
			return rapid.MapOfN(rapid.IntRange(0, PCRCount-1), rapid.Map(rapid.SliceOfN(rapid.Byte(), 32, 32), func(b []byte) [32]byte { return [32]byte(b) }), 1, PCRCount).Draw(rt, label)
		}
		pcrs := draw("pcrs")
		a := statement(nonce, slices.Sorted(maps.Keys(pcrs))...)
		h := sha256.New()
		for _, n := range slices.Sorted(maps.Keys(pcrs)) {
			v := pcrs[n]
			h.Write(v[:])
		}
		said := must(a.Attested.Quote())(t)
		said.PCRDigest.Buffer = h.Sum(nil)
		q := Quote{Attest: tpm2.Marshal(a), PCRs: pcrs}
		q.Signature = f.sign(t, q.Attest)
		if _, err := VerifyQuote(f.key.Public(), q, nonce); err != nil {
			rt.Fatal(err)
		}
		q.PCRs = draw("others")
		if _, err := VerifyQuote(f.key.Public(), q, nonce); (err == nil) != maps.Equal(q.PCRs, pcrs) {
			rt.Fatalf("with other values: %v", err)
		}
	})
}
