//go:build device

package gpio

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/hal/actuator"
)

// TestChip runs on a real chip: ROBOWARDEN_GPIO is path:line of a line that nothing else uses.
func TestChip(t *testing.T) {
	path, number, ok := strings.Cut(os.Getenv("ROBOWARDEN_GPIO"), ":")
	if !ok {
		t.Skip("ROBOWARDEN_GPIO names no line")
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []PermitConfig{{Chip: path, Line: uint32(n)}, {Chip: path, Line: uint32(n), Toggle: true}, {Chip: path, Line: uint32(n), StopHigh: true}} {
		p := NewPermit(cfg)
		for _, s := range []actuator.State{actuator.Stop, actuator.Run, actuator.Run, actuator.Stop, actuator.Run, actuator.Stop} {
			if err := p.Apply(t.Context(), s); err != nil {
				t.Fatalf("%+v: %v: %v", cfg, s, err)
			}
			if s == actuator.Stop && p.high != cfg.StopHigh {
				t.Errorf("%+v: stop at high %t", cfg, p.high)
			}
		}
		if f := actuator.FaultOf(NewPermit(cfg).Apply(t.Context(), actuator.Stop)); f != actuator.Gone {
			t.Errorf("a second owner: found %v, expected gone", f)
		}
		if err := p.Close(false); err != nil {
			t.Error(err)
		}
	}
	if f := actuator.FaultOf(NewPermit(PermitConfig{Chip: path, Line: 4000}).Apply(t.Context(), actuator.Stop)); f == actuator.None {
		t.Error("a line that the chip does not have was given")
	}
	in := NewInput(InputConfig{Chip: path, Line: uint32(n), Debounce: 20 * ms})
	ctx, cancel := context.WithTimeout(t.Context(), 200*ms)
	defer cancel()
	said := Unreadable
	if err := in.Run(ctx, func(s InputState) { said = s }); err != nil || said == Unreadable {
		t.Errorf("the input said %v, %v", said, err)
	}
}
