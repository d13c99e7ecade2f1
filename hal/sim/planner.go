package sim

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// CommandPeriod is how often planner and dock commander command.
const CommandPeriod = 50 * time.Millisecond

// Task is one thing for the planner to do. Make tasks with Go, Drive, BackUp, Lift, Wait, Load and Reach.
type Task struct {
	kind  taskKind
	place string
	path  []Point
	speed float64
	wait  time.Duration
	on    bool
}

type taskKind uint8

const (
	taskGo taskKind = iota
	taskDrive
	taskBackUp
	taskLift
	taskWait
	taskLoad
	taskReach
)

// Go walks to a named place on this floor, over the building's links.
func Go(place string, speedMPS float64) Task {
	return Task{kind: taskGo, place: place, speed: speedMPS}
}

// Drive walks straight from point to point, whatever is there and whoever forbids it.
func Drive(speedMPS float64, path ...Point) Task {
	return Task{kind: taskDrive, path: path, speed: speedMPS}
}

// BackUp walks backwards for a distance in metres, as planners do to get out of a corner before they turn.
func BackUp(metres float64) Task { return Task{kind: taskBackUp, speed: metres} }

// backUpMPS is the speed of BackUp.
const backUpMPS = 0.2

// Lift rides to another floor from where the robot stands.
func Lift(floor string) Task { return Task{kind: taskLift, place: floor} }

// Wait stands.
func Wait(d time.Duration) Task { return Task{kind: taskWait, wait: d} }

// Load takes up (true) or hands over (false) the tray, in two seconds.
func Load(on bool) Task { return Task{kind: taskLoad, on: on, wait: 2 * time.Second} }

// Reach works with both arms for a while, standing.
func Reach(d time.Duration) Task { return Task{kind: taskReach, wait: d} }

// Planner works through tasks and commands velocities on cmd_vel_raw. It trusts the localisation and knows no zone.
type Planner struct {
	w      *World
	tasks  []Task
	begun  bool
	from   Point
	until  time.Duration
	follow follower
	done   int
	seq    uint32
	silent bool
	paused bool
	fixed  *msg.Twist
	lost   error
}

func (p *Planner) init(w *World) {
	p.w = w
	w.every(9*time.Millisecond, CommandPeriod, p.tick)
}

// Planner is the world's planner.
func (w *World) Planner() *Planner { return &w.planner }

// Do appends tasks.
func (p *Planner) Do(tasks ...Task) { p.tasks = append(p.tasks, tasks...) }

// Clear forgets all tasks; the planner then commands zero.
func (p *Planner) Clear() {
	if p.begun && len(p.tasks) > 0 && p.tasks[0].kind == taskReach {
		p.w.Manipulate(false)
	}
	p.tasks, p.begun = nil, false
}

// Pending is the number of tasks not yet done.
func (p *Planner) Pending() int { return len(p.tasks) }

// Done is the number of tasks done since the start.
func (p *Planner) Done() int { return p.done }

// Lost is why the planner gave up on its last Go or Lift task, or nil.
func (p *Planner) Lost() error { return p.lost }

// Silence stops or resumes publishing altogether, as a crashed planner would.
func (p *Planner) Silence(on bool) { p.silent = on }

// Pause makes the planner command zero and leave its tasks where they are, or go on.
func (p *Planner) Pause(on bool) { p.paused = on }

// Fix makes the planner command one velocity whatever its tasks, as a planner gone mad would; nil ends it.
func (p *Planner) Fix(t *msg.Twist) { p.fixed = t }

func (p *Planner) tick() {
	var v velocity
	if !p.paused {
		v = p.work()
	}
	if p.silent {
		return
	}
	t := msg.Twist{Linear: msg.Vec3{X: v.x, Y: v.y}, Angular: msg.Vec3{Z: v.w}}
	if p.fixed != nil {
		t = *p.fixed
	}
	p.w.deliverCommand(ChannelAutonomy, t, &p.w.peers.planner, &p.seq)
}

// work is what the first task wants now.
func (p *Planner) work() velocity {
	if len(p.tasks) == 0 || p.w.devices.lift.riding {
		return velocity{}
	}
	t := &p.tasks[0]
	if !p.begun {
		if p.begun = p.begin(t); !p.begun {
			return velocity{}
		}
	}
	switch t.kind {
	case taskGo, taskDrive:
		v, done := p.follow.command(p.w.sensors.estimate, p.w.sensors.estimateOK)
		if done {
			p.finish()
		}
		return v
	case taskBackUp:
		if at := p.w.sensors.estimate; dist(p.from, Point{at.X, at.Y}) >= t.speed {
			p.finish()
			return velocity{}
		}
		return velocity{x: -backUpMPS}
	case taskWait, taskLoad, taskReach:
		if p.w.Now() >= p.until {
			p.finish()
		}
	case taskLift:
		p.finish()
	}
	return velocity{}
}

