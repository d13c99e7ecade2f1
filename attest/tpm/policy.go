package tpm

import (
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// The commands and structures of this page are written by hand (TPM 2.0 Library, parts 2 and 3): those of go-tpm cost the robot's
// binary a hundred kilobytes. The tests hold them against go-tpm's.
const (
	ccLoadExternal    = 0x00000167
	ccPolicyAuthorize = 0x0000016a
	ccVerifySignature = 0x00000177
	ccPolicyPCR       = 0x0000017f
	// noSessions tags commands without authorisations.
	noSessions = 0x8001
)

// command sends a command without authorisations and returns what follows the response's header. A refusal is a [tpm2.TPMRC].
func command(t transport.TPM, code uint32, parts ...[]byte) ([]byte, error) {
	body := slices.Concat(parts...)
	in := binary.BigEndian.AppendUint16(nil, noSessions)
	in = binary.BigEndian.AppendUint32(in, uint32(headerBytes+len(body))) //nolint:gosec // some hundred bytes
	in = binary.BigEndian.AppendUint32(in, code)
	out, err := t.Send(append(in, body...))
	if err != nil {
		return nil, err
	}
	if len(out) < headerBytes {
		return nil, fmt.Errorf("response to %#x: %d bytes, expected at least %d", code, len(out), headerBytes)
	}
	if rc := binary.BigEndian.Uint32(out[6:]); rc != 0 {
		return nil, tpm2.TPMRC(rc)
	}
	return out[headerBytes:], nil
}

// sized puts the length before bytes (TPM2B).
func sized(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) //nolint:gosec // some hundred bytes
}

// word is a number of four bytes.
func word(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// pcrSelection is a TPML_PCR_SELECTION of the SHA-256 bank.
func pcrSelection(pcrs []int) []byte {
	bits := make([]byte, PCRCount/8)
	for _, n := range pcrs {
		bits[n/8] |= 1 << (n % 8)
	}
	return slices.Concat(word(1), []byte{0, byte(tpm2.TPMAlgSHA256), byte(len(bits))}, bits)
}

// extend is a policy's digest after a command with these parameters.
func extend(parts ...[]byte) []byte {
	sum := sha256.Sum256(slices.Concat(parts...))
	return sum[:]
}

// policy is the digest of the policy that the TPM comes to when its PCRs hold these values.
func (a *Approval) policy() ([]byte, error) {
	pcrs, err := checkPCRs(a.numbers())
	if err != nil {
		return nil, fmt.Errorf("approval: %w", err)
	}
	return extend(make([]byte, sha256.Size), word(ccPolicyPCR), pcrSelection(pcrs), a.pcrDigest()), nil
}

// boundPolicy is the policy of keys that are bound to an approver: any state that he has signed for the scope.
func (a *Approver) boundPolicy() ([]byte, error) {
	area, err := a.area()
	if err != nil {
		return nil, err
	}
	return extend(extend(make([]byte, sha256.Size), word(ccPolicyAuthorize), approverName(area)), a.ref()), nil
}

// area is the approver's key as a TPM loads it (TPMT_PUBLIC); its digest names the approver in the bound key's policy.
func (a *Approver) area() ([]byte, error) {
	if err := CheckScope(a.Scope); err != nil {
		return nil, err
	}
	key, err := approverKey(a.Key)
	if err != nil {
		return nil, err
	}
	point, err := key.Bytes() // an uncompressed point: one byte of form, then both coordinates
	if err != nil {
		return nil, fmt.Errorf("the approver's key: %w", err)
	}
	half := (len(point) - 1) / 2
	head := []byte{
		0, byte(tpm2.TPMAlgECC), 0, byte(tpm2.TPMAlgSHA256), 0, 4, 0, 0, // a key that signs, and nothing else
		0, 0, // no policy of its own
		0, byte(tpm2.TPMAlgNull), 0, byte(tpm2.TPMAlgECDSA), 0, byte(tpm2.TPMAlgSHA256), 0, byte(tpm2.TPMECCNistP256), 0, byte(tpm2.TPMAlgNull),
	}
	return slices.Concat(head, sized(point[1:1+half]), sized(point[1+half:])), nil
}

// approverName is the TPM's name of an approver's key.
func approverName(area []byte) []byte {
	return append([]byte{0, byte(tpm2.TPMAlgSHA256)}, extend(area)...)
}

// tpmSignature is an ASN.1 signature as TPMs have it (TPMT_SIGNATURE).
func tpmSignature(der []byte) ([]byte, error) {
	var parts struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &parts); err != nil || len(rest) > 0 || parts.R.Sign() <= 0 || parts.S.Sign() <= 0 ||
		parts.R.BitLen() > 256 || parts.S.BitLen() > 256 {
		return nil, errors.New("approval: the signature is not ASN.1 of ECDSA on P-256")
	}
	head := []byte{0, byte(tpm2.TPMAlgECDSA), 0, byte(tpm2.TPMAlgSHA256)}
	return slices.Concat(head, sized(parts.R.FillBytes(make([]byte, 32))), sized(parts.S.FillBytes(make([]byte, 32)))), nil
}

// ticket lets the TPM check the approver's signature, which it then remembers by a ticket (TPMT_TK_VERIFIED).
func (b *BoundKey) ticket(c *conn, a *Approval) ([]byte, error) {
	policy, err := a.policy()
	if err != nil {
		return nil, err
	}
	signature, err := tpmSignature(a.Signature)
	if err != nil {
		return nil, err
	}
	out, err := command(c, ccLoadExternal, sized(nil), sized(b.area), word(uint32(tpm2.TPMRHOwner)))
	if err == nil && len(out) < 4 {
		err = errors.New("a response without a handle")
	}
	if err != nil {
		return nil, fmt.Errorf("load the approver's key: %w", err)
	}
	defer c.flush(tpm2.TPMHandle(binary.BigEndian.Uint32(out)))
	ticket, err := command(c, ccVerifySignature, out[:4], sized(b.approver.digest(policy)), signature)
	if err != nil {
		return nil, fmt.Errorf("check the approval: %w", err)
	}
	return ticket, nil
}

// session leads a policy session to the bound key's policy: the PCRs as they are, which the approver has approved.
func (b *BoundKey) session(a *Approval, ticket []byte) tpm2.PolicyCallback {
	return func(t transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		policy, err := a.policy()
		if err != nil {
			return err
		}
		if _, err := command(t, ccPolicyPCR, word(uint32(session)), sized(nil), pcrSelection(a.numbers())); err != nil {
			return err
		}
		_, err = command(t, ccPolicyAuthorize, word(uint32(session)), sized(policy), sized(b.approver.ref()), sized(approverName(b.area)), ticket)
		return err
	}
}
