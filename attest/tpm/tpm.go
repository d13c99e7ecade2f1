package tpm

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Default time limits of a call. A TPM chip makes an ECC key in a few hundred milliseconds and an RSA key in up to a
// minute; only reading the endorsement key needs the latter.
const (
	DefaultTimeout          = 15 * time.Second
	DefaultEnrolmentTimeout = 2 * time.Minute
	// grace is what a caller waits beyond the time limit for the worker's own, more telling, error.
	grace = 250 * time.Millisecond
)

// ErrUnavailable says that the TPM could not be reached, had no room, or did not answer in time. Trying again later may help.
var ErrUnavailable = errors.New("tpm is unavailable")

// ErrUncertain says that the TPM was lost while it was asked to change something: it may or may not have done so.
var ErrUncertain = errors.New("tpm was lost while it was changing something; look before trying again")

// ErrClosed says that Close was called.
var ErrClosed = errors.New("tpm is closed")

// Options are the time limits of calls. Zero values stand for the defaults; negative ones are errors.
type Options struct {
	// Timeout bounds every call but those of enrolment.
	Timeout time.Duration
	// EnrolmentTimeout bounds Endorsement and ActivateCredential, which may make an RSA key.
	EnrolmentTimeout time.Duration
	// RaiseTimeout bounds RaiseFloor, which makes at least one step of up to Timeout. The default has room for all steps.
	RaiseTimeout time.Duration
}

// TPM is a TPM 2.0. Its methods may be called from many goroutines; one goroutine of its own talks to the TPM, one call
// after the other. Each call connects, works, flushes what it loaded and disconnects: the TPM may be restarted in
// between, and other programs may use it too. No call lasts longer than its time limit and a quarter second.
type TPM struct {
	path    string
	options Options
	jobs    chan job
	closed  chan struct{}
	stopped chan struct{}
	once    sync.Once
	keys    map[keyKind]*loadable // the worker's own
	bound   tpm2.TPMTPublic       // the worker's own: the bound key's template
	device  *Public               // read once in Open
	ak      *Public               // read once in Open
}

// job is one call's work; it reports its result by itself.
type job struct {
	deadline time.Time
	run      func(deadline time.Time)
}

