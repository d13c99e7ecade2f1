package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// thousandZones is YAML for 1 000 octagons away from where the robot stands, as DESIGN.md's memory figures ask for.
func thousandZones() string {
	var b strings.Builder
	for i := range 1000 {
		x, y := 20+3*float64(i%40), -40+3*float64(i/40)
		fmt.Fprintf(&b, "  - {zone_id: z%03d, zone_type: BLOCKED, floor: ground, reason: made for a test, vertices: [", i)
		for k, c := range [][2]float64{{1, .4}, {.4, 1}, {-.4, 1}, {-1, .4}, {-1, -.4}, {-.4, -1}, {.4, -1}, {1, -.4}} {
			if k > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "[%.3f, %.3f]", x+c[0], y+c[1])
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// BenchmarkMemory measures what the guard keeps resident with 1 000 zones in force, and how much more a reload of such a
// set takes at its peak.
func BenchmarkMemory(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	plant.Start(b, m, plant.Config{LockTopic: "/robowarden/lock"})
	s := newSite(b, m, siteConfig{lock: true, zones: thousandZones(), journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	for b.Loop() {
		before := must(g.Usage())(b)
		s.revision++
		if r := g.order(b, s.signPolicy(b, strings.Replace(s.policy, "revision: 1\n", fmt.Sprintf("revision: %d\n", s.revision), 1), s.revision, g.run(b))); !r.Applied {
			b.Fatalf("the policy was not applied: %+v", r)
		}
		after := must(g.Usage())(b)
		settled := after
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && settled.RSSBytes > before.RSSBytes+2e6; {
			time.Sleep(time.Second) // The pause of a poll: the runtime gives memory back in its own time.
			settled = must(g.Usage())(b)
		}
		line := fmt.Sprintf("1 000 zones: resident %.1f MB, peak before the reload %.1f MB, peak with the reload %.1f MB, resident afterwards %.1f MB",
			mb(before.RSSBytes), mb(before.HWMBytes), mb(after.HWMBytes), mb(settled.RSSBytes))
		b.Log(line)
		b.ReportMetric(mb(before.RSSBytes), "MB-resident")
		b.ReportMetric(mb(after.HWMBytes)-mb(before.RSSBytes), "MB-reload-peak")
		keepFigure(b, line)
	}
}

// memoryBar is DESIGN.md's for the three roles together.
const memoryBar = 48e6

// BenchmarkMemoryOfAllRoles measures what guard, steward and courier hold together, with 1 000 zones in force, on a robot
// that drives and reports. Resident counts the program's pages that two roles have in use twice, proportional once.
func BenchmarkMemoryOfAllRoles(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	p := plant.Start(b, m, plant.Config{LockTopic: "/robowarden/lock"})
	w := newWhole(b, m, siteConfig{lock: true, zones: thousandZones(), journalMiB: 256})
	w.run(b)
	w.attested(b, p)
	driver.StartDrive(b, m, driver.Drive{VX: 0.2, W: 0.2})
	for b.Loop() {
		idle(b, memorySettles)
		var all proc.Usage
		for _, role := range []string{"guard", "steward", "courier"} {
			u := must(proc.UsageOf(w.child(b, role)))(b)
			line := fmt.Sprintf("1 000 zones, %s of a whole robot: resident %.1f MB (its own %.1f MB), proportional %.1f MB, peak %.1f MB, %d threads",
				role, mb(u.RSSBytes), mb(u.AnonBytes), mb(u.PSSBytes), mb(u.HWMBytes), u.Threads)
			b.Log(line)
			keepFigure(b, line)
			all.RSSBytes, all.PSSBytes = all.RSSBytes+u.RSSBytes, all.PSSBytes+u.PSSBytes
		}
		u := must(w.Usage())(b)
		line := fmt.Sprintf("1 000 zones, the supervisor of a robot without systemd, beside the three: resident %.1f MB, proportional %.1f MB",
			mb(u.RSSBytes), mb(u.PSSBytes))
		b.Log(line)
		keepFigure(b, line)
		line = fmt.Sprintf("1 000 zones, three roles: resident %.1f MB of %.0f, proportional %.1f MB", mb(all.RSSBytes), memoryBar/1e6, mb(all.PSSBytes))
		b.Log(line)
		keepFigure(b, line)
		if all.RSSBytes > memoryBar {
			b.Errorf("%s: expected less", line)
		}
		b.ReportMetric(mb(all.RSSBytes), "MB-resident")
		b.ReportMetric(mb(all.PSSBytes), "MB-proportional")
	}
}

// memorySettles is how long a robot drives before its memory counts: longer than the roles take to give back what their
// start needed.
const memorySettles = time.Minute

func mb[T ~int64 | ~uint64](n T) float64 { return float64(n) / 1e6 }

// keepFigure adds a line to the report of make bench.
func keepFigure(b *testing.B, line string) {
	b.Helper()
	keepText(b, "- "+line+"\n")
}

// keepText adds text to the report of make bench.
func keepText(b *testing.B, text string) {
	b.Helper()
	path := os.Getenv("ROBOWARDEN_REPORT")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
