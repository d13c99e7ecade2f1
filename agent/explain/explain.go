// Package explain answers what the geofence would decide for one pose at one time, and why: which rule decides, which zones
// apply, and why each of the others does not. It asks the very core that the robot runs (Compile, Step, Limit), never
// answers out of its own judgement, and puts nothing into force: a policy need not be signed for a what-if.
//
// What is asked is one moment of a robot that has just begun: no hysteresis, no earlier fault, brakes as promised. On a
// robot, memory can only make the answer stricter for a while.
package explain

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/geofence"
)

// Question is a pose, a time and a robot.
type Question struct {
	// Policy and Profile have been accepted by config.Load; Topics may be nil.
	Policy  *config.Policy
	Profile *config.Profile
	Topics  *config.Topics
	// X, Y and Z are in metres in the floor's map frame, Yaw in radians counter-clockwise from its x axis. The rules of
	// today's policies are plane; Z is checked to be a number.
	X, Y, Z, Yaw float64
	Floor        string
	// At is the civil time, Trust how far the robot's clock is believed.
	At    time.Time
	Trust geofence.ClockTrust
	// Roles are the robot's; with RolesKnown false nobody knows them, and every zone may bind.
	Roles      []string
	RolesKnown bool
	// Speed is measured and commanded alike; without it the robot stands, and asks to go ahead as fast as it can.
	Speed *geofence.Velocity
	// StdDevM and YawStdDevRad are the pose's standard deviations; 0 takes the profile's min_stddev_m and 0.001 rad.
	StdDevM, YawStdDevRad float64
	// Joints are positions in rad or m, by the profile's names; the robot keeps still. A joint that is not named is
	// unknown: then all that it could reach counts.
	Joints map[string]float64
	// Task and Operator are ids of the policy, config.FactNone for none, or empty where nobody knows: then every zone may bind
	// that asks for one.
	Task, Operator string
	// Loads are what the robot carries, of the profile's; with LoadsKnown false it is taken to carry all of them.
	Loads      []string
	LoadsKnown bool
	// Leases are the answers to requests for RELEASE and DOOR zones, facts from the bus included.
	Leases []Lease
}

// Lease is one answer, as of the moment that is asked about.
type Lease struct {
	// Zone is the zone's id.
	Zone  string
	State geofence.LeaseState
	// MaxSpeedMPS is its speed, > 0.
	MaxSpeedMPS float64
	Facts       geofence.FactSet
}

// Decisions.
const (
	// Free means that nothing restricts what was asked.
	Free = "free"
	// Limited means that the robot may move, more slowly than asked or than it could.
	Limited = "limited"
	// Denied means that the robot may not move as asked.
	Denied = "denied"
)

// boot is the moment on the clock of ages; any will do that leaves room for a past.
const boot = time.Hour

// leastYaw stands in for a heading's standard deviation in radians: 0 would be no covariance at all.
const leastYaw = 0.001

// Ask answers a question. The error says what about the question is wrong.
func Ask(q *Question) (*Answer, error) {
	if q.Policy.FloorIndex(q.Floor) < 0 {
		return nil, fmt.Errorf("floor %q: the policy has no such floor", q.Floor)
	}
	spec, robot := q.Policy.Fence(q.Profile, q.Topics)
	set, err := geofence.Compile(spec, robot)
	if err != nil {
		return nil, fmt.Errorf("zones: %w", err)
	}
	e := &enquiry{q: q, spec: spec, robot: robot, set: set, fence: geofence.New(set)}
	if e.roles, err = e.roleNames(); err != nil {
		return nil, err
	}
	if err := e.facts(); err != nil {
		return nil, err
	}
	e.step(e.fence, &e.verdict)
	e.cmd = e.command()
	e.limit = e.fence.Limit(e.now(), e.cmd)
	return e.answer(), nil
}

// enquiry is one question on its way.
type enquiry struct {
	q       *Question
	spec    geofence.Spec
	robot   geofence.Robot
	set     *geofence.Set
	fence   *geofence.Fence
	roles   []string // the geofence's, nil if unknown
	carried geofence.Carried
	// task and operator are by their numbers in the whole policy, which every part of it has.
	task, operator geofence.Fact
	verdict        geofence.Verdict
	cmd            geofence.Velocity
	limit          geofence.Limit
	changes        zones.Changes
}

