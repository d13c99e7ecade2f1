package order

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Config is what a robot knows before any order comes in.
type Config struct {
	// Robot is the robot's own id, "manufacturer/serial".
	Robot string
	// Groups are the groups that the robot belongs to, without "group:".
	Groups []string
	// BootID is the kernel's boot id, "" when it cannot be read: orders bound to a boot are then refused.
	BootID string
	// Nonce is what the guard drew when it started, "" when it has none: orders bound to a nonce are then refused.
	Nonce string
	// Roots are the root keys that the robot was enrolled with.
	Roots []crypto.PublicKey
	// RequiredRoots is how many of Roots must sign the first key list; at least 1.
	RequiredRoots int
	// KeyLists are the stored envelopes of [Verifier.Chain], empty before enrolment.
	KeyLists [][]byte
	// AllowDemo accepts keys marked as demonstration keys. Only the demonstration sets it.
	AllowDemo bool
}

// Ledger knows which orders have been used up. [Floors] and [Store] are ledgers.
type Ledger interface {
	// Check says whether a claim is the one last accepted (repeat), or why it cannot be accepted.
	Check(now Times, c Claim) (repeat bool, err error)
	// Floor returns the last accepted sequence of a kind and the digest of its payload; false when there is none or
	// when the record cannot be read.
	Floor(k Kind) (Floor, bool)
}

// Verifier decides whether an order counts on this robot. It does not change, so it may be used from any goroutine;
// it allocates and takes tens of microseconds for each signature, so it stays off the path of commands.
type Verifier struct {
	cfg    Config
	ledger Ledger
	ring   *ring
	chain  [][]byte
	last   *Verified // The key list in force, or nil.
	fault  *Error    // Why the key list counts for stops only, or nil.
}

// Verified is an order that counts on this robot now.
type Verified struct {
	// Order is what was signed.
	Order *Order
	// Signers are the keys whose signatures counted, each once.
	Signers []Signer
	// Digest is the SHA-256 of the payload, the order's name in journals.
	Digest [sha256.Size]byte
	// Repeat marks an order that was accepted before: a policy set or key list that is in force, or a stop that came
	// again. A repeated stop whose latch has been reset since must stop the robot again.
	Repeat bool

	envelope []byte
}

// Persons returns how many distinct persons signed.
func (v *Verified) Persons() int {
	persons := map[string]bool{}
	for _, s := range v.Signers {
		persons[s.Person] = true
	}
	return len(persons)
}

// HasRole reports whether one of the signers counted in this role.
func (v *Verified) HasRole(r Role) bool {
	return slices.ContainsFunc(v.Signers, func(s Signer) bool { return slices.Contains(s.Roles, r) })
}

// Claim returns what committing the order uses up.
func (v *Verified) Claim() Claim {
	o := v.Order
	return Claim{Kind: o.Kind, ID: o.ID, Sequence: o.Sequence, Digest: v.Digest, Until: o.NotAfter}
}

// NewVerifier starts from the pinned roots and takes the stored key lists in force, oldest first. It fails on a
// configuration that no robot can have; trouble with the key lists is for [Verifier.Fault], since a robot must take
// stops and a new key list even then.
func NewVerifier(cfg Config, ledger Ledger) (*Verifier, error) {
	switch {
	case !IsRobotID(cfg.Robot):
		return nil, fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", cfg.Robot)
	case cfg.BootID != "" && !isBootID(cfg.BootID):
		return nil, fmt.Errorf("boot id: found %q: expected a lower-case UUID", cfg.BootID)
	case cfg.Nonce != "" && !isHex(cfg.Nonce, 32, 64):
		return nil, fmt.Errorf("nonce: expected 32 to 64 lower-case hexadecimal digits, found %d characters", len(cfg.Nonce))
	}
	for _, g := range cfg.Groups {
		if !isGroup("group:" + g) {
			return nil, fmt.Errorf("groups: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", g)
		}
	}
	pins, err := pinnedRing(cfg.Roots, cfg.RequiredRoots)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	v := &Verifier{cfg: cfg, ledger: ledger, ring: pins}
	v.loadKeyLists(pins)
	return v, nil
}

