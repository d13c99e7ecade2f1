package sim

import (
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// devices are what the robot carries: a camera in the head, a microphone, a battery, and the lift it stands in.
type devices struct {
	camera, microphone bool
	charge             float64
	docked             bool
	lift               liftRide
}

// liftRide is a ride that the robot is on.
type liftRide struct {
	riding   bool
	from, to float64
	at, took float64 // Seconds.
	floor    string
}

// LiftTime is how long a lift takes between two storeys, doors included.
const LiftTime = 12 * time.Second

// Battery drain per second standing and walking, and gain while docked. A full battery walks for about two hours.
const (
	drainIdle, drainWalk, chargeRate = 4e-5, 1.4e-4, 4e-4
)

func (d *devices) init() { d.charge = 0.93 }

// SetCamera starts or ends recording by the head camera.
func (w *World) SetCamera(on bool) { w.devices.camera = on }

// SetMicrophone starts or ends recording by the microphone.
func (w *World) SetMicrophone(on bool) { w.devices.microphone = on }

// SetCharge sets the battery's charge, clipped to [0, 1].
func (w *World) SetCharge(ratio float64) { w.devices.charge = clamp(ratio, 0, 1) }

// Charge is the battery's true charge, in [0, 1].
func (w *World) Charge() float64 { return w.devices.charge }

// SetLoad puts a tray into the robot's hands or takes it.
func (w *World) SetLoad(on bool) { w.state.loaded = on }

func (d *devices) step(dt float64, w *World) {
	s := &w.state
	switch {
	case d.docked:
		d.charge += chargeRate * dt
	case s.walking:
		d.charge -= drainWalk * dt
	default:
		d.charge -= drainIdle * dt
	}
	d.charge = clamp(d.charge, 0, 1)
	dock := w.opts.Building.Dock
	d.docked = !s.walking && s.floor == dock.Floor && dist(Point{s.x, s.y}, Point{dock.X, dock.Y}) < 0.35
	if d.lift.riding {
		d.lift.step(dt, w)
	}
}

// Ride takes the standing robot to another storey by lift. It reports whether the ride began: the robot must stand.
func (w *World) Ride(floor string) bool {
	f := w.opts.Building.Floor(floor)
	if f == nil || w.state.walking || w.posture.stopped || w.devices.lift.riding || floor == w.state.floor {
		return false
	}
	w.devices.lift = liftRide{riding: true, from: w.state.z, to: f.ZM, took: LiftTime.Seconds(), floor: floor}
	return true
}

// step moves the cabin: doors for two seconds, a smooth ride, doors for two seconds. The floor changes at the top.
func (l *liftRide) step(dt float64, w *World) {
	const doors = 2.0
	l.at += dt
	share := clamp((l.at-doors)/(l.took-2*doors), 0, 1)
	w.state.z = l.from + (l.to-l.from)*(1-math.Cos(math.Pi*share))/2
	if share >= 1 && w.state.floor != l.floor {
		w.state.floor = l.floor
		w.sendFloor()
	}
	l.riding = l.at < l.took
}

func (w *World) sendFloor() {
	if w.on.Floor == nil {
		return
	}
	w.on.Floor(&msg.Text{
		Header: w.header(&w.peers.localisation, "", w.Now(), &w.sensors.seq[4]), Data: []byte(w.mapID()),
	})
}

func (w *World) mapID() string {
	if f := w.opts.Building.Floor(w.state.floor); f != nil {
		return f.MapID
	}
	return ""
}

func (w *World) sendDevices() {
	if w.on.Device == nil {
		return
	}
	d := &w.devices
	from := []*msg.Peer{&w.peers.camera, &w.peers.audio, &w.peers.power}
	for i, m := range []msg.Device{
		{Kind: msg.Camera, Active: d.camera},
		{Kind: msg.Microphone, Active: d.microphone},
		{Kind: msg.Battery, ChargeRatio: d.charge, Charging: d.docked},
	} {
		m.Header = w.header(from[i], "", w.Now(), &w.sensors.seq[5+i])
		w.on.Device(&m)
	}
}

// Topics that Graph messages speak of.
const (
	TopicCommandRaw      = "/cmd_vel_raw"
	TopicCommandOperator = "/operator/cmd_vel"
	TopicCommandDock     = "/docking/cmd_vel"
	TopicCommand         = "/cmd_vel"
	TopicLock            = "/robowarden/lock"
	TopicPose            = "/localization/pose"
	TopicOdom            = "/odom"
	TopicJoints          = "/joint_states"
	TopicIMU             = "/imu/data"
)

// sendGraph tells who publishes what and whom the base is connected to. Names come sorted.
func (w *World) sendGraph() {
	if w.on.Graph == nil {
		return
	}
	f := &w.faults.on
	one := func(topic string, own, consumed, stranger bool, names ...string) {
		if stranger {
			names = append(names, NodeIntruder)
		}
		g := msg.Graph{Boot: w.Now(), Topic: topic, Known: !f[FaultGraphUnknown], Registered: own}
		if g.Known {
			g.Total = fill(&g.Publishers, names)
			if g.ConsumerKnown = consumed; consumed {
				g.Sources, g.SourcesTotal = g.Publishers, g.Total
			}
		}
		w.on.Graph(&g)
	}
	one(TopicCommandRaw, false, false, f[FaultSecondPublisher], NodePlanner)
	one(TopicCommandOperator, false, false, false, NodeDesk)
	one(TopicCommandDock, false, false, false, NodeDock)
	one(TopicCommand, true, true, f[FaultForeignSource], NodeGuard)
	one(TopicLock, true, true, f[FaultForeignLock], NodeGuard)
	one(TopicPose, false, false, false, NodeLocalisation)
	one(TopicOdom, false, false, false, NodeBase)
	one(TopicJoints, false, false, false, NodeBase)
	one(TopicIMU, false, false, false, NodeBase)
}

func fill(to *[msg.MaxPublishers]string, names []string) int {
	for i := 1; i < len(names); i++ {
		for j := i; j > 0 && strings.Compare(names[j], names[j-1]) < 0; j-- {
			names[j], names[j-1] = names[j-1], names[j]
		}
	}
	copy(to[:], names)
	return len(names)
}
