package ros2

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
)

// navigator is an action server as Nav2 has it, in another process: it takes one goal, and ends it when it is cancelled or
// told to.
type navigator struct {
	mu     sync.Mutex
	goal   []byte // as it was asked for, id first
	reject bool
	status byte
	asked  []string // to cancel
	goesOn int      // that many requests to cancel are rejected
	// slow, if it is set, holds up the answer to a goal.
	slow  chan struct{}
	ended chan struct{}
}

func serveNavigator(p *process, f flavour) *navigator {
	return serveNavigatorAs(p, f, "/navigate_to_pose")
}

// serveNavigatorAs is one that takes goals under another name, as behind a gate.
func serveNavigatorAs(p *process, f flavour, goals string) *navigator {
	v := &navigator{ended: make(chan struct{})}
	p.serve(goals+"/_action/send_goal", "nav2_msgs/action/NavigateToPose_SendGoal", f, func(data []byte) []byte {
		v.mu.Lock()
		slow := v.slow
		v.mu.Unlock()
		if slow != nil {
			<-slow
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.goal = data
		accepted := byte(1)
		if v.reject {
			accepted = 0
		}
		return []byte{accepted, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}
	})
	p.serve("/navigate_to_pose/_action/cancel_goal", "action_msgs/srv/CancelGoal", f, func(data []byte) []byte {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.asked = append(v.asked, string(data[:24]))
		if v.goesOn--; v.goesOn >= 0 {
			return []byte{1, 0, 0, 0, 0, 0, 0, 0} // rejected
		}
		all := string(data[:24]) == string(make([]byte, 24))
		if v.goal == nil || !all && string(data[:16]) != string(v.goal[:16]) || v.status != 0 {
			return []byte{2, 0, 0, 0, 0, 0, 0, 0} // unknown goal
		}
		v.status = byte(NavCanceled)
		close(v.ended)
		return append([]byte{0, 0, 0, 0, 1, 0, 0, 0}, append(v.goal[:16:16], 1, 0, 0, 0, 2, 0, 0, 0)...)
	})
	p.serve("/navigate_to_pose/_action/get_result", "nav2_msgs/action/NavigateToPose_GetResult", f, func([]byte) []byte {
		v.mu.Lock()
		ended := v.ended
		v.mu.Unlock()
		<-ended // each request has its own goroutine
		v.mu.Lock()
		defer v.mu.Unlock()
		return []byte{v.status, 0, 0, 0} // status, padding, error code 0
	})
	return v
}

func (v *navigator) end(s NavStatus) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = byte(s)
	close(v.ended)
}

var dock = NavGoal{Frame: "map", Position: msg.Vec3{X: 1.5, Y: -2}, Orientation: msg.Quat{W: 1}}

func TestNavigator(t *testing.T) {
	for name, f := range flavours {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			n := startNode(t, d, func(c *Config) { c.Limits.ServiceTimeout = patience })
			flavoured(n, f)
			p := startProcess(t, d, true)
			server := serveNavigator(p, f)
			v, err := n.Navigator("/navigate_to_pose")
			if err != nil {
				t.Fatal(err)
			}
			goal, err := v.SendGoal(t.Context(), &dock)
			if err != nil {
				t.Fatal(err)
			}
			server.mu.Lock()
			asked := server.goal
			server.mu.Unlock()
			// id, stamp of 0, "map" with its length and end, then the position at the next multiple of 8.
			if string(asked[:16]) != string(goal.id[:]) || string(asked[24:32]) != "\x04\x00\x00\x00map\x00" {
				t.Errorf("goal %x; expected id %x and frame map", asked, goal.id)
			}
			if x := math.Float64frombits(binary.LittleEndian.Uint64(asked[32:])); x != 1.5 {
				t.Errorf("x %v, expected 1.5", x)
			}
			type end struct {
				status NavStatus
				err    error
			}
			ended := make(chan end, 1)
			go func() {
				s, err := goal.Result(t.Context())
				ended <- end{s, err}
			}()
			eventually(t, "the wait for the result", func() bool { return waiting(n.Node) == 1 })
			if err := goal.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
			if got := <-ended; got.err != nil || got.status != NavCanceled {
				t.Errorf("%v, %v; expected canceled", got.status, got.err)
			}
			if err := goal.Cancel(t.Context()); !errors.Is(err, ErrCancelRejected) {
				t.Errorf("a goal that has ended: %v", err)
			}
		})
	}
}

func TestNavigatorThatFails(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d, func(c *Config) { c.Limits.ServiceTimeout = patience })
	p := startProcess(t, d, true)
	server := serveNavigator(p, related)
	v, err := n.Navigator("/navigate_to_pose")
	if err != nil {
		t.Fatal(err)
	}
	server.mu.Lock()
	server.reject = true
	server.mu.Unlock()
	if _, err := v.SendGoal(t.Context(), &dock); !errors.Is(err, ErrGoalRejected) {
		t.Errorf("rejected: %v", err)
	}
	server.mu.Lock()
	server.reject = false
	server.mu.Unlock()
	goal, err := v.SendGoal(t.Context(), &dock)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if s, err := goal.Result(short); !errors.Is(err, context.DeadlineExceeded) || s != NavUnknown {
		t.Errorf("no end within the caller's time: %v, %v", s, err)
	}
	server.end(NavAborted)
	if s, err := goal.Result(t.Context()); err != nil || s != NavAborted || s.String() != "aborted" {
		t.Errorf("%v, %v; expected aborted", s, err)
	}
	for _, bad := range []string{"navigate", "", "/a b"} {
		if _, err := n.Navigator(bad); err == nil {
			t.Errorf("action %q passes", bad)
		}
	}
}

// TestClientsAreOfOurNode: what a node announces of itself names its clients, so that others show who asks.
func TestClientsAreOfOurNode(t *testing.T) {
	d := freeDomain(t)
	n, m := startNode(t, d), startNode(t, d, func(c *Config) { c.Name = "/other" })
	if _, err := n.Navigator("/navigate_to_pose"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nine endpoints of a node", func() bool {
		named := 0
		m.part.VisitEndpoints(func(e *rtps.Endpoint) {
			if name, _ := m.dir.node(e); name == "/robowarden" {
				named++
			}
		})
		return named == 3*3 // three services, each with a reader of replies and a writer for either kind of server
	})
}
