package ros2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	testAction = "/navigate_to_pose"
	testServer = "/guarded/navigate_to_pose"
)

// gated is a node with a gate that lets pass what lies at x ≥ 0, and a client of the action.
type gated struct {
	*GoalGate
	node   *running
	client *Navigator
	seq    atomic.Uint64
	judged collected[msg.Demand]
}

func startGated(t *testing.T, d int, f flavour, change ...func(*GoalGateConfig)) *gated {
	t.Helper()
	x := &gated{node: startNode(t, d, func(c *Config) { c.Limits.ServiceTimeout = patience })}
	flavoured(x.node, f)
	c := GoalGateConfig{Subscription: bus.Subscription{Topic: testAction, Allow: []string{"/fleet"}}, Server: testServer, Trees: []string{"slow.xml"}}
	for _, edit := range change {
		edit(&c)
	}
	var err error
	x.GoalGate, err = x.node.GateGoals(c, func(m *msg.Demand) {
		kept := *m
		kept.Raw = bytes.Clone(m.Raw)
		x.judged.add(kept)
		if seq := x.seq.Add(1); m.Goal.Position.X >= 0 && !m.Goal.Unlisted {
			x.Pass(seq, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	fleet := startNode(t, d, func(c *Config) { c.Name = "/fleet"; c.Limits.ServiceTimeout = patience })
	flavoured(fleet, f)
	if x.client, err = fleet.Navigator(testAction); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client is heard", func() bool { return x.sub.Stats().Connected == 2 }) // our own client has a writer for either kind of server
	return x
}

func at(x float64) *NavGoal {
	g := dock
	g.Position.X = x
	return &g
}

// TestGoalGate: of what a client asks for, exactly what may pass reaches the navigator, as it was sent, and the rest of the
// action works as without a gate. A refusal comes at once, without the navigator.
func TestGoalGate(t *testing.T) {
	for name, f := range flavours {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			x := startGated(t, d, f)
			// Nobody is there to take goals.
			for _, bad := range []*NavGoal{at(-1), {Frame: "map", Orientation: msg.Quat{W: 1}, Tree: "evil.xml"}} {
				if _, err := x.client.SendGoal(t.Context(), bad); !errors.Is(err, ErrGoalRejected) {
					t.Errorf("%+v: %v", bad, err)
				}
			}
			if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
				t.Errorf("nobody takes goals: %v", err)
			}
			server := serveNavigatorAs(startProcess(t, d, true), f, testServer)
			good := at(2)
			good.Tree = "slow.xml"
			eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 && len(known(x.cancel)) == 1 })
			goal, err := x.client.SendGoal(t.Context(), good)
			if err != nil {
				t.Fatal(err)
			}
			all := x.judged.all()
			raw := all[len(all)-1].Raw[cdr.HeaderBytes:]
			if f == prefixed {
				raw = raw[16:]
			}
			server.mu.Lock()
			if !bytes.Equal(server.goal, raw) || !bytes.Equal(raw[:16], goal.id[:]) {
				t.Errorf("the navigator was asked %x, the gate %x", server.goal, raw)
			}
			server.mu.Unlock()
			if err := goal.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
			if s, err := goal.Result(t.Context()); err != nil || s != NavCanceled {
				t.Errorf("%v, %v; expected canceled", s, err)
			}
			if s := x.Stats(); s.Handed != 1 || s.Refused != 3 || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
			// Two end in refusals, one finds nobody.
			if len(all) != 4 || all[3].Peer.Name != "/fleet" || all[3].Form != msg.FormNavigate || all[3].Frame != "map" || !all[1].Goal.Unlisted {
				t.Errorf("%+v", all)
			}
		})
	}
}

