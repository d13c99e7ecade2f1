package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

const (
	// edge is where the zone begins in front of the robot, in metres.
	edge = 3.0
	// cruise is how fast the planner drives, in m/s.
	cruise = 0.8
	// binaryBudget and memoryBudget are DESIGN's, in bytes and KiB (48 MB).
	binaryBudget = 16 << 20
	memoryBudget = 48_000_000 >> 10
	// silence is what the robot's own timeouts add when the guard says nothing any more.
	silence = 500 * time.Millisecond
)

// slowStreams are few enough messages for an emulated processor on a host that has others to serve as well.
var slowStreams = []string{"--joints-hz=20", "--imu-hz=25"}

func pharmacy() oracle.Zone {
	return oracle.Zone{ID: "pharmacy", Outer: oracle.Rectangle(edge, -3, edge+4, 3)}
}

// stopTime is the profile's time from a zero command to rest at cruise speed.
func stopTime() time.Duration {
	brake := time.Duration(cruise / decelMPS2 * float64(time.Second))
	return detection + actuation + brake + brake/5 + 500*time.Millisecond
}

// TestARM64Machine is a day of a robot computer: it starts, proves what it runs, holds a robot on another computer to
// the rules, is killed, is reset, and still knows what was latched. Its steps build on each other.
func TestARM64Machine(t *testing.T) {
	t.Parallel()
	able(t)
	r := &robot{whole: t, master: ros.StartMaster(t, ros.Options{Address: wire.Host}), station: newStation(t)}
	r.site = newSite(t, r.master, r.station, pharmacy().Outer)
	r.plant = plant.Start(t, r.master, plant.Config{LockTopic: "/robowarden/lock", OdomHz: 25, Extra: slowStreams})
	var err error
	if r.Machine, err = Boot(t, Config{Parts: made.Parts, Disk: r.site.dir}); err != nil {
		t.Fatal(err)
	}
	var first proof
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"boots", r.boots},
		{"attests", func(t *testing.T) { first = r.attests(t) }},
		{"is enrolled", r.enrol},
		{"keeps the robot out", r.keepsOut},
		{"reports after it has attested", r.accepted},
		{"stays within memory", r.memory},
		{"killed guard leaves the robot at rest", r.killed},
		{"unlogged extend is refused", r.refused},
		{"latches survive a reset of the machine", r.reset},
		{"attests after the reset", func(t *testing.T) { r.attestsAgain(t, first) }},
		{"reports after it has attested anew", r.accepted},
		{"decides as replayed on the host", r.replays},
		{"nothing that it reported is missing", r.reported},
		{"reset under way leaves the robot at rest", r.resetUnderWay},
	} {
		begun, before := time.Now(), r.CPU()
		if !t.Run(step.name, step.do) {
			t.Fatalf("step %q failed; the product wrote:\n%s\nits journal ends:\n%s", step.name, r.log(t), r.decisions(t))
		}
		t.Logf("%5.1f s, %5.1f s of processor: %s", time.Since(begun).Seconds(), (r.CPU() - before).Seconds(), step.name)
	}
}

func (r *robot) boots(t *testing.T) {
	f := must(r.Facts(within(t, patience)))(t)
	t.Logf("userland after %.2f s of the machine's clock, %.1f s of the host's with firmware; %s %s, %d of %d MiB available",
		f.Userland.Seconds(), r.BootTook().Seconds(), f.Machine, f.Kernel, f.MemAvailableKiB>>10, f.MemTotalKiB>>10)
	r.bootIDs = append(r.bootIDs, f.BootID)
	if f.Machine != "aarch64" || !strings.HasPrefix(made.Parts.Release, f.Kernel+" ") {
		t.Errorf("machine %q with kernel %q: expected aarch64 with %q", f.Machine, f.Kernel, made.Parts.Release)
	}
	program := must(os.ReadFile(made.Parts.Program))(t)
	want := sha256.Sum256(program)
	if f.ProgramSHA256 != hex.EncodeToString(want[:]) {
		t.Errorf("the machine has another program than was built: %s", f.ProgramSHA256)
	}
	t.Logf("robot binary: %d bytes of %d", f.ProgramBytes, binaryBudget)
	if f.ProgramBytes > binaryBudget {
		t.Errorf("the robot binary is larger than %d bytes", binaryBudget)
	}
}

// keepsOut drives at the zone from the outside and judges by ground truth.
func (r *robot) keepsOut(t *testing.T) {
	r.guard(t)
	s := r.await(t, "a guard that has started", func(s *agent.Status) bool { return !has(s, "startup") })
	// Without these the later steps would prove nothing.
	if has(&s, "restart.unclean") || has(&s, "order.stop") || s.Advisory {
		t.Errorf("a first start: triggers %v, advisory %t", codes(&s), s.Advisory)
	}
	var k oracle.KeepOut
	// How close it gets depends on how busy the host is; that it comes close at all shows that the zone has stopped it.
	const near = 0.6
	for deadline := time.Now().Add(2 * patience); ; {
		r.goes(t, cruise)
		r.stands(t)
		var err error
		if k, err = oracle.JudgeKeepOut(r.plant.Truth(t), contour, []oracle.Zone{pharmacy()}); err != nil {
			t.Fatal(err)
		}
		if k.Inside || k.FinalGapM < near {
			break
		}
		if s, _ = r.status(t); time.Now().After(deadline) {
			t.Fatalf("gap %.3f m: something else stops the robot: %v", k.FinalGapM, codes(&s))
		}
	}
	t.Logf("gap %.3f m (required %.3f), fastest %.2f m/s", k.FinalGapM, staticMarginM, k.MaxSpeedMPS)
	if k.Inside {
		t.Errorf("inside %q at %+v", k.Zone, k.At)
	}
}

