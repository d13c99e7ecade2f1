package verifier

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// Limits of what robots may ask of a verifier.
const (
	// MaxOpen is how many challenges of one robot may be open; the oldest is forgotten.
	MaxOpen = 4
	// helloEvery and helloBurst bound hellos, partEvery and partBurst evidence and logs, each for one robot.
	helloEvery = 5 * time.Second
	helloBurst = 5
	partEvery  = time.Second
	partBurst  = 16
	// maxSpent is how many answered nonces of one robot are remembered, to tell replays from stale evidence.
	maxSpent = 64
	// stampMS is RFC 3339 with milliseconds.
	stampMS = "2006-01-02T15:04:05.000Z07:00"
	// early is how long before the verifier's now a result becomes valid: no two clocks agree.
	early = 5 * time.Minute
	// maxResultLife keeps early and life within what an attestation result may last.
	maxResultLife = 24*time.Hour - early
)

// ErrTooMany says that a robot asks more often than it is answered.
var ErrTooMany = errors.New("too many messages")

// Config is what a verifier needs.
type Config struct {
	// Key signs challenges and results; the key list gives it the role verifier.
	Key crypto.Signer
	// ResultLife is how long a result counts, more than 0 and at most 24 h less 5 min.
	ResultLife time.Duration
	// ChallengeLife is how long a challenge waits for its answer, more than 0 and at most [evidence.MaxChallengeLife].
	ChallengeLife time.Duration
	// Random gives nonces: crypto/rand's reader.
	Random io.Reader
	// NonceKey lets verifiers that share it, and a verifier after its restart, judge answers to each other's challenges:
	// NonceKeyBytes of them. Without one, a key is drawn that ends with the process. See [Verifier.SetNonceKeys].
	NonceKey []byte
	// Shared says that other verifiers serve the same robots from the same store: a robot's logs may come here although
	// another one has asked for them, and may have come there already. The store keeps one of each name in any case.
	Shared bool
}

// Verifier challenges robots and signs what it concludes. Its methods may be called from many goroutines. Challenges need
// not be remembered, since their nonces say what they are; what is remembered are the logs that were asked for. A robot
// whose evidence is not answered says hello again.
type Verifier struct {
	cfg     Config
	mu      sync.Mutex
	store   Store
	robots  map[string]*exchange // Of enrolled robots only.
	waiting map[string]struct{}  // Robots whose evidence waits for logs.
	// nonceKeys are the key that challenges are made with, and others that count as well.
	nonceKeys [][]byte
}

// New returns a verifier.
func New(cfg Config, store Store) (*Verifier, error) {
	switch {
	case cfg.Key == nil || cfg.Random == nil || store == nil:
		return nil, errors.New("verifier: key, source of random numbers and store are needed")
	case cfg.ResultLife <= 0 || cfg.ResultLife > maxResultLife:
		return nil, fmt.Errorf("verifier: life of results: found %s: expected more than 0 and at most %s", cfg.ResultLife, maxResultLife)
	case cfg.ChallengeLife < time.Second || cfg.ChallengeLife > evidence.MaxChallengeLife:
		return nil, fmt.Errorf("verifier: life of challenges: found %s: expected 1s to %s", cfg.ChallengeLife, evidence.MaxChallengeLife)
	}
	if _, err := order.KeyID(cfg.Key.Public()); err != nil {
		return nil, fmt.Errorf("verifier: key: %w", err)
	}
	if len(cfg.NonceKey) == 0 {
		cfg.NonceKey = make([]byte, NonceKeyBytes)
		if _, err := io.ReadFull(cfg.Random, cfg.NonceKey); err != nil {
			return nil, fmt.Errorf("verifier: drawing a key for nonces: %w", err)
		}
	}
	v := &Verifier{cfg: cfg, store: store, robots: map[string]*exchange{}, waiting: map[string]struct{}{}}
	if err := v.SetNonceKeys(cfg.NonceKey); err != nil {
		return nil, err
	}
	return v, nil
}

// enrolled returns a robot's enrolment and what is going on with it.
func (v *Verifier) enrolled(robot string) (*Enrolment, *References, *exchange, error) {
	e, err := v.store.Robot(robot)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := v.store.References(e.References)
	if err != nil {
		return nil, nil, nil, err
	}
	x := v.robots[robot]
	if x == nil {
		x = &exchange{hellos: bucket{every: helloEvery, burst: helloBurst}, parts: bucket{every: partEvery, burst: partBurst}}
		v.robots[robot] = x
	}
	return e, r, x, nil
}