// TestGoalGateEnds: an end cancels whatever is under way, also a goal whose acceptance comes after it; none that passes later.
func TestGoalGateEnds(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	goal, err := x.client.SendGoal(t.Context(), at(1))
	if err != nil {
		t.Fatal(err)
	}
	x.End(x.seq.Add(1))
	if s, err := goal.Result(t.Context()); err != nil || s != NavCanceled {
		t.Errorf("%v, %v; expected canceled", s, err)
	}
	server.mu.Lock()
	if len(server.asked) != 1 || server.asked[0] != string(make([]byte, 24)) {
		t.Errorf("asked to cancel %x; expected every goal once", server.asked)
	}
	slow := make(chan struct{})
	server.status, server.ended, server.slow, server.asked = 0, make(chan struct{}), slow, nil
	server.mu.Unlock()
	type sent struct {
		g   *Goal
		err error
	}
	answer := make(chan sent, 1)
	go func() { g, err := x.client.SendGoal(t.Context(), at(1)); answer <- sent{g, err} }()
	eventually(t, "the goal at the navigator", func() bool { return x.Stats().Handed == 2 })
	x.End(x.seq.Add(1))
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) == 1 })
	close(slow)
	late := <-answer
	if late.err != nil {
		t.Fatal(late.err)
	}
	if s, err := late.g.Result(t.Context()); err != nil || s != NavCanceled {
		t.Errorf("accepted after the end: %v, %v; expected canceled", s, err)
	}
	// A decision that was made before the end does not pass after it.
	x.seq.Store(0)
	if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
		t.Errorf("overtaken by the end: %v", err)
	}
}

// TestGoalGateWithoutAnswer: a navigator that says nothing keeps nobody waiting, and is told to forget the goal.
func TestGoalGateWithoutAnswer(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	slow := make(chan struct{})
	defer close(slow)
	server.mu.Lock()
	server.slow = slow
	server.mu.Unlock()
	eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 && len(known(x.cancel)) == 1 })
	if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
		t.Errorf("no answer: %v", err)
	}
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) > 0 })
	server.mu.Lock()
	defer server.mu.Unlock()
	if all := x.judged.all(); len(all) != 1 || server.asked[0][:16] != string(all[0].Raw[cdr.HeaderBytes:][:16]) {
		t.Errorf("asked to cancel %x", server.asked)
	}
}

// TestGoalGateEndsWhatWasNotReplaced: a goal that passed after an end and was not accepted took no older goal's place, so the
// navigator is told of that end still.
func TestGoalGateEndsWhatWasNotReplaced(t *testing.T) {
	for name, rejects := range map[string]bool{"nobody takes the goal": false, "the goal is rejected": true} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			x := startGated(t, d, related)
			x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
			from := boot()
			x.End(x.seq.Add(1))
			p := startProcess(t, d, true)
			takes := func() {
				p.serve(action(testServer, navSend.part), navSend.typ, related, func([]byte) []byte { return make([]byte, 12) })
				eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 })
			}
			if rejects {
				takes()
			}
			if _, err := x.client.SendGoal(t.Context(), at(1)); !errors.Is(err, ErrGoalRejected) {
				t.Errorf("%v; expected a rejection", err)
			}
			eventually(t, "the next try to cancel", func() bool { return boot()-from > x.node.cfg.Limits.ServiceTimeout+2*cancelEvery })
			if !rejects {
				takes()
			}
			cancel := p.serve(action(testAction, navCancel.part), navCancel.typ, related, func([]byte) []byte { return make([]byte, 8) })
			eventually(t, "the word to cancel every goal", func() bool { return slices.Contains(cancel.requests(), string(make([]byte, 24))) })
		})
	}
}

// TestGoalGateBelievesTheNavigatorAlone: who takes no goals has none to cancel, whatever he says, and a navigator that rejects
// the word is told again.
func TestGoalGateBelievesTheNavigatorAlone(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	x.node.cfg.Limits.ServiceTimeout = 200 * time.Millisecond
	liar := startProcess(t, d, true)
	lies := liar.serve(action(testAction, navCancel.part), navCancel.typ, related, func([]byte) []byte { return make([]byte, 8) })
	eventually(t, "somebody who says that he cancels", func() bool { return len(known(x.cancel)) == 1 })
	x.End(x.seq.Add(1))
	eventually(t, "a second try", func() bool { return len(lies.requests()) >= 2 })
	liar.stop()
	eventually(t, "nobody", func() bool { return len(known(x.cancel)) == 0 })
	p := startProcess(t, d, true)
	server := serveNavigatorAs(p, related, testServer)
	server.mu.Lock()
	server.goesOn = 1
	server.mu.Unlock()
	eventually(t, "the word to cancel, and again", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.asked) >= 2 && server.goesOn < 0
	})
	eventually(t, "the gate to believe it", func() bool { _, due := x.due(); return !due })
}

