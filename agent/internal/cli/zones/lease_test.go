package zones

import (
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/explain"
	"github.com/robowarden/robowarden/geofence"
)

func TestLeaseFlag(t *testing.T) {
	for text, want := range map[string]explain.Lease{
		"lab-door=GRANTED":                {Zone: "lab-door", State: geofence.Granted, MaxSpeedMPS: leaseSpeed},
		"lab-door=REVOKED,0.4":            {Zone: "lab-door", State: geofence.Revoked, MaxSpeedMPS: 0.4},
		"lab-door=EXPIRED,0.4,badge+task": {Zone: "lab-door", State: geofence.Expired, MaxSpeedMPS: 0.4, Facts: geofence.FactBadge | geofence.FactTask},
	} {
		if got, err := lease(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, found := range map[string]string{
		"lab-door": `found "lab-door"`, "=GRANTED": `found "=GRANTED"`, "d=OPEN": `found "OPEN"`, "d=NONE": `found "NONE"`,
		"d=GRANTED,fast": `found "fast"`, "d=GRANTED,0": `found "0"`, "d=GRANTED,NaN": `found "NaN"`, "d=GRANTED,1,key": `found "key"`,
		"d=GRANTED,1,badge,door": `found "d=GRANTED,1,badge,door"`,
	} {
		if _, err := lease(text); err == nil || !strings.Contains(err.Error(), found) || !strings.Contains(err.Error(), "expected zone=STATE") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
