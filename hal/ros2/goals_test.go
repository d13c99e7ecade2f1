package ros2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

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

// standing is a gate without a bus, which decides by x as startGated's, and a way to ask it for a goal. Nobody reads its answers.
func standing() (g *GoalGate, ask func(x float64) func()) {
	n := &Node{cfg: Config{Clock: boot}, flavourOf: func(*rtps.RemoteParticipant) flavour { return related }}
	g = &GoalGate{
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
	return g, func(x float64) func() {
		p := cdr.AppendNavigate(nil, nil, cdr.GoalID{1}, &cdr.NavigateGoal{Frame: "map", Position: msg.Vec3{X: x}, Orientation: msg.Quat{W: 1}})
		sample := &rtps.Sample{Writer: w, Seq: 1, Boot: 1, Payload: p, Related: wire.GUID{Entity: wire.EntityID{1}}}
		return func() { s.sample(sample) }
	}
}

// inHand counts the goals that wait for the navigator.
func (g *GoalGate) inHand() (n int) {
	for i := range g.waits {
		if g.waits[i].Load() != 0 {
			n++
		}
	}
	return n
}

// TestGoalGateKeepsPlacesForGoals: refusals whose clients cannot be answered yet leave half of the places to goals that pass.
func TestGoalGateKeepsPlacesForGoals(t *testing.T) {
	g, ask := standing()
	refused, passed := ask(-1), ask(1)
	for range 2 * maxGoalRequests {
		refused()
	}
	if k := len(g.queue); k != maxGoalRequests/2 || g.Stats().Lost != 2*maxGoalRequests-maxGoalRequests/2 {
		t.Errorf("%d refusals wait, %+v; expected %d to wait, and the others to be lost", k, g.Stats(), maxGoalRequests/2)
	}
	for range maxGoalRequests / 2 {
		passed()
	}
	if k := g.inHand(); k != maxGoalRequests/2 || g.Stats().Busy != 0 {
		t.Errorf("%d goals in hand, %+v; expected the other half", k, g.Stats())
	}
}

// TestGoalGateAllocatesNothing: neither to refuse a request nor to take one in hand.
func TestGoalGateAllocatesNothing(t *testing.T) {
	g, ask := standing()
	for name, x := range map[string]float64{"refused": -1, "passed": 1} {
		sample := ask(x)
		if a := testing.AllocsPerRun(200, func() {
			sample()
			g.free <- <-g.queue
		}); a != 0 {
			t.Errorf("%s: %v allocations", name, a)
		}
	}
	if s := g.Stats(); s.Refused != 201 || s.Busy+s.Lost != 0 || g.inHand() != maxGoalRequests {
		t.Errorf("%+v, %d in hand; expected 201 refused, and every place taken once", s, g.inHand())
	}
}
