package ros2

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
)

const askedBehind = "nav2_msgs::action::dds_::NavigateToPose_SendGoal_Request_"

// asks makes a writer of requests for goals behind the gate.
func (p *process) asks() *rtps.Writer {
	p.t.Helper()
	w, err := p.NewWriter(rtps.WriterConfig{Topic: requestTopic(action(testServer, navSend.part)), Type: askedBehind, Reliable: true})
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

// startNamesake runs a process that says it is the navigator, and has both ends of what goals are asked for by. It returns the
// end that asks.
func startNamesake(t *testing.T, d int) *rtps.Writer {
	t.Helper()
	p := startProcess(t, d, true)
	w := p.asks()
	p.node("/bt_navigator", w)
	reader, err := p.NewReader(rtps.ReaderConfig{
		Topic: requestTopic(action(testServer, navSend.part)), Type: askedBehind, Reliable: true, Handler: func(*rtps.Sample) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.list.Nodes[0].Readers = append(p.list.Nodes[0].Readers, reader.GUID().Bytes())
	p.say()
	return w
}

// TestWatchOfGoals: behind the gate the navigator may ask itself for goals, and nobody else, not even under its name.
func TestWatchOfGoals(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	var g graphs
	if _, err := x.node.WatchGoals(testServer, "/bt_navigator", g.take); err != nil {
		t.Fatal(err)
	}
	startNamesake(t, d)
	eventually(t, "the navigator is served", func() bool { return len(known(x.send)) == 0 && len(x.send.writers[related].Matched()) == 1 })
	from := boot()
	eventually(t, "a graph that counts it", func() bool { return boot()-from > x.node.cfg.Limits.NameTimeout+500*time.Millisecond })
	g.await(t, true, "/robowarden")
	for _, m := range g.all() {
		if m.Total > 1 {
			t.Errorf("the navigator counts as somebody behind the gate: %q", m.Publishers[:m.Total])
		}
	}
	namesake := startProcess(t, d, true)
	namesake.node("/bt_navigator", namesake.asks())
	g.await(t, true, "/bt_navigator", "/robowarden")
	// Nor does it help him to read what he writes.
	startNamesake(t, d)
	g.await(t, true, "/bt_navigator", "/bt_navigator", "/robowarden")
}

// TestGoalsInPassing: whoever asks behind the gate and leaves before he counts is told as a conflict, whatever he calls himself.
// The navigator may close what it asks itself with.
func TestGoalsInPassing(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	w, err := n.WatchGoals(testServer, "/bt_navigator", func(*msg.Graph) {})
	if err != nil {
		t.Fatal(err)
	}
	// seen finds a writer of requests, and by what name.
	seen := func(w *rtps.Writer) (name string, ok bool) {
		n.part.VisitEndpoints(func(e *rtps.Endpoint) {
			if e.GUID == w.GUID() {
				name, _ = n.dir.node(e)
				ok = true
			}
		})
		return name, ok
	}
	leaves := func(w *rtps.Writer, as string) {
		eventually(t, "the writer of "+as, func() bool { name, ok := seen(w); return ok && name == as })
		w.Close()
		eventually(t, "its end", func() bool { _, ok := seen(w); return !ok })
	}
	own := startNamesake(t, d)
	eventually(t, "the navigator", func() bool { s := w.serving.Load(); return s != nil && len(*s) == 1 })
	leaves(own, "/bt_navigator")
	leaves(startProcess(t, d, false).asks(), "")
	topic := rosTopic(requestTopic(action(testServer, navSend.part)))
	n.ev.await(t, bus.PublisherConflict, topic, "dds:127.0.0.1")
	if ev := n.ev.find(bus.PublisherConflict, topic); len(ev) != 1 {
		t.Errorf("%+v; expected a conflict with the nameless one alone", ev)
	}
	leaves(startNamesake(t, d), "/bt_navigator")
	n.ev.await(t, bus.PublisherConflict, topic, "/bt_navigator")
}