// Verify decides whether an order counts on this robot at this time. Every refusal is an [Error]. It changes nothing:
// until the order has been committed, the same order verifies again.
func (v *Verifier) Verify(now Times, envelope []byte) (*Verified, error) {
	out, err := v.verify(now, envelope, false)
	if err != nil {
		return nil, err // A typed nil must not reach the interface.
	}
	return out, nil
}

// VerifyStored is [Verifier.Verify] for what a start finds on the robot's own disk: an order that counts in a sequence and is the one
// accepted last was judged by its boot id and nonce when it was accepted, as by its validity, and is in force whatever they are now.
func (v *Verifier) VerifyStored(now Times, envelope []byte) (*Verified, error) {
	out, err := v.verify(now, envelope, true)
	if err != nil {
		return nil, err // As above.
	}
	return out, nil
}

func (v *Verifier) verify(now Times, envelope []byte, stored bool) (*Verified, *Error) {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, asError(err)
	}
	pae := env.PAE()
	results := v.ring.check(env, pae)
	o, refusal := v.openPayload(env, results)
	if refusal != nil {
		return nil, refusal
	}
	good := goodOnes(results)
	if _, refusal = v.ring.judge(o.Kind, good, v.cfg.AllowDemo, nil); refusal != nil {
		return nil, refusal
	}
	if o.Kind == KindKeyList {
		if refusal := v.checkSelf(o.KeyList, env, pae); refusal != nil {
			return nil, refusal
		}
	}
	if refusal := v.checkAudience(o); refusal != nil {
		return nil, refusal
	}
	out := &Verified{Order: o, Digest: sha256.Sum256(env.Payload)}
	if refusal := v.checkRun(now, out, stored); refusal != nil {
		return nil, refusal
	}
	if out.Repeat, err = v.ledger.Check(now, out.Claim()); err != nil {
		return nil, asError(err)
	}
	if refusal := v.checkNewer(out); refusal != nil {
		return nil, refusal
	}
	inTime, refusal := v.checkTime(now, o, out.Repeat)
	if refusal != nil {
		return nil, refusal
	}
	if out.Signers, refusal = v.ring.judge(o.Kind, good, v.cfg.AllowDemo, inTime); refusal != nil {
		return nil, refusal
	}
	if o.Kind == KindKeyList {
		out.envelope = slices.Clone(envelope)
	}
	return out, nil
}

// openPayload reads the payload once at least one known key vouches for it, so that nobody unknown reaches the
// decoder. One good signature is enough for a stop; anywhere else a bad signature spoils the envelope, for
// somebody has changed it. A new key list may be signed by keys that only it names; checkSelf judges those.
func (v *Verifier) openPayload(env *Envelope, results []signed) (*Order, *Error) {
	var first *Error
	good := 0
	for _, s := range results {
		if s.key != nil {
			good++
		} else if first == nil {
			first = s.err
		}
	}
	if good == 0 {
		return nil, first
	}
	o, err := Decode(env.Payload)
	if err != nil {
		return nil, asError(err)
	}
	switch {
	case o.Kind == KindStop:
		return o, nil
	case o.Kind == KindKeyList:
		for _, s := range results {
			if s.err != nil && o.KeyList.Find(s.keyID) == nil {
				return nil, s.err
			}
		}
		return o, nil
	case first != nil:
		return nil, first
	case v.fault != nil:
		return nil, v.fault
	}
	return o, nil
}

// checkAudience checks that the order is for this robot.
func (v *Verifier) checkAudience(o *Order) *Error {
	if !slices.ContainsFunc(o.Audience, v.isMe) {
		return refuse(WrongAudience, "sign it for this robot or one of its groups",
			"the order is for %v: this robot is %s, groups %v", o.Audience, v.cfg.Robot, v.cfg.Groups)
	}
	return nil
}

