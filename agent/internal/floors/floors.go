// Package floors keeps the floors of artifacts in a TPM's counters; it decides nothing and keeps nothing in memory.
package floors

import (
	"errors"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/tpm"
)

// timeout bounds one question: who asks tells the guard about artifacts meanwhile, with a lease of half a minute.
const timeout = 5 * time.Second

// Open returns the counters of the TPM at a path, a device or a software TPM's socket; nil without a path. It does not connect
// yet: a TPM that is not there is what each question answers. most bounds how long one call of Raise goes on counting, 0 for until
// the floor is reached: what is left is for the next call.
func Open(path string, most time.Duration) (slots.Counter, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // there is none, and files keep the floors
	}
	t, err := tpm.OpenCounters(path, tpm.Options{Timeout: timeout, RaiseTimeout: most})
	if err != nil {
		return nil, err
	}
	return &counter{t}, nil
}

type counter struct{ t *tpm.TPM }

// Floor implements [slots.Counter].
func (c *counter) Floor(artifact string) (uint64, bool, error) {
	v, there, err := c.t.Floor(artifact)
	return v, there, silent(err)
}

// Raise implements [slots.Counter].
func (c *counter) Raise(artifact string, to uint64) error {
	return silent(c.t.RaiseFloor(artifact, to))
}

// silent tells a TPM that does not answer, and a floor that it does not count to, from one that answers otherwise than it did.
func silent(err error) error {
	if errors.Is(err, tpm.ErrFloorHeight) {
		return fmt.Errorf("%w: %w", slots.ErrHeight, err)
	}
	if errors.Is(err, tpm.ErrUnavailable) || errors.Is(err, tpm.ErrClosed) {
		return fmt.Errorf("%w: %w", slots.ErrSilent, err)
	}
	return err
}
