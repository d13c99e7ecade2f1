package ros1

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// onlooker is a node that does not run.
func onlooker(t *testing.T, master string) *Node {
	t.Helper()
	n, err := New(Config{Name: "/onlooker", MasterURI: master, Host: "127.0.0.1", Clock: bootClock, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestInventory(t *testing.T) {
	t.Parallel()
	m, err := rostest.NewMaster("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	startPublisher(t, m.URI(), "/base", "/odom", bus.TypeOdometry, nil)
	startPublisher(t, m.URI(), "/other", "/odom", bus.TypeOdometry, nil)
	for _, call := range [][]any{
		{"registerSubscriber", "/amcl", "/odom", bus.TypeOdometry, "http://127.0.0.1:1/"},
		{"registerSubscriber", "/driver", "/cmd_vel", bus.TypeTwist, "http://127.0.0.1:1/"},
		{"registerService", "/driver", "/motor_stop", "rosrpc://127.0.0.1:1", "http://127.0.0.1:1/"},
		{"setParam", "/base", "/robot_description", `<robot name="a&b"/>`},
	} {
		if _, err := rostest.Call(m.URI(), call[0].(string), call[1:]...); err != nil { //nolint:forcetypeassert // above
			t.Fatal(err)
		}
	}
	n := onlooker(t, m.URI())
	v, err := n.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	odom, cmd := v.Topic("/odom"), v.Topic("/cmd_vel")
	if odom.Type != bus.TypeOdometry || !slices.Equal(odom.Publishers, []string{"/base", "/other"}) || !slices.Equal(odom.Subscribers, []string{"/amcl"}) {
		t.Errorf("/odom: %+v", odom)
	}
	if !slices.Equal(cmd.Subscribers, []string{"/driver"}) || len(cmd.Publishers) != 0 {
		t.Errorf("/cmd_vel: %+v", cmd)
	}
	if len(v.Services) != 1 || v.Services[0].Name != "/motor_stop" || v.Omitted != 0 {
		t.Errorf("services %+v, %d left out", v.Services, v.Omitted)
	}
	if text, err := n.TextParameter(t.Context(), "/robot_description"); err != nil || text != `<robot name="a&b"/>` {
		t.Errorf("parameter %q, %v", text, err)
	}
	if _, err := n.TextParameter(t.Context(), "/nothing"); err == nil || !strings.Contains(err.Error(), "/nothing") {
		t.Errorf("a parameter that is not there: %v", err)
	}
}

// TestInventoryOfABadMaster: whatever the master answers is an error or bounded, and names the call.
func TestInventoryOfABadMaster(t *testing.T) {
	t.Parallel()
	var crowd strings.Builder
	for i := range 2 * bus.MaxInventoryTopics {
		crowd.WriteString(rostest.Encode([]any{fmt.Sprintf("/t%d", i), []string{"/x"}}))
	}
	array := func(s string) string { return "<value><array><data>" + s + "</data></array></value>" }
	for _, c := range []struct {
		name, answer string
		fails        bool
	}{
		{"garbage", "\x00\xff\r\n\r\n", true},
		{"a text for the state", rosAnswer("<value>x</value>"), true},
		{"two lists of three", rosAnswer(array(array("") + array(""))), true},
		{"a number for a node", rosAnswer(array(array(rostest.Encode([]any{"/a", []any{1}})) + array("") + array(""))), true},
		{"a topic without nodes", rosAnswer(array(array(array("<value>/a</value>")) + array("") + array(""))), true},
		// The same answer to the second call is one that fits neither: types are pairs of texts.
		{"a crowd", rosAnswer(array(array(crowd.String()) + array("") + array(""))), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := onlooker(t, badMaster(t, func(conn net.Conn) { _, _ = conn.Write([]byte(c.answer)) }))
			v, err := n.Inventory(t.Context())
			if (err != nil) != c.fails || err != nil && !strings.Contains(err.Error(), "get") {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
	v := &bus.Inventory{}
	for i := range 2 * bus.MaxInventoryTopics {
		if topic := v.Topic(fmt.Sprintf("/t%d", i)); topic != nil {
			for k := range 2 * bus.MaxInventoryNodes {
				v.Publisher(topic, fmt.Sprintf("/n%d", k))
			}
		}
		v.Service(fmt.Sprintf("/s%d", i), "")
	}
	if len(v.Topics) != bus.MaxInventoryTopics || len(v.Services) != bus.MaxInventoryTopics || len(v.Topics[0].Publishers) != bus.MaxInventoryNodes || v.Omitted == 0 {
		t.Errorf("%d topics, %d services, %d left out", len(v.Topics), len(v.Services), v.Omitted)
	}
}
