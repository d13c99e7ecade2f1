package demo

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// Speeds of the planner, in m/s. It respects the site's limits by itself, so that what the guard costs in time can be
// seen; what it does not respect is the story's business.
const (
	walkMPS  = 0.75
	roomMPS  = 0.6
	wardMPS  = 0.37
	dockMPS  = 0.27
	liftMPS  = 0.22
	hurryMPS = 0.9
)

// wholeDay is the story.
func wholeDay() []chapter {
	return []chapter{
		{"The robot wakes up", wakeUp},
		{"The evening round", eveningRound},
		{"The day shift ends and ward A closes", wardCloses},
		{"The planner goes astray", pharmacy},
		{"The operator's link fails", linkFails},
		{"A joint cannot be seen", encoder},
		{"The battery is low", battery},
		{"Somebody else commands the base", stranger},
	}
}

// deliveriesOnly is the part whose time is compared.
func deliveriesOnly() []chapter { return []chapter{{"", wakeUp}, {"", eveningRound}} }

func wakeUp(s *stage) {
	w := s.world
	w.SetFault(sim.FaultIMUSilent, true)
	w.Planner().Do(sim.Go("dock-front", dockMPS))
	s.say("The humanoid stands at its dock. Its planner already wants to go, but the IMU has not spoken yet.")
	s.wait(3 * time.Second)
	w.SetFault(sim.FaultIMUSilent, false)
	s.mark(markAwake)
	s.say("The IMU speaks. Every measurement that the profile requires has been seen.")
	s.wait(2 * time.Second)
}

func eveningRound(s *stage) {
	s.mark(markRound)
	deliver := func(what, to string, limit time.Duration, tasks ...sim.Task) {
		s.say("Next: %s to %s.", what, to)
		s.world.Planner().Do(tasks...)
		if s.until(limit, s.idle) {
			s.trace.delivered++
			s.say("%s handed over in %s.", capital(what), to)
		} else {
			s.world.Planner().Clear()
			s.say("%s did not arrive in %s.", capital(what), to)
		}
	}
	deliver("supper", "ward A", 4*time.Minute,
		sim.Go("dock-front", dockMPS), sim.Go("dock-door", dockMPS), sim.Go("corridor-dock", dockMPS),
		sim.Go("kitchen", roomMPS), sim.Load(true), sim.Go("corridor-ward-a", walkMPS), sim.Go("ward-a", roomMPS), sim.Load(false))
	deliver("linen", "ward B", 4*time.Minute,
		sim.Go("corridor-laundry", walkMPS), sim.Go("laundry", roomMPS), sim.Load(true), sim.Go("corridor-ward-b", walkMPS),
		sim.Go("ward-b-door", wardMPS), sim.Go("ward-b", wardMPS), sim.Load(false), sim.Go("ward-b-door", wardMPS))
	deliver("post", "the day room upstairs", 5*time.Minute,
		sim.Load(true), sim.Go("corridor-lift", walkMPS), sim.Go("lift-ground", liftMPS), sim.Lift("upper"),
		sim.Go("upper-corridor-lift", liftMPS), sim.Go("day-room", walkMPS), sim.Load(false))
	s.world.Planner().Do(sim.Go("upper-corridor-lift", walkMPS), sim.Go("lift-upper", liftMPS), sim.Lift("ground"),
		sim.Go("corridor-lift", liftMPS))
	s.until(4*time.Minute, s.idle)
	s.mark(markRoundDone)
}

func wardCloses(s *stage) {
	p := s.world.Planner()
	p.Do(sim.Go("corridor-ward-a", walkMPS))
	s.until(2*time.Minute, s.idle)
	s.until(10*time.Minute, func() bool { return s.world.Civil().Minute() < 30 }) // Berlin's 20:00 is the full hour of UTC as well.
	s.say("It is 20:00. The day shift has ended; ward A is closed to robots now.")
	s.wait(2 * time.Second)
	s.say("A late tray: the planner still heads for ward A.")
	s.mark(markWardDrive)
	p.Do(sim.Go("ward-a", roomMPS))
	s.until(40*time.Second, s.standing(4*time.Second))
	s.sayWhere("ward A")
	s.wait(4 * time.Second)
	p.Clear()
	s.mark(markWardEnd)
	s.say("The dispatcher cancels the tray. The planner backs up and turns.")
	p.Do(sim.BackUp(1), sim.Drive(roomMPS, sim.Point{X: 14, Y: 11.6}))
	s.until(40*time.Second, s.idle)
	p.Clear()
}

// sayWhere says where the robot really stands, seen from a forbidden place.
func (s *stage) sayWhere(place string) {
	at, gap := s.world.Truth(), s.trace.samples[len(s.trace.samples)-1].body
	switch {
	case gap <= 0:
		s.say("The robot is in %s, %.1f m deep.", place, -gap)
	case at.Walking:
		s.say("The robot still walks.")
	default:
		s.say("The robot stands %.2f m before %s.", gap, place)
	}
}

