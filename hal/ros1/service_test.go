package ros1

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_srvs"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func startService(tb testing.TB, master *rostest.Master, name, typ string, change func(*rostest.Service)) *rostest.Service {
	tb.Helper()
	md5, err := serviceMD5(typ)
	if err != nil {
		tb.Fatal(err)
	}
	s := &rostest.Service{Name: "/arm", Service: name, Type: typ, MD5: md5}
	change(s)
	if err := s.Start(master.URI()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

func TestServices(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	ctx := context.Background()
	startService(t, master, "/arm_enable", typeSetBool, func(s *rostest.Service) {
		s.Handle = func(req []byte) ([]byte, bool) {
			return encode(t, &std_srvs.SetBoolRes{Success: req[0] == 0, Message: "arm"}), true
		}
	})
	startService(t, master, "/stop", typeTrigger, func(s *rostest.Service) {
		s.Handle = func(req []byte) ([]byte, bool) { return encode(t, &std_srvs.TriggerRes{Success: len(req) == 0}), true }
	})
	called := make(chan struct{}, 1)
	startService(t, master, "/clear", typeEmpty, func(s *rostest.Service) {
		s.Handle = func([]byte) ([]byte, bool) { called <- struct{}{}; return nil, true }
	})
	for _, v := range []bool{true, false} {
		if r, err := n.CallSetBool(ctx, "/arm_enable", v); err != nil || r != (bus.ServiceResult{Success: !v, Message: `"arm"`}) {
			t.Errorf("SetBool %v: %+v, %v", v, r, err)
		}
	}
	if r, err := n.CallTrigger(ctx, "/stop"); err != nil || !r.Success {
		t.Errorf("Trigger: %+v, %v", r, err)
	}
	if err := n.CallEmpty(ctx, "/clear"); err != nil || len(called) != 1 {
		t.Errorf("Empty: %v", err)
	}
}

func TestServiceFaults(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	md5, err := serviceMD5(typeTrigger)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(b string) func(*rostest.Service) {
		return func(s *rostest.Service) {
			s.Script = func(c net.Conn) {
				_, _ = io.WriteString(c, string(rostest.Header("callerid", "/arm", "md5sum", md5))+b)
				forever(c)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*rostest.Service)
		want   string
	}{
		{"wrong md5", func(s *rostest.Service) { s.MD5 = "x" }, "md5sum"},
		{"refusal", func(s *rostest.Service) {
			s.Script = func(c net.Conn) { _, _ = c.Write(rostest.Header("error", "not today")) }
		}, "not today"},
		{"failure", func(s *rostest.Service) { s.Handle = func([]byte) ([]byte, bool) { return []byte("broken"), false } }, "broken"},
		{"response of 4 GiB", answer("\x01\xff\xff\xff\xff"), "too long"},
		{"response without an end", answer("\x01\x05\x00\x00\x00\x01"), "timeout"},
		{"no response", answer(""), "timeout"},
		{"silence", func(s *rostest.Service) { s.Script = forever }, "timeout"},
		{"hang up", func(s *rostest.Service) { s.Script = func(net.Conn) {} }, "/stop at"},
		{"success of two", answer("\x01\x05\x00\x00\x00\x02\x00\x00\x00\x00"), "neither 0 nor 1"},
		{"short response", answer("\x01\x01\x00\x00\x00\x01"), "last field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			startService(t, master, "/stop", typeTrigger, func(s *rostest.Service) {
				s.Handle = func([]byte) ([]byte, bool) { return []byte{1, 0, 0, 0, 0}, true }
				c.change(s)
			})
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			if _, err := n.CallTrigger(ctx, "/stop"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error that says %q", err, c.want)
			}
		})
	}
	if _, err := n.CallTrigger(context.Background(), "/nobody"); err == nil || !strings.Contains(err.Error(), "no provider") {
		t.Errorf("a service that nobody provides: %v", err)
	}
	if _, err := n.CallTrigger(context.Background(), "stop"); err == nil {
		t.Error("a service name that is not global is accepted")
	}
}
