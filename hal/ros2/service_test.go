package ros2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// offering is a service of another process, in the way of either implementation of ROS 2, written from what those do: the
// one puts 16 bytes in front of the data and gets them back, the other names the request in the reply's inline QoS.
type offering struct {
	t       testing.TB
	flavour flavour
	// answer turns the data of a request, without encapsulation and header, into that of the reply, nil for none.
	answer func(data []byte) []byte
	writer *rtps.Writer

	mu   sync.Mutex
	seq  uint64
	seen []string
}

// serve offers a service of a type such as "std_srvs/srv/SetBool".
func (p *process) serve(name, typ string, f flavour, answer func([]byte) []byte) *offering {
	p.t.Helper()
	kind := strings.Split(typ, "/")[1]
	tn, err := parseType(typ, kind)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &offering{t: p.t, flavour: f, answer: answer}
	s.writer, err = p.NewWriter(rtps.WriterConfig{Topic: replyTopic(name), Type: tn.dds("_Response"), Reliable: true, Depth: 8})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err = p.NewReader(rtps.ReaderConfig{Topic: requestTopic(name), Type: tn.dds("_Request"), Reliable: true, Handler: s.take}); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// take answers a request, once the client's reader is matched: both implementations wait 100 ms for that.
func (s *offering) take(x *rtps.Sample) {
	data := append([]byte(nil), x.Payload[4:]...)
	var head []byte
	of, seq, reader := x.Writer.GUID, x.Seq, x.Related
	client := func(r *rtps.RemoteReader) bool { return r.GUID == reader }
	if s.flavour == prefixed {
		head, data = data[:16], data[16:]
		who, _, _ := strings.Cut(string(x.Writer.UserData), ";")
		client = func(r *rtps.RemoteReader) bool { return strings.HasPrefix(string(r.UserData), who+";") }
	} else if reader != (wire.GUID{}) {
		of = reader
	}
	go func() {
		for range 100 {
			if slices.ContainsFunc(s.writer.Matched(), client) {
				s.reply(head, data, of, seq)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
}

func (s *offering) reply(head, data []byte, of wire.GUID, seq wire.SeqNum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, string(data))
	reply := s.answer(data)
	if reply == nil {
		return
	}
	payload := append(append([]byte{0, 1, 0, 0}, head...), reply...)
	for len(payload)%4 != 0 {
		payload = append(payload, 0)
	}
	s.seq += 2
	if s.flavour == prefixed {
		_, err := s.writer.Write(s.seq, payload)
		s.check(err)
		return
	}
	// Somebody else's reply comes first, as on a service with many clients.
	other := wire.GUID{Prefix: wire.Prefix{9}, Entity: of.Entity}
	_, err := s.writer.WriteRelated(s.seq-1, result(true, "not yours"), other, seq)
	s.check(err)
	_, err = s.writer.WriteRelated(s.seq, payload, of, seq)
	s.check(err)
}

// check takes the end of the server's process for no error.
func (s *offering) check(err error) {
	if err != nil && !errors.Is(err, rtps.ErrClosed) {
		s.t.Error(err)
	}
}

func (s *offering) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// result is the data of a std_srvs response with its encapsulation.
func result(ok bool, message string) []byte {
	return append([]byte{0, 1, 0, 0}, resultData(ok, message)...)
}

func resultData(ok bool, message string) []byte {
	b := []byte{0, 0, 0, 0}
	if ok {
		b[0] = 1
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(message)+1))
	return append(append(b, message...), 0)
}

// flavoured makes a node take everybody's services as of one kind.
func flavoured(n *running, f flavour) {
	n.flavourOf = func(*rtps.RemoteParticipant) flavour { return f }
}

var flavours = map[string]flavour{"rmw_fastrtps": related, "rmw_cyclonedds": prefixed}

func TestServices(t *testing.T) {
	for name, f := range flavours {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			n := startNode(t, d)
			flavoured(n, f)
			p := startProcess(t, d, true)
			lock := p.serve("/lock", "std_srvs/srv/SetBool", f, func(data []byte) []byte {
				return resultData(data[0] == 1, fmt.Sprintf("locked %d\n", data[0]))
			})
			p.serve("/stop", "std_srvs/srv/Trigger", f, func([]byte) []byte { return resultData(true, "") })
			p.serve("/clear", "std_srvs/srv/Empty", f, func([]byte) []byte { return []byte{0} })
			ctx := t.Context()
			for _, v := range []bool{true, false, true} {
				got, err := n.CallSetBool(ctx, "/lock", v)
				want := bus.ServiceResult{Success: v, Message: fmt.Sprintf("%q", fmt.Sprintf("locked %d\n", map[bool]int{true: 1}[v]))}
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v; expected -, got +\n%s", err, diff)
				}
			}
			if got, err := n.CallTrigger(ctx, "/stop"); err != nil || got != (bus.ServiceResult{Success: true}) {
				t.Errorf("trigger: %+v, %v", got, err)
			}
			if err := n.CallEmpty(ctx, "/clear"); err != nil {
				t.Error(err)
			}
			if got := lock.requests(); len(got) != 3 {
				t.Errorf("%d requests, expected 3", len(got))
			}
			for _, r := range lock.requests() {
				if len(r) < 1 || r[0] > 1 || strings.Trim(r[1:], "\x00") != "" {
					t.Errorf("request %x; expected a bool", r)
				}
			}
		})
	}
}