func pharmacy(s *stage) {
	p := s.world.Planner()
	p.Do(sim.Drive(walkMPS, sim.Point{X: 8.6, Y: 10.8}))
	s.until(40*time.Second, s.idle)
	p.Clear()
	s.say("A bad update: the planner walks straight at the pharmacy, faster than it should.")
	s.mark(markPharmacy)
	p.Do(sim.Drive(hurryMPS, sim.Point{X: 4.4, Y: 17}))
	s.until(40*time.Second, s.standing(3*time.Second))
	s.sayWhere("the pharmacy")
	s.say("The planner keeps pushing.")
	s.mark(markStands)
	s.wait(20 * time.Second)
	p.Clear()
	s.mark(markTurnAway)
	s.say("The planner is put right: it backs up and turns away.")
	p.Do(sim.BackUp(1), sim.Drive(roomMPS, sim.Point{X: 9.5, Y: 11.5}))
	s.until(60*time.Second, s.idle)
	p.Clear()
	s.mark(markTurnEnd)
}

func linkFails(s *stage) {
	w, p := s.world, s.world.Planner()
	east, west := sim.Point{X: 33, Y: 11.8}, sim.Point{X: 12, Y: 11.8}
	p.Do(sim.Drive(walkMPS, east, west, east, west, east))
	s.wait(6 * time.Second)
	s.mark(markLinkPoor)
	s.say("The wireless link to the operator's desk degrades: answers come late, or not at all.")
	w.Desk().SetLink(sim.PoorLink())
	s.wait(8 * time.Second)
	s.until(10*time.Second, func() bool { return w.Truth().SpeedMPS > 0.5 })
	s.say("Then the link is dead.")
	s.mark(markLinkDown)
	w.Desk().SetLink(sim.Link{Down: true})
	s.wait(9 * time.Second)
	w.Desk().SetLink(sim.GoodLink())
	s.mark(markLinkBack)
	s.say("The link is back. The planner still wants to go.")
	s.wait(12 * time.Second)
	s.mark(markForged)
	s.order(s.trial.Forged, "Somebody without the right sends a reset.")
	s.wait(4 * time.Second)
	s.mark(markReset)
	s.order(s.trial.OperatorReset, "The operator has looked, and sends a signed reset.")
	s.wait(2 * time.Second)
	s.mark(markGoOn)
	s.say("The planner is told to go on: it lets go of the stick once, and starts anew.")
	p.Pause(true)
	s.wait(500 * time.Millisecond)
	p.Pause(false)
	s.until(15*time.Second, func() bool { return s.world.Truth().SpeedMPS > 0.2 })
	s.mark(markWalksAgain)
	s.wait(3 * time.Second)
}

// order signs a document and sends it.
func (s *stage) order(sign func() ([]byte, error), line string) {
	if sign == nil {
		return
	}
	document, err := sign()
	if err != nil {
		s.err = err
		return
	}
	s.say("%s", line)
	s.world.Desk().SendOrder(document)
}

func encoder(s *stage) {
	w, p := s.world, s.world.Planner()
	p.Clear()
	s.until(10*time.Second, s.standing(time.Second))
	s.say("At the trolley the robot works with both hands.")
	p.Do(sim.Reach(time.Minute))
	s.until(10*time.Second, func() bool { return w.Truth().ArmsMoving })
	s.wait(4 * time.Second)
	s.mark(markEncoder)
	s.say("The encoder of the left elbow falls silent.")
	w.LoseEncoder(sim.Joint("left_elbow_joint"), true)
	s.wait(5 * time.Second)
	w.LoseEncoder(sim.Joint("left_elbow_joint"), false)
	s.mark(markEncoderBack)
	s.say("The plug is pushed back in.")
	s.wait(3 * time.Second)
	s.order(s.trial.OperatorReset, "The operator checks the arm and signs a reset.")
	s.wait(3 * time.Second)
	p.Clear()
	s.mark(markArmsEnd)
	s.wait(2 * time.Second)
}

func battery(s *stage) {
	w, p := s.world, s.world.Planner()
	s.mark(markBattery)
	s.say("A cell gives up: a twelfth of the charge is left. The planner wants to go on working; the dock commander takes its turn.")
	w.SetCharge(0.08)
	back := msg.Twist{Linear: msg.Vec3{X: -0.2}}
	p.Fix(&back)
	s.wait(2 * time.Second)
	w.Call(sim.Call{Service: sim.ServiceDock, ID: 1, On: true})
	if s.until(4*time.Minute, func() bool { return w.Truth().Docked }) {
		s.say("The robot is at its dock and charges.")
	}
	s.mark(markDocked)
	p.Fix(nil)
	w.Call(sim.Call{Service: sim.ServiceDock, ID: 2, On: false})
	s.wait(5 * time.Second)
}

func stranger(s *stage) {
	w := s.world
	s.say("At night a laptop that nobody knows publishes on /cmd_vel, behind the gate.")
	s.mark(markStranger)
	w.IntruderTwist(msg.Twist{Linear: msg.Vec3{X: -0.3}})
	w.SetFault(sim.FaultForeignSource, true)
	s.wait(9 * time.Second)
	w.SetFault(sim.FaultForeignSource, false)
	s.mark(markStrangerEnd)
	s.say("The laptop is unplugged. The robot stays stopped until somebody has found out who it was.")
	s.wait(4 * time.Second)
	s.say("The day is over.")
}