// TestGoalGateEndsWhatSeemsRejected: a goal that was under way at an end is cancelled by its id, also after a "no": who says it
// need not be the navigator.
func TestGoalGateEndsWhatSeemsRejected(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related)
	server := serveNavigatorAs(startProcess(t, d, true), related, testServer)
	slow := make(chan struct{})
	server.mu.Lock()
	server.slow, server.reject = slow, true
	server.mu.Unlock()
	eventually(t, "a navigator", func() bool { return len(known(x.send)) == 1 && len(known(x.cancel)) == 1 })
	answer := make(chan error, 1)
	go func() { _, err := x.client.SendGoal(t.Context(), at(1)); answer <- err }()
	eventually(t, "the goal at the navigator", func() bool { return x.Stats().Handed == 1 })
	x.End(x.seq.Add(1))
	eventually(t, "the word to cancel", func() bool { server.mu.Lock(); defer server.mu.Unlock(); return len(server.asked) == 1 })
	close(slow)
	if err := <-answer; !errors.Is(err, ErrGoalRejected) {
		t.Errorf("%v; expected a rejection", err)
	}
	eventually(t, "the word to cancel this goal", func() bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.asked) == 2 && server.asked[1][:16] == string(x.judged.all()[0].Raw[cdr.HeaderBytes:][:16])
	})
}

// TestGoalGateLooksOn: without a navigator of its own a gate judges what clients ask, and answers nobody.
func TestGoalGateLooksOn(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related, func(c *GoalGateConfig) { c.Server = "" })
	server := serveNavigator(startProcess(t, d, true), related)
	c, err := x.client.n.serviceClient(action(testAction, navSend.part), navSend.typ, navSend.kind)
	if err != nil {
		t.Fatal(err)
	}
	// The gate offers what makes a service whole, lest a client of rmw_fastrtps counts more readers than writers.
	eventually(t, "the navigator besides the gate", func() bool { return len(known(c)) == 2 })
	if _, err := x.client.SendGoal(t.Context(), at(-1)); err != nil {
		t.Error(err)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if s := x.Stats(); server.goal == nil || x.judged.len() != 1 || s != (GoalGateStats{}) {
		t.Errorf("%d judged, %+v, goal %x", x.judged.len(), s, server.goal)
	}
}

// hostile is a client that says what it likes.
type hostile struct {
	t  *testing.T
	w  *rtps.Writer
	in collected[rtps.Sample]
}

func startHostile(t *testing.T, d int) *hostile {
	t.Helper()
	p := startProcess(t, d, true)
	h := &hostile{t: t}
	var err error
	service := action(testAction, "send_goal")
	h.w, err = p.NewWriter(rtps.WriterConfig{Topic: requestTopic(service), Type: "nav2_msgs::action::dds_::NavigateToPose_SendGoal_Request_", Reliable: true, Depth: 64})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.NewReader(rtps.ReaderConfig{
		Topic: replyTopic(service), Type: "nav2_msgs::action::dds_::NavigateToPose_SendGoal_Response_", Reliable: true, MaxRateHz: 1 << 20,
		Handler: func(x *rtps.Sample) {
			kept := *x
			kept.Payload = bytes.Clone(x.Payload)
			h.in.add(kept)
		},
	}); err != nil {
		t.Fatal(err)
	}
	p.node("/evil", h.w)
	return h
}

