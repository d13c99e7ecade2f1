package authority

import (
	"cmp"
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
)

// Holder is one holder of certificates, for people.
type Holder struct {
	Role identity.Role
	Name string
	// Tier and Maker are of a robot's TPM, empty of others.
	Tier  order.Tier
	Maker string
	// NotAfter is when the newest certificate ends, zero without one.
	NotAfter time.Time
	// State is "invited", "enrolled", "revoked" or "ended".
	State string
}

// Ends is when the newest certificate ends, for people.
func (h *Holder) Ends() string {
	if h.NotAfter.IsZero() {
		return "-"
	}
	return h.NotAfter.Format(time.RFC3339)
}

// List is everybody, by role and name.
func (a *Authority) List() ([]Holder, error) {
	now := a.now()
	var out []Holder
	for _, role := range identity.Roles() {
		from := len(out)
		if err := a.each(role, func(r *record) error { out = append(out, r.holder(now)); return nil }); err != nil {
			return nil, err
		}
		slices.SortFunc(out[from:], func(x, y Holder) int { return cmp.Compare(x.Name, y.Name) })
	}
	return out, nil
}

func (r *record) holder(now time.Time) Holder {
	h := Holder{Role: r.Role, Name: r.Name, State: "ended"}
	if r.Keys != nil {
		h.Tier, h.Maker = r.Keys.Tier, r.Keys.Maker
	}
	for i := range r.Certificates {
		c := &r.Certificates[i]
		cert, err := c.parse()
		switch {
		case err != nil || !now.Before(cert.NotAfter):
		case !c.Revoked.IsZero():
			h.State = "revoked"
		default:
			h.State, h.NotAfter = "enrolled", cert.NotAfter
		}
	}
	if h.State != "enrolled" && len(r.Invitations) > 0 {
		h.State = "invited"
	}
	return h
}