func (e *enquiry) now() geofence.Instant {
	return geofence.Instant{Boot: boot, Civil: e.q.At, Trust: e.q.Trust}
}

// roleNames translates roles as the guard does, for a robot that the policy need not list.
func (e *enquiry) roleNames() ([]string, error) {
	if !e.q.RolesKnown {
		return nil, nil
	}
	for _, r := range e.q.Roles {
		if !slices.Contains(e.q.Policy.Roles, r) {
			return nil, fmt.Errorf("role %q: the policy has no such role", r)
		}
	}
	const serial = "what-if"
	p := *e.q.Policy
	p.Robots = []config.RobotRoles{{Serial: serial, Roles: e.q.Roles}}
	names, _ := p.FenceRoles(serial)
	return names, nil
}

// command is what the robot is asked to do.
func (e *enquiry) command() geofence.Velocity {
	if e.q.Speed != nil {
		return *e.q.Speed
	}
	return geofence.Velocity{VX: e.robot.MaxSpeedMPS}
}

// step shows a fence the pose, and what the robot was told lately: the same as it does now.
func (e *enquiry) step(f *geofence.Fence, out *geofence.Verdict) {
	var speed geofence.Velocity
	if e.q.Speed != nil {
		speed = *e.q.Speed
	}
	past := e.robot.Reaction + e.robot.PoseMaxAge
	for at := boot - past; at <= boot; at += max(past/64, time.Millisecond) {
		f.Issued(geofence.Instant{Boot: at, Civil: e.q.At.Add(at - boot), Trust: e.q.Trust}, speed)
	}
	if e.q.Profile.Joints != nil {
		p := geofence.Posture{Boot: boot, HasVelocity: true}
		for i, j := range e.q.Profile.Joints.List {
			if v, ok := e.q.Joints[j.Name]; ok {
				p.Known |= 1 << i
				p.Position[i] = v
			}
		}
		f.Posture(&p)
	}
	in := geofence.Inputs{
		Pose:     e.pose(f.Set()),
		Velocity: geofence.Measured{Known: true, Boot: boot, Velocity: speed},
		Roles:    e.roleBits(f.Set()),
		Carried:  e.carried, Task: e.task, Operator: e.operator,
	}
	e.leases(f.Set(), &in)
	f.Step(e.now(), &in, out)
}

func (e *enquiry) pose(set *geofence.Set) geofence.Pose {
	floor, _ := set.FloorIndex(e.q.Floor)
	sin, cos := math.Sincos(e.q.Yaw / 2)
	dev, yaw := e.q.StdDevM, e.q.YawStdDevRad
	if dev == 0 {
		dev = e.robot.MinStdDevM
	}
	if yaw == 0 {
		yaw = leastYaw
	}
	return geofence.Pose{
		Seen: true, Boot: boot, StampNS: e.q.At.UnixNano(), X: e.q.X, Y: e.q.Y, Z: e.q.Z, QZ: sin, QW: cos,
		FrameOK: true, Floor: floor, HasCovariance: true, VarX: dev * dev, VarY: dev * dev, VarYaw: yaw * yaw,
	}
}

func (e *enquiry) roleBits(set *geofence.Set) uint64 {
	var bits uint64
	for _, name := range e.roles {
		if i, ok := set.RoleIndex(name); ok {
			bits |= 1 << i
		}
	}
	return bits
}

// alone asks the core about one zone without the others, for those that a verdict has no room to name; false where the
// zone is out of the robot's reach.
func (e *enquiry) alone(i int) (geofence.ZoneVerdict, bool) {
	spec := e.spec
	spec.Zones = e.spec.Zones[i : i+1]
	spec.Floors = slices.Clone(e.spec.Floors)
	for k := range spec.Floors {
		spec.Floors[k].WithoutKeepIn = geofence.Allow
	}
	set, err := geofence.Compile(spec, e.robot)
	if err != nil {
		return geofence.ZoneVerdict{}, false // a part of a site that compiles does too
	}
	var v geofence.Verdict
	e.step(geofence.New(set), &v)
	if v.N == 0 {
		return geofence.ZoneVerdict{}, false
	}
	return v.Near[0], true
}