// memory measures the roles as they run. Resident counts the program's pages that several roles use once for each of them,
// proportional once. The supervisor of a robot without systemd is none of the three.
func (r *robot) memory(t *testing.T) {
	var resident, shared int64
	for _, p := range must(r.Processes(within(t, patience)))(t) {
		t.Logf("%-8s resident %5d KiB (peak %5d), proportional %5d KiB, %d threads, %d files, scheduling policy %d, %.1f s of the emulated processors",
			p.Argv[1], p.RSSKiB, p.HWMKiB, p.PSSKiB, p.Threads, p.Files, p.Policy, p.CPU.Seconds())
		if p.Argv[1] != "run" {
			resident += p.RSSKiB
			shared += p.PSSKiB
		}
	}
	t.Logf("three roles: resident %d KiB, proportional %d KiB of %d, with %d zones", resident, shared, memoryBudget, zoneCount)
	if shared == 0 || shared > memoryBudget {
		t.Errorf("the roles hold %d KiB together: expected at most %d", shared, memoryBudget)
	}
}

// killed drives away from the zone and kills the guard meanwhile.
func (r *robot) killed(t *testing.T) {
	old := r.role(t, "guard")
	trigger := r.underWay(t)
	if err := r.Signal(within(t, patience), old.PID, int(syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	r.restsWithin(t, trigger, silence+stopTime())
	s := r.await(t, "a new guard that holds after an unclean end", func(s *agent.Status) bool {
		return has(s, "restart.unclean") && !has(s, "startup")
	})
	if s.Axes.Motion != "hold" && s.Axes.Motion != "stop" {
		t.Errorf("motion %q after an unclean end", s.Axes.Motion)
	}
	if p := r.role(t, "guard"); p.PID == old.PID {
		t.Errorf("the guard that was killed still runs as %d", p.PID)
	}
	r.goes(t, -cruise)
}

// reset latches a stop, resets the machine as its button would, and looks for the latch.
func (r *robot) reset(t *testing.T) {
	r.order(t, r.site.stopOrder)
	before := r.await(t, "a latched stop", func(s *agent.Status) bool { return has(s, "order.stop") })
	r.stands(t)
	begun, err := r.Machine.Reset()
	if err != nil {
		t.Fatal(err)
	}
	at := r.now(t)
	if err := r.Booted(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	t.Logf("userland again %.1f s after the reset", r.BootTook().Seconds())
	r.guard(t)
	after := r.await(t, "the latches of before and an unclean end", func(s *agent.Status) bool {
		return has(s, "order.stop") && has(s, "restart.unclean") && !has(s, "startup")
	})
	r.bootIDs = append(r.bootIDs, after.BootID)
	if after.BootID == before.BootID {
		t.Errorf("boot id %s before and after: the machine was not reset", after.BootID)
	}
	// The planner has been sending all the time.
	for _, s := range r.plant.Truth(t).Since(at).Samples {
		if s.Speed() > 0.01 {
			t.Fatalf("the robot moved at %v with %.2f m/s while a stop was latched", s.T, s.Speed())
		}
	}
	// A planner that never stopped sending does not start the robot when the stop is reset.
	r.release(t)
	r.stands(t)
	r.goes(t, -cruise)
}

// replays ends the guard in order and lets the host replay what the machine recorded: every decision must come out the
// same on another architecture.
func (r *robot) replays(t *testing.T) {
	if out := r.end(t); out.Exit != "exit status 0" {
		t.Errorf("the product ended with %q:\n%s", out.Exit, out.Text)
	}
	dir := t.TempDir()
	for _, part := range []string{"journal", "state/documents"} {
		if err := r.Tree(within(t, patience), wire.Data+"/"+part, dir+"/"+part); err != nil {
			t.Fatal(err)
		}
	}
	got, err := replay.Dir(dir+"/journal", replay.Documents(dir+"/state/documents"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("replayed %d events, digest %016x", got.Events, got.Digest)
	if !got.OK() || got.Events == 0 {
		t.Errorf("replay: %d events, mismatches %+v", got.Events, got.Mismatches)
	}
}

// resetUnderWay starts after an orderly end, which leaves nothing latched, and takes the machine away while the robot drives.
func (r *robot) resetUnderWay(t *testing.T) {
	r.guard(t)
	s := r.await(t, "a guard that has started", func(s *agent.Status) bool { return !has(s, "startup") })
	if has(&s, "restart.unclean") {
		t.Errorf("after an orderly end: triggers %v", codes(&s))
	}
	trigger := r.underWay(t)
	if _, err := r.Machine.Reset(); err != nil {
		t.Fatal(err)
	}
	r.restsWithin(t, trigger, silence+stopTime())
}

// TestWithoutGuardRobotEnters is the off run: the same robot and planner, with nobody in between.
func TestWithoutGuardRobotEnters(t *testing.T) {
	t.Parallel()
	able(t)
	m := ros.StartMaster(t, ros.Options{Address: wire.Host})
	p := plant.Start(t, m, plant.Config{})
	driver.StartDrive(t, m, driver.Drive{VX: cruise, Topic: "/cmd_vel"})
	until(t, patience, "the robot in the zone", func() bool {
		k, err := oracle.JudgeKeepOut(p.Truth(t), contour, []oracle.Zone{pharmacy()})
		return err == nil && k.Inside
	})
}
