package agent

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/counter"
	"github.com/robowarden/robowarden/interlock"
)

// Who restores an old image of the disk brings used orders and released latches back with it, and nothing on the disk can tell. The
// TPM can: it has a counter that never goes back. The disk says how far it has counted; each start of the guard, and later each hour
// in which orders were used up, writes the next number to the disk first and has the TPM count to it afterwards. So the disk is level
// with the TPM, or one ahead of it if the power went in between, and never behind.

// Files of the mark in the state directory.
const (
	ageFile = "age"
	ageNew  = "age.new"
)

const (
	// countEvery is the least time between two counts of one run: NV memory wears out. What orders use up meanwhile is not told
	// from a disk that is set back by no more than that.
	countEvery = time.Hour
	// answerLate is when a question that nobody has answered is asked again, ageRetry when one that was answered by a fault is.
	answerLate = 20 * time.Second
	ageRetry   = 10 * time.Second
	ageLook    = time.Second
)

// ageKeeper finds out whether the state on disk is the newest. It asks the courier, which is not believed: the statement is the
// TPM's. Whatever waits for the disk happens on run's goroutine.
type ageKeeper struct {
	state *stateDir
	guard interface{ Age(found guard.Age) }
	// generation is how often the record of used orders has been written.
	generation func() uint64
	boot       func() time.Duration
	// poke has requests handed on at once.
	poke func()
	log  zerolog.Logger

	answers chan contract.Counter
	resets  chan struct{}

	// expected is true where a TPM has to prove it: the deployment names one, or one has counted before. Both are run's own after
	// the start, and so is the rest up to the lock.
	expected, marked bool
	// fresh is true while the courier's word that there is no counter is enough to have the first one made.
	fresh     bool
	mark      ageMark
	countedAt time.Duration

	mu    sync.Mutex
	found guard.Age
	// wanted is true while the courier has to be asked for ask, from notBefore on; askedOf is whom it was asked of.
	wanted    bool
	ask       contract.CounterRequest
	askedOf   *roleConn
	askedAt   time.Duration
	notBefore time.Duration
	shown     uint64
	detail    string
}

// counts says whether a TPM is to count the robot's starts.
func counts(dep *config.Deployment) bool { return dep.Courier != nil && dep.Courier.TPM != "" }

// newAgeKeeper reads the mark and makes the first finding. tpm says that the deployment names a TPM.
func newAgeKeeper(state *stateDir, tpm bool, generation func() uint64, boot func() time.Duration, log zerolog.Logger) *ageKeeper {
	k := &ageKeeper{
		state: state, generation: generation, boot: boot, poke: func() {}, log: log, expected: tpm,
		answers: make(chan contract.Counter, 1), resets: make(chan struct{}, 1),
		found: guard.Age{State: guard.AgeUnproven, Cause: interlock.CauseUncounted},
	}
	data, err := state.dir.ReadFile(ageFile)
	if err == nil {
		k.mark, err = decodeAge(data)
	}
	k.fresh = err == nil && k.mark == ageMark{key: newRobot}
	k.marked = err == nil && !k.fresh
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// If the TPM has counted, it will say so.
		log.Error().Err(err).Msg("how far the TPM had counted cannot be read")
		k.expected = true
	}
	k.expected, k.shown = k.expected || k.marked, k.mark.value
	switch {
	case k.marked && generation() < k.mark.generation:
		k.found = guard.Age{State: guard.AgeSetBack, Cause: interlock.CausePartBehind}
	case k.expected:
		k.found.Cause = interlock.CauseUnanswered
		k.wanted, k.ask.Make = true, k.marked && k.mark.value == 0
	}
	return k
}

// run judges answers until ctx ends.
func (k *ageKeeper) run(ctx context.Context) error {
	t := time.NewTicker(ageLook)
	defer t.Stop()
	begin := false // a new beginning that the disk has yet to take
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-k.answers:
			k.judge(&a)
		case <-k.resets:
			begin = true
		case <-t.C:
			k.recount()
		}
		if begin {
			begin = !k.begin()
		}
	}
}

// request returns what the courier at this connection has to ask the TPM for, with a nonce that nobody has seen.
func (k *ageKeeper) request(c *roleConn) (contract.CounterRequest, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.boot()
	if !k.wanted || now < k.notBefore || k.askedOf == c && now-k.askedAt < answerLate {
		return contract.CounterRequest{}, false
	}
	var nonce [32]byte
	_, _ = rand.Read(nonce[:]) // It never fails: crypto/rand ends the program instead.
	k.ask.Nonce, k.askedOf, k.askedAt = hex.EncodeToString(nonce[:]), c, now
	return k.ask, true
}

