package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/robowarden/robowarden/attest/counter"
)

// ErrCounter says that an NV index is no counter of ours: somebody has made something else in its place.
var ErrCounter = errors.New("the nv index is not the counter that it should be")

// ErrNoCounter says that there is nothing at the NV index.
var ErrNoCounter = errors.New("there is no counter at the nv index")

// Where an owner's NV indices lie (TCG Registry of Reserved TPM 2.0 Handles, 2.2.2).
const (
	firstIndex, lastIndex uint32 = 0x01800000, 0x01bfffff
	// BootCounter is the index of the counter that shows a disk that was set back.
	BootCounter = counter.Index
	// counterBytes is a counter's size.
	counterBytes = counter.Size
)

// CreateCounter makes a counter at an NV index of the owner's and counts once, so that it has a value. One that exists
// is left alone; anything else there is ErrCounter. A counter that was deleted and made anew goes on above every value
// that any counter of this TPM has had.
func (t *TPM) CreateCounter(index uint32) error {
	if err := checkIndex(index); err != nil {
		return err
	}
	_, err := call(t, "create the counter", t.options.Timeout, lasting, func(c *conn) (struct{}, error) {
		err := checkCounter(c, index)
		if errors.Is(err, ErrNoCounter) {
			if _, err = (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(counterArea(index, false))}).Execute(c); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, increment(c, index, counterArea(index, false))
		}
		if errors.Is(err, ErrUncounted) { // made, and the power went before it counted
			return struct{}{}, increment(c, index, counterArea(index, false))
		}
		return struct{}{}, err
	})
	return err
}

// IncrementCounter counts up by one and returns the value. If the TPM is lost meanwhile, the error wraps ErrUncertain.
// NV memory wears out: count starts, not events.
func (t *TPM) IncrementCounter(index uint32) (uint64, error) {
	if err := checkIndex(index); err != nil {
		return 0, err
	}
	return call(t, "increment the counter", t.options.Timeout, lasting, func(c *conn) (uint64, error) {
		if err := checkCounter(c, index); err != nil {
			return 0, err
		}
		if err := increment(c, index, counterArea(index, true)); err != nil {
			return 0, err
		}
		return readCounter(c, index)
	})
}

// CountTo counts once if the counter is below to. It may be repeated: what a lost call has counted is not counted again.
func (t *TPM) CountTo(index uint32, to uint64) error {
	if err := checkIndex(index); err != nil {
		return err
	}
	_, err := call(t, "count", t.options.Timeout, repeatable, func(c *conn) (struct{}, error) {
		if err := checkCounter(c, index); err != nil {
			return struct{}{}, err
		}
		v, err := readCounter(c, index)
		if err != nil || v >= to {
			return struct{}{}, err
		}
		return struct{}{}, increment(c, index, counterArea(index, true))
	})
	return err
}

// ReadCounter reads a counter. Nothing signs what it returns, see CertifyCounter.
func (t *TPM) ReadCounter(index uint32) (uint64, error) {
	if err := checkIndex(index); err != nil {
		return 0, err
	}
	return call(t, "read the counter", t.options.Timeout, repeatable, func(c *conn) (uint64, error) {
		if err := checkCounter(c, index); err != nil {
			return 0, err
		}
		return readCounter(c, index)
	})
}

// ErrUncounted says that a counter was made but never counted: the power went in between. CreateCounter completes it.
var ErrUncounted = fmt.Errorf("%w: it has never counted", ErrCounter)

// counterArea is the public area of a counter: whoever may use the TPM may read and count, nobody may write. It is not
// ORDERLY: such counters may repeat values after a power cut.
func counterArea(index uint32, written bool) tpm2.TPMSNVPublic {
	return tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(index), NameAlg: tpm2.TPMAlgSHA256, DataSize: counterBytes,
		Attributes: tpm2.TPMANV{NT: tpm2.TPMNTCounter, AuthRead: true, AuthWrite: true, NoDA: true, Written: written},
	}
}

// counterName is the name of a counter in use: its public area's digest, attributes included.
func counterName(index uint32) []byte { return nvName(counterArea(index, true)) }

func nvName(area tpm2.TPMSNVPublic) []byte {
	sum := sha256.Sum256(tpm2.Marshal(area))
	return append(binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMAlgSHA256)), sum[:]...)
}

// checkCounter says whether there is a counter of ours at the index, by comparing its whole public area.
func checkCounter(c *conn, index uint32) error {
	r, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(c)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return fmt.Errorf("%w %#x", ErrNoCounter, index)
	}
	if err != nil {
		return fmt.Errorf("look at nv index %#x: %w", index, err)
	}
	found := r.NVPublic.Bytes()
	switch {
	case bytes.Equal(found, tpm2.Marshal(counterArea(index, true))):
		return nil
	case bytes.Equal(found, tpm2.Marshal(counterArea(index, false))):
		return ErrUncounted
	default:
		return fmt.Errorf("%w: %#x has the public area %x", ErrCounter, index, found)
	}
}

func increment(c *conn, index uint32, area tpm2.TPMSNVPublic) error {
	name := tpm2.TPM2BName{Buffer: nvName(area)}
	_, err := tpm2.NVIncrement{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name},
	}.Execute(c)
	return err
}

func readCounter(c *conn, index uint32) (uint64, error) { return readNV(c, index, counterName(index)) }

// readNV reads a counter whose public area has a name.
func readNV(c *conn, index uint32, called []byte) (uint64, error) {
	name := tpm2.TPM2BName{Buffer: called}
	r, err := tpm2.NVRead{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: name, Auth: tpm2.PasswordAuth(nil)},
		NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name}, Size: counterBytes,
	}.Execute(c)
	if err != nil {
		return 0, err
	}
	if len(r.Data.Buffer) != counterBytes {
		return 0, fmt.Errorf("%w: %d bytes, expected %d", ErrCounter, len(r.Data.Buffer), counterBytes)
	}
	return binary.BigEndian.Uint64(r.Data.Buffer), nil
}

func checkIndex(index uint32) error {
	if index < firstIndex || index > lastIndex {
		return fmt.Errorf("tpm: nv index %#x, expected one of the owner's, %#x to %#x", index, firstIndex, lastIndex)
	}
	return nil
}