// Hello answers a robot's hello with a signed challenge. The robot is the one that the transport vouches for.
func (v *Verifier) Hello(now time.Time, robot string, h *evidence.Hello) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if h.Robot != robot {
		return nil, fmt.Errorf("hello: is by %s: expected %s, whose topic it came on", h.Robot, robot)
	}
	e, r, x, err := v.enrolled(robot)
	if err != nil {
		return nil, err
	}
	if !x.hellos.take(now) {
		return nil, fmt.Errorf("hello of %s: %w: expected at most one each %s", robot, ErrTooMany, helloEvery)
	}
	state, err := v.store.State(robot)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: find out who removed it, then enrol the robot again", robot, err)
	}
	if state, err = v.rewind(now, robot, x, state); err != nil {
		return nil, err
	}
	// Newer than any before, also where another process has made those by a clock that is minutes ahead of this one.
	x.made = max(x.made+1, state.Answered+1, uint64(now.UnixMilli())) //nolint:gosec // After 1970.
	c, err := v.challenge(h, e, r, stamp{x.made, v.cfg.ChallengeLife.Truncate(time.Second)}, state.Rewinds)
	if err == nil && r.IMA != nil {
		c.Logs = append(c.Logs, evidence.IMAPart(r.imaFrom(now, h.BootID, &state)))
		slices.Sort(c.Logs)
	}
	if err != nil {
		return nil, err
	}
	payload, err := c.Encode()
	if err != nil {
		return nil, err
	}
	envelope, err := order.SignDocument(order.ChallengeType, payload, v.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("signing the challenge: %w", err)
	}
	x.expire(now)
	if len(x.open) == MaxOpen {
		x.open = slices.Delete(x.open, 0, 1)
	}
	x.open = append(x.open, &opened{challenge: c, made: x.made, logs: maps.Clone(h.Logs)})
	return envelope, nil
}

// challenge draws a challenge, and asks for the logs that are needed and not there yet.
func (v *Verifier) challenge(h *evidence.Hello, e *Enrolment, r *References, s stamp, rewinds uint64) (*order.Challenge, error) {
	robot := h.Robot
	nonce, err := newNonce(v.nonceKeys[0], subject{robot, h.BootID, rewinds}, s, v.cfg.Random)
	if err != nil {
		return nil, err
	}
	session := sha256.Sum256(nonce[:])
	c := &order.Challenge{
		Session: hex.EncodeToString(session[:16]), Nonce: hex.EncodeToString(nonce[:]), Robot: robot, BootID: h.BootID, NotAfter: s.ends(),
	}
	if e.Identity.Tier != order.TierTPM {
		return c, nil
	}
	for _, p := range r.PCRs {
		c.PCRs = append(c.PCRs, p.PCR)
	}
	for _, name := range r.logs() {
		sum := h.Logs[name]
		if sum == "" {
			continue // The claims will not name it either, and the evidence is refused for that.
		}
		have, err := v.store.LogDigest(robot, name)
		if err != nil {
			return nil, err
		}
		if have != sum {
			c.Logs = append(c.Logs, name)
		}
	}
	return c, nil
}

// logs are the names of the logs that are needed, sorted.
func (r *References) logs() []string {
	var out []string
	if r.Learning {
		return []string{evidence.LogFirmware, evidence.LogMeasured}
	}
	if r.FirmwareLog == FirmwareLogRequired {
		out = append(out, evidence.LogFirmware)
	}
	if r.measures() {
		out = append(out, evidence.LogMeasured)
	}
	return out
}

// Outcome is what came of a message.
type Outcome struct {
	// Result is the signed result for the robot, nil if there is none to send, or none yet ([Appraisal.Partial]).
	Result []byte
	// Appraisal is the judgement, nil if the evidence waits for logs.
	Appraisal *Appraisal
	// Claims are what the robot says, nil if the evidence could not be read. Nobody vouches for them unless the appraisal says so.
	Claims *evidence.Claims
	// Waiting names the logs that the evidence waits for.
	Waiting []string
}

