package ros2

import (
	"context"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Paces of the node's own goroutine.
const (
	// tick is how often deadlines are looked at.
	tick = 50 * time.Millisecond
	// leastPause keeps hints, which strangers can cause, from being more than so much work.
	leastPause = 10 * time.Millisecond
	// rivalEvery is how often names are looked at again for a second holder.
	rivalEvery = 500 * time.Millisecond
)

// keeper is the state of the node's own goroutine.
type keeper struct {
	n *Node
	// generation, version and stirred are what the graph was made of last.
	generation, version, stirred uint64
	healthy                      bool
	rivals, flushed              time.Duration
	links                        []*link
}

// watchOver looks at deadlines, names and the graph until ctx ends. In a graph in which nothing changes it allocates
// nothing.
func (n *Node) watchOver(ctx context.Context) {
	k := keeper{n: n}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-n.poke:
		case <-ticker.C:
		}
		k.pass(n.cfg.Clock())
		pause.Reset(leastPause)
	}
}

// pass does what is due.
func (k *keeper) pass(now time.Duration) {
	n := k.n
	k.health(now)
	n.readLists()
	changed := k.changed()
	if changed {
		list := n.part.Participants()
		n.dir.keep(list)
		n.faces.keep(n.part.VisitEndpoints)
		k.forgetRefused()
		n.adapt()
	}
	if k.rivals+rivalEvery <= now {
		k.rivals = now
		k.names()
	}
	if n.waiting.Swap(false) || changed {
		k.rematch()
	}
	for _, s := range n.subscriptions() {
		k.links = s.linked(k.links[:0])
		for _, l := range k.links {
			l.tell(now)
		}
	}
	clear(k.links)
	for _, p := range n.publishers() {
		p.tell(k.healthy)
	}
	for _, w := range n.watching() {
		w.look(now, changed)
	}
	if k.flushed+time.Second <= now {
		k.flushed = now
		n.rep.Flush()
	}
}

// changed tells whether anything of the graph is other than at the last pass.
func (k *keeper) changed() bool {
	g, v, s := k.n.part.Generation(), k.n.dir.version.Load(), k.n.stirred.Load()
	changed := g != k.generation || v != k.version || s != k.stirred
	k.generation, k.version, k.stirred = g, v, s
	return changed
}

// rematch has every writer judged again by what is known now.
func (k *keeper) rematch() {
	for _, s := range k.n.subscriptions() {
		s.rematch()
	}
	for _, p := range k.n.publishers() {
		p.writer.Rematch()
	}
}

// names looks whether the names of those that are listened to are still theirs alone.
func (k *keeper) names() {
	n := k.n
	for _, s := range n.subscriptions() {
		k.links = s.linked(k.links[:0])
		for _, l := range k.links {
			name, _ := n.dir.node(l.w.Endpoint)
			p := l.now()
			if p == nil || name == "" {
				continue
			}
			if id := n.identify(l.w.Endpoint); id.rival != nil || id.name != p.Name || id.strength > p.Strength {
				n.wait()
			}
		}
	}
	clear(k.links)
}

// forgetRefused forgets which writers were refused once they are gone.
func (k *keeper) forgetRefused() {
	for _, s := range k.n.subscriptions() {
		if !s.hasRefused() {
			continue
		}
		present, topic := map[wire.GUID]bool{}, s.dds
		k.n.part.VisitEndpoints(func(e *rtps.Endpoint) {
			if e.Writer && e.Topic == topic {
				present[e.GUID] = true
			}
		})
		s.forget(present)
	}
}

// health tells when the participant begins and ceases to work.
func (k *keeper) health(now time.Duration) {
	n, ok := k.n, k.n.part.Healthy()
	if ok == k.healthy {
		return
	}
	k.healthy = ok
	kind, detail := bus.BusBack, "the participant works"
	if ok {
		n.settledAt.Store(int64(now + n.cfg.Limits.SettleTime))
	} else {
		n.settledAt.Store(0)
		kind, detail = bus.BusLost, "the participant's sockets do not work"
	}
	n.rep.Emit(&bus.Event{Kind: kind, Detail: detail})
}

// known tells whether the graph is known at now.
func (n *Node) known(now time.Duration) bool {
	at := time.Duration(n.settledAt.Load())
	return at != 0 && now >= at && n.part.Healthy()
}

// unseenFor is how long the graph does not count as known after somebody was not taken in: participants announce themselves
// at least once in it (CycloneDDS every 8 s), and whoever is refused again is told again.
const unseenFor = 10 * time.Second

// whole tells whether everybody who announced himself lately was taken in.
func (n *Node) whole(now time.Duration) bool {
	at := max(time.Duration(n.unseenAt.Load()), n.part.KeptOut())
	return at == 0 || now-at >= unseenFor
}

// flooded tells whether somebody was passed over lately in a flood of forged announcements.
func (n *Node) flooded(now time.Duration) bool {
	at := n.part.Flooded()
	return at != 0 && now-at < unseenFor
}