var errNotAsked = errors.New("this answers no open question about the counter")

// take takes the courier's answer.
func (k *ageKeeper) take(a *contract.Counter) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.wanted || k.ask.Nonce == "" || a.Nonce != k.ask.Nonce {
		return errNotAsked
	}
	select {
	case k.answers <- *a:
		k.wanted = false
	default: // The disk hangs under the one before; it is asked again.
	}
	return nil
}

// want has the courier asked.
func (k *ageKeeper) want(to uint64, anew bool, after time.Duration) {
	k.mu.Lock()
	k.wanted, k.ask, k.askedOf, k.notBefore = true, contract.CounterRequest{To: to, Make: anew}, nil, k.boot()+after
	k.mu.Unlock()
	k.poke()
}

// judge draws the conclusion from an answer.
func (k *ageKeeper) judge(a *contract.Counter) {
	k.mu.Lock()
	ask := k.ask
	k.mu.Unlock()
	if a.Fault != "" {
		k.faulty(ask, a)
		return
	}
	value, key, err := stated(a)
	first := k.marked && k.mark.value == 0
	switch {
	case errors.Is(err, counter.ErrReplaced) && k.marked && !first:
		k.setBack(interlock.CauseCounterReplaced, err.Error())
	case err != nil:
		k.unproven(ask, interlock.CauseNotProven, err.Error())
	case first:
		k.prove(ask, ageMark{value, k.generation(), key})
	case !k.marked:
		k.setBack(interlock.CauseForgotten, fmt.Sprintf("the TPM has counted to %d", value))
	case key != k.mark.key:
		k.setBack(interlock.CauseOtherTPM, "")
	case value > k.mark.value:
		k.setBack(interlock.CauseBehind, fmt.Sprintf("the TPM has counted to %d, the disk knows of %d", value, k.mark.value))
	case value == k.mark.value && ask.To == value:
		k.proven()
	case value == k.mark.value:
		k.count(ask)
	case value+1 == k.mark.value && ask.To == 0: // The power went before it counted.
		k.want(k.mark.value, false, 0)
	case value+1 == k.mark.value:
		k.unproven(ask, interlock.CauseTPMRefused, "it was asked to count, and did not")
	default:
		k.setBack(interlock.CauseCounterReplaced, fmt.Sprintf("the TPM has counted to %d, the disk knows of %d", value, k.mark.value))
	}
}

// stated verifies the TPM's statement.
func stated(a *contract.Counter) (value uint64, key [sha256.Size]byte, err error) {
	nonce, err := hex.DecodeString(a.Nonce)
	if err != nil {
		return 0, key, err
	}
	k, err := counter.ParseKey(a.Key)
	if err != nil {
		return 0, key, err
	}
	value, err = counter.Verify(k, counter.Index, a.Attest, a.Signature, nonce)
	return value, sha256.Sum256(a.Key), err
}

// faulty takes the courier's word that there is no statement. It is unsigned, so it frees nobody: a counter that is gone, or that was
// never made on a robot that ran without one, restricts the robot until somebody answers for it. Only on one whose TPM has been to count
// since its first start, and was never asked to, the first counter is made on that word: no state of it can be older.
func (k *ageKeeper) faulty(ask contract.CounterRequest, a *contract.Counter) {
	counted := k.marked && k.mark.value > 0
	switch a.Fault {
	case contract.CounterNoTPM:
		k.unproven(ask, interlock.CauseUncounted, a.Detail)
	case contract.CounterUnavailable:
		k.unproven(ask, interlock.CauseTPMUnavailable, a.Detail)
	case contract.CounterMissing:
		switch {
		case counted:
			k.setBack(interlock.CauseCounterGone, a.Detail)
		case k.marked: // It was asked to make one.
			k.unproven(ask, interlock.CauseTPMRefused, a.Detail)
		case !k.fresh:
			k.setBack(interlock.CauseCounterGone, ranUncounted)
		case !k.begin():
			k.unproven(ask, interlock.CauseWriteFailed, a.Detail)
		}
	case contract.CounterReplaced:
		if counted {
			k.setBack(interlock.CauseCounterReplaced, a.Detail)
		} else { // Another program was there first: nobody can have been counting.
			k.unproven(ask, interlock.CauseCounterReplaced, a.Detail)
		}
	default:
		k.unproven(ask, interlock.CauseTPMRefused, a.Detail)
	}
}

