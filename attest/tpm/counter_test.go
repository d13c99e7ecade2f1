package tpm

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/robowarden/robowarden/attest/counter"
)

func TestCounter(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	if _, err := tpm.ReadCounter(BootCounter); !errors.Is(err, ErrNoCounter) {
		t.Errorf("before it is made: %v", err)
	}
	for range 2 { // the second time does nothing
		if err := tpm.CreateCounter(BootCounter); err != nil {
			t.Fatal(err)
		}
	}
	first := must(tpm.ReadCounter(BootCounter))(t)
	for n := range uint64(3) {
		if v := must(tpm.IncrementCounter(BootCounter))(t); v != first+n+1 {
			t.Errorf("counted to %d, expected %d", v, first+n+1)
		}
	}
	m.off()
	m.on()
	if v := must(tpm.ReadCounter(BootCounter))(t); v != first+3 {
		t.Errorf("%d after the power cut, expected %d", v, first+3)
	}
	nonce := digest("nonce")
	s := must(tpm.CertifyCounter(BootCounter, nonce))(t)
	if v, err := stated(t, tpm, s, BootCounter, nonce); err != nil || v != first+3 {
		t.Errorf("%d, %v", v, err)
	}
	for range 3 { // the second and the third time do nothing
		if err := tpm.CountTo(BootCounter, first+4); err != nil {
			t.Fatal(err)
		}
	}
	if v := must(tpm.ReadCounter(BootCounter))(t); v != first+4 {
		t.Errorf("counted to %d, expected %d", v, first+4)
	}
}

func TestCertifiedCounterOfSomethingElseIsRefused(t *testing.T) {
	a, b := newMachine(t).open(), newMachine(t).open()
	nonce := digest("nonce")
	const other = BootCounter + 1
	for _, err := range []error{a.CreateCounter(BootCounter), a.CreateCounter(other)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := must(a.CertifyCounter(BootCounter, nonce))(t)
	quote := must(a.Quote(nonce, []int{0}))(t)
	for name, c := range map[string]struct {
		s     Statement
		index uint32
		nonce []byte
		err   error
	}{
		"another nonce":   {s, BootCounter, digest("other"), counter.ErrUnproven},
		"another counter": {must(a.CertifyCounter(other, nonce))(t), BootCounter, nonce, counter.ErrReplaced},
		"a quote":         {Statement{quote.Attest, quote.Signature}, BootCounter, nonce, counter.ErrUnproven},
		"the device key":  {must(a.CertifyDevice(nonce))(t), BootCounter, nonce, counter.ErrUnproven},
		"nothing":         {Statement{}, BootCounter, nonce, counter.ErrUnproven},
		"no index":        {s, 0, nonce, counter.ErrReplaced},
		"no nonce":        {s, BootCounter, nil, counter.ErrUnproven},
	} {
		if _, err := stated(t, a, c.s, c.index, c.nonce); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, expected %v", name, err, c.err)
		}
	}
	if _, err := stated(t, b, s, BootCounter, nonce); !errors.Is(err, counter.ErrUnproven) {
		t.Errorf("another TPM: %v", err)
	}
	for i := range s.Attest { // each byte of a real statement counts
		s.Attest[i] ^= 1
		if _, err := stated(t, a, s, BootCounter, nonce); !errors.Is(err, counter.ErrUnproven) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		s.Attest[i] ^= 1
	}
}

// The attack: delete the counter and put something into its place that holds an old value.
func TestRedefinedCounter(t *testing.T) {
	nonce := digest("nonce")
	for name, attributes := range map[string]tpm2.TPMANV{
		"ordinary memory":            {AuthRead: true, AuthWrite: true, NoDA: true},
		"bits":                       {NT: tpm2.TPMNTBits, AuthRead: true, AuthWrite: true, NoDA: true},
		"memory that hashes":         {NT: tpm2.TPMNTExtend, AuthRead: true, AuthWrite: true, NoDA: true},
		"a counter that may go back": {NT: tpm2.TPMNTCounter, AuthRead: true, AuthWrite: true, NoDA: true, Orderly: true},
		"a counter of the owner's":   {NT: tpm2.TPMNTCounter, AuthRead: true, AuthWrite: true, OwnerWrite: true, NoDA: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			tpm := m.open()
			if err := tpm.CreateCounter(BootCounter); err != nil {
				t.Fatal(err)
			}
			m.undefine(BootCounter)
			area := counterArea(BootCounter, false)
			area.Attributes = attributes
			if attributes.NT == tpm2.TPMNTExtend {
				area.DataSize = 32
			}
			raw := m.raw()
			if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(raw); err != nil {
				t.Fatal(err)
			}
			if attributes.NT == tpm2.TPMNTOrdinary {
				write(t, raw, area, []byte{0, 0, 0, 0, 0, 0, 0, 1})
			}
			// What a program past this package gets certified.
			certified := certify(t, raw, area, nonce)
			raw.link.Close()
			for what, err := range map[string]error{
				"create": tpm.CreateCounter(BootCounter), "read": second(tpm.ReadCounter(BootCounter)), "count": second(tpm.IncrementCounter(BootCounter)),
				"certify": second(tpm.CertifyCounter(BootCounter, nonce)),
			} {
				if !errors.Is(err, ErrCounter) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if certified.Attest == nil {
				return
			}
			if v, err := stated(t, tpm, certified, BootCounter, nonce); !errors.Is(err, counter.ErrReplaced) {
				t.Errorf("certified by the TPM itself: %d, %v", v, err)
			}
		})
	}
}

