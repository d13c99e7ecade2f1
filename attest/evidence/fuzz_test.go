package evidence_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/robowarden/robowarden/attest/evidence"
)

// fixedKey is the same in every process: the fuzzer runs several and compares their coverage.
func fixedKey() *ecdsa.PrivateKey {
	key := &ecdsa.PrivateKey{D: big.NewInt(7)}
	key.Curve = elliptic.P256()
	key.X, key.Y = key.Curve.ScalarBaseMult(key.D.Bytes()) //nolint:staticcheck // A known key for a fuzzer.
	return key
}

// FuzzParse feeds messages: nothing panics, and nothing verifies but what was signed.
func FuzzParse(f *testing.F) {
	key := fixedKey()
	seeds := [][]byte{build(f, sample(), key), build(f, software(), key)}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Add([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := evidence.Parse(data)
		if err != nil {
			return
		}
		if (e.Quote == nil) == (e.Claims.Tier == "tpm") {
			t.Errorf("tier %s has quote %v", e.Claims.Tier, e.Quote)
		}
		if e.Verify(key.Public()) == nil && !bytes.Equal(data, seeds[0]) && !bytes.Equal(data, seeds[1]) {
			// Fuzzing engines replay seeds of other processes, whose signatures differ and are good all the same.
			if err := e.Claims.Validate(); err != nil {
				t.Errorf("evidence that nobody signed: %v", err)
			}
		}
	})
}

// FuzzClaims feeds claims: what is read has one form.
func FuzzClaims(f *testing.F) {
	for _, c := range []*evidence.Claims{sample(), software()} {
		data, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := evidence.DecodeClaims(data)
		if err != nil {
			return
		}
		if again, err := c.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x becomes %x (%v)", data, again, err)
		}
	})
}

// FuzzIdentity feeds identities.
func FuzzIdentity(f *testing.F) {
	data, err := json.Marshal(&evidence.Identity{Robot: robot, Tier: "tpm", AK: []byte("area"), Key: fixedKey().Public()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var i evidence.Identity
		if json.Unmarshal(data, &i) != nil || i.Robot == "" {
			return
		}
		if _, err := json.Marshal(&i); err != nil {
			t.Errorf("read and not writable: %v", err)
		}
	})
}
