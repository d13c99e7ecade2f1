package demo

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/configs"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// domainConfig is the demonstration's documents with the other bus.
func domainConfig(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	text := map[string]string{}
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		raw, err := fs.ReadFile(configs.FS(), configs.Demo+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(raw)
	}
	pin := func() string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text["profile.yaml"]))) }
	before := pin()
	text["profile.yaml"] = strings.Replace(text["profile.yaml"], "\nbus: ros1", "\nbus: ros2", 1)
	text["policy.yaml"] = strings.Replace(text["policy.yaml"], before, pin(), 1)
	var files []string
	for name, s := range text {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: "demo-humanoid-01"}
	return cfg
}

// TestTheRealGuardHoldsTheDayOnADomain: the day, every message of it over DDS.
func TestTheRealGuardHoldsTheDayOnADomain(t *testing.T) {
	cfg := domainConfig(t)
	o := options()
	o.Zones = ZonesOf(cfg.Policy, "demo-humanoid-01")
	o.Timezone = cfg.Policy.Timezone.Location
	o.Footprint = FootprintOf(cfg.Profile)
	rig := Rig{Config: cfg, Self: "/robowarden", Log: zerolog.Nop()}
	o.Start = rig.Start
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.Failed() {
		t.Errorf("%s: %v", row.Name, row.Measured)
	}
}

// listener is a guard that only listens, and answers everything with a command.
type listener struct {
	passThrough
	joints  msg.Joints
	pose    msg.Pose
	odom    msg.Pose
	imu     msg.IMU
	devices []msg.Device
	texts   []string
	graph   msg.Graph
}

func (l *listener) Pose(m *msg.Pose) {
	l.pose = *m
	l.out.Command(msg.Twist{Linear: msg.Vec3{X: m.Position.X}})
	l.out.Lock(true)
}
func (l *listener) Odometry(m *msg.Pose) { l.odom = *m }
func (l *listener) Joints(m *msg.Joints) { l.joints = *m }
func (l *listener) IMU(m *msg.IMU)       { l.imu = *m }
func (l *listener) Device(m *msg.Device) { l.devices = append(l.devices, *m) }
func (l *listener) Floor(m *msg.Text)    { l.texts = append(l.texts, "floor "+string(m.Data)) }
func (l *listener) Answer(m *msg.Text) {
	l.texts = append(l.texts, "answer "+string(m.Data))
	l.out.Challenge([]byte("a challenge"))
}
func (l *listener) Order(m *msg.Text)  { l.texts = append(l.texts, "order "+string(m.Data)) }
func (l *listener) Graph(m *msg.Graph) { l.graph = *m }

// took is what reached the robot.
type took []string

func (r *took) Command(t msg.Twist)   { *r = append(*r, fmt.Sprint("command ", t.Linear.X)) }
func (r *took) Lock(locked bool)      { *r = append(*r, fmt.Sprint("lock ", locked)) }
func (r *took) Call(c sim.Call)       { *r = append(*r, fmt.Sprint("call ", c.ID)) }
func (r *took) Challenge(line []byte) { *r = append(*r, string(line)) }

