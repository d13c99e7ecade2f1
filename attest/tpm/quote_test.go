package tpm

import (
	"crypto/sha256"
	"errors"
	"testing"
)

var allPCRs = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}

func TestQuoteVerifies(t *testing.T) {
	tpm := newMachine(t).open()
	if err := tpm.AK().CheckAK(); err != nil {
		t.Error(err)
	}
	nonce := digest("nonce")
	q := must(tpm.Quote(nonce, allPCRs))(t)
	info, err := VerifyQuote(tpm.AK().Key(), q, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.PCRs) != len(allPCRs) || info.ResetCount == 0 || info.Firmware == 0 {
		t.Errorf("info %+v", info)
	}
	if string(info.QualifiedSigner) != string(tpm.AK().EndorsementSigner()) {
		t.Errorf("signer %x, expected the primary of the endorsement hierarchy %x", info.QualifiedSigner, tpm.AK().EndorsementSigner())
	}
}

func TestExtendShowsInQuote(t *testing.T) {
	tpm := newMachine(t).open()
	before := must(tpm.ReadPCRs([]int{14}))(t)[14]
	event := sha256.Sum256([]byte("event"))
	if err := tpm.Extend(14, event); err != nil {
		t.Fatal(err)
	}
	q := must(tpm.Quote(digest("n"), []int{14, 0, 14}))(t)
	if want := sha256.Sum256(append(before[:], event[:]...)); q.PCRs[14] != want {
		t.Errorf("PCR 14 is %x, expected %x", q.PCRs[14], want)
	}
	q.PCRs[14] = before
	if _, err := VerifyQuote(tpm.AK().Key(), q, digest("n")); !errors.Is(err, ErrPCRDigest) {
		t.Errorf("with the old value: %v", err)
	}
}
