package eventlog

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512 banks
	"fmt"
	"maps"
	"slices"
)

// PCRs are the values of the SHA-256 bank by number.
type PCRs map[int][sha256.Size]byte

// hash is the algorithm's implementation, 0 where there is none.
func (a Alg) hash() crypto.Hash {
	switch a {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	default:
		return 0
	}
}

// Replay computes the values that all 24 PCRs of one bank have after the log's events, from the values of a reset on.
// SHA-1 is there only if the program imports crypto/sha1 itself: it proves nothing, and serves to compare with old tools.
func (l *Log) Replay(alg Alg) (map[int][]byte, error) {
	bank := slices.IndexFunc(l.Banks, func(b Bank) bool { return b.Alg == alg })
	hash := alg.hash()
	if bank < 0 || hash == 0 || !hash.Available() {
		return nil, fmt.Errorf("%w: %v, the log has %v", ErrNoBank, alg, l.Banks)
	}
	out := make(map[int][]byte, pcrCount)
	late := slices.ContainsFunc(l.Events, func(e Event) bool { return e.Type != NoAction && isLate(e.PCR) })
	for n := range pcrCount {
		out[n] = start(n, hash.Size(), late)
	}
	out[0][hash.Size()-1] = byte(l.StartupLocality)
	h := hash.New()
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type == NoAction {
			continue
		}
		h.Reset()
		h.Write(out[e.PCR])
		h.Write(e.Digests[bank])
		out[e.PCR] = h.Sum(out[e.PCR][:0])
	}
	return out, nil
}

// isLate says whether a PCR belongs to a late launch (D-RTM). Only such a launch, which first sets all of them to zero,
// lets anybody extend them; without one they are all ones.
func isLate(pcr int) bool { return pcr >= 17 && pcr <= 22 }

// start is a PCR's value before the log's first event.
func start(pcr, size int, late bool) []byte {
	if isLate(pcr) && !late {
		return bytes.Repeat([]byte{0xff}, size)
	}
	return make([]byte, size)
}

// Expect computes the SHA-256 PCRs that a robot must quote after the firmware's log and then the measured logs, in
// their order. A nil log stands for firmware that extends nothing.
func Expect(log *Log, measured ...*Measured) (PCRs, error) {
	if log == nil {
		log = &Log{Banks: []Bank{{SHA256, sha256.Size}}}
	}
	values, err := log.Replay(SHA256)
	if err != nil {
		return nil, err
	}
	out := PCRs{}
	for n, v := range values {
		out[n] = [sha256.Size]byte(v)
	}
	for _, m := range measured {
		if m != nil {
			out[m.PCR] = m.Replay(out[m.PCR])
		}
	}
	return out, nil
}

// Difference is a PCR whose quoted value is not the one that the logs lead to.
type Difference struct {
	// PCR is its number.
	PCR int
	// Expected is the value after the logs; Known says that there is one.
	Expected [sha256.Size]byte
	Known    bool
	// Quoted is the value that the TPM has.
	Quoted [sha256.Size]byte
}

// String names the PCR and both values.
func (d Difference) String() string {
	if !d.Known {
		return fmt.Sprintf("PCR %d: quoted %x, the logs say nothing about it", d.PCR, d.Quoted)
	}
	return fmt.Sprintf("PCR %d: quoted %x, the logs lead to %x", d.PCR, d.Quoted, d.Expected)
}

// Differences compares every quoted PCR with what the logs lead to, in the order of their numbers. None at all means
// that the digests in the logs are those that were extended, provided that the quote itself was verified.
func Differences(expected, quoted PCRs) []Difference {
	var out []Difference
	for _, n := range slices.Sorted(maps.Keys(quoted)) {
		want, known := expected[n]
		if got := quoted[n]; !known || got != want {
			out = append(out, Difference{n, want, known, got})
		}
	}
	return out
}
