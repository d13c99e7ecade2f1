package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// turn lets one order after another loosen something, and nobody wait for long: a disk may hang under the first one for
// ever. The zero value is ready to use.
type turn struct {
	once    sync.Once
	place   chan struct{}
	waiting atomic.Int32
}

// Bounds of a turn. With the one whose turn it is, three places of a socket are taken at most.
const (
	turnQueue = 2
	turnWait  = 3 * time.Second
)

// enter waits for its turn; false means that too many wait already, or for too long.
func (t *turn) enter() bool {
	t.once.Do(func() { t.place = make(chan struct{}, 1) })
	if t.waiting.Add(1) > turnQueue {
		// Whoever would have it at once may have it, whoever else came at the same moment.
		t.waiting.Add(-1)
		select {
		case t.place <- struct{}{}:
			return true
		default:
			return false
		}
	}
	defer t.waiting.Add(-1)
	late := time.NewTimer(turnWait)
	defer late.Stop()
	select {
	case t.place <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}

func (t *turn) leave() { <-t.place }

// results keeps attestation results in the order in which they were issued: a courier that holds one back cannot undo a
// later one with it. Results are bound to the guard's nonce, so the memory of one run is enough.
type results struct {
	mu       sync.Mutex
	accepted time.Time // the newest result's that counted, by its begin of validity
	refused  time.Time
}

// refuse says whether a refusal counts: not if a later result has accepted the robot since.
func (r *results) refuse(issued time.Time, apply func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if issued.Before(r.accepted) {
		return false
	}
	if issued.After(r.refused) {
		r.refused = issued
	}
	apply()
	return true
}

// accept says whether an acceptance counts: it has to be issued after every refusal, and not before an acceptance. The
// times of orders are whole seconds; within one, the refusal wins.
func (r *results) accept(issued time.Time, apply func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !issued.After(r.refused) || issued.Before(r.accepted) {
		return false
	}
	r.accepted = issued
	apply()
	return true
}

// reasonSuperseded is the reason of a result that came after a later one.
const reasonSuperseded = "superseded"

func superseded(r *Receipt) {
	r.Accepted, r.Reason = false, reasonSuperseded
	r.Text = "a result that was issued later has been taken already"
}

// bound says whether a result names both this boot and this guard process; the verifier of orders has compared them.
func bound(o *order.Order) bool { return o.Binding.BootID != "" && o.Binding.Nonce != "" }

// refused takes a verifier's refusal: like a stop it acts first and is recorded afterwards.
func (o *orders) refused(v *order.Verified, times order.Times) Receipt {
	r := accepted(v)
	counts := o.results.refuse(v.Order.NotBefore, func() { o.guard.Attest(guard.Attestation{Verdict: guard.VerdictRefused}) })
	if !counts {
		superseded(&r)
		return r
	}
	r.Applied = true
	r.Text = fmt.Sprintf("attestation refused: %v", v.Order.AttestationResult.Reasons)
	o.recordUsed(v, times, &r)
	return r
}

// attested puts an accepted result into force until it ends, measured on the boot clock from here.
func (o *orders) attested(v *order.Verified, times order.Times, boot time.Duration, r *Receipt) {
	left := v.Order.NotAfter.Sub(times.Civil) - times.Uncertainty
	switch {
	case left <= 0:
		r.Accepted, r.Reason, r.Text = false, string(order.Expired), "the result has expired"
		return
	case !bound(v.Order):
		r.Accepted, r.Reason, r.Text = false, string(order.NonceMismatch), "expected a result that is bound to boot id and nonce"
		return
	}
	a := guard.Attestation{Verdict: guard.VerdictAccepted, Tier: guard.TierSoftwareKey, Until: boot + left}
	if v.Order.AttestationResult.Tier == order.TierTPM {
		a.Tier = guard.TierTPM
	}
	if !o.results.accept(v.Order.NotBefore, func() { o.guard.Attest(a) }) {
		superseded(r)
		return
	}
	r.Applied = true
	r.Text = fmt.Sprintf("attested by %s for %v", a.Tier, left.Round(time.Second))
}

// signers gives the core each person in each role that counts for resets. There is room for a few pairs only, so
// everybody's first role comes before anybody's second: one person with many roles must not hide another.
func signers(v *order.Verified) [guard.MaxPersons]guard.Signer {
	var out [guard.MaxPersons]guard.Signer
	n := 0
	for turn, more := 0, true; more; turn++ {
		more = false
		for _, s := range v.Signers {
			roles := resetRoles(s.Roles)
			if turn >= len(roles) || n == len(out) {
				continue
			}
			sum := sha256.Sum256([]byte(s.Person))
			out[n] = guard.Signer{Person: binary.LittleEndian.Uint64(sum[:]), Role: roles[turn]}
			n, more = n+1, true
		}
	}
	return out
}

// resetRoles are those of the roles that may reset anything.
func resetRoles(roles []order.Role) []interlock.Role {
	var out []interlock.Role
	for _, r := range roles {
		if role := resetRole(r); role < interlock.NumRoles {
			out = append(out, role)
		}
	}
	return out
}

// resetRole gives a key list's role its name in the trigger table.
func resetRole(r order.Role) interlock.Role {
	switch r {
	case order.RoleSafetyEngineer:
		return interlock.RoleSafetyEngineer
	case order.RoleSupervisor:
		return interlock.RoleSupervisor
	case order.RoleSecurity:
		return interlock.RoleSecurity
	case order.RoleVendor:
		return interlock.RoleService
	case order.RoleOperator:
		return interlock.RoleOperator
	case order.RoleRoot, order.RoleStopOnly, order.RoleFleetManager, order.RoleVerifier, order.RoleConsumer,
		order.RoleRelease, order.RoleArtifact, order.RoleTechnician:
	}
	return interlock.NumRoles
}
