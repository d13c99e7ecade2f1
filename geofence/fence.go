package geofence

import (
	"math"
	"time"
)

// roundingMM covers what rounding of vertices, contours and the keep-in edge
// can amount to, in millimetres. It is part of every margin.
const roundingMM = 2.0

// maxWork bounds the vertex-edge pairs of one Step or Limit; beyond it the
// restrictive answer stands. It is a few milliseconds of a slow core.
const maxWork = 1 << 18

// Fence judges one robot against one Set. It is not safe for concurrent use.
type Fence struct {
	set *Set
	// mem is all that a restored fence needs beside levels.
	mem memory
	// levels holds one entry for each zone, then one for each floor's keep-in area.
	levels []level
	held   int // levels that are not free
	// stays are the clocks of Set.stays.
	stays []stay

	// What follows is computed from set, mem and levels.
	binds   []bound
	keep    keepArea
	planned int // the floor for which keep was built
	cands   []candidate
	// dirty says that cands no longer fit the pose, overrun that the survey
	// exceeded maxWork.
	dirty, overrun bool
	minute         int64 // the civil minute for which mem.plan was made
	reach          float64

	// body is the robot with its load.
	body *loaded
	limb limbs

	// Scratch space.
	work    int
	found   []int32 // zones near the pose
	contour contour
	probe   contour
	mover   mover
}

// memory is the part of a fence's state that has a fixed size.
type memory struct {
	stepped bool
	now     time.Duration
	faults  FaultSet
	plan    schedule
	egress  Egress
	// egressDepth is the smallest depth, in millimetres, since the grant began.
	egressDepth float64
	// leaves is the zone that a robot without its lease leaves, NoZone for none, and leaveDepth its egressDepth.
	leaves     int
	leaveDepth float64
	leases     [MaxLeases]Lease
	// loads are what the robot is taken to carry; loadsKnown says that it does.
	loads      LoadSet
	loadsKnown bool
	// warned is the slot of the obstacle in whose warn ring the robot is, -1 for none.
	warned    int
	track     track
	issued    history
	brakes    brakes
	agreement agreement
}

// level is the hysteresis of one zone.
type level struct {
	place  Place // Outside, Margin or Inside; PlaceUnknown reads as Outside
	timing bool
	since  time.Duration
}

// obstacle is what a contour can be near to: a zone, or the edge of the keep-in area.
type obstacle struct {
	outline
	open bool // the edges are pieces, not closed rings
	kind Kind
	zone int32 // for the keep-in area, the zone of its nearest piece
	slot int32 // in Fence.levels
	// margin is the obstacle's own, and size half its narrower side, in millimetres.
	margin, size float64
	speed        float64
	// warn is how far beyond the margin a warning begins, 0 for no warn ring.
	warn float64
}

// candidate is an obstacle within reach of the pose.
type candidate struct {
	obstacle
	bound  bound
	place  Place
	inside bool
	// clear is the contour's distance in millimetres, or minus its depth.
	clear float64
}

// New makes a fence for a set. It allocates all that Step and Limit will need.
func New(set *Set) *Fence {
	slots := len(set.zones) + len(set.floors)
	f := &Fence{
		set:     set,
		levels:  make([]level, slots),
		binds:   make([]bound, len(set.zones)),
		stays:   make([]stay, len(set.stays)),
		minute:  math.MinInt64,
		planned: -1,
	}
	most, pieces := 0, 0
	for i := range set.floors {
		most = max(most, len(set.floors[i].solid.leaves))
		pieces = max(pieces, set.floors[i].pieces)
	}
	f.cands, f.found = make([]candidate, 0, most+1), make([]int32, 0, most)
	f.keep.edges = make([]edge, 0, pieces)
	f.keep.zone = make([]int32, 0, pieces)
	f.keep.runs = make([]bounds, 0, pieces/runEdges+1)
	f.mem.track.floor = -1
	f.mem.egress.Zone, f.mem.leaves = NoZone, NoZone
	for i := range f.mem.brakes.axis {
		f.mem.brakes.axis[i].share = 1
	}
	f.mem.loads, f.mem.warned = set.AllLoads(), -1
	f.wear()
	f.limb = newLimbs(set)
	if set.chain != nil {
		f.forward()
	}
	return f
}

// Set is the set that the fence judges by.
func (f *Fence) Set() *Set { return f.set }

