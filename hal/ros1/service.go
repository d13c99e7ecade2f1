package ros1

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/apimaster"

	"github.com/robowarden/robowarden/hal/bus"
)

// CallService calls a service once, with a serialised request, and returns the serialised response. It asks the master
// for the provider each time, so that a restarted one is found.
func (n *Node) CallService(ctx context.Context, name, typ, md5 string, request []byte) ([]byte, error) {
	if !validName(name) || !validType(typ) {
		return nil, fmt.Errorf("ros1: service %s of type %s; expected a global name and package/Type", clip(name, 80), clip(typ, 80))
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Limits.ServiceTimeout)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	var uri string
	err := n.callMaster(ctx, func(c *apimaster.Client) (err error) {
		uri, err = c.LookupService(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ros1: service %s: lookup: %w", name, err)
	}
	at, err := parseURI(uri, "rosrpc")
	if err != nil {
		return nil, fmt.Errorf("ros1: service %s: %w", name, err)
	}
	conn, err := n.dialTCP(ctx, at.String())
	if err != nil {
		return nil, fmt.Errorf("ros1: service %s: %w", name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	body, err := n.exchange(conn, name, typ, md5, request)
	if err != nil {
		return nil, fmt.Errorf("ros1: service %s at %v: %w", name, at, err)
	}
	return body, nil
}

// exchange sends the header and, once that is answered, the request. Both at once would save a round trip, but rospy
// reads past the header of a client and throws away what it finds there.
func (n *Node) exchange(conn net.Conn, name, typ, md5 string, request []byte) ([]byte, error) {
	out := newHeader("callerid", n.cfg.Name, "service", name, "type", typ, "md5sum", md5)
	if _, err := conn.Write(out); err != nil {
		return nil, err
	}
	raw, err := readHeader(conn, n.cfg.Limits.MaxHeaderBytes)
	if err != nil {
		return nil, err
	}
	h, err := parseHeader(raw)
	if err != nil {
		return nil, err
	}
	if h.err != "" {
		return nil, fmt.Errorf("provider refuses: %s", h.err)
	}
	if h.md5 != md5 {
		return nil, fmt.Errorf("provider has md5sum %s; expected %s: %w", clip(h.md5, 40), md5, errMismatch)
	}
	out = binary.LittleEndian.AppendUint32(out[:0], uint32(len(request)))
	if _, err := conn.Write(append(out, request...)); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	var status [5]byte
	if _, err := io.ReadFull(conn, status[:]); err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	size := binary.LittleEndian.Uint32(status[1:])
	if uint64(size) > uint64(n.cfg.Limits.MaxServiceBytes) {
		return nil, fmt.Errorf("response of %d bytes announced; expected at most %d: %w", size, n.cfg.Limits.MaxServiceBytes, errOversize)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	if status[0] != 1 {
		return nil, fmt.Errorf("provider failed: %s", clip(string(body), 200))
	}
	return body, nil
}

// CallSetBool calls a std_srvs/SetBool service.
func (n *Node) CallSetBool(ctx context.Context, name string, v bool) (bus.ServiceResult, error) {
	return n.callResult(ctx, name, typeSetBool, appendBool(nil, v))
}

// CallTrigger calls a std_srvs/Trigger service.
func (n *Node) CallTrigger(ctx context.Context, name string) (bus.ServiceResult, error) {
	return n.callResult(ctx, name, typeTrigger, nil)
}

// CallEmpty calls a std_srvs/Empty service.
func (n *Node) CallEmpty(ctx context.Context, name string) error {
	md5, err := serviceMD5(typeEmpty)
	if err != nil {
		return err
	}
	body, err := n.CallService(ctx, name, typeEmpty, md5, nil)
	if err != nil {
		return err
	}
	if len(body) != 0 {
		return fmt.Errorf("ros1: service %s: response of %d bytes; expected none", name, len(body))
	}
	return nil
}

// callResult makes a call whose response is a flag and a text.
func (n *Node) callResult(ctx context.Context, name, typ string, request []byte) (bus.ServiceResult, error) {
	md5, err := serviceMD5(typ)
	if err != nil {
		return bus.ServiceResult{}, err
	}
	body, err := n.CallService(ctx, name, typ, md5, request)
	if err != nil {
		return bus.ServiceResult{}, err
	}
	r, err := parseResult(body)
	if err != nil {
		return bus.ServiceResult{}, fmt.Errorf("ros1: service %s: response: %w", name, err)
	}
	return r, nil
}

var errNoDecision = errors.New("success is neither 0 nor 1")

func parseResult(body []byte) (bus.ServiceResult, error) {
	c := cursor{b: body, ok: true}
	success, text := c.u8(), c.str()
	if err := c.end(); err != nil {
		return bus.ServiceResult{}, err
	}
	if success > 1 {
		return bus.ServiceResult{}, errNoDecision
	}
	r := bus.ServiceResult{Success: success == 1}
	if len(text) > 0 {
		r.Message = clip(string(text), 200)
	}
	return r, nil
}
