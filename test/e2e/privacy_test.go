package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

const (
	// openCode is the trigger of a camera that is open while the robot has to be private.
	openCode = "perception.open"
	// closingTime is what the table gives cameras to close: its start delay.
	closingTime = time.Second
	// lookLate is by how much the guard may see late that a camera is open: a look of the steward's, and a loop.
	lookLate = 600 * time.Millisecond
)

// bath is the zone in which the robot has to be private. It lies on the way of a robot that drives from the origin along x, long
// enough to stop in it.
var bath = oracle.Rectangle(1.8, -2, 3.6, 2)

// pastBath is where the whole contour and the zone's margin lie behind the robot, in metres.
const pastBath = 4.4

// camera is the driver of a camera that records from its start on.
type camera struct {
	*proc.Process
	lines *os.File
	// device is the device file that it has open while it records.
	device string
}

// startCamera starts a camera whose device file is one of the test's own, which has to lie below /dev. Domains have a /dev/shm of
// their own.
func startCamera(t testing.TB, b bus.Bus) *camera {
	t.Helper()
	need.Root(t)
	f := must(os.CreateTemp("/dev", "robowarden-camera-*"))(t)
	t.Cleanup(func() { _ = os.Remove(f.Name()) })
	_ = f.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	spec := bus.Peer(t, b, "camera", "/camera", "--device="+f.Name())
	spec.Stdin = r
	c := &camera{Process: b.Node(t, spec), lines: w, device: f.Name()}
	_ = r.Close()
	c.says(t, "camera ready")
	return c
}

// says waits until the camera has said what the pattern matches and returns that.
func (c *camera) says(t testing.TB, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return must(c.WaitOutput(ctx, pattern))(t)
}

// will makes the camera obey or lie from now on.
func (c *camera) will(t testing.TB, how string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.lines, how); err != nil {
		t.Fatal(err)
	}
	c.says(t, "(?m)^will "+how+"$")
}

// askedSince waits until the camera was asked to be private after a given time, and says when that was, both on CLOCK_BOOTTIME.
// The guard asks at once when it has to be.
func (c *camera) askedSince(t testing.TB, open time.Duration) (at time.Duration) {
	t.Helper()
	until(t, 30*time.Second, "a camera that is asked to be private", func() bool {
		for _, m := range askedPrivate.FindAllStringSubmatch(c.Output(), -1) {
			ns, err := strconv.ParseInt(m[1], 10, 64)
			if at = time.Duration(ns); err == nil && at > open {
				return true
			}
		}
		return false
	})
	return at
}

var askedPrivate, askedOpen = regexp.MustCompile(`(?m)^asked 1 (\d+)$`), regexp.MustCompile(`(?m)^asked 0 (\d+)$`)

// privacyCase is one run through the zone.
type privacyCase struct {
	// lies says that the camera goes on although it was asked; held, that another process has its device file open.
	lies, held bool
	// unseen leaves the device file out of the profile, so that the steward does not look for it; more is YAML of the policy.
	unseen bool
	more   string
}

// bathed is a robot that drives towards the zone, with a steward and a camera.
type bathed struct {
	*robot
	cam *camera
	// open is when the camera was last told that it may record, on CLOCK_BOOTTIME: a guard that starts knows no place, and is
	// private until it does.
	open time.Duration
	// release closes the device file that this process has open.
	release func()
}

func (c *privacyCase) start(t *testing.T, b bus.Bus) *bathed {
	t.Helper()
	out := &bathed{cam: startCamera(t, b), release: func() {}}
	if c.lies {
		out.cam.will(t, "lie")
	}
	if c.held {
		f := must(os.Open(out.cam.device))(t)
		out.release = func() { _ = f.Close() }
		t.Cleanup(out.release)
	}
	s := siteConfig{lock: true, camera: true, steward: true, recorder: out.cam.device, more: c.more, zones: zoneYAML("bath", "PRIVACY", bath, "")}
	if c.unseen {
		s.recorder = ""
	}
	out.robot = drivingWith(t, b, s, plant.Config{}, func(s *site) {
		proc.StartT(t, proc.Spec{Name: "steward", Argv: append(seeing(), binary(t), "steward", "--deployment", s.path("deployment.yaml"))})
	})
	for _, m := range askedOpen.FindAllStringSubmatch(out.cam.Output(), -1) {
		out.open = time.Duration(must(strconv.ParseInt(m[1], 10, 64))(t))
	}
	return out
}

