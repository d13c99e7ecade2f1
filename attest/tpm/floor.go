package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Where the counters of floors lie, one for each name.
const (
	firstFloor, lastFloor uint32 = 0x01805300, 0x0180533f
	// MaxFloor is the highest floor that is counted to: a counter goes up by one at a time, and NV memory wears out.
	MaxFloor = 1024
)

// ErrFloorHeight says that a floor is higher than what a counter is counted to.
var ErrFloorHeight = fmt.Errorf("a counter goes up by one at a time and is counted to %d at most: security versions count fixes, they are no dates", MaxFloor)

// unfinished stands in a counter's public area until its base is known.
const unfinished = math.MaxUint64

// OpenCounters is OpenWith for who needs counters only: it makes no key, and does not connect before the first call. AK, Device
// and everything that signs must not be used on what it returns.
func OpenCounters(path string, o Options) (*TPM, error) {
	if o.Timeout < 0 || o.RaiseTimeout < 0 {
		return nil, fmt.Errorf("tpm: time limits must be positive, found %v and %v", o.Timeout, o.RaiseTimeout)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return begin(path, o), nil
}

// Floor returns the floor that [TPM.RaiseFloor] has raised for a name: a number that no disk that is set back lowers. there is
// false without a counter for the name; one that is not as it was made is ErrCounter. Nothing signs what is returned.
func (t *TPM) Floor(name string) (floor uint64, there bool, err error) {
	type answer struct {
		floor uint64
		there bool
	}
	a, err := call(t, "read the floor", t.options.Timeout, repeatable, func(c *conn) (answer, error) {
		x, _, err := findFloor(c, name)
		if err != nil || x == nil || !x.done() {
			return answer{}, err
		}
		v, err := x.value(c)
		return answer{v, true}, err
	})
	return a.floor, a.there, err
}

// RaiseFloor raises the floor of a name to at least a value, and makes its counter where there is none. It may be cut off
// anywhere, and is after RaiseTimeout with ErrUnavailable: what the counter says then is between the old and the new floor, and the
// next call goes on.
func (t *TPM) RaiseFloor(name string, to uint64) error {
	if to > MaxFloor {
		return fmt.Errorf("tpm %s: floor %d of %s: %w", t.path, to, name, ErrFloorHeight)
	}
	for end := time.Now().Add(t.options.RaiseTimeout); ; {
		// Each step is a call of its own: a chip needs a while for a thousand of them.
		v, err := call(t, "raise the floor", t.options.Timeout, lasting, func(c *conn) (uint64, error) { return raise(c, name, to) })
		switch {
		case err != nil || v >= to:
			return err
		case time.Now().After(end):
			return fmt.Errorf("tpm %s: %w: the floor of %s is at %d, expected %d", t.path, ErrUnavailable, name, v, to)
		}
	}
}

// raise makes the counter of a name, or counts once, and returns its floor.
func raise(c *conn, name string, to uint64) (uint64, error) {
	x, free, err := findFloor(c, name)
	if err != nil {
		return 0, err
	}
	if x != nil && !x.done() { // The power went while it was made.
		if err := x.undefine(c); err != nil {
			return 0, err
		}
		x, free = nil, x.index
	}
	if x == nil {
		return 0, makeFloor(c, name, free)
	}
	v, err := x.value(c)
	if err != nil || v >= to {
		return v, err
	}
	return v + 1, increment(c, x.index, x.area)
}

// floorCounter is the counter of one name as the TPM describes it. Its floor is what it has counted since it was made: where a
// new counter begins is up to the TPM, so the public area, which nobody can change, says it.
type floorCounter struct {
	index uint32
	area  tpm2.TPMSNVPublic
	base  uint64
}

func (f *floorCounter) done() bool { return f.area.Attributes.Written && f.base != unfinished }

func (f *floorCounter) value(c *conn) (uint64, error) {
	v, err := readNV(c, f.index, nvName(f.area))
	if err == nil && v < f.base {
		err = fmt.Errorf("%w: %#x stands at %d, and began at %d", ErrCounter, f.index, v, f.base)
	}
	return v - f.base, err
}

func (f *floorCounter) undefine(c *conn) error {
	_, err := tpm2.NVUndefineSpace{
		AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(f.index), Name: tpm2.TPM2BName{Buffer: nvName(f.area)}},
	}.Execute(c)
	return err
}

