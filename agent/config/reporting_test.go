package config

import "testing"

func TestOnlyTheWordForItLetsAnUnattestedRobotReport(t *testing.T) {
	for name, c := range map[string]struct {
		reporting *Reporting
		want      bool
	}{
		"left out":      {nil, false},
		"empty":         {&Reporting{}, false},
		"nothing":       {&Reporting{BeforeAttestation: ReportNothing}, false},
		"safety events": {&Reporting{BeforeAttestation: ReportSafetyEvents}, true},
		"another word":  {&Reporting{BeforeAttestation: "everything"}, false},
	} {
		p := Policy{Reporting: c.reporting}
		if got := p.ReportsUnattested(); got != c.want {
			t.Errorf("%s: %t, expected %t", name, got, c.want)
		}
	}
}
