package sim

import (
	"math/rand/v2"
	"time"
)

// Service is one of the robot's services.
type Service uint8

// Services.
const (
	// ServiceStop stops as hard as balance allows, stands for RestTime and kneels (IEC 60204-1 category 2). Once down,
	// commands make the robot rise again; so does a call with false.
	ServiceStop Service = iota
	// ServiceDock starts (true) or ends (false) the dock commander.
	ServiceDock
	// ServiceArms disables (true) or releases (false) the arm joints.
	ServiceArms
)

// String names the service.
func (s Service) String() string {
	switch s {
	case ServiceStop:
		return "stop"
	case ServiceDock:
		return "dock"
	case ServiceArms:
		return "arms"
	}
	return "unknown"
}

// Call is a request to a service, as std_srvs/SetBool, or std_srvs/Trigger with On always true.
type Call struct {
	Service Service
	// ID comes back in the Reply.
	ID uint64
	On bool
}

// Reply is a service's answer.
type Reply struct {
	// Boot is when it arrived.
	Boot    time.Duration
	Service Service
	ID      uint64
	OK      bool
	Text    string
}

// services is what the services have done.
type services struct {
	rnd     *rand.Rand
	armsOff bool
}

// Call asks a service. The answer comes later by Handlers.Reply, or never.
func (w *World) Call(c Call) {
	wait := w.opts.ServiceDelay
	if w.opts.ServiceJitter > 0 {
		wait += time.Duration(w.services.rnd.Int64N(int64(w.opts.ServiceJitter)))
	}
	f := &w.faults.on
	switch {
	case c.Service == ServiceStop && f[FaultStopHangs], c.Service == ServiceDock && f[FaultDockHangs],
		c.Service == ServiceArms && f[FaultArmsHang]:
		return
	case c.Service == ServiceStop && f[FaultStopRefused]:
		w.reply(wait, c, false, "motor stop refused: drive bus busy")
		return
	case c.Service == ServiceStop && f[FaultStopLies]:
		w.reply(wait, c, true, "")
		return
	case c.Service == ServiceDock && f[FaultDockRefused]:
		w.reply(wait, c, false, "dock refused: no route")
		return
	}
	// The effect comes with half the delay, the answer after it.
	w.After(wait/2, func() {
		text := w.perform(c)
		w.reply(wait/2, c, text == "", text)
	})
}

func (w *World) perform(c Call) string {
	switch c.Service {
	case ServiceStop:
		w.posture.stop(c.On)
	case ServiceArms:
		w.services.armsOff = c.On
	case ServiceDock:
		return w.dock.engage(c.On)
	default:
		return "no such service"
	}
	return ""
}

func (w *World) reply(wait time.Duration, c Call, ok bool, text string) {
	w.After(wait, func() {
		if w.on.Reply != nil {
			w.on.Reply(&Reply{Boot: w.Now(), Service: c.Service, ID: c.ID, OK: ok, Text: text})
		}
	})
}
