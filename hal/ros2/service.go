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

// request calls a service once within ctx.
func (n *Node) request(ctx context.Context, name, typ, kind string, enc encoder) ([]byte, *cdr.RequestID, error) {
	c, err := n.serviceClient(name, typ, kind)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.ctx, func() { cancel(ErrClosed) })()
	b, id, err := c.do(ctx, enc)
	if err != nil {
		return nil, nil, fmt.Errorf("ros2: service %s: %w", name, err)
	}
	return b, id, nil
}

// callResult makes a call whose response is a flag and a text.
func (n *Node) callResult(ctx context.Context, name, typ string, enc encoder) (bus.ServiceResult, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.ServiceTimeout)
	defer cancel()
	b, id, err := n.request(ctx, name, typ, "srv", enc)
	if err != nil {
		return bus.ServiceResult{}, err
	}
	r, err := cdr.ParseResult(b, id)
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
	b, id, err := n.request(ctx, name, TypeEmpty, "srv", cdr.AppendEmpty)
	if err != nil {
		return err
	}
	if err := cdr.ParseEmpty(b, id); err != nil {
		return fmt.Errorf("ros2: service %s: response: %w", name, err)
	}
	return nil
}
