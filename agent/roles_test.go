package agent

import (
	"testing"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/interlock"
)

// TestEveryResetRoleCanSign makes sure that nothing latches for good because the role that may reset it cannot sign.
func TestEveryResetRoleCanSign(t *testing.T) {
	var can interlock.RoleSet
	for _, r := range order.Roles() {
		if r.MaySign(order.KindReset) {
			role := resetRole(r)
			if role >= interlock.NumRoles {
				t.Errorf("%q may sign resets but counts as nobody", r)
				continue
			}
			can |= interlock.Roles(role)
		}
	}
	policy := interlock.DefaultPolicy()
	for tr := range interlock.NumTriggers {
		if policy.Rules[tr].Roles&can == 0 {
			t.Errorf("%s may be reset by %q only, none of whom can sign", tr, policy.Rules[tr].Roles)
		}
	}
}
