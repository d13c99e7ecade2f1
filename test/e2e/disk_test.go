package e2e

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

// diskTrouble takes the journal's disk away from a guard whose robot drives: the robot rests for a reason, and the latch
// of a stop that is ordered meanwhile is there after a restart, for it lies on another disk.
func diskTrouble(t *testing.T, kind bus.Kind, mode string) {
	t.Helper()
	// Before the bus: a computer with a network of its own has the disks that were mounted when it was made.
	disk := proc.NewDisk(t, 48<<20)
	r := driving(t, meet(t, kind), siteConfig{lock: true, journalDir: disk.Dir + "/journal", journalMiB: 16}, plant.Config{})
	trigger := r.now(t)
	switch mode {
	case "full":
		free, err := disk.Fill()
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := free(); err != nil {
				t.Error(err)
			}
		}()
	case "read-only":
		if err := disk.Break(); err != nil {
			t.Fatal(err)
		}
	}
	r.g.await(t, "a journal that cannot be written", 30*time.Second, func(s agent.Status) bool {
		return causeOf(s, "journal.unwritable") == map[string]string{"full": "the disk is full", "read-only": "the file system is read-only"}[mode]
	})
	// The trigger has a start delay; from there the robot rests within the profile's time.
	r.restsWithin(t, trigger, 30*time.Second)
	if got := r.g.order(t, r.s.stopOrder(t)); !got.Applied {
		t.Errorf("a stop with a broken journal: %+v", got)
	}
	r.g.Kill()
}

// publishText says one line on a string topic.
func publishText(t testing.TB, b bus.Bus, topic, text string) {
	t.Helper()
	b.Speaker(t, "/courier_"+suffix(text), topic).Say(t, text)
}

func suffix(text string) string { return sum(text)[:8] }
