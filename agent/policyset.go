package agent

import (
	"fmt"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// openPolicy opens state and keys and takes the policy out of its signed set. A set that this robot accepted before is
// in force already; a new one is used up here, durably, before it decides anything. A set that was loaded later than the
// deployment's is in the state directory and goes before it. Where nothing can be judged, since record or keys are not
// there, the newest set is taken as it is, and the robot stays stopped.
func (a *Agent) openPolicy(dep *config.Deployment, bundle []byte) (config.SignedPolicy, error) {
	if err := a.openState(dep); err != nil {
		return config.SignedPolicy{}, err
	}
	if counts(dep) && !a.ranBefore() {
		if err := markNew(a.state); err != nil {
			return config.SignedPolicy{}, err
		}
	}
	trust := a.trust.judge(a.clock.Sync(), a.clock.Boot(), a.clock.Civil())
	now := times(a.clock.Civil(), trust)
	sets := a.policySets(now, bundle)
	var last error
	for _, set := range sets {
		p, err := a.takePolicy(now, set)
		if err == nil {
			return p, nil
		}
		// Damaged, or older than the deployment's: the next one is judged by its own signature and sequence.
		last = err
	}
	if a.unproven = unproven(a.verify, last); a.unproven == interlock.CauseNone || !a.ranBefore() {
		return config.SignedPolicy{}, last
	}
	for _, set := range sets {
		if p, err := readPolicySet(set); err == nil {
			a.log.Error().Err(last).Msg("the policy cannot be verified; the robot stays stopped until a signed one is loaded")
			return p, nil
		}
	}
	return config.SignedPolicy{}, last
}

// policySets are the sets that may be in force, the likeliest first: those that were loaded later, if they are not older
// than the deployment's. A set that was staged counts only if it was used up: the guard ended before it came to its place.
func (a *Agent) policySets(now order.Times, bundle []byte) [][]byte {
	var sets [][]byte
	if next, err := a.state.readPolicy(policyNext); err == nil {
		if v, err := a.verify.VerifyStored(now, next); err == nil && v.Repeat {
			sets = append(sets, next)
			if err := a.state.takeNextPolicy(); err != nil {
				a.log.Warn().Err(err).Msg("the policy in force stays under the name of the next one")
			}
		}
	}
	if stored, err := a.state.readPolicy(policyFile); err == nil {
		sets = append(sets, stored)
	}
	if len(sets) > 0 && a.sequence(now, sets[0]) < a.sequence(now, bundle) {
		return [][]byte{bundle}
	}
	return append(sets, bundle)
}

// unproven says why a policy set cannot be judged, CauseNone if it can and is refused.
func unproven(v *order.Verifier, err error) interlock.Cause {
	if v.Fault() != nil {
		return interlock.CauseBadSignature // There is no key list, so nobody's signature can be judged.
	}
	switch order.ReasonOf(err) {
	case order.StateUnreadable:
		return interlock.CauseDamaged
	case order.NoKeyList:
		return interlock.CauseBadSignature
	case order.StateUnwritable:
		return interlock.CauseWriteFailed
	case order.ClockUntrusted:
		return interlock.CauseCivilTooOld
	default:
		return interlock.CauseNone
	}
}

// readPolicySet takes a policy out of a set that nobody has verified.
func readPolicySet(bundle []byte) (config.SignedPolicy, error) {
	e, err := order.ParseEnvelope(bundle)
	if err != nil {
		return config.SignedPolicy{}, err
	}
	o, err := order.Decode(e.Payload)
	if err != nil {
		return config.SignedPolicy{}, err
	}
	if o.Kind != order.KindPolicySet {
		return config.SignedPolicy{}, fmt.Errorf("policy set: expected an order of kind %q, found %q", order.KindPolicySet, o.Kind)
	}
	return policyOf(o)
}

// sequence is that of a policy set that counts, 0 for any other.
func (a *Agent) sequence(now order.Times, bundle []byte) uint64 {
	v, err := a.verify.VerifyStored(now, bundle)
	if err != nil || v.Order.Kind != order.KindPolicySet {
		return 0
	}
	return v.Order.Sequence
}

func (a *Agent) takePolicy(now order.Times, bundle []byte) (config.SignedPolicy, error) {
	v, err := a.verify.VerifyStored(now, bundle)
	if err != nil {
		return config.SignedPolicy{}, fmt.Errorf("policy set: %w", err)
	}
	if v.Order.Kind != order.KindPolicySet {
		return config.SignedPolicy{}, fmt.Errorf("policy set: expected an order of kind %q, found %q", order.KindPolicySet, v.Order.Kind)
	}
	p, err := signedPolicy(v)
	if err != nil {
		return p, err
	}
	if err := a.store.Commit(now, v); err != nil {
		return p, fmt.Errorf("policy set: %w", err)
	}
	a.trust.floor = max(a.trust.floor, v.Order.NotBefore.UnixNano())
	return p, nil
}

func signedPolicy(v *order.Verified) (config.SignedPolicy, error) { return policyOf(v.Order) }

func policyOf(o *order.Order) (config.SignedPolicy, error) {
	set := o.PolicySet
	p := config.SignedPolicy{YAML: set.Policy, Revision: int64(o.Sequence)} //nolint:gosec // sequences end at 2^53
	var err error
	if p.Pins.Profile, err = config.ParseDigest("sha256:" + set.ProfileSHA256); err != nil {
		return p, fmt.Errorf("policy set: profile pin: %w", err)
	}
	if p.Pins.Topics, err = config.ParseDigest("sha256:" + set.TopicsSHA256); err != nil {
		return p, fmt.Errorf("policy set: topics pin: %w", err)
	}
	return p, nil
}