// TestGoalGateUnderAttack: requests that are cut, huge or many cost their sender alone. The gate answers what it can and
// goes on.
func TestGoalGateUnderAttack(t *testing.T) {
	d := freeDomain(t)
	x := startGated(t, d, related, func(c *GoalGateConfig) { c.Allow = append(c.Allow, "/evil"); c.MaxRateHz = 200 })
	serveNavigatorAs(startProcess(t, d, true), related, testServer)
	h := startHostile(t, d)
	eventually(t, "both are heard", func() bool { return x.sub.Stats().Connected == 3 })
	good := cdr.AppendNavigate(nil, nil, cdr.GoalID{1}, &cdr.NavigateGoal{Frame: "map", Position: msg.Vec3{X: -1}, Orientation: msg.Quat{W: 1}})
	long := cdr.AppendNavigate(nil, nil, cdr.GoalID{2}, &cdr.NavigateGoal{Frame: "map", BehaviorTree: string(bytes.Repeat([]byte("x"), 3000))})
	lie := slices.Clone(good)
	binary.LittleEndian.PutUint32(lie[cdr.HeaderBytes+24:], 1<<31) // the frame's length
	h.say(good[:20], 1)
	h.say(lie, 2)
	h.say(long, 3)
	h.say([]byte{0, 1, 0, 0}, 4)
	h.say(cdr.AppendNavigate(nil, nil, cdr.GoalID{3}, &cdr.NavigateGoal{BehaviorTree: string(bytes.Repeat([]byte("x"), 5000))}), 5) // more than is read
	h.say(good, 6)
	eventually(t, "refusals", func() bool { return h.in.len() >= 5 })
	for i, r := range h.in.all() {
		if ok, _, err := cdr.ParseAccepted(r.Payload, nil); ok || err != nil || r.Related != h.w.GUID() {
			t.Errorf("answer %d: %v, %v, to %v", i, ok, err, r.Related)
		}
	}
	x.node.ev.await(t, bus.PublisherMalformed, testAction, "/evil")
	if s := x.sub.Stats(); s.Malformed != 3 || s.Delivered != 2 {
		t.Errorf("%+v; expected 3 malformed and 2 delivered", s)
	}
	for i := range uint64(10000) {
		h.say(good, 10+i)
	}
	if _, err := x.client.SendGoal(t.Context(), at(1)); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	if s := x.sub.Stats(); s.Skipped == 0 || s.Delivered > 5000 {
		t.Errorf("%+v; expected most of 10000 to be passed over", s)
	}
}

func (h *hostile) say(payload []byte, seq uint64) {
	h.t.Helper()
	if _, err := h.w.Write(seq, payload); err != nil && !errors.Is(err, rtps.ErrTooLong) {
		h.t.Error(err)
	}
}

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

// TestGoalGateAllocatesNothing: neither to refuse a request nor to take one in hand.
func TestGoalGateAllocatesNothing(t *testing.T) {
	n := &Node{cfg: Config{Clock: boot}, flavourOf: func(*rtps.RemoteParticipant) flavour { return related }}
	g := &GoalGate{
		n: n, send: &client{}, free: make(chan *goalRequest, maxGoalRequests), queue: make(chan *goalRequest, maxGoalRequests),
	}
	for i := range maxGoalRequests {
		g.free <- &goalRequest{payload: make([]byte, 0, DefaultGoalBytes), place: i}
	}
	var seq uint64
	g.h = func(m *msg.Demand) {
		if seq++; m.Goal.Position.X >= 0 {
			g.Pass(seq, m)
		}
	}
	w := &rtps.RemoteWriter{Endpoint: &rtps.Endpoint{Participant: &rtps.RemoteParticipant{}}}
	s := &Sub{n: n, max: DefaultGoalBytes, newDecoder: g.asker}
	l := &link{s: s, w: w}
	l.start(&msg.Peer{Name: "/fleet"})
	w.Tag = l
	for name, x := range map[string]float64{"refused": -1, "passed": 1} {
		p := cdr.AppendNavigate(nil, nil, cdr.GoalID{1}, &cdr.NavigateGoal{Frame: "map", Position: msg.Vec3{X: x}, Orientation: msg.Quat{W: 1}})
		sample := &rtps.Sample{Writer: w, Seq: 1, Boot: 1, Payload: p, Related: wire.GUID{Entity: wire.EntityID{1}}}
		if a := testing.AllocsPerRun(200, func() {
			s.sample(sample)
			g.free <- <-g.queue
		}); a != 0 {
			t.Errorf("%s: %v allocations", name, a)
		}
	}
	inHand := uint64(0)
	for i := range g.waits {
		inHand = max(inHand, g.waits[i].Load())
	}
	if g.count.refused.Load() != 201 || inHand != seq && inHand != 201 {
		t.Errorf("refused %d, passed %d of %d", g.count.refused.Load(), inHand, seq)
	}
}