// ranUncounted is for people: a robot whose TPM is to count from now on looks like one whose disk was set back to before it did.
const ranUncounted = "the courier finds none, and this robot ran before without one: sign the reset if its TPM has never counted until now; " +

	"if it has, the disk is an old one"

// begin has the first counter made, or takes up what there is after somebody has answered for it. The disk knows of it first, so
// that a start after a power cut goes on.
func (k *ageKeeper) begin() bool {
	if !k.write(ageMark{generation: k.generation()}) {
		return false
	}
	k.tell(guard.Age{State: guard.AgeUnproven, Cause: interlock.CauseUnanswered}, "")
	k.want(0, true, 0)
	return true
}

// count writes the next number, and then has the TPM count.
func (k *ageKeeper) count(ask contract.CounterRequest) {
	next := ageMark{k.mark.value + 1, k.generation(), k.mark.key}
	if !k.write(next) {
		k.unproven(ask, interlock.CauseWriteFailed, "")
		return
	}
	k.want(next.value, false, 0)
}

// prove takes up the first counter.
func (k *ageKeeper) prove(ask contract.CounterRequest, m ageMark) {
	if !k.write(m) {
		k.unproven(ask, interlock.CauseWriteFailed, "")
		return
	}
	k.log.Info().Uint64("counter", m.value).Hex("key", m.key[:]).Msg("a TPM counts the guard's starts from here on")
	k.proven()
}

func (k *ageKeeper) proven() {
	k.countedAt = k.boot()
	k.tell(guard.Age{State: guard.AgeProven}, "")
}

// recount counts again once orders were used up.
func (k *ageKeeper) recount() {
	k.mu.Lock()
	due := k.found.State == guard.AgeProven && !k.wanted && k.boot()-k.countedAt >= countEvery
	k.mu.Unlock()
	if due && k.generation() > k.mark.generation && len(k.answers) == 0 {
		k.countedAt = k.boot()
		k.count(contract.CounterRequest{})
	}
}

// unproven says why nothing is proven yet, and asks again. What was proven in this run stays so: a TPM that goes away loosens and
// restricts nothing.
func (k *ageKeeper) unproven(ask contract.CounterRequest, cause interlock.Cause, detail string) {
	k.mu.Lock()
	was := k.found.State
	k.mu.Unlock()
	if was != guard.AgeProven {
		k.tell(guard.Age{State: guard.AgeUnproven, Cause: cause}, detail)
	}
	k.want(ask.To, ask.Make, ageRetry)
}

// setBack restricts the robot until somebody answers for it.
func (k *ageKeeper) setBack(cause interlock.Cause, detail string) {
	k.tell(guard.Age{State: guard.AgeSetBack, Cause: cause}, detail)
}

// tell tells the guard what is new.
func (k *ageKeeper) tell(found guard.Age, detail string) {
	k.mu.Lock()
	same := found == k.found
	k.found, k.detail, k.shown = found, detail, k.mark.value
	k.mu.Unlock()
	if same {
		return
	}
	k.guard.Age(found)
	event := k.log.Info()
	if found.State != guard.AgeProven {
		event = k.log.Error().Str("detail", detail)
	}
	event.Str("state", found.State.String()).Msg("age of the state on disk: " + found.Cause.Text())
}

// write stores a mark.
func (k *ageKeeper) write(m ageMark) bool {
	if err := k.state.replace(ageNew, ageFile, m.encode()); err != nil {
		k.log.Error().Err(err).Msg("how far the TPM counts could not be stored; trying again")
		return false
	}
	k.mark, k.marked, k.fresh = m, true, false
	return true
}

// start tells the guard the first finding, before anybody is heard.
func (k *ageKeeper) start() { k.guard.Age(k.found) }

// accept takes up what there is, after a signed reset of state.rolled-back.
func (k *ageKeeper) accept() {
	select {
	case k.resets <- struct{}{}:
	default:
	}
}

// finding says whether the state is proven to be the newest, and why not, for people.
func (k *ageKeeper) finding() (state guard.AgeState, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.found.State, k.found.Cause.Text()
}

func (k *ageKeeper) status() AgeStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := AgeStatus{State: k.found.State.String(), Counter: k.shown, Text: k.found.Cause.Text()}
	if k.found.State == guard.AgeProven {
		s.Text = "the TPM's counter shows that the state on disk is the newest"
	}
	if k.detail != "" {
		s.Text += ": " + k.detail
	}
	return s
}