// Log takes a log that an open challenge has asked for. If evidence has waited for it, that is appraised.
func (v *Verifier) Log(now time.Time, robot string, part *evidence.LogPart) (*Outcome, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, x, err := v.enrolled(robot)
	if err != nil {
		return nil, err
	}
	if !x.parts.take(now) {
		return nil, fmt.Errorf("log of %s: %w: expected at most one each %s", robot, ErrTooMany, partEvery)
	}
	x.expire(now)
	sum := digest(part.Log)
	asked := v.cfg.Shared || slices.ContainsFunc(x.open, func(o *opened) bool { return o.wants(part.Name, sum) })
	if !asked {
		return nil, fmt.Errorf("log %s of %s: %s: expected one that an open challenge has asked for", clip(part.Name), robot, sum)
	}
	if err := v.store.SaveLog(robot, storedAs(part.Name), part.Log); err != nil {
		return nil, err
	}
	if o := x.waiting(); o != nil {
		return v.judge(now, robot, o.pending)
	}
	return &Outcome{}, nil
}

// Evidence takes a robot's answer. A nil error with a nil result means that nothing is to be sent: the evidence waits for
// a log, or it is refused and nobody vouches that the robot itself has sent it now.
func (v *Verifier) Evidence(now time.Time, robot string, message []byte) (*Outcome, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, x, err := v.enrolled(robot)
	if err != nil {
		return nil, err
	}
	if !x.parts.take(now) {
		return nil, fmt.Errorf("evidence of %s: %w: expected at most one each %s", robot, ErrTooMany, partEvery)
	}
	x.expire(now)
	return v.judge(now, robot, message)
}

// judge appraises, once more by what is known then if another verifier has judged the robot meanwhile.
func (v *Verifier) judge(now time.Time, robot string, message []byte) (*Outcome, error) {
	out, err := v.appraise(now, robot, message)
	if errors.Is(err, ErrMoved) {
		return v.appraise(now, robot, message)
	}
	return out, err
}

// appraise judges a message and, if it is the robot's own answer, uses the challenge up, remembers, and signs.
func (v *Verifier) appraise(now time.Time, robot string, message []byte) (*Outcome, error) {
	e, r, x, err := v.enrolled(robot)
	if err != nil {
		return nil, err
	}
	in := Input{Robot: e, References: r, Evidence: message, Now: now, Logs: map[string][]byte{}}
	if in.State, err = v.store.State(robot); err != nil {
		return nil, fmt.Errorf("%s: %w: find out who removed it, then enrol the robot again", robot, err)
	}
	parsed, err := evidence.Parse(message)
	if err != nil {
		a, _ := Appraise(in)
		return &Outcome{Appraisal: a}, nil //nolint:nilerr // the appraisal says what is wrong with it
	}
	nonce := hex.EncodeToString(parsed.Claims.Nonce[:])
	o := x.find(nonce)
	challenge, made := v.recognise(now, robot, in.State.Rewinds, &parsed.Claims)
	// Robots answer in the order of the challenges: what is not newer than the last answer has been answered, or is late.
	// An answer of an hour that has not come is no exception: the next hello ends what was before, see rewind.
	in.Replayed = slices.Contains(x.spent, nonce) || challenge != nil && made.made <= in.State.Answered || o != nil && o.made <= in.State.Answered
	if o == nil && challenge != nil && !in.Replayed {
		o = &opened{challenge: challenge, made: made.made, logs: map[string]string{}}
		for _, l := range parsed.Claims.Logs {
			o.logs[l.Name] = l.SHA256
		}
	}
	waiting, err := v.gather(robot, &in, parsed)
	if err != nil {
		return nil, err
	}
	if o != nil {
		in.Challenge, in.Made = o.challenge, o.made
	}
	a, _ := Appraise(in)
	out := &Outcome{Appraisal: a, Claims: &parsed.Claims}
	if !a.Authentic {
		if a.Overtaken && bytes.Equal(o.pending, message) {
			o.pending = nil // It will not be newer with its logs.
		}
		return out, nil
	}
	if len(waiting) > 0 && o.pending == nil {
		o.pending = slices.Clone(message)
		x.await(o, waiting)
		v.waiting[robot] = struct{}{}
		o.lacks = map[string]string{}
		for _, name := range waiting {
			o.lacks[name] = parsed.Claims.Log(name)
		}
		return &Outcome{Claims: &parsed.Claims, Waiting: waiting}, nil
	}
	if len(waiting) > 0 {
		return &Outcome{Claims: &parsed.Claims, Waiting: waiting}, nil
	}
	a.Next.Answered = o.made
	if err := v.conclude(now, robot, message, &in, out, parsed); err != nil {
		return out, err
	}
	x.spend(nonce)
	delete(v.waiting, robot)
	return out, nil
}
