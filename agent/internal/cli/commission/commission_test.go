package commission

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// TestAnEnterThatCameTooEarlyIsForgotten presses Enter on a robot that moves: once it stands, no run begins by itself.
func TestAnEnterThatCameTooEarlyIsForgotten(t *testing.T) {
	const moving = "expected a robot that stands"
	in := make(chan struct{}, 1)
	in <- struct{}{}
	var out bytes.Buffer
	var ops []string
	s := session{in: in, out: &out, poll: time.Millisecond}
	s.ask = func(_ context.Context, _ string, r contract.TrialRequest) (contract.TrialReport, error) {
		ops = append(ops, r.Op)
		switch {
		case r.Op == "go" && len(ops) == 1:
			return contract.TrialReport{Phase: "waiting", Text: moving}, nil
		case len(ops) == 6:
			in <- struct{}{}
		}
		return contract.TrialReport{Phase: "waiting", Accepted: true}, nil
	}
	if err := s.ready(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ops, " "); !strings.HasPrefix(got, "go keep keep keep keep keep ") || !strings.HasSuffix(got, " go") || strings.Count(got, "go") != 2 {
		t.Errorf("asked %s: expected go once for each Enter", got)
	}
	if !strings.Contains(out.String(), moving) || !strings.Contains(out.String(), "press Enter again") {
		t.Errorf("said %q", out.String())
	}
}