// Open connects to the TPM at path, /dev/tpmrm0 or the unix socket of a software TPM, and makes the attestation key and
// the device key once, to learn their public halves. The error says what is missing.
func Open(path string) (*TPM, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with time limits.
func OpenWith(path string, o Options) (*TPM, error) {
	if o.Timeout < 0 || o.EnrolmentTimeout < 0 || o.RaiseTimeout < 0 {
		return nil, fmt.Errorf("tpm: time limits must be positive, found %v, %v and %v", o.Timeout, o.EnrolmentTimeout, o.RaiseTimeout)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.EnrolmentTimeout == 0 {
		o.EnrolmentTimeout = DefaultEnrolmentTimeout
	}
	t := begin(path, o)
	both, err := call(t, "open", o.Timeout, repeatable, func(c *conn) ([2]*Public, error) {
		ak, err := t.public(c, attestationKey)
		if err != nil {
			return [2]*Public{}, err
		}
		device, err := t.public(c, deviceKey)
		return [2]*Public{ak, device}, err
	})
	if err != nil {
		_ = t.Close()
		return nil, err
	}
	t.ak, t.device = both[0], both[1]
	return t, nil
}

// begin starts the goroutine that talks to a TPM.
func begin(path string, o Options) *TPM {
	if o.RaiseTimeout == 0 {
		o.RaiseTimeout = o.Timeout + MaxFloor*50*time.Millisecond
	}
	t := &TPM{
		path: path, options: o, jobs: make(chan job), closed: make(chan struct{}), stopped: make(chan struct{}),
		keys: map[keyKind]*loadable{},
	}
	go t.work()
	return t
}

// Close ends the use of the TPM; waiting calls return ErrClosed. It waits for the call under way at most as long as
// that one's time limit allows, and never blocks on a hung driver.
func (t *TPM) Close() error {
	t.once.Do(func() { close(t.closed) })
	select {
	case <-t.stopped:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("tpm %s: a call is still under way and ends by itself", t.path)
	}
}

// work runs calls one after the other.
func (t *TPM) work() {
	defer close(t.stopped)
	for {
		select {
		case <-t.closed:
			return
		case j := <-t.jobs:
			j.run(j.deadline)
		}
	}
}

// effect says whether a call may be made twice.
type effect bool

const (
	// repeatable calls change nothing that lasts, so a lost connection is worth another try.
	repeatable effect = true
	// lasting calls change PCRs or counters: after a lost connection nobody knows.
	lasting effect = false
)

type result[T any] struct {
	value T
	err   error
}

// call runs f on the worker's goroutine. The result comes back through a channel, so that f may finish late, after the
// caller has gone.
func call[T any](t *TPM, what string, limit time.Duration, e effect, f func(*conn) (T, error)) (T, error) {
	var zero T
	deadline := time.Now().Add(limit)
	late := time.NewTimer(limit + grace)
	defer late.Stop()
	done := make(chan result[T], 1)
	j := job{deadline: deadline, run: func(deadline time.Time) {
		v, err := attempt(t, deadline, e, f)
		done <- result[T]{v, err}
	}}
	select {
	case t.jobs <- j:
	case <-t.closed:
		return zero, fmt.Errorf("tpm %s: %s: %w", t.path, what, ErrClosed)
	case <-late.C:
		return zero, fmt.Errorf("tpm %s: %s: %w: another call still waits for it after %v", t.path, what, ErrUnavailable, limit)
	}
	select {
	case r := <-done:
		if r.err != nil {
			return zero, fmt.Errorf("tpm %s: %s: %w", t.path, what, r.err)
		}
		return r.value, nil
	case <-late.C:
		err := fmt.Errorf("tpm %s: %s: %w: no answer within %v", t.path, what, ErrUnavailable, limit)
		if e == lasting {
			err = errors.Join(err, ErrUncertain)
		}
		return zero, err
	}
}

// tries is how often a call connects when the connection is lost before anything lasting can have happened.
const tries = 3

// attempt connects and runs f, again if the connection was lost and f cannot have done anything that lasts.
func attempt[T any](t *TPM, deadline time.Time, e effect, f func(*conn) (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, how, err := connected(t, deadline, f)
		var lost *linkError
		switch {
		case passing(err):
			return v, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case err == nil || !errors.As(err, &lost):
			return v, err
		case how == working && e == lasting:
			return v, fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrUncertain, err)
		case how == dialling || n == tries || !time.Now().Before(deadline):
			return v, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// passing says whether the TPM refused a command for want of something that others hold now, or because its driver gave the command
// up: nothing was done, and the answer says nothing about what was asked. Those that ask for the same command again are [conn.Send]'s.
func passing(err error) bool {
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) {
		return false
	}
	switch rc {
	case tpm2.TPMRCMemory, tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCObjectHandles, tpm2.TPMRCSessionHandles, tpm2.TPMRCCanceled:
		return true
	default:
		return false
	}
}

// stage is how far a connection has come.
type stage int

const (
	dialling stage = iota
	tidying        // other programs' leftovers
	working        // on the call itself
)

// connected connects, runs f and disconnects.
func connected[T any](t *TPM, deadline time.Time, f func(*conn) (T, error)) (v T, how stage, err error) {
	l, direct, err := dial(t.path, deadline)
	if err != nil {
		return v, dialling, &linkError{err}
	}
	defer l.Close()
	c := &conn{link: l, deadline: deadline}
	if direct {
		if err := c.tidy(); err != nil {
			return v, tidying, err
		}
	}
	v, err = f(c)
	return v, working, err
}

// tidy starts a software TPM that nobody has started and flushes what a program that died has left loaded: without a
// resource manager there are three slots for objects, and nobody else gives them back.
func (c *conn) tidy() error {
	_, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(tpm2.TPMHTTransient) << 24, PropertyCount: 1}.Execute(c)
	if errors.Is(err, tpm2.TPMRCInitialize) {
		if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(c); err != nil {
			return fmt.Errorf("start the software tpm: %w", err)
		}
	} else if err != nil {
		return err
	}
	for _, kind := range []uint32{0x80, 0x02, 0x03} { // transient objects, loaded sessions, saved sessions
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: kind << 24, PropertyCount: 64}.Execute(c)
		if err != nil {
			return fmt.Errorf("list what is loaded: %w", err)
		}
		handles, err := r.CapabilityData.Data.Handles()
		if err != nil {
			return fmt.Errorf("list what is loaded: %w", err)
		}
		for _, h := range handles.Handle {
			c.flush(h)
		}
	}
	return nil
}

// flush gives a slot back. Failing to is no news: the connection is lost, or the handle is gone already.
func (c *conn) flush(h tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: h}.Execute(c)
}
