//go:build qualify

package machine

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// deviceTests are the product's own tests of its drivers, with the devices of the machine on which they run.
var deviceTests = []struct{ folder, test, env string }{
	{"gpio", "TestChip", "ROBOWARDEN_GPIO=/dev/gpiochip0:5"},
	{"can", "TestInterface", "ROBOWARDEN_CAN=" + wire.CAN},
	{"watchdog", "TestDevice", "ROBOWARDEN_WATCHDOG=/dev/watchdog"},
}

// watchdogLimit is how long after its last food a watchdog of 2 s may take to reset the machine, and the machine to start.
const watchdogLimit = bootLimit

// TestDevicesOfARobotComputer runs the drivers' contracts on a real kernel for arm64: a GPIO chip, a CAN bus and a watchdog,
// which at the end bites.
func TestDevicesOfARobotComputer(t *testing.T) {
	t.Parallel()
	able(t)
	disk := t.TempDir()
	for _, d := range deviceTests {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64"}
		out := filepath.Join(disk, d.folder+".test")
		if err := command(env, filepath.Join(cpp.Root(), ".."), "go", "test", "-c", "-tags=device", "-trimpath", "-ldflags=-s -w", "-o", out, "./hal/"+d.folder); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Boot(t, Config{Parts: made.Parts, Disk: disk, Quick: true, Devices: true})
	if err != nil {
		t.Fatal(err)
	}
	run := func(name, test, env string) wire.Output {
		t.Helper()
		argv := []string{wire.Data + "/" + name + ".test", "-test.v", "-test.run=" + test}
		if err := m.StartWith(within(t, patience), name, []string{env}, argv...); err != nil {
			t.Fatal(err)
		}
		return must(m.Output(within(t, 2*patience), name, true))(t)
	}
	for _, d := range deviceTests {
		t.Run(d.folder, func(t *testing.T) {
			// The contract on the fakes first, so that the architecture is judged as well.
			if out := run(d.folder, "TestContract", "HOME=/tmp"); out.Exit != "exit status 0" {
				t.Errorf("the contract: %s\n%s", out.Exit, out.Text)
			}
			out := run(d.folder, "^"+d.test+"$", d.env)
			t.Log(out.Text)
			if out.Exit != "exit status 0" || strings.Contains(out.Text, "SKIP") || !strings.Contains(out.Text, "PASS: "+d.test) {
				t.Errorf("on the device: %s", out.Exit)
			}
		})
	}
	t.Run("watchdog bites", func(t *testing.T) {
		before := must(m.Facts(within(t, patience)))(t)
		begun := time.Now()
		if out := run("watchdog", "^TestBite$", "ROBOWARDEN_WATCHDOG_BITE=/dev/watchdog"); out.Exit != "exit status 0" {
			t.Fatalf("%s\n%s", out.Exit, out.Text)
		}
		if err := m.Booted(t.Context(), begun); err != nil {
			t.Fatal(err)
		}
		after := must(m.Facts(within(t, patience)))(t)
		t.Logf("up again %v after the watchdog was left unfed", time.Since(begun).Round(time.Second))
		if after.BootID == before.BootID || time.Since(begun) > watchdogLimit {
			t.Errorf("boot id %s before and %s after, %v", before.BootID, after.BootID, time.Since(begun))
		}
	})
}
