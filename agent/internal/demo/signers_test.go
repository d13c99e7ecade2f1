package demo

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/interlock"
)

func TestResetsAreJudgedByTheirSignature(t *testing.T) {
	now := time.Date(2026, 3, 10, 19, 0, 0, 0, time.UTC)
	s, err := newSigners("maker/robot-1", [16]byte{1}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sign func() ([]byte, error)
		role interlock.Role
		ok   bool
	}{
		"operator":        {s.operatorReset, interlock.RoleOperator, true},
		"safety engineer": {s.engineerReset, interlock.RoleSafetyEngineer, true},
		"stranger":        {s.forged, 0, false},
	} {
		document, err := c.sign()
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.verify(document)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if c.ok && (o.Kind != guard.OrderReset || !o.All || o.Signers[0].Role != c.role || o.Signers[0].Person == 0) {
			t.Errorf("%s: %+v", name, o)
		}
		if _, err := s.verify(document); err == nil {
			t.Errorf("%s: the same document counted twice", name)
		}
	}
	document, err := s.operatorReset()
	if err != nil {
		t.Fatal(err)
	}
	if now = now.Add(orderLife); true {
		if _, err := s.verify(document); err == nil {
			t.Error("a reset counted after its time")
		}
	}
	document[len(document)/2] ^= 1
	if _, err := s.verify(document); err == nil {
		t.Error("a damaged document counted")
	}
}