// floorArea is the public area of a floor's counter: that of every counter of ours, and what would be its policy, if its
// attributes allowed one, names what it is for and where it began.
func floorArea(index uint32, name string, base uint64, written bool) tpm2.TPMSNVPublic {
	area := counterArea(index, written)
	area.AuthPolicy = tpm2.TPM2BDigest{Buffer: binary.BigEndian.AppendUint64(floorTag(name), base)}
	return area
}

// floorTag is what a name's counter has in its public area.
func floorTag(name string) []byte {
	sum := sha256.Sum256([]byte("robowarden/floor/v1\x00" + name))
	return sum[:sha256.Size-8]
}

// findFloor finds the counter of a name, nil if there is none; free is an index where one can be made, 0 for none.
func findFloor(c *conn, name string) (found *floorCounter, free uint32, err error) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: firstFloor, PropertyCount: lastFloor - firstFloor + 1}.Execute(c)
	if err != nil {
		return nil, 0, fmt.Errorf("list counters: %w", err)
	}
	handles, err := r.CapabilityData.Data.Handles()
	if err != nil {
		return nil, 0, fmt.Errorf("list counters: %w", err)
	}
	free = firstFloor
	for _, h := range handles.Handle {
		index := uint32(h)
		if index < firstFloor || index > lastFloor {
			continue
		}
		if index == free {
			free++
		}
		x, err := lookAtFloor(c, index, name)
		switch {
		case err != nil:
			return nil, 0, err
		case x != nil && found != nil:
			return nil, 0, fmt.Errorf("%w: both %#x and %#x are for %s", ErrCounter, found.index, index, name)
		case x != nil:
			found = x
		}
	}
	if free > lastFloor {
		free = 0
	}
	return found, free, nil
}

// lookAtFloor reads what is at an index, nil if it is not for the name.
func lookAtFloor(c *conn, index uint32, name string) (*floorCounter, error) {
	r, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(c)
	if err != nil {
		return nil, fmt.Errorf("look at nv index %#x: %w", index, err)
	}
	found, err := r.NVPublic.Contents()
	if err != nil {
		return nil, fmt.Errorf("%w: %#x: %w", ErrCounter, index, err)
	}
	policy, tag := found.AuthPolicy.Buffer, floorTag(name)
	if len(policy) != sha256.Size || !bytes.Equal(policy[:len(tag)], tag) {
		return nil, nil //nolint:nilnil // it is for something else
	}
	x := &floorCounter{index: index, base: binary.BigEndian.Uint64(policy[len(tag):])}
	x.area = floorArea(index, name, x.base, found.Attributes.Written)
	if !bytes.Equal(r.NVPublic.Bytes(), tpm2.Marshal(x.area)) {
		return nil, fmt.Errorf("%w: %#x for %s has the public area %x", ErrCounter, index, name, r.NVPublic.Bytes())
	}
	return x, nil
}

// makeTries bounds how often other programs may count while a counter is made.
const makeTries = 4

// makeFloor makes a counter at an index that is free. A new counter begins above every value that any counter of the TPM has had
// (TPM 2.0 Library, part 1, 37.2.4.2): one is made to see where that is, and in its place the one that says so.
func makeFloor(c *conn, name string, index uint32) error {
	if index == 0 {
		return fmt.Errorf("make the counter of %s: all %d are in use", name, lastFloor-firstFloor+1)
	}
	base := uint64(unfinished)
	for range makeTries {
		x := &floorCounter{index: index, base: base, area: floorArea(index, name, base, false)}
		if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(x.area)}).Execute(c); err != nil {
			return err
		}
		if err := increment(c, index, x.area); err != nil {
			return err
		}
		x.area.Attributes.Written = true
		began, err := readNV(c, index, nvName(x.area))
		if err != nil { // Others may have counted since: then it would say a floor that nobody has raised.
			return errors.Join(err, x.undefine(c))
		}
		if began == base {
			return nil
		}
		if err := x.undefine(c); err != nil {
			return err
		}
		base = began + 1
	}
	return errors.New("make the counter: others count all the time; try again")
}