// TestWhatIsCarriedArrivesAsItWas: each kind of message, there and back, and what discovery says.
func TestWhatIsCarriedArrivesAsItWas(t *testing.T) {
	var robot took
	c, err := newCarried(domainConfig(t), "/robowarden", &robot)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.d.close(); err != nil {
			t.Error(err)
		}
	}()
	l := &listener{}
	l.out, c.inner = domainOut{c}, l
	pose := &msg.Pose{Header: msg.Header{Stamp: 1_700_000_000_123_456_789, Frame: "map"}, Position: msg.Vec3{X: 1, Y: -2, Z: 3}, Orientation: msg.Quat{W: 1}, HasCovariance: true}
	pose.Covariance[0], pose.Covariance[35] = 0.5, 0.25
	odom := *pose
	odom.Child, odom.HasTwist, odom.Twist = "base_link", true, msg.Twist{Linear: msg.Vec3{X: 0.5}, Angular: msg.Vec3{Z: -1}}
	joints := &msg.Joints{N: len(c.joints), Seen: 1<<len(c.joints) - 1 - 4, HasVelocity: true, HasEffort: true}
	for i := range joints.N {
		joints.Position[i], joints.Velocity[i], joints.Effort[i] = float64(i), float64(2*i), float64(3*i)
	}
	c.Pose(pose)
	c.Odometry(&odom)
	c.Joints(joints)
	c.IMU(&msg.IMU{Header: msg.Header{Frame: "imu_link"}, Orientation: msg.Quat{W: 1}, AngularVelocity: msg.Vec3{Z: 2}, LinearAcceleration: msg.Vec3{Z: 9.81}})
	c.Device(&msg.Device{Kind: msg.Camera, Active: true})
	c.Device(&msg.Device{Kind: msg.Microphone})
	c.Device(&msg.Device{Kind: msg.Battery, ChargeRatio: 0.5, Charging: true})
	c.Floor(&msg.Text{Data: []byte("hospital-ground")})
	c.Order(&msg.Text{Data: []byte("{}")})
	c.Answer(&msg.Text{Data: []byte("rw1 answer")})
	domainOut{c}.Call(sim.Call{ID: 9})
	graph := &msg.Graph{Topic: sim.TopicCommand, Known: true, Total: 2}
	graph.Publishers[0], graph.Publishers[1] = "/robowarden", sim.NodeIntruder
	c.Graph(graph)
	intruder := l.graph
	graph.Total, graph.Publishers[1] = 1, ""
	c.Graph(graph)
	if c.err != nil {
		t.Fatal(c.err)
	}
	if diff := cmp.Diff(took{"command 1", "lock true", "a challenge", "call 9"}, robot); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"floor hospital-ground", "order {}", "answer rw1 answer"}, l.texts); diff != "" {
		t.Error(diff)
	}
	if p := l.pose; p.Stamp != pose.Stamp || p.Frame != "map" || p.Position != pose.Position || p.Covariance != pose.Covariance || p.Peer.Name != "/localization" || p.Peer.Strength != msg.SourceBound {
		t.Errorf("pose %+v of %+v", p, p.Peer)
	}
	if p := l.odom; p.Child != "base_link" || p.Twist != odom.Twist || p.Peer.Name != "/walker" {
		t.Errorf("odometry %+v", p)
	}
	if j := l.joints; j.Seen != joints.Seen || j.Position[3] != 3 || j.Velocity[3] != 6 || j.Effort[3] != 9 || !j.HasVelocity {
		t.Errorf("joints %+v", j)
	}
	if m := l.imu; m.AngularVelocity.Z != 2 || m.LinearAcceleration.Z != 9.81 || !m.HasAngularVelocity || m.Frame != "imu_link" {
		t.Errorf("imu %+v", m)
	}
	if d := l.devices; len(d) != 3 || !d[0].Active || d[1].Active || d[2].ChargeRatio != 0.5 || !d[2].Charging {
		t.Errorf("devices %+v", d)
	}
	if intruder.Total != 2 || intruder.ConsumerKnown || !intruder.Registered {
		t.Errorf("with the intruder: %+v", intruder)
	}
	if l.graph.Total != 1 || l.graph.Publishers[0] != "/robowarden" {
		t.Errorf("without him: %+v", l.graph)
	}
}

// TestADomainThatIsGoneIsTold: a day whose messages do not arrive must not look like one whose robot stands still.
func TestADomainThatIsGoneIsTold(t *testing.T) {
	c, err := newCarried(domainConfig(t), "/robowarden", new(took))
	if err != nil {
		t.Fatal(err)
	}
	c.inner = &listener{}
	if err := c.d.close(); err != nil {
		t.Fatal(err)
	}
	c.Floor(&msg.Text{Data: []byte("hospital-ground")})
	if c.err == nil {
		t.Error("nothing is said of a message that went nowhere")
	}
}
