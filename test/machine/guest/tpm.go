//go:build linux

package main

import (
	"net/http"
	"os"

	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// attest quotes PCRs with the product's own code, on the processor and the kernel that it is for.
func attest(r *http.Request) (wire.Attestation, error) {
	var out wire.Attestation
	c, err := decode[wire.Challenge](r)
	if err != nil {
		return out, err
	}
	t, err := tpm.Open(wire.TPMDevice)
	if err != nil {
		return out, err
	}
	defer func() { _ = t.Close() }()
	begun := uptime()
	q, err := t.Quote(c.Nonce, c.PCRs)
	if err != nil {
		return out, err
	}
	out = wire.Attestation{
		AK: t.AKPublic(), Device: t.DevicePublic(), Attest: q.Attest, Signature: q.Signature,
		PCRs: map[int][]byte{}, Took: uptime() - begun,
	}
	for n, v := range q.PCRs {
		out.PCRs[n] = v[:]
	}
	out.EventLog, err = os.ReadFile(wire.EventLog)
	return out, err
}

// extend extends a PCR without writing it down anywhere: what somebody does who loads something in secret.
func extend(r *http.Request) (wire.Extend, error) {
	e, err := decode[wire.Extend](r)
	if err != nil {
		return e, err
	}
	t, err := tpm.Open(wire.TPMDevice)
	if err != nil {
		return e, err
	}
	defer func() { _ = t.Close() }()
	return e, t.Extend(e.PCR, e.Digest)
}