// TestCallsAtOnce: many calls of one service at once get their own answers.
func TestCallsAtOnce(t *testing.T) {
	for name, f := range flavours {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			n := startNode(t, d)
			flavoured(n, f)
			p := startProcess(t, d, true)
			p.serve("/lock", "std_srvs/srv/SetBool", f, func(data []byte) []byte { return resultData(data[0] == 1, "") })
			if err := n.PrepareService("/lock", TypeSetBool); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					want := i%2 == 0
					if got, err := n.CallSetBool(t.Context(), "/lock", want); err != nil || got.Success != want {
						t.Errorf("%v: %+v, %v", want, got, err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestCallsThatFail(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.ServiceTimeout = 300 * time.Millisecond; c.Limits.MaxServices = 4 })
	p := startProcess(t, d, true)
	p.serve("/mute", "std_srvs/srv/Trigger", related, func([]byte) []byte { return nil })
	p.serve("/rubbish", "std_srvs/srv/Trigger", related, func([]byte) []byte { return []byte{2, 0, 0, 0, 1, 0, 0, 0, 0} })
	ctx := t.Context()
	if _, err := n.CallTrigger(ctx, "/nobody"); !errors.Is(err, ErrNoServer) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody offers it: %v", err)
	}
	for _, name := range []string{"/mute", "/rubbish"} {
		offered(t, n, name, TypeTrigger, 1)
	}
	if _, err := n.CallTrigger(ctx, "/mute"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNoServer) {
		t.Errorf("the server says nothing: %v", err)
	}
	if _, err := n.CallTrigger(ctx, "/rubbish"); err == nil || !strings.Contains(err.Error(), "response") {
		t.Errorf("the answer is rubbish: %v", err)
	}
	if _, err := n.CallTrigger(ctx, "stop"); err == nil || !strings.Contains(err.Error(), "fully qualified") {
		t.Errorf("relative name: %v", err)
	}
	if err := n.CallEmpty(ctx, "/mute"); err == nil || !strings.Contains(err.Error(), "called as") {
		t.Errorf("another type: %v", err)
	}
	if err := n.PrepareService("/x", "std_srvs/Other"); err == nil || !strings.Contains(err.Error(), "expected") {
		t.Errorf("unknown type: %v", err)
	}
	if err := errors.Join(n.PrepareService("/four", TypeTrigger), n.PrepareService("/four", TypeTrigger)); err != nil {
		t.Error(err)
	}
	if err := n.PrepareService("/five", TypeTrigger); err == nil || !strings.Contains(err.Error(), "more than 4") {
		t.Errorf("too many: %v", err)
	}
	left := make(chan error, 1)
	n.cfg.Limits.ServiceTimeout = time.Minute
	go func() { _, err := n.CallTrigger(ctx, "/mute"); left <- err }()
	eventually(t, "the request", func() bool { return waiting(n.Node) == 1 })
	p.stop()
	if err := <-left; !errors.Is(err, ErrNoServer) {
		t.Errorf("the server has left: %v", err)
	}
	go func() { _, err := n.CallTrigger(ctx, "/four"); left <- err }()
	n.stop()
	if err := <-left; !errors.Is(err, ErrClosed) {
		t.Errorf("the node is closed: %v", err)
	}
}

// offered waits until so many servers of a service are known.
func offered(t *testing.T, n *running, name, typ string, servers int) *client {
	t.Helper()
	if err := n.PrepareService(name, typ); err != nil {
		t.Fatal(err)
	}
	c, err := n.serviceClient(name, typ, "srv")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%d servers of %s", servers, name), func() bool { return len(known(c)) == servers })
	return c
}

func known(c *client) []server {
	servers, _ := c.servers()
	return servers
}

// waiting counts the requests without a reply.
func waiting(n *Node) (out int) {
	for _, c := range n.serviceClients() {
		c.mu.Lock()
		out += len(c.wait)
		c.mu.Unlock()
	}
	return out
}

// TestTwoServers: two servers of one kind are told as a conflict, and the first answer counts.
func TestTwoServers(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	p, q := startProcess(t, d, true), startProcess(t, d, true)
	yes := func([]byte) []byte { return resultData(true, "") }
	p.serve("/stop", "std_srvs/srv/Trigger", related, yes)
	q.serve("/stop", "std_srvs/srv/Trigger", related, yes)
	offered(t, n, "/stop", TypeTrigger, 2)
	if got, err := n.CallTrigger(t.Context(), "/stop"); err != nil || !got.Success {
		t.Errorf("%+v, %v", got, err)
	}
	n.ev.await(t, bus.PublisherConflict, "/stop", "dds:127.0.0.1")
}

// TestServersOfTwoKinds: a second server, of the other kind and with whatever answer, does not keep a stop from the first
// one, and neither is sent what is meant for the other.
func TestServersOfTwoKinds(t *testing.T) {
	yes := func(data []byte) []byte { return resultData(data[0] == 1, "mine") }
	for name, other := range map[string]func([]byte) []byte{
		"agrees": yes, "refuses": func([]byte) []byte { return resultData(false, "no") }, "says nothing": func([]byte) []byte { return nil },
		"answers rubbish": func([]byte) []byte { return []byte{2, 0, 0, 0, 1, 0, 0, 0, 0} },
	} {
		for own, ours := range flavours {
			t.Run(name+", ours "+own, func(t *testing.T) {
				t.Parallel()
				d := freeDomain(t)
				n := startNode(t, d)
				p, q := startProcess(t, d, true), startProcess(t, d, true)
				theirs := related + prefixed - ours
				n.flavourOf = func(r *rtps.RemoteParticipant) flavour {
					if r.GUID == p.GUID() {
						return ours
					}
					return theirs
				}
				good, bad := p.serve("/stop", "std_srvs/srv/SetBool", ours, yes), q.serve("/stop", "std_srvs/srv/SetBool", theirs, other)
				offered(t, n, "/stop", TypeSetBool, 2)
				for i := range 3 {
					if got, err := n.CallSetBool(t.Context(), "/stop", true); err != nil || !got.Success {
						t.Fatalf("call %d: %+v, %v", i, got, err)
					}
				}
				n.ev.await(t, bus.PublisherConflict, "/stop", "dds:127.0.0.1")
				eventually(t, "both were asked", func() bool { return len(good.requests()) == 3 && len(bad.requests()) == 3 })
				for _, r := range append(good.requests(), bad.requests()...) {
					if strings.TrimRight(r, "\x00") != "\x01" {
						t.Errorf("a server was sent %x", r)
					}
				}
				if waiting(n.Node) != 0 {
					t.Error("a call is waited for that has ended")
				}
				// A goal for a navigator is another matter: it would be driven to twice.
				c, err := n.serviceClient("/stop", TypeSetBool, "srv")
				if err != nil {
					t.Fatal(err)
				}
				enc := func(b []byte, id *cdr.RequestID) []byte { return cdr.AppendSetBool(b, id, true) }
				if _, err := c.do(t.Context(), enc, false, func(answer) bool { return true }); !errors.Is(err, ErrTwoKinds) {
					t.Errorf("a request that must not be made twice: %v", err)
				}
			})
		}
	}
}

// TestNoGoodAnswer: where nobody agrees, it is the first answer that is told, once both have said something or the time is
// over.
func TestNoGoodAnswer(t *testing.T) {
	for name, second := range map[string]func([]byte) []byte{
		"refuses too": func([]byte) []byte { return resultData(false, "no") }, "says nothing": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			n := startNode(t, d, func(c *Config) { c.Limits.ServiceTimeout = time.Second })
			p, q := startProcess(t, d, true), startProcess(t, d, true)
			n.flavourOf = func(r *rtps.RemoteParticipant) flavour {
				if r.GUID == p.GUID() {
					return related
				}
				return prefixed
			}
			p.serve("/stop", "std_srvs/srv/Trigger", related, func([]byte) []byte { return resultData(false, "no") })
			q.serve("/stop", "std_srvs/srv/Trigger", prefixed, second)
			offered(t, n, "/stop", TypeTrigger, 2)
			if got, err := n.CallTrigger(t.Context(), "/stop"); err != nil || got != (bus.ServiceResult{Message: `"no"`}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
