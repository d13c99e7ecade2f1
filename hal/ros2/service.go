package ros2

import (
	"context"
	"fmt"
	"strconv"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// Types of services that a node calls.
const (
	TypeSetBool = "std_srvs/SetBool"
	TypeTrigger = "std_srvs/Trigger"
	TypeEmpty   = "std_srvs/Empty"
)

// maxServiceText bounds the text of an answer that is passed on, in bytes.
const maxServiceText = 200

// PrepareService announces the client of a service, so that a later call need not wait for discovery. Calls without it
// work too, more slowly the first time.
func (n *Node) PrepareService(name, typ string) error {
	switch typ {
	case TypeSetBool, TypeTrigger, TypeEmpty:
	default:
		return fmt.Errorf("ros2: service %s: type %s; expected %s, %s or %s", clip(name, 80), clip(typ, 80), TypeSetBool, TypeTrigger, TypeEmpty)
	}
	_, err := n.serviceClient(name, typ, "srv")
	return err
}

// request calls a service within ctx; twice allows that servers of two kinds are both asked, and good then says which
// answer counts.
func (n *Node) request(ctx context.Context, name, typ, kind string, enc encoder, twice bool, good func(answer) bool) (answer, error) {
	c, err := n.serviceClient(name, typ, kind)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.ctx, func() { cancel(ErrClosed) })()
	a, err := c.do(ctx, enc, twice, good)
	if err != nil {
		return answer{}, fmt.Errorf("ros2: service %s: %w", name, err)
	}
	return a, nil
}

// callResult makes a call whose response is a flag and a text. Such calls say what is to be, not what is to change, so
// that servers of two kinds may both be asked.
func (n *Node) callResult(ctx context.Context, name, typ string, enc encoder) (bus.ServiceResult, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.ServiceTimeout)
	defer cancel()
	a, err := n.request(ctx, name, typ, "srv", enc, true, func(a answer) bool {
		r, err := cdr.ParseResult(a.payload, a.id)
		return err == nil && r.Success
	})
	if err != nil {
		return bus.ServiceResult{}, err
	}
	r, err := cdr.ParseResult(a.payload, a.id)
	if err != nil {
		return bus.ServiceResult{}, fmt.Errorf("ros2: service %s: response: %w", name, err)
	}
	if r.Message != "" {
		r.Message = quote(r.Message)
	}
	return r, nil
}

// quote makes a server's text fit for a log line.
func quote(s string) string {
	if len(s) > maxServiceText {
		return clip(s, maxServiceText)
	}
	return strconv.Quote(s)
}

// CallSetBool calls a std_srvs/SetBool service. Result.Success is the server's own word, Message its text, quoted and
// capped; whoever needs the effect measures it.
func (n *Node) CallSetBool(ctx context.Context, name string, v bool) (bus.ServiceResult, error) {
	return n.callResult(ctx, name, TypeSetBool, func(b []byte, id *cdr.RequestID) []byte { return cdr.AppendSetBool(b, id, v) })
}

// CallTrigger calls a std_srvs/Trigger service.
func (n *Node) CallTrigger(ctx context.Context, name string) (bus.ServiceResult, error) {
	return n.callResult(ctx, name, TypeTrigger, cdr.AppendEmpty)
}

// CallEmpty calls a std_srvs/Empty service.
func (n *Node) CallEmpty(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.ServiceTimeout)
	defer cancel()
	a, err := n.request(ctx, name, TypeEmpty, "srv", cdr.AppendEmpty, true, func(a answer) bool {
		return cdr.ParseEmpty(a.payload, a.id) == nil
	})
	if err != nil {
		return err
	}
	if err := cdr.ParseEmpty(a.payload, a.id); err != nil {
		return fmt.Errorf("ros2: service %s: response: %w", name, err)
	}
	return nil
}
