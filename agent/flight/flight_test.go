package flight

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foxglove/mcap/go/mcap"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/recording"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// desk is a journal under a recorder, fed by hand.
type desk struct {
	t    *testing.T
	cfg  *config.Config
	log  *journal.Log
	rec  *Recorder
	boot time.Duration
	out  strings.Builder
}

var bootID = [16]byte{7}

func newDesk(t *testing.T, recorder string) *desk {
	t.Helper()
	raw, err := os.ReadFile("../../configs/demo/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(raw), "\nrecorder:\n")
	_, rest, _ = strings.Cut(rest, "\n\n")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(head+"\n"+rest+recorder), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, boot: time.Minute}
	if d.cfg, err = config.Load(nil, "../../configs/demo/profile.yaml", "../../configs/demo/topics.yaml", policy); err != nil {
		t.Fatal(err)
	}
	d.cfg.Deployment = &config.Deployment{Serial: "demo-humanoid-01"}
	folder := t.TempDir()
	o := journal.DefaultOptions(bootID, func() time.Duration { return d.boot })
	o.SegmentBytes, o.QuotaBytes = 64<<10, 64<<20
	if d.log, err = journal.Open(filepath.Join(folder, "journal"), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.log.Close(context.Background()) })
	d.rec = New(Options{
		Journal: filepath.Join(folder, "journal"), Folder: filepath.Join(folder, "flights"), BootID: bootID,
		Boot: func() time.Duration { return d.boot }, Config: func() *config.Config { return d.cfg }, Log: zerolog.New(&d.out),
	})
	return d
}

const civil = int64(1_772_000_000_000_000_000)

func (d *desk) append(kind uint8, payload []byte) {
	d.rec.Note(kind, d.boot, payload)
	if _, ok := d.log.Append(journal.Kind(kind), d.boot, payload, false); !ok {
		d.t.Fatal("the ring is full")
	}
}

func (d *desk) event(ev guard.Event) {
	ev.Boot, ev.Civil = d.boot, civil+int64(d.boot)
	d.append(guard.RecordEvent, append(guard.AppendEvent(nil, &ev), make([]byte, 8)...))
}

// decide records a decision that demands m of motion.
func (d *desk) decide(m interlock.Motion) {
	b := make([]byte, 21+1+1+2+2+1+8)
	b[0], b[20] = byte(m), 1
	d.append(guard.RecordDecision, b)
}

// drive feeds seconds of a robot's inputs at 20 Hz.
func (d *desk) drive(seconds int) {
	peer := &msg.Peer{ID: 3, Strength: msg.SourceBound}
	for range seconds * 20 {
		d.boot += 50 * time.Millisecond
		h := msg.Header{Stamp: civil + int64(d.boot) - 1e6, Frame: "map", Seq: 9, Peer: peer}
		at := d.boot.Seconds()
		d.event(guard.Event{Kind: guard.EventTick})
		d.event(guard.Event{Kind: guard.EventPose, Pose: &msg.Pose{
			Header: h, Position: msg.Vec3{X: at, Y: 2}, Orientation: msg.Quat{W: 1}, HasCovariance: true, Covariance: [36]float64{0: .01, 7: .01, 35: .02},
		}})
		d.event(guard.Event{Kind: guard.EventOdometry, Pose: &msg.Pose{
			Header: h, Child: "base_link", Orientation: msg.Quat{W: 1}, HasCovariance: true, HasTwist: true, Twist: msg.Twist{Linear: msg.Vec3{X: .5}},
		}})
		d.event(guard.Event{Kind: guard.EventJoints, Joints: &msg.Joints{Header: h, N: 3, Seen: 0b101, HasVelocity: true, Position: [msg.MaxJoints]float64{at, 0, math.Inf(1)}}})
		d.event(guard.Event{Kind: guard.EventIMU, IMU: &msg.IMU{Header: h, HasAngularVelocity: true, AngularVelocity: msg.Vec3{Z: .1}}})
		d.event(guard.Event{Kind: guard.EventCommand, Command: &msg.Command{Header: h, Twist: msg.Twist{Linear: msg.Vec3{X: .6}}}})
		d.event(guard.Event{Kind: guard.EventDevice, Device: &msg.Device{Header: h, Kind: msg.Battery, ChargeRatio: .5, Active: true}})
		d.event(guard.Event{Kind: guard.EventDevice, Device: &msg.Device{Header: h, Kind: msg.Camera, Active: true}})
		d.event(guard.Event{Kind: guard.EventOrder, Order: guard.Order{Kind: guard.OrderReset, Zone: -1}})
	}
	d.sync()
}