// checkRun checks that the order is for this run. What a start finds in force on its disk was for the run that accepted it.
func (v *Verifier) checkRun(now Times, x *Verified, stored bool) *Error {
	if !stored || !x.Order.Kind.Sequenced() {
		return v.checkBinding(x.Order)
	}
	// A record that cannot be read says nothing about that run, so it comes first.
	inForce, err := v.ledger.Check(now, x.Claim())
	switch {
	case err != nil:
		return asError(err)
	case inForce:
		return nil
	}
	return v.checkBinding(x.Order)
}

// checkBinding checks that the order is for this boot and this run of the guard, if it names one.
func (v *Verifier) checkBinding(o *Order) *Error {
	if b := o.Binding.BootID; b != "" && b != v.cfg.BootID {
		return refuse(BootMismatch, "read the robot's boot id again and sign anew",
			"the order is bound to boot %s: this is boot %s", b, orNone(v.cfg.BootID))
	}
	if n := o.Binding.Nonce; n != "" && n != v.cfg.Nonce {
		return refuse(NonceMismatch, "ask the robot for its nonce again and sign anew: it changes whenever the guard starts",
			"the order is bound to nonce %s: this guard holds %s", n, orNone(v.cfg.Nonce))
	}
	return nil
}

func (v *Verifier) isMe(audience string) bool {
	return audience == "*" || audience == v.cfg.Robot ||
		slices.ContainsFunc(v.cfg.Groups, func(g string) bool { return audience == "group:"+g })
}

// checkTime judges the order's validity and returns how to judge that of the keys, nil for not at all.
//
// A stop needs no clock: a wrong one must not keep a robot moving. But with a clock, a stop that has been used and has
// run out is somebody's recording. What is in force already was judged when it was accepted.
func (v *Verifier) checkTime(now Times, o *Order, repeat bool) (func(*Key) *Error, *Error) {
	switch {
	case o.Kind == KindStop && !now.known():
		return nil, nil
	case o.Kind == KindStop:
		if repeat && past(now, o.NotAfter) {
			return nil, refuse(Replayed, "sign a new stop", "the stop %s has been used and ran out at %s", o.ID, stamp(o.NotAfter))
		}
		return func(k *Key) *Error {
			if now.outside(k.NotBefore, k.NotAfter) {
				return keyExpired(now, k)
			}
			return nil
		}, nil
	case repeat, !now.known() && o.onlyTightens():
		return nil, nil
	case !now.known():
		return nil, refuse(ClockUntrusted, "let the robot synchronise its clock, or send a stop, which needs none",
			"whether this %s is valid cannot be judged: the robot's clock is %s", o.Kind, now.Trust)
	}
	if r := now.within(o.NotBefore, o.NotAfter); r != "" {
		return nil, refuse(r, "check the signer's clock and sign anew", "the %s is valid from %s until %s: it is %s, give or take %s",
			o.Kind, stamp(o.NotBefore), stamp(o.NotAfter), stamp(now.Civil), now.Uncertainty)
	}
	if g := o.Grant; g != nil && !now.latest().Before(g.Expires) {
		return nil, refuse(Expired, "sign a new grant", "the grant ended at %s: it is %s, give or take %s",
			stamp(g.Expires), stamp(now.Civil), now.Uncertainty)
	}
	return func(k *Key) *Error {
		if now.within(k.NotBefore, k.NotAfter) != "" {
			return keyExpired(now, k)
		}
		return nil
	}, nil
}

// onlyTightens reports whether this one order can take no restriction away, although its kind can.
func (o *Order) onlyTightens() bool {
	return o.AttestationResult != nil && o.AttestationResult.Verdict == VerdictRefused || o.Grant != nil && o.Grant.Answer != AnswerGranted || o.Halt != nil || o.Tightens()
}

func keyExpired(now Times, k *Key) *Error {
	return refuse(KeyExpired, "sign with a key that is valid, or have a root key prolong this one in a new key list",
		"key %s of %s is valid from %s until %s: it is %s, give or take %s",
		k.ID, k.Person, stamp(k.NotBefore), stamp(k.NotAfter), stamp(now.Civil), now.Uncertainty)
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// asError returns the refusal in err. A ledger of the caller's own may fail without one, and that refuses too.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Reason: StateUnreadable, Detail: "the order cannot be judged", Err: err}
}
