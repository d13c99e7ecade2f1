package sim

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// seen is what two seconds of a world showed.
type seen struct {
	poses, odoms, joints, imus, strangers int
	replies                               []Reply
	first, last                           msg.Pose
	frozen, nan, zeroCov, noCov, zeroQuat bool
	frame                                 string
	future                                time.Duration
	rms                                   float64
	unknownGraph                          bool
	publishers, sources, lockers          int
	moved                                 float64
	stopped                               bool
	jointsLost, jointsNaN                 bool
}

// observe walks at 0.5 m/s for two seconds, switches the fault, watches three seconds more and tries to stop.
func observe(t *testing.T, change func(*World)) seen {
	t.Helper()
	var s seen
	var w *World
	watching := false
	h := Handlers{
		Pose: func(p *msg.Pose) {
			if watching {
				s.takePose(w, p)
			}
		},
		Odom: func(*msg.Pose) { s.odoms++ },
		Joints: func(j *msg.Joints) {
			s.joints++
			s.jointsLost = j.Seen != 1<<Joints-1
			s.jointsNaN = math.IsNaN(j.Position[5])
		},
		IMU:   func(*msg.IMU) { s.imus++ },
		Reply: func(r *Reply) { s.replies = append(s.replies, *r) },
		Command: func(c *msg.Command) {
			if c.Peer.Name == NodeIntruder {
				s.strangers++
			}
		},
		Graph: func(g *msg.Graph) {
			s.unknownGraph = !g.Known
			switch g.Topic {
			case TopicCommandRaw:
				s.publishers = g.Total
			case TopicCommand:
				s.sources = g.SourcesTotal
			case TopicLock:
				s.lockers = g.SourcesTotal
			}
		},
	}
	w = rig(t, h, func(o *Options) { o.NoLock = false })
	go1 := func(d time.Duration, v float64, lock bool) {
		for end := w.Now() + d; w.Now() < end; {
			w.Lock(lock)
			drive(w, forward(v), 50*time.Millisecond)
		}
	}
	go1(2*time.Second, 0.5, false)
	change(w)
	w.Advance(100 * time.Millisecond) // Poses measured before are delivered.
	watching, s.poses, s.odoms, s.joints, s.imus = true, 0, 0, 0, 0
	go1(3*time.Second, 0.5, false)
	watching = false
	for _, service := range []Service{ServiceStop, ServiceDock, ServiceArms} {
		w.Call(Call{Service: service, On: true})
	}
	go1(3*time.Second, 0, true)
	before := w.Truth()
	go1(2*time.Second, 0, true)
	s.moved = dist(Point{before.X, before.Y}, Point{w.Truth().X, w.Truth().Y})
	s.stopped = w.Truth().Stopped
	return s
}

func (s *seen) takePose(w *World, p *msg.Pose) {
	s.poses++
	if s.poses == 1 {
		s.first = *p
	}
	s.frozen = s.poses > 1 && p.Position == s.last.Position
	s.last = *p
	s.nan = math.IsNaN(p.Position.X)
	s.zeroCov = p.HasCovariance && p.Covariance == [36]float64{}
	s.noCov = !p.HasCovariance
	s.zeroQuat = p.Orientation == msg.Quat{}
	s.frame = p.Frame
	s.future = time.Duration(p.Stamp - w.Civil().UnixNano())
	at := w.Truth()
	s.rms = max(s.rms, math.Abs(p.Position.X-at.X), math.Abs(p.Position.Y-at.Y))
}

func (s *seen) reply(service Service) *Reply {
	for i := range s.replies {
		if s.replies[i].Service == service {
			return &s.replies[i]
		}
	}
	return nil
}