func (d *desk) sync() {
	done := make(chan struct{})
	go func() { defer close(done); _ = d.log.Run(d.t.Context()) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if d.log.Sync(ctx) != nil {
		<-done // It ran before: the first Run writes on.
	}
}

// trip lets the robot drive, trip and drive on, and records it.
func (d *desk) trip() {
	d.t.Helper()
	d.decide(interlock.MotionFree)
	d.drive(30)
	d.decide(interlock.MotionHold)
	d.drive(30)
	d.rec.safely("a flight recording", func() error { return d.rec.record(d.t.Context(), <-d.rec.trips) })
}

func (d *desk) files() []string {
	list, err := filepath.Glob(filepath.Join(d.rec.o.Folder, "*", "*"))
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// read opens a recording with Foxglove's reader, by its index.
func read(t *testing.T, name string) (topics map[string]int, types map[string]string, first, last uint64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := mcap.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	info, err := r.Info()
	if err != nil {
		t.Fatal(err)
	}
	topics, types = map[string]int{}, map[string]string{}
	it, err := r.Messages(mcap.UsingIndex(true), mcap.InOrder(mcap.LogTimeOrder))
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for {
		s, c, m, err := it.NextInto(nil)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Data) == 0 {
			t.Fatalf("%s has no definition", s.Name)
		}
		if n++; n == 1 {
			first = m.LogTime
		}
		last = m.LogTime
		topics[c.Topic]++
		types[c.Topic] = s.Name
	}
	if n != info.Statistics.MessageCount {
		t.Errorf("%d messages, the statistics say %d", n, info.Statistics.MessageCount)
	}
	return topics, types, first, last
}

func TestTripIsRecorded(t *testing.T) {
	d := newDesk(t, "")
	d.trip()
	files := d.files()
	if len(files) != 1 || !strings.Contains(files[0], "/operations/") || !strings.HasSuffix(files[0], "-motion.mcap") {
		t.Fatalf("expected one whole recording, found %v\n%s", files, d.out.String())
	}
	topics, types, first, last := read(t, files[0])
	cfg := d.cfg.Topics
	for topic, typ := range map[string]string{
		cfg.Pose.Topic: "geometry_msgs/PoseWithCovarianceStamped", cfg.Odometry.Topic: "nav_msgs/Odometry", cfg.Joints.Topic: "sensor_msgs/JointState",
		cfg.IMU.Topic: "sensor_msgs/Imu", cfg.Commands[0].Topic: "geometry_msgs/Twist", cfg.Battery.Topic: "sensor_msgs/BatteryState",
	} {
		if n := topics[topic]; n < 595 || n > 605 || types[topic] != typ {
			t.Errorf("%s: %d messages of type %q, expected about 600 of %s", topic, n, types[topic], typ)
		}
	}
	if topics[topicDecisions] != 1 {
		t.Errorf("%d decisions, expected the trip", topics[topicDecisions])
	}
	if n := topics[topicEvents] + topics[cfg.Cameras[0].Topic]; n != 0 {
		t.Errorf("%d messages of people and cameras in a recording of motion", n)
	}
	if span := time.Duration(last - first); span < 29*time.Second || span > 30*time.Second { //nolint:gosec // a time of this century
		t.Errorf("the recording covers %v, expected 20 s before and 10 s after", span)
	}
}

// seen takes what a router hands on.
type seen struct {
	recording.Handler
	pose    msg.Pose
	odom    msg.Pose
	joints  msg.Joints
	imu     msg.IMU
	command msg.Command
	device  msg.Device
}

func (s *seen) Pose(m *msg.Pose)       { s.pose = *m }
func (s *seen) Odometry(m *msg.Pose)   { s.odom = *m }
func (s *seen) Joints(m *msg.Joints)   { s.joints = *m }
func (s *seen) IMU(m *msg.IMU)         { s.imu = *m }
func (s *seen) Command(m *msg.Command) { s.command = *m }
func (s *seen) Device(m *msg.Device)   { s.device = *m }

// TestRecordedIsWhatWasSeen reads a recording back through the guard's own decoders.
func TestRecordedIsWhatWasSeen(t *testing.T) {
	d := newDesk(t, "")
	d.trip()
	got := &seen{}
	router := recording.NewRouter(d.cfg, got, false)
	r, err := recording.Open(d.files()[0], router.Want)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var m recording.Message
	for err == nil {
		if err = r.Next(&m); err == nil {
			router.Take(&m, 0)
		}
	}
	if !errors.Is(err, io.EOF) || len(r.Warnings()) != 0 {
		t.Fatal(err, r.Warnings())
	}
	for ch, route := range router.Routes() {
		if route.Refused != "" || route.Malformed > 0 {
			t.Errorf("%s: refused %q, malformed %s", ch.Topic, route.Refused, route.FirstError)
		}
	}
	// The last that was recorded: 10 s after the trip at 90 s.
	at := 100.0
	h := msg.Header{Stamp: civil + 100e9 - 1e6, Frame: "map", Seq: 9}
	got.pose.Peer, got.odom.Peer, got.joints.Peer, got.imu.Peer = nil, nil, nil, nil
	want := msg.Pose{Header: h, Position: msg.Vec3{X: at, Y: 2}, Orientation: msg.Quat{W: 1}, HasCovariance: true, Covariance: [36]float64{0: .01, 7: .01, 35: .02}}
	if diff := cmp.Diff(want, got.pose); diff != "" {
		t.Errorf("pose: %s", diff)
	}
	if got.odom.Child != "base_link" || got.odom.Twist.Linear.X != .5 {
		t.Errorf("odometry: %+v", got.odom)
	}
	if j := &got.joints; j.Seen != 0b101 || j.Position[0] != at || !math.IsInf(j.Position[2], 1) || !j.HasVelocity || j.HasEffort {
		t.Errorf("joints: %+v", got.joints)
	}
	if m := &got.imu; m.HasOrientation || !m.HasAngularVelocity || m.HasLinearAcceleration || m.AngularVelocity.Z != .1 {
		t.Errorf("imu: %+v", got.imu)
	}
	if got.command.Linear.X != .6 || got.device.ChargeRatio != .5 || !got.device.Active {
		t.Errorf("command %+v, device %+v", got.command, got.device)
	}
}

const kinds = `
recorder:
  before: 5s
  after: 2s
  kinds:
    - {kind: motion, access: operations, files: 2, mib: 4, keep: 720h}
    - {kind: people, access: data-protection, files: 1, mib: 4, keep: 24h}
    - {kind: cameras, access: data-protection, files: 1, mib: 4, keep: 24h}
`

// TestKindsAndRetention: each kind in its folder, the oldest go first.
func TestKindsAndRetention(t *testing.T) {
	d := newDesk(t, kinds)
	for range 4 {
		d.trip()
	}
	count := map[string]int{}
	for _, f := range d.files() {
		name := strings.TrimSuffix(filepath.Base(f), whole)
		count[filepath.Base(filepath.Dir(f))+" "+name[strings.LastIndex(name, "-")+1:]]++
	}
	if diff := cmp.Diff(map[string]int{"operations motion": 2, "data-protection people": 1, "data-protection cameras": 1}, count); diff != "" {
		t.Fatal(diff, d.out.String())
	}
	newest := d.files()
	old := time.Now().Add(-48 * time.Hour)
	for _, f := range newest {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.rec.tidy(); err != nil {
		t.Fatal(err)
	}
	if left := d.files(); len(left) != 2 {
		t.Errorf("after two days motion alone is kept, found %v", left)
	}
}

// TestRoomIsKept prunes by size, age and count: the oldest go first, other kinds and others' files stay; files and folders are
// for the guard's user alone.
func TestRoomIsKept(t *testing.T) {
	root := t.TempDir()
	k := &config.RecordedKind{Kind: "motion", Access: "operations", Files: 4, MiB: 1, Keep: time.Hour}
	put := func(access, name string, kib int, age time.Duration) {
		file := filepath.Join(root, access, name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(strings.Repeat("x", kib<<10)), 0o600), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	put("operations", "20260101T000000.000Z-a-motion.mcap", 300, 0)
	put("before", "20260102T000000.000Z-a-motion.cut.mcap", 300, 0) // the class had another name once
	put("operations", "20260103T000000.000Z-a-motion.mcap", 300, 2*time.Hour)
	put("operations", "20260104T000000.000Z-a-motion.mcap", 300, 0)
	put("operations", "20260105T000000.000Z-a-motion.mcap", 300, 0)
	put("people", "20260101T000000.000Z-a-people.mcap", 3000, 2*time.Hour)
	put("operations", "notes.txt", 3000, 2*time.Hour)
	left := func() string {
		list, _ := filepath.Glob(filepath.Join(root, "*", "*"))
		for i := range list {
			list[i] = filepath.Base(list[i])
		}
		return strings.Join(list, " ")
	}
	if err := prune(root, k, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := left(), "20260102T000000.000Z-a-motion.cut.mcap 20260104T000000.000Z-a-motion.mcap 20260105T000000.000Z-a-motion.mcap notes.txt 20260101T000000.000Z-a-people.mcap"; got != want {
		t.Errorf("left: %s; expected %s", got, want)
	}
	if err := prune(root, k, 500<<10); err != nil {
		t.Fatal(err)
	}
	if got := left(); strings.Contains(got, "20260104") || !strings.Contains(got, "20260105") {
		t.Errorf("with room for half a mebibyte: %s", got)
	}
	d := newDesk(t, "")
	d.trip()
	for _, name := range append(d.files(), filepath.Dir(d.files()[0])) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; expected it for its owner alone", name, err, info.Mode())
		}
	}
}

// TestOffKeepsNothing is the recorder's off run.
func TestOffKeepsNothing(t *testing.T) {
	d := newDesk(t, "\nrecorder: {enabled: false, reason: the fleet records everything itself}\n")
	d.trip()
	if files := d.files(); len(files) != 0 {
		t.Errorf("switched off, found %v", files)
	}
}

// TestFullIsCut: one file takes a quarter of its kind's room at most.
func TestFullIsCut(t *testing.T) {
	d := newDesk(t, strings.Replace(kinds, "before: 5s", "before: 60s", 1))
	d.decide(interlock.MotionFree)
	big := strings.Repeat("x", 250)
	for range 40 {
		for range 200 {
			d.boot += 5 * time.Millisecond
			d.event(guard.Event{Kind: guard.EventPeer, Peer: guard.PeerEvent{Change: guard.PeerRefused, Name: big}})
		}
		d.sync()
	}
	d.decide(interlock.MotionStop)
	d.drive(3)
	d.rec.safely("", func() error { return d.rec.record(t.Context(), <-d.rec.trips) })
	for _, f := range d.files() {
		info, err := os.Stat(f)
		if err != nil || info.Size() > 1<<20+2*chunkBytes {
			t.Errorf("%s: %v, %d bytes", f, err, info.Size())
		}
		if strings.Contains(f, "motion") != strings.HasSuffix(f, cutShort) {
			t.Errorf("%s: expected the one that is full to say that it is cut", f)
		}
		read(t, f)
	}
}

// TestDiskRefuses: a folder that cannot be made is named, and nothing else happens.
func TestDiskRefuses(t *testing.T) {
	d := newDesk(t, "")
	if err := os.WriteFile(d.rec.o.Folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.trip()
	if said := d.out.String(); !strings.Contains(said, "could not be kept") || !strings.Contains(said, "not a directory") {
		t.Errorf("the log says %q", said)
	}
}

func TestNoteCostsNothing(t *testing.T) {
	d := newDesk(t, "")
	b := make([]byte, 32)
	b[0] = byte(interlock.MotionFree)
	if n := testing.AllocsPerRun(1000, func() {
		d.rec.Note(guard.RecordEvent, 1, b)
		d.rec.Note(guard.RecordDecision, 1, b)
		b[0] = byte(interlock.MotionFree) - b[0]
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for range 1000 {
		b[0] = byte(interlock.MotionFree) - b[0]
		d.rec.Note(guard.RecordDecision, 1, b) // never waits, although nobody reads
	}
}
