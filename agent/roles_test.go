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

// TestEverySignerOfAResetIsHeard lets one person with many roles sign first: the second person must still count.
func TestEverySignerOfAResetIsHeard(t *testing.T) {
	many := []order.Role{order.RoleOperator, order.RoleSupervisor, order.RoleSafetyEngineer, order.RoleSecurity}
	got := signers(&order.Verified{Signers: []order.Signer{
		{Person: "first", Roles: many}, {Person: "second", Roles: []order.Role{order.RoleVendor, order.RoleSupervisor}},
	}})
	persons := map[uint64]bool{}
	for _, s := range got {
		if s.Person != 0 {
			persons[s.Person] = true
		}
	}
	if len(persons) != 2 {
		t.Errorf("%d persons are heard, want 2: %+v", len(persons), got)
	}
}