// seeing is what comes before a steward that has to see every process of its computer, as its unit lets it. In a container the first
// process may belong to whoever runs it, who lets nobody look: then there is none for the steward. Its robot's computer is its own:
// what other tests do on this one must not take the second that cameras have.
func seeing() []string {
	out := []string{"nice", "-n", "-20"}
	if _, err := os.Readlink("/proc/1/fd/0"); errors.Is(err, os.ErrPermission) {
		out = append(out, "unshare", "--mount", "--", "sh", "-c", `mount -t tmpfs none /proc/1 && exec "$@"`, "sh")
	}
	return out
}

// stoodInside says what is wrong with a robot that has to come to rest because something recorded since the given time: nil if it
// did in time, and not before cameras had their second.
func stoodInside(truth oracle.Truth, private time.Duration) error {
	took, err := oracle.TimeToRest(truth, private, rest)
	if err != nil {
		return err
	}
	if bar := closingTime + lookLate + stopTime(); took > bar {
		return fmt.Errorf("at rest %v after it had to be private: expected at most %v", took, bar)
	}
	zero, err := oracle.TimeToZeroCommand(truth, private)
	if err == nil && zero < closingTime-100*time.Millisecond {
		return fmt.Errorf("the first zero came after %v: expected that cameras have %v to close", zero, closingTime)
	}
	return err
}

// caught waits for the trigger with its cause and for rest, both within the time that the table states since the guard knew that it
// had to be private. The camera has to have been asked by then.
func (r *bathed) caught(t *testing.T, cause, motion string) {
	t.Helper()
	asked := r.cam.askedSince(t, r.open)
	var private, fired time.Duration
	r.g.await(t, openCode+" because of "+cause, 10*time.Second, func(s agent.Status) bool {
		private, fired = sinceOf(s, "zone.privacy"), sinceOf(s, openCode)
		return causeOf(s, openCode) == cause && s.Axes.Motion == motion && s.Axes.Perception == "private"
	})
	until(t, 10*time.Second, "a robot at rest", func() bool { _, err := oracle.TimeToRest(r.p.Truth(t), private, rest); return err == nil })
	took, _ := oracle.TimeToRest(r.p.Truth(t), private, rest)
	t.Logf("figures: private, the camera asked %v later, %s %v later, at rest %v later", asked-private, openCode, fired-private, took)
	if err := stoodInside(r.p.Truth(t), private); err != nil {
		t.Error(err)
	}
	if asked > private+closingTime {
		t.Errorf("the camera was asked after %v: expected at once", asked-private)
	}
}

// freed waits until the trigger has ended by itself, in a robot that is private still.
func (r *bathed) freed(t *testing.T) {
	t.Helper()
	r.g.await(t, "a robot that is private and free", 10*time.Second, func(s agent.Status) bool {
		return !has(s, openCode) && s.Axes.Perception == "private" && s.Axes.Motion == "free"
	})
}

// causeOf is why a trigger is active, empty while it is not; sinceOf is since when, on CLOCK_BOOTTIME.
func causeOf(s agent.Status, code string) string {
	for _, tr := range s.Triggers {
		if tr.Code == code {
			return tr.Cause
		}
	}
	return ""
}

func sinceOf(s agent.Status, code string) time.Duration {
	for _, tr := range s.Triggers {
		if tr.Code == code {
			return time.Duration((s.BootS - tr.SinceS) * float64(time.Second))
		}
	}
	return 0
}

