package tpm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// maxQualifyingData is the most that every TPM takes: the size of TPM2B_DATA with SHA-256 names.
const maxQualifyingData = 34

// quoteTries is how often a quote is made anew when PCRs were extended between reading and quoting them.
const quoteTries = 4

// ErrNoBank says that the TPM keeps no SHA-256 PCRs; some firmware offers to switch that bank on.
var ErrNoBank = errors.New("the tpm has no SHA-256 PCR bank")

// ErrOtherTPM says that the keys have changed since Open: another TPM, or one that was cleared.
var ErrOtherTPM = errors.New("not the tpm that was opened")

// Quote lets the attestation key sign the values of the given PCRs (0 to 23) of the SHA-256 bank together with
// qualifyingData (16 to 34 bytes, best a SHA-256 digest). Values and statement belong together, whoever extends PCRs meanwhile.
func (t *TPM) Quote(qualifyingData []byte, pcrs []int) (Quote, error) {
	if err := checkQualifyingData(qualifyingData); err != nil {
		return Quote{}, err
	}
	pcrs, err := checkPCRs(pcrs)
	if err != nil {
		return Quote{}, err
	}
	qualifyingData = bytes.Clone(qualifyingData)
	return call(t, "quote", t.options.Timeout, repeatable, func(c *conn) (Quote, error) {
		ak, err := t.load(c, attestationKey)
		if err != nil {
			return Quote{}, err
		}
		defer c.flush(ak.handle)
		for range quoteTries {
			q, err := quoteOnce(c, ak, qualifyingData, pcrs)
			if err != nil {
				return Quote{}, err
			}
			if _, err = VerifyQuote(ak.public.key, q, qualifyingData); err == nil {
				return q, nil
			}
			if !errors.Is(err, ErrPCRDigest) {
				return Quote{}, fmt.Errorf("the tpm's own quote does not verify: %w", err)
			}
		}
		return Quote{}, fmt.Errorf("PCRs %v changed during each of %d tries", pcrs, quoteTries)
	})
}

func quoteOnce(c *conn, ak *loaded, qualifyingData []byte, pcrs []int) (Quote, error) {
	values, err := readPCRs(c, pcrs)
	if err != nil {
		return Quote{}, err
	}
	r, err := tpm2.Quote{
		SignHandle: ak.withAuth(), QualifyingData: tpm2.TPM2BData{Buffer: qualifyingData},
		InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, PCRSelect: selection(pcrs),
	}.Execute(c)
	if err != nil {
		return Quote{}, err
	}
	return Quote{Attest: r.Quoted.Bytes(), Signature: tpm2.Marshal(r.Signature), PCRs: values}, nil
}

// ReadPCRs reads PCRs (0 to 23) of the SHA-256 bank. Nothing signs what it returns.
func (t *TPM) ReadPCRs(pcrs []int) (map[int][sha256.Size]byte, error) {
	pcrs, err := checkPCRs(pcrs)
	if err != nil {
		return nil, err
	}
	return call(t, "read PCRs", t.options.Timeout, repeatable, func(c *conn) (map[int][sha256.Size]byte, error) {
		return readPCRs(c, pcrs)
	})
}

// readPCRs asks until all are read: a TPM answers with eight values at most.
func readPCRs(c *conn, pcrs []int) (map[int][sha256.Size]byte, error) {
	out := map[int][sha256.Size]byte{}
	left := slices.Clone(pcrs)
	for len(left) > 0 {
		r, err := tpm2.PCRRead{PCRSelectionIn: selection(left)}.Execute(c)
		if err != nil {
			return nil, fmt.Errorf("read PCRs: %w", err)
		}
		got, err := selected(r.PCRSelectionOut)
		if err != nil || len(r.PCRValues.Digests) == 0 {
			return nil, fmt.Errorf("read PCRs %v: %w", left, ErrNoBank)
		}
		if len(got) != len(r.PCRValues.Digests) {
			return nil, fmt.Errorf("read PCRs: %d values for PCRs %v", len(r.PCRValues.Digests), got)
		}
		for i, n := range got {
			at := slices.Index(left, n)
			if v := r.PCRValues.Digests[i].Buffer; at < 0 || len(v) != sha256.Size {
				return nil, fmt.Errorf("read PCRs: %d bytes for PCR %d, asked were %v", len(v), n, left)
			}
			out[n] = [sha256.Size]byte(r.PCRValues.Digests[i].Buffer)
			left = slices.Delete(left, at, at+1)
		}
	}
	return out, nil
}

// Extend extends one PCR (0 to 23) of the SHA-256 bank by a digest. Other banks keep their value, and no quote of ours
// shows them. If the TPM is lost meanwhile, the error wraps ErrUncertain: read the PCR to find out.
func (t *TPM) Extend(pcr int, digest [sha256.Size]byte) error {
	if _, err := checkPCRs([]int{pcr}); err != nil {
		return err
	}
	_, err := call(t, fmt.Sprintf("extend PCR %d", pcr), t.options.Timeout, lasting, func(c *conn) (struct{}, error) {
		_, err := tpm2.PCRExtend{
			PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
			Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
		}.Execute(c)
		return struct{}{}, err
	})
	return err
}

func selection(pcrs []int) tpm2.TPMLPCRSelection {
	bits := make([]byte, PCRCount/8)
	for _, n := range pcrs {
		bits[n/8] |= 1 << (n % 8)
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bits}}}
}

// checkPCRs returns the numbers sorted, each once.
func checkPCRs(pcrs []int) ([]int, error) {
	out := slices.Clone(pcrs)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 {
		return nil, errors.New("tpm: no PCR was asked for")
	}
	if out[0] < 0 || out[len(out)-1] >= PCRCount {
		return nil, fmt.Errorf("tpm: PCRs are 0 to %d, asked were %v", PCRCount-1, pcrs)
	}
	return out, nil
}

func checkQualifyingData(b []byte) error {
	if len(b) < minQualifyingData || len(b) > maxQualifyingData {
		return fmt.Errorf("tpm: %d bytes of qualifying data, expected %d to %d", len(b), minQualifyingData, maxQualifyingData)
	}
	return nil
}
