//go:build qualify

package machine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// trialSpeed is how fast a technician drives in a proof test, in m/s, and trialTurn how fast he turns, in rad/s.
const trialSpeed, trialTurn = 0.6, 0.8

// proven are the items of a proof test that only this computer's devices can show.
var proven = []string{"rung.relay", "rung.drive", "rung.permit", "watchdog.reset", "input.rear-estop"}

// technician follows what the program says in the machine, as in front of a robot.
type technician struct {
	*deviceRig
	kind string
	read int
}

// commissions has a technician test the robot with its devices. A busy host makes the guard's loop late, which ends a proof
// test, rightly; then the technician begins again.
func (r *deviceRig) commissions(t *testing.T) {
	r.devices(t)
	var items map[string]order.CommissioningItem
	for try := range 4 {
		r.drives(t)
		r.stick.push(0)
		r.stands(t)
		file := fmt.Sprintf("/tmp/record-%d.json", try)
		w := technician{deviceRig: r}
		said, passed := w.test(t, file)
		raw, err := r.File(within(t, patience), file)
		if err != nil {
			t.Logf("no record: the test ended so:\n%s", tail(said))
			continue
		}
		rec := must(order.DecodeCommissioning(raw))(t)
		items = map[string]order.CommissioningItem{}
		missing := 0
		for _, it := range rec.Items {
			items[it.Name] = it
			if it.Result == order.ItemNotMeasured {
				missing++
			}
		}
		t.Logf("passed %t, %d items, %d not measured", passed, len(rec.Items), missing)
		if passed || missing == 0 {
			break
		}
	}
	t.Log("table: | item of the proof test | result | measured at the worst | ± | the profile claims | unit |")
	t.Log("table: |---|---|---:|---:|---:|---|")
	for _, name := range slices.Sorted(maps.Keys(items)) {
		it := items[name]
		t.Logf("table: | %s | %s | %.3g | %.3g | %.3g | %s |", name, it.Result, it.Value, it.Error, it.Limit, it.Unit)
	}
	for _, name := range proven {
		if it := items[name]; it.Result != order.ItemPassed {
			t.Errorf("%s: %s: %s", name, it.Result, it.Text)
		}
	}
}

// test goes through one proof test and says what the program wrote, and whether the robot passed.
func (w *technician) test(t *testing.T, file string) (said string, passed bool) {
	t.Helper()
	argv := []string{wire.Program, "commission", "--socket", controlSocket, "--speed", fmt.Sprint(trialSpeed), "--out", file}
	if err := w.Start(within(t, patience), "commission", argv...); err != nil {
		t.Fatal(err)
	}
	for {
		out := must(w.Output(within(t, patience), "commission", false))(t)
		for line := range strings.Lines(out.Text[min(w.read, len(out.Text)):]) {
			if !strings.HasSuffix(line, "\n") {
				break // It is being written.
			}
			w.read += len(line)
			w.hear(t, line)
		}
		if !out.Running {
			w.stick.push(0)
			return out.Text, out.Exit == "exit status 0"
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
}

// hear does what one line asks for.
func (w *technician) hear(t *testing.T, line string) {
	t.Helper()
	switch {
	case strings.Contains(line, "Turn on the spot"):
		w.kind = "turn"
	case strings.Contains(line, "Drive straight on"):
		w.kind = "drive"
	case strings.Contains(line, "Operate it"):
		w.kind = "input"
	case strings.Contains(line, "Nothing to do"):
		w.kind = "watch"
	case strings.Contains(line, "Press Enter when ready"), strings.Contains(line, "press Enter again"):
		w.stick.push(0)
		w.reset(t)
		if err := w.Type(within(t, patience), "commission", "\n"); err != nil {
			t.Logf("the program has ended: %v", err)
		}
	case strings.Contains(line, "drive now") && w.kind == "turn":
		w.stick.turn(trialTurn)
	case strings.Contains(line, "drive now"):
		w.stick.push(-trialSpeed)
	case strings.Contains(line, "looking") && w.kind == "input":
		w.press(t, true)
		w.await(t, "the e-stop seen", func(s *agent.Status) bool { return has(s, "input.estop") })
		w.press(t, false)
	case strings.Contains(line, "let go"), strings.Contains(line, "measured"), strings.Contains(line, "does not count"):
		w.stick.push(0)
	}
}

// reset resets what the test itself has latched, such as the e-stop that was pressed for it.
func (w *technician) reset(t *testing.T) {
	t.Helper()
	s, ok := w.status(t)
	for _, trigger := range s.Triggers {
		if ok && trigger.Latched && !trigger.Present {
			raw, err := w.Packet(within(t, patience), controlSocket, append([]byte{'O'}, w.site.resetOrder(t, &s)...))
			var receipt agent.Receipt
			if err != nil || json.Unmarshal(raw, &receipt) != nil || !receipt.Applied {
				t.Logf("a reset was not applied: %s (%v)", raw, err)
			}
			return
		}
	}
}