// Deleted and made anew as the counter that it was: it goes on, and never back.
func TestRemadeCounterGoesOn(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	if err := tpm.CreateCounter(BootCounter); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 5 {
		last = must(tpm.IncrementCounter(BootCounter))(t)
	}
	m.undefine(BootCounter)
	if err := tpm.CreateCounter(BootCounter); err != nil {
		t.Fatal(err)
	}
	if v := must(tpm.ReadCounter(BootCounter))(t); v <= last {
		t.Errorf("made anew at %d, it had been %d", v, last)
	}
	t.Logf("from %d to %d", last, must(tpm.ReadCounter(BootCounter))(t))
}

// Made, and then the power went: counting once completes it.
func TestUnfinishedCounter(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	raw := m.raw()
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(counterArea(BootCounter, false))}).Execute(raw); err != nil {
		t.Fatal(err)
	}
	raw.link.Close()
	if _, err := tpm.ReadCounter(BootCounter); !errors.Is(err, ErrCounter) {
		t.Errorf("before: %v", err)
	}
	if err := tpm.CreateCounter(BootCounter); err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.ReadCounter(BootCounter); err != nil {
		t.Error(err)
	}
}

// stated is what the guard makes of a statement of this TPM.
func stated(tb testing.TB, tpm *TPM, s Statement, index uint32, nonce []byte) (uint64, error) {
	tb.Helper()
	der := must(x509.MarshalPKIXPublicKey(tpm.AK().Key()))(tb)
	return counter.Verify(must(counter.ParseKey(der))(tb), index, s.Attest, s.Signature, nonce)
}

// The guard names the counter without a TPM library.
func TestNamesOfTheCounterAgree(t *testing.T) {
	for _, index := range []uint32{BootCounter, firstIndex, lastIndex} {
		if a, b := counter.Name(index), counterName(index); !bytes.Equal(a, b) {
			t.Errorf("%#x: %x by the guard, %x by the TPM's library", index, a, b)
		}
	}
}

func (m *machine) undefine(index uint32) {
	m.tb.Helper()
	raw := m.raw()
	defer raw.link.Close()
	name := tpm2.TPM2BName{Buffer: counterName(index)}
	if _, err := (tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name}}).Execute(raw); err != nil {
		m.tb.Fatal(err)
	}
}

func write(tb testing.TB, raw *conn, area tpm2.TPMSNVPublic, data []byte) {
	tb.Helper()
	name := tpm2.TPM2BName{Buffer: nvName(area)}
	if _, err := (tpm2.NVWrite{
		AuthHandle: tpm2.AuthHandle{Handle: area.NVIndex, Name: name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: area.NVIndex, Name: name}, Data: tpm2.TPM2BMaxNVBuffer{Buffer: data},
	}).Execute(raw); err != nil {
		tb.Fatal(err)
	}
}

// certify has the attestation key state what is at an index, without looking at its attributes; nothing for memory that
// was never written.
func certify(tb testing.TB, raw *conn, area tpm2.TPMSNVPublic, nonce []byte) Statement {
	tb.Helper()
	if area.Attributes.NT != tpm2.TPMNTOrdinary {
		return Statement{}
	}
	area.Attributes.Written = true
	ak := must((&TPM{keys: map[keyKind]*loadable{}}).load(raw, attestationKey))(tb)
	defer raw.flush(ak.handle)
	name := tpm2.TPM2BName{Buffer: nvName(area)}
	r := must(tpm2.NVCertify{
		SignHandle: ak.withAuth(), AuthHandle: tpm2.AuthHandle{Handle: area.NVIndex, Name: name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex: tpm2.NamedHandle{Handle: area.NVIndex, Name: name}, QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, Size: counterBytes,
	}.Execute(raw))(tb)
	return Statement{r.CertifyInfo.Bytes(), tpm2.Marshal(r.Signature)}
}