// passes waits until the robot has the zone behind it, and says whether it stood on the way.
func (r *bathed) passes(t *testing.T) (stood bool) {
	t.Helper()
	from := r.now(t)
	r.p.WaitTruth(t, 30*time.Second, "a robot past the zone", func(s oracle.Sample) bool { return s.X > pastBath })
	return slices.ContainsFunc(r.p.Truth(t).Since(from).Samples, func(s oracle.Sample) bool { return s.Speed() < cruise/2 })
}

// TestCameraThatCloses: a camera that ends its stream when it is asked restricts nothing: the robot drives through the zone as if
// there were none, and behind it the camera is told that it may record again. On a machine that other tests keep busy the steward may
// look too late; TestCameraThatClosesItsDeviceFile has it look as well.
func TestCameraThatCloses(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) { cameraThatCloses(t, b, privacyCase{unseen: true}) })
}

func cameraThatCloses(t *testing.T, b bus.Bus, c privacyCase) {
	r := c.start(t, b)
	seen := r.g.watchTriggers(t)
	if r.passes(t) {
		t.Error("the robot was slowed down although its camera closed")
	}
	private := r.cam.askedSince(t, r.open)
	until(t, 10*time.Second, "a camera that may record again", func() bool {
		out := r.cam.Output()
		return strings.LastIndex(out, "asked 0 ") > strings.LastIndex(out, "asked 1 ")
	})
	if codes := seen(); slices.Contains(codes, openCode) {
		t.Errorf("%s fired although the camera closed: %v", openCode, codes)
	}
	if _, after, _ := strings.Cut(r.cam.Output(), fmt.Sprint(private.Nanoseconds())); c.unseen && strings.Contains(after, "asked 1 ") {
		t.Error("the camera was asked once more to be private although it was")
	}
	r.g.replayed(t)
}

// TestCameraThatStreamsOn: a camera that says that it has closed and streams on holds the robot, for as long as it does.
func TestCameraThatStreamsOn(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) {
		r := (&privacyCase{lies: true, unseen: true}).start(t, b) // The stream alone: nobody looks for its device file.
		r.caught(t, "a device is active", "hold")
		r.cam.will(t, "obey") // the next time that it is asked, which is within a second
		r.freed(t)
	})
}

// TestDeviceFileThatIsOpen: the stream has ended, but a process has the device file open. The steward sees it, the status names
// it, and the robot is held until it is closed.
func TestDeviceFileThatIsOpen(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) {
		r := (&privacyCase{held: true}).start(t, b)
		r.caught(t, "a process has a recording device open", "hold")
		r.g.await(t, "the process that has the device file open, and no other", 5*time.Second, func(s agent.Status) bool {
			return len(s.Roles.Recording) == 1 && s.Roles.Recording[0].Path == r.cam.device && s.Roles.Recording[0].PID == os.Getpid()
		})
		r.release()
		r.freed(t)
		r.drives(t)
		r.g.replayed(t)
	})
}

// offPrivacy are the off runs: with the rule switched off, or without the steward's facts, nothing stops the robot.
var offPrivacy = map[string]privacyCase{
	"rule off":     {lies: true, more: "triggers:\n  - {code: " + openCode + ", enabled: false, reason: the off run of a test}\n"},
	"nobody looks": {held: true, unseen: true},
}

// TestNobodyLooksForCameras are the off runs on ROS 1: the judge of the tests above has to say that the robot did not stand.
func TestNobodyLooksForCameras(t *testing.T) {
	t.Parallel()
	for name, c := range offPrivacy {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nobodyLooks(t, meet(t, bus.ROS), c)
		})
	}
}

func nobodyLooks(t *testing.T, b bus.Bus, c privacyCase) {
	r := c.start(t, b)
	seen := r.g.watchTriggers(t)
	private := r.cam.askedSince(t, r.open)
	if r.passes(t) {
		t.Errorf("the robot was slowed down by %v", seen())
	}
	err := stoodInside(r.p.Truth(t), private)
	if err == nil {
		t.Error("off run: the judge takes a robot that drives on for one that stood")
	}
	t.Logf("off run: %v", err)
}
