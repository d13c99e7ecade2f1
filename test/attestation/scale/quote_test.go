package scale

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/attest/verifier"
)

// ak is an attestation key outside any TPM: it signs statements as a TPM writes them, so that the verifier has all its work.
type ak struct {
	key          *ecdsa.PrivateKey
	area, signer []byte
	name         []byte
	born         time.Time
}

func newAK(t testing.TB) *ak {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	point := must(key.PublicKey.Bytes())(t) // 4, X, Y
	area := tpm2.Marshal(tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, Restricted: true, SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{
				Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
			X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]},
		}),
	})
	public := must(tpm.ParsePublic(area))(t)
	return &ak{key: key, area: area, signer: public.EndorsementSigner(), name: public.Name(), born: time.Now()}
}

// quote is what a TPM with these registers answers.
func (a *ak) quote(values map[int][sha256.Size]byte, data []byte, pcrs []int) (evidence.Quote, error) {
	bits, h, quoted := make([]byte, 3), sha256.New(), map[int][sha256.Size]byte{}
	for _, n := range pcrs { // Rising, as the challenge has them.
		v := values[n]
		bits[n/8] |= 1 << (n % 8)
		h.Write(v[:])
		quoted[n] = v
	}
	statement := tpm2.Marshal(tpm2.TPMSAttest{
		Magic: tpm2.TPMGeneratedValue, Type: tpm2.TPMSTAttestQuote, QualifiedSigner: tpm2.TPM2BName{Buffer: a.signer},
		ExtraData: tpm2.TPM2BData{Buffer: data},
		ClockInfo: tpm2.TPMSClockInfo{Clock: uint64(time.Since(a.born).Milliseconds()), ResetCount: 7, Safe: true}, FirmwareVersion: 1,
		Attested: tpm2.NewTPMUAttest(tpm2.TPMSTAttestQuote, &tpm2.TPMSQuoteInfo{
			PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bits}}},
			PCRDigest: tpm2.TPM2BDigest{Buffer: h.Sum(nil)},
		}),
	})
	sum := sha256.Sum256(statement)
	r, s, err := ecdsa.Sign(rand.Reader, a.key, sum[:])
	if err != nil {
		return evidence.Quote{}, err
	}
	signature := tpm2.Marshal(tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
		Hash: tpm2.TPMAlgSHA256, SignatureR: tpm2.TPM2BECCParameter{Buffer: r.Bytes()}, SignatureS: tpm2.TPM2BECCParameter{Buffer: s.Bytes()},
	})})
	return evidence.Quote{Attest: statement, Signature: signature, PCRs: quoted}, nil
}

// build is what all robots of the site run: the same firmware, and the same files measured after it.
type build struct {
	logs map[string][]byte
	pcrs map[int][sha256.Size]byte
}

const agentPath, policyPath = "/usr/bin/robowarden", "/etc/robowarden/policy.yaml"

func hexOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// newBuild writes a firmware's log of 96 events, about 30 kB as an ordinary board's, and the log of what was measured.
func newBuild() *build {
	b := &build{pcrs: map[int][sha256.Size]byte{}}
	extend := func(pcr int, digest [sha256.Size]byte) {
		old := b.pcrs[pcr]
		b.pcrs[pcr] = sha256.Sum256(append(old[:], digest[:]...))
	}
	le := binary.LittleEndian
	spec := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0b, 0, 32, 0, 0)
	log := append(le.AppendUint32(le.AppendUint32(nil, 0), 3), make([]byte, 20)...)
	log = append(le.AppendUint32(log, uint32(len(spec))), spec...)
	const actionEvent, perPCR = 0x05, 12 // EV_ACTION
	for i := range 8 * perPCR {
		data := make([]byte, 270)
		copy(data, fmt.Sprintf("event %d of the firmware", i))
		digest := sha256.Sum256(data)
		log = le.AppendUint32(le.AppendUint32(le.AppendUint32(log, uint32(i/perPCR)), actionEvent), 1)
		log = append(le.AppendUint16(log, 0x0b), digest[:]...)
		log = append(le.AppendUint32(log, uint32(len(data))), data...)
		extend(i/perPCR, digest)
	}
	m := eventlog.Measured{PCR: 14}
	for _, f := range [][2]string{{agentPath, "agent"}, {policyPath, "policy"}} {
		m.Files = append(m.Files, eventlog.MeasuredFile{Path: f[0], Size: int64(len(f[1])), Digest: sha256.Sum256([]byte(f[1]))})
	}
	for _, f := range m.Files {
		extend(14, f.Extended())
	}
	b.logs = map[string][]byte{evidence.LogFirmware: log, evidence.LogMeasured: m.Bytes()}
	return b
}

// references are what the build is judged by: every register led to by the logs, every claim by value.
func (b *build) references() *verifier.References {
	only := func(s string) verifier.Set { return verifier.Set{Allowed: []string{s}} }
	r := &verifier.References{
		Name: "g1", Tier: order.TierTPM, FirmwareLog: verifier.FirmwareLogRequired, SecureBoot: verifier.SecureBootAny,
		Agent: verifier.Rule{Set: only(hexOf([]byte("agent"))), File: agentPath}, Policy: verifier.Rule{Set: only(hexOf([]byte("policy"))), File: policyPath},
		Profile: verifier.Rule{Set: only(hexOf([]byte("profile")))}, Topics: verifier.Rule{Set: only(hexOf([]byte("topics")))}, Kernel: verifier.Rule{Set: only("6.1.0")},
	}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 14} {
		r.PCRs = append(r.PCRs, verifier.PCRRule{PCR: n, Logs: true})
	}
	return r
}

// claims are what a robot answers.
func (b *build) claims(r *robot, nonce [evidence.NonceBytes]byte, seq uint64) *evidence.Claims {
	c := &evidence.Claims{
		Nonce: nonce, Robot: r.id, BootID: r.boot, GuardNonce: r.nonce, Tier: order.TierTPM, Kernel: "6.1.0",
		Agent:   evidence.Measured{SHA256: hexOf([]byte("agent")), Label: evidence.PCRBacked},
		Policy:  evidence.Measured{SHA256: hexOf([]byte("policy")), Label: evidence.PCRBacked},
		Profile: evidence.Measured{SHA256: hexOf([]byte("profile"))}, Topics: evidence.Measured{SHA256: hexOf([]byte("topics"))},
		Journal: evidence.Head{Seq: seq, Digest: hexOf([]byte("journal"))},
	}
	for _, name := range []string{evidence.LogFirmware, evidence.LogMeasured} {
		c.Logs = append(c.Logs, evidence.Log{Name: name, SHA256: hexOf(b.logs[name])})
	}
	return c
}