// begin starts a task; false means that it has to wait, for instance for the robot to stand.
func (p *Planner) begin(t *Task) bool {
	w := p.w
	switch t.kind {
	case taskGo:
		at := w.sensors.estimate
		way, err := w.opts.Building.Way(at.Floor, Point{at.X, at.Y}, t.place)
		if p.lost = err; err != nil {
			w.planner.tasks = p.tasks[1:]
			return false
		}
		p.follow = follower{path: skipBehind(way, Point{at.X, at.Y}), speed: t.speed}
	case taskDrive:
		p.follow = follower{path: t.path, speed: t.speed}
	case taskBackUp:
		p.from = Point{w.sensors.estimate.X, w.sensors.estimate.Y}
	case taskLift:
		return w.Ride(t.place)
	case taskLoad:
		if w.state.walking {
			return false
		}
		w.SetLoad(t.on)
	case taskReach:
		if w.state.walking {
			return false
		}
		w.Manipulate(true)
	case taskWait:
	}
	p.until = w.Now() + t.wait
	return true
}

func (p *Planner) finish() {
	if p.tasks[0].kind == taskReach {
		p.w.Manipulate(false)
	}
	p.tasks, p.begun = p.tasks[1:], false
	p.done++
}

// skipBehind drops the first place of a way if the second is no longer a way back.
func skipBehind(way []Point, at Point) []Point {
	if len(way) >= 2 && dist(at, way[1]) < dist(way[0], way[1]) {
		return way[1:]
	}
	return way
}

// follower walks along points: it turns on the spot for sharp corners, steers while walking and brakes for the end.
type follower struct {
	path  []Point
	speed float64
}

func (f *follower) command(at Placement, ok bool) (velocity, bool) {
	const reach, last = 0.45, 0.18
	for len(f.path) > 1 && dist(Point{at.X, at.Y}, f.path[0]) < reach {
		f.path = f.path[1:]
	}
	if len(f.path) == 0 {
		return velocity{}, true
	}
	if !ok {
		return velocity{}, false
	}
	goal := f.path[0]
	d := dist(Point{at.X, at.Y}, goal)
	if len(f.path) == 1 && d < last {
		f.path = nil
		return velocity{}, true
	}
	turn := wrap(math.Atan2(goal.Y-at.Y, goal.X-at.X) - at.Yaw)
	if math.Abs(turn) > 0.6 {
		return velocity{w: clamp(0.9*turn, -0.6, 0.6)}, false
	}
	// Corners and the end are taken slowly: the planner knows roughly how its robot brakes.
	v := min(f.speed, math.Sqrt(2*0.25*max(0, d-0.1))+0.1)
	return velocity{x: v * max(0.3, math.Cos(2*turn)), w: clamp(0.9*turn, -0.6, 0.6)}, false
}

// docker is the vendor's dock commander: it walks home over the links when asked, on cmd_vel_dock.
type docker struct {
	w       *World
	engaged bool
	follow  follower
	seq     uint32
}

func (d *docker) init(w *World) {
	d.w = w
	w.every(31*time.Millisecond, CommandPeriod, d.tick)
}

// Docking says whether the dock commander is at work.
func (w *World) Docking() bool { return w.dock.engaged }

func (d *docker) engage(on bool) string {
	if !on || d.engaged {
		d.engaged = on
		return ""
	}
	b, at := &d.w.opts.Building, d.w.sensors.estimate
	if at.Floor != b.Dock.Floor {
		return "dock refused: the dock is on floor " + b.Dock.Floor
	}
	way, err := b.Way(at.Floor, Point{at.X, at.Y}, b.DockPlace)
	if err != nil {
		return "dock refused: " + err.Error()
	}
	way = skipBehind(way, Point{at.X, at.Y})
	d.follow = follower{path: append(way, Point{b.Dock.X, b.Dock.Y}), speed: 0.6}
	d.engaged = true
	return ""
}

func (d *docker) tick() {
	if !d.engaged {
		return
	}
	v, _ := d.follow.command(d.w.sensors.estimate, d.w.sensors.estimateOK)
	t := msg.Twist{Linear: msg.Vec3{X: v.x, Y: v.y}, Angular: msg.Vec3{Z: v.w}}
	d.w.deliverCommand(ChannelDock, t, &d.w.peers.dock, &d.seq)
}