// reachNow bounds, in millimetres, the distance beyond which nothing can matter
// while the brakes are as they are.
func (f *Fence) reachNow() float64 {
	r := &f.set.robot
	age := r.PoseMaxAge.Seconds()
	top, yaw := topSpeed(r), topYaw(r)
	tip := float64(1000*top) + float64(yaw*f.body.radius)
	linear, turning := f.decels()
	stop := max(float64(1000*top)/linear, yaw/turning) / 2
	drive := float64(tip * (age + r.Reaction.Seconds() + stop))
	release := float64(1000 * r.ReleaseMarginM)
	still := float64(1000 * (float64(r.SigmaK*r.MaxStdDevM) + r.MapErrorM + float64(r.AccelMPS2*float64(age*age))/2))
	return math.Ceil(still + roundingMM + max(drive, release, f.set.warnMM+release))
}

// Step judges the newest inputs. Call it for each pose and on a tick of at least
// 20 Hz, with instants that never go backwards. It overwrites out.
func (f *Fence) Step(now Instant, in *Inputs, out *Verdict) {
	f.work = 0
	f.carry(in.Carried)
	faults := f.observe(now, in)
	faults |= f.agree(now, in, faults)
	faults |= f.reschedule(now, in)
	f.mem.faults = faults
	f.grant(in.Egress)
	f.mem.leases = in.Leases
	for i := range f.mem.leases {
		if l := &f.mem.leases[i]; !(l.MaxSpeedMPS > 0) || math.IsInf(l.MaxSpeedMPS, 1) {
			l.MaxSpeedMPS = 0 // opens nothing, see lease
		}
	}
	f.mem.stepped, f.mem.now = true, max(now.Boot, f.mem.now)
	usable := f.usable()
	if usable {
		f.survey()
		f.settle()
	} else {
		f.unsettle()
	}
	f.count(usable)
	f.report(usable, out)
	f.stepParts(usable, out)
}

// holding are the faults that hold this robot.
func (f *Fence) holding() FaultSet {
	all := (faultEnd - 1) &^ FaultSecondLost
	if f.set.robot.AssumedStdDevM > 0 {
		all &^= FaultCovarianceUnknown
	}
	return all
}

// blinding are the faults that leave no place to judge. The others hold the
// robot too, but where it is can still be said.
func (f *Fence) blinding() FaultSet {
	return f.holding() &^ (FaultNotValid | FaultVelocityUnknown | FaultVelocityRange)
}

// usable says that there is a pose by which places can be judged.
func (f *Fence) usable() bool { return f.mem.track.have && f.mem.faults&f.blinding() == 0 }

// reschedule finds out which zones bind.
func (f *Fence) reschedule(now Instant, in *Inputs) FaultSet {
	plan := schedule{
		roles: in.Roles, task: in.Task.bit(), operator: in.Operator.bit(),
		running: f.mem.plan.running, known: now.Trust != ClockUntrusted,
	}
	minute := floorDiv(now.Civil.Unix(), 60)
	if !plan.known {
		plan.running = 0
		minute = math.MinInt64
	} else if minute != f.minute {
		plan.running = f.set.running(now.Civil)
	}
	f.minute = minute
	changed := plan != f.mem.plan || !f.mem.stepped || f.mem.track.floor != f.planned
	f.mem.plan = plan
	if changed {
		f.bind()
	}
	if plan.known && !f.set.valid(now.Civil) {
		return FaultNotValid
	}
	return 0
}

// bind recomputes, from memory alone, which zones bind and what the keep-in area is.
func (f *Fence) bind() {
	for i := range f.set.zones {
		f.binds[i] = f.set.zones[i].binds(f.mem.plan)
	}
	f.planned, f.dirty = f.mem.track.floor, true
	f.keep.clear()
	if n := f.mem.track.floor; n >= 0 {
		f.keep.build(f.set, &f.set.floors[n], f.binds)
	}
}

// grant notes an egress grant. A new one starts a new record of the depth.
func (f *Fence) grant(g Egress) {
	if !g.Active || g.Zone < 0 || g.Zone >= len(f.set.zones) {
		g = Egress{Zone: NoZone}
	}
	if g != f.mem.egress {
		f.mem.egressDepth = math.Inf(1)
	}
	f.mem.egress = g
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
