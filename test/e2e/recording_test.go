package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/test/dds"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// recorder is ROS's own rosbag record, of which Debian has a program and a script that starts it.
const recorder = "/usr/lib/rosbag/record"

// TestRosbagAgreesWithJournal drives at a closed zone while ROS's own recorder runs beside the guard. Every message that the
// guard decided about is in the bag with the same bits, and with those in place of the journalled ones every decision
// comes out again. Then the bag alone, with receive times of the recorder's, leads to the same trips.
func TestRosbagAgreesWithJournal(t *testing.T) {
	path := recorder
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("rosbag"); err != nil {
			need.Missing(t, "no rosbag here: run test/setup/install.sh")
		}
	}
	for _, compression := range []string{"", "--lz4"} {
		t.Run("rosbag"+compression, func(t *testing.T) { rosbagAgrees(t, path, compression) })
	}
}

func rosbagAgrees(t *testing.T, path, compression string) {
	b := meet(t, bus.ROS)
	p := plant.Start(t, b, plant.Config{})
	s := newSite(t, b, siteConfig{zones: blockedZone("wall", oracle.Rectangle(4, -3, 6, 3))})
	file := s.path("drive.bag")
	argv := []string{path}
	if filepath.Base(path) == "rosbag" {
		argv = append(argv, "record")
	}
	argv = append(argv, "-a", "-O", file)
	if compression != "" {
		argv = append(argv, compression)
	}
	rec := b.Node(t, proc.Spec{Name: "rosbag", Argv: argv})
	until(t, 20*time.Second, "a recording that has begun", func() bool {
		info, err := os.Stat(file + ".active")
		return err == nil && info.Size() > 0
	})
	g := s.start(t)
	g.ready(t)
	driver.StartDrive(t, b, driver.Drive{VX: 1.0, Duration: 6 * time.Second})
	g.standsUnheld(t, p, 30*time.Second)
	live := g.replayed(t)
	rec.Signal(syscall.SIGINT)
	until(t, 20*time.Second, "a recording that is closed", func() bool { _, err := os.Stat(file); return err == nil })

	recordingAgrees(t, s, live, file)
	recordingAlone(t, s, file)
}

// TestMCAPAgreesWithJournal is the same over DDS: another participant takes the samples from the wire, and Foxglove's library
// writes them. Fast DDS's peers are recorded with the names of ROS 2, CycloneDDS's with those of the wire.
func TestMCAPAgreesWithJournal(t *testing.T) {
	for _, vendor := range onDDS(bus.Cyclone) {
		t.Run(string(vendor), func(t *testing.T) {
			t.Parallel()
			mcapAgrees(t, vendor)
		})
	}
}

func mcapAgrees(t *testing.T, vendor bus.Kind) {
	b := domain.Start(t, vendor)
	s := newSite(t, b, siteConfig{
		zones: blockedZone("wall", oracle.Rectangle(4, -3, 6, 3)),
		more:  "recorder:\n  before: 30s\n  after: 1s\n  kinds: [{kind: motion, access: operations, files: 4, mib: 64, keep: 24h}]\n",
	})
	file, names, compression := s.path("drive.mcap"), dds.NamesWire, "zstd"
	if vendor == bus.Fast {
		names, compression = dds.NamesROS, "lz4"
	}
	rec := dds.Record(t, b, file, compression, names)
	p := plant.Start(t, b, plant.Config{})
	g := s.start(t)
	g.ready(t)
	driver.StartDrive(t, b, driver.Drive{VX: 1.0, Duration: 6 * time.Second})
	g.standsUnheld(t, p, 30*time.Second)
	flight := flown(t, g)
	live := g.replayed(t)
	rec.Finish(t)
	recordingAgrees(t, s, live, file)
	recordingAlone(t, s, file)
	recordingAlone(t, s, flight)
}

// flown stops the robot by a signed order and waits for the flight recording of it.
func flown(t *testing.T, g *guard) string {
	t.Helper()
	if got := g.order(t, g.site.stopOrder(t)); !got.Applied {
		t.Fatalf("the order to stop: %+v", got)
	}
	var files []string
	until(t, 30*time.Second, "a flight recording", func() bool {
		files, _ = filepath.Glob(g.site.path("state/flights/operations/*-order.stop-motion.mcap"))
		return len(files) > 0
	})
	return files[0]
}

// recordingAgrees compares by the station's program: with the recording's messages in place of the journalled ones every
// decision has to come out again.
func recordingAgrees(t *testing.T, s *site, live replay.Result, file string) {
	t.Helper()
	raw := command(t, gobin.Product(t, "robowarden-station"), "replay", file, "--journal", s.path("journal"), "--documents", s.path("state/documents"), "--json")
	var a replay.Agreement
	if err := json.NewDecoder(strings.NewReader(raw)).Decode(&a); err != nil {
		t.Fatalf("%v: %.300s", err, raw)
	}
	if want := live.Checked(); !cmp.Equal(a.Checked, want) {
		t.Errorf("with the recording's messages: %+v; expected as live %+v", a.Checked, want)
	}
	journalled, found := 0, 0
	for kind, k := range a.Kinds {
		t.Logf("%s: %d journalled, %d of them before the recorder came, %d recorded", kind, k.Journalled, k.Before, k.Found)
		if kind == "command" {
			// The recorder finds the planner some tenths of a second after the guard, and commands without a stamp look alike: so
			// those that came before the recorder cannot be told from others.
			if float64(k.Found) < 0.8*float64(k.Journalled) {
				t.Errorf("%d of %d commands are recorded", k.Found, k.Journalled)
			}
			continue
		}
		journalled, found = journalled+k.Journalled-k.Before, found+k.Found
	}
	// A recorder may miss a message here and there; when it ends, the guard may have heard a few more.
	if journalled < 500 || float64(found) < 0.99*float64(journalled) {
		t.Errorf("%d of %d journalled messages are recorded", found, journalled)
	}
}

// recordingAlone replays the recording by itself, as an engineer would.
func recordingAlone(t *testing.T, s *site, file string) {
	s.write(t, "plain.yaml", s.policy)
	raw := command(t, gobin.Product(t, "robowarden-station"), "replay", file, "--policy", s.path("plain.yaml"), "--profile", s.path("profile.yaml"),
		"--topics", s.path("topics.yaml"), "--json", "--html", s.path("report.html"))
	var r replay.Report
	if err := json.NewDecoder(strings.NewReader(raw)).Decode(&r); err != nil {
		t.Fatalf("%v: %.300s", err, raw)
	}
	if r.Timeline.Commands.Total == 0 || r.Timeline.Commands.Clipped == 0 {
		t.Errorf("commands %+v; expected some to be cut before the wall", r.Timeline.Commands)
	}
	if info, err := os.Stat(s.path("report.html")); err != nil || info.Size() < 10_000 {
		t.Errorf("report: %v", err)
	}
}
