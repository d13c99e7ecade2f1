package guard

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// watch joins what the bus claims about one topic with the connections that the guard really has.
type watch struct {
	params *WatchParams
	core   *interlock.PublisherWatch
	report interlock.BusReport
	peers  [interlock.MaxNames]watchedPeer
	// more counts connections beyond the table.
	more int
	// since is when the first report came; clean is true once a report named nobody but us.
	since time.Duration
	clean bool
	// foreign is when somebody else's value was last seen on the lock topic.
	foreign time.Duration
	// conflict is when somebody last spoke in the name of one of the topic's publishers.
	conflict time.Duration
}

type watchedPeer struct {
	id   uint32
	name string
}

// inheritance is how long after the first report a base may still list a connection to a guard that is gone: a killed
// guard does not say goodbye, and roscpp keeps the dead link until the master tells it of the new one. Until then the
// robot is held, but nothing is latched.
//
// Only a base that can be asked (ROS 1) inherits anything. On DDS the base's reader keeps the dead guard's writer until
// its lease ends as well, but nobody tells us of it: what is seen there is what announces itself to us now, and a dead
// participant does not. Another live guard cannot be meant either, since the journal's lock lets only one run. So whoever
// publishes under our name there is an impostor from the first moment.
const inheritance = 5 * time.Second

// strangerHold is how long a stranger's visit counts, so that a short one is not missed between two steps.
const strangerHold = time.Second

// conflictHold is how long it counts that somebody spoke in another's name. The bus tells of a flood of it many times a
// second, so while it goes on there is no gap.
const conflictHold = time.Second

// rivalry is how long two publishers of one name count as rivals, and not as one that has taken the other's place, once
// somebody was heard to speak in the other's name.
const rivalry = 30 * time.Second

func newWatch(p *WatchParams) (watch, error) {
	core, err := interlock.NewPublisherWatch(p.Config)
	return watch{params: p, core: core, foreign: never, since: never, conflict: never}, err
}

// takeGraph stores the bus's report. Names are strings that the source made; storing them copies no bytes.
func (w *watch) takeGraph(ev *Event) {
	g := ev.Graph
	if g.Topic != w.params.Topic || !g.Known {
		// A bus that does not answer says nothing. What it said last stays until it is too old, so that connections that
		// come meanwhile are judged by it.
		return
	}
	r := &w.report
	r.At, r.Known, r.Flooded, r.Registered = ev.Boot, g.Known, g.Flooded, g.Registered
	r.Total, r.ConsumerKnown, r.SourcesTotal = total(g.Total), g.ConsumerKnown, total(g.SourcesTotal)
	r.Publishers = names(&g.Publishers, g.Total)
	r.Sources = names(&g.Sources, g.SourcesTotal)
	w.peerReport()
	w.reportTo(ev.Boot)
}

func names(list *[msg.MaxPublishers]string, n int) interlock.Names {
	out := interlock.Names{N: min(max(n, 0), interlock.MaxNames)}
	for i := range out.N {
		out.Name[i] = clip(list[i])
	}
	return out
}

// total cuts a number of names to what a record of it can hold, so that a replay decides by the same number.
func total(n int) int { return min(max(n, 0), maxTotal) }

// clip cuts a name to what a record of it can hold, so that a replay compares the same names.
func clip(name string) string { return name[:min(len(name), maxText)] }

// takePeer keeps the table of real connections to an input.
func (w *watch) takePeer(boot time.Duration, p *PeerEvent) {
	if w.params.Input < 0 || p.Input != w.params.Input {
		return
	}
	switch p.Change {
	case PeerConnected:
		w.connect(p)
	case PeerGone:
		w.disconnect(p.ID)
	case PeerConflict:
		w.conflict = boot
	case PeerRefused, PeerAttack, PeerMismatch, PeerMalformed:
	}
	w.peerReport()
	if w.report.At != 0 {
		// The bus's own list is as old as it is; only the connections are news.
		w.reportTo(boot)
	}
}

// reportTo gives the core what is known now.
func (w *watch) reportTo(boot time.Duration) {
	w.report.Rivals = w.conflict != never && boot-w.conflict < rivalry
	w.core.Report(boot, &w.report)
}

func (w *watch) connect(p *PeerEvent) {
	for i := range w.peers {
		if w.peers[i].id == 0 {
			w.peers[i] = watchedPeer{p.ID, clip(p.Name)}
			return
		}
	}
	w.more++
}

func (w *watch) disconnect(id uint32) {
	for i := range w.peers {
		if w.peers[i].id == id {
			w.peers[i] = watchedPeer{}
			return
		}
	}
	w.more = max(0, w.more-1)
}

func (w *watch) peerReport() {
	r := &w.report
	r.PeersKnown, r.Peers, r.PeersTotal = w.params.Input >= 0, interlock.Names{}, w.more
	for i := range w.peers {
		if w.peers[i].id != 0 {
			r.Peers.Name[r.Peers.N] = w.peers[i].name
			r.Peers.N++
			r.PeersTotal++
		}
	}
}

// takeLock notes that somebody else wrote on the lock topic: the source delivers only what others publish.
func (w *watch) takeLock(ev *Event) {
	if w.params.Kind == WatchLock {
		w.foreign = ev.Boot
	}
}

// conditions adds what this topic's publishers mean.
func (w *watch) conditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	s := w.core.Status(boot)
	w.inherit(boot, &s)
	worse := func(t interlock.Trigger, c interlock.Condition) { set[t] = interlock.Worse(set[t], c) }
	worse(interlock.BusLost, s.Lost)
	worse(interlock.BusFlooded, s.Flooded)
	worse(interlock.PublisherConflict, s.Conflict)
	worse(interlock.PublisherConflict, conflict(boot, w.conflict, w.params.Config.Subject))
	if w.params.Kind == WatchLock {
		worse(interlock.LockContested, s.Unknown)
		worse(interlock.LockContested, s.Second)
		worse(interlock.LockContested, s.Bypass)
		worse(interlock.LockLost, s.Unregistered)
		if w.foreign != never && boot-w.foreign < strangerHold {
			worse(interlock.LockContested, interlock.Fault(interlock.CauseForeignWriter, 0))
		}
		return
	}
	worse(interlock.PublisherUnknown, s.Unknown)
	worse(interlock.PublisherSecond, s.Second)
	worse(interlock.GateBypass, s.Bypass)
	worse(interlock.GateUnregistered, s.Unregistered)
}

// conflict says whether somebody spoke in another's name lately.
func conflict(boot, last time.Duration, subject uint16) interlock.Condition {
	if last != never && boot-last < conflictHold {
		return interlock.Fault(interlock.CauseTwoSenders, subject)
	}
	return interlock.OK()
}

// inherit tells a connection that a guard before this one has left behind from a bypass.
func (w *watch) inherit(boot time.Duration, s *interlock.PublisherStatus) {
	if !w.params.Config.AskConsumer || !w.report.Known || !w.report.ConsumerKnown {
		return
	}
	if w.since == never {
		w.since = w.report.At
	}
	if s.Bypass.State == interlock.Clear && s.Unregistered.State == interlock.Clear {
		w.clean = true
	}
	if !w.clean && boot-w.since < inheritance && s.Bypass.State == interlock.Present {
		s.Unregistered, s.Bypass = s.Bypass, interlock.OK()
	}
}