func TestEachFaultDoesWhatItSaysAndNothingWithoutIt(t *testing.T) {
	refused := func(r *Reply) bool { return r != nil && !r.OK }
	shows := map[Fault]func(*seen) bool{
		FaultPoseFrozen:         func(s *seen) bool { return s.frozen && s.poses > 50 },
		FaultPoseSilent:         func(s *seen) bool { return s.poses == 0 },
		FaultPoseNaN:            func(s *seen) bool { return s.nan },
		FaultPoseZeroCovariance: func(s *seen) bool { return s.zeroCov },
		FaultPoseNoCovariance:   func(s *seen) bool { return s.noCov },
		FaultPoseUncertain:      func(s *seen) bool { return s.last.Covariance[0] > 0.3 && s.rms > 0.2 },
		FaultPoseWrongFrame:     func(s *seen) bool { return s.frame == "odom" },
		FaultPoseFuture:         func(s *seen) bool { return s.future > 9*time.Second },
		FaultPoseZeroQuaternion: func(s *seen) bool { return s.zeroQuat },
		FaultOdomSilent:         func(s *seen) bool { return s.odoms == 0 },
		FaultJointsSilent:       func(s *seen) bool { return s.joints == 0 },
		FaultIMUSilent:          func(s *seen) bool { return s.imus == 0 },
		FaultStopHangs:          func(s *seen) bool { return s.reply(ServiceStop) == nil && !s.stopped },
		FaultStopRefused:        func(s *seen) bool { return refused(s.reply(ServiceStop)) && !s.stopped },
		FaultStopLies: func(s *seen) bool {
			r := s.reply(ServiceStop)
			return r != nil && r.OK && !s.stopped
		},
		FaultDockHangs:       func(s *seen) bool { return s.reply(ServiceDock) == nil },
		FaultDockRefused:     func(s *seen) bool { return refused(s.reply(ServiceDock)) },
		FaultArmsHang:        func(s *seen) bool { return s.reply(ServiceArms) == nil },
		FaultCommandsIgnored: func(s *seen) bool { return s.stopped && s.moved == 0 },
		FaultRunaway:         func(s *seen) bool { return s.moved > 0.5 },
		FaultSecondPublisher: func(s *seen) bool { return s.strangers > 40 && s.publishers == 2 },
		FaultForeignSource:   func(s *seen) bool { return s.sources == 2 },
		FaultForeignLock:     func(s *seen) bool { return s.lockers == 2 },
		FaultGraphUnknown:    func(s *seen) bool { return s.unknownGraph },
	}
	sound := observe(t, func(*World) {})
	if sound.moved != 0 || !sound.stopped || len(sound.replies) != 3 || sound.rms > 0.12 {
		t.Fatalf("without a fault: %+v", sound)
	}
	for _, f := range Faults() {
		show, ok := shows[f]
		if !ok {
			t.Errorf("%v has no test", f)
			continue
		}
		if s := observe(t, func(w *World) { w.SetFault(f, true) }); !show(&s) {
			t.Errorf("%v switched on does not show: %+v", f, s)
		}
		if f != FaultCommandsIgnored && show(&sound) {
			t.Errorf("%v shows although it is off", f)
		}
		back := observe(t, func(w *World) { w.SetFault(f, true); w.SetFault(f, false) })
		if f != FaultCommandsIgnored && show(&back) {
			t.Errorf("%v shows although it was switched off again", f)
		}
	}
}

func TestIgnoredCommandsNeedTheStopService(t *testing.T) {
	w := rig(t, Handlers{}, nil)
	drive(w, forward(0.5), 3*time.Second)
	w.SetFault(FaultCommandsIgnored, true)
	drive(w, msg.Twist{}, 4*time.Second)
	if !w.Truth().Walking {
		t.Fatal("zeros stopped a base that ignores commands")
	}
	w.Call(Call{Service: ServiceStop, On: true})
	if drive(w, msg.Twist{}, 2*time.Second); w.Truth().Walking {
		t.Error("the stop service did not stop it")
	}
}

func TestTeleportMovesTheClaimOnly(t *testing.T) {
	s := observe(t, func(w *World) { w.Teleport(3, -2) })
	if s.rms < 2.8 || s.rms > 3.2 {
		t.Errorf("largest error %.2f m after a jump by (3, −2)", s.rms)
	}
}

func TestSingleEncoders(t *testing.T) {
	if s := observe(t, func(w *World) { w.LoseEncoder(5, true) }); !s.jointsLost || s.jointsNaN {
		t.Errorf("lost encoder: %+v", s)
	}
	if s := observe(t, func(w *World) { w.SpoilEncoder(5, true) }); s.jointsLost || !s.jointsNaN {
		t.Errorf("spoilt encoder: %+v", s)
	}
	s := observe(t, func(w *World) { w.LoseEncoder(5, true); w.LoseEncoder(5, false); w.LoseEncoder(99, true) })
	if s.jointsLost || s.jointsNaN {
		t.Errorf("encoder back: %+v", s)
	}
}

func TestForeignSourceMovesTheBaseAndTheLockHoldsIt(t *testing.T) {
	for _, locked := range []bool{false, true} {
		w := rig(t, Handlers{}, func(o *Options) { o.NoLock = false })
		w.SetFault(FaultForeignSource, true)
		for range 60 {
			w.Lock(locked)
			w.Advance(50 * time.Millisecond)
		}
		if got := w.Truth().Walking; got == locked {
			t.Errorf("locked %v, walking %v", locked, got)
		}
	}
}

func TestForeignLockOpensTheBase(t *testing.T) {
	w := rig(t, Handlers{}, func(o *Options) { o.NoLock = false })
	w.SetFault(FaultForeignLock, true)
	drive(w, forward(0.5), 3*time.Second)
	if !w.Truth().Walking {
		t.Error("a stranger's \"not locked\" had no effect; the fault would prove nothing")
	}
}
