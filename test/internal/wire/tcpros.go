package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxHeader bounds the connection headers that this side reads.
const maxHeader = 64 << 10

// EncodeHeader is a TCPROS connection header of key, value, key, value…, with its length in front.
func EncodeHeader(kv ...string) []byte {
	b := make([]byte, 4)
	for i := 0; i+1 < len(kv); i += 2 {
		field := kv[i] + "=" + kv[i+1]
		b = binary.LittleEndian.AppendUint32(b, uint32(len(field)))
		b = append(b, field...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// ReadHeader reads one connection header.
func ReadHeader(r io.Reader) (map[string]string, error) {
	body, err := ReadFrame(r, maxHeader)
	if err != nil {
		return nil, fmt.Errorf("wire: connection header: %w", err)
	}
	h := map[string]string{}
	for len(body) > 0 {
		if len(body) < 4 {
			return nil, fmt.Errorf("wire: connection header: %d stray bytes", len(body))
		}
		n := binary.LittleEndian.Uint32(body)
		body = body[4:]
		if uint64(n) > uint64(len(body)) {
			return nil, fmt.Errorf("wire: connection header: field of %d bytes in %d", n, len(body))
		}
		key, value, ok := strings.Cut(string(body[:n]), "=")
		if !ok {
			return nil, fmt.Errorf("wire: connection header: no '=' in %q", body[:n])
		}
		h[key] = value
		body = body[n:]
	}
	return h, nil
}

// Frame puts the length in front of a message body.
func Frame(body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...)
}

// ReadFrame reads one message body of at most limit bytes.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("wire: frame of %d bytes, at most %d expected", n, limit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("wire: frame of %d bytes: %w", n, err)
	}
	return body, nil
}

// RequestTopic asks a node's slave API where it serves a topic over TCPROS and returns host:port.
func RequestTopic(ctx context.Context, slave, caller, topic string) (string, error) {
	v, err := CallROS(ctx, slave, "requestTopic", caller, topic, []any{[]string{"TCPROS"}})
	if err != nil {
		return "", err
	}
	list, ok := v.([]any)
	if !ok || len(list) < 3 {
		return "", fmt.Errorf("wire: requestTopic %s at %s: expected [TCPROS, host, port], found %v", topic, slave, v)
	}
	host, _ := list[1].(string)
	port, _ := list[2].(int)
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// Conn is one TCPROS connection after the handshake.
type Conn struct {
	net.Conn
	// Peer is the other side's connection header.
	Peer map[string]string
}

// DialTopic connects to a publisher at host:port and does the subscriber's handshake. Without extra fields the header
// is what a client library would send; extra fields come after it, later ones winning in most implementations.
func DialTopic(ctx context.Context, addr, caller, topic string, typ Type, extra ...string) (*Conn, error) {
	header := EncodeHeader(append([]string{
		"callerid", caller, "md5sum", typ.MD5, "type", typ.Name, "topic", topic, "tcp_nodelay", "1",
	}, extra...)...)
	return DialHeader(ctx, addr, header)
}

// DialHeader connects, sends the given header as it is and reads the other side's. A header with an error field comes
// back as an error that holds its text.
func DialHeader(ctx context.Context, addr string, header []byte) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(header); err != nil {
		return nil, errors.Join(fmt.Errorf("wire: handshake with %s: %w", addr, err), c.Close())
	}
	peer, err := ReadHeader(c)
	if err == nil && peer["error"] != "" {
		err = errors.New(peer["error"])
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wire: handshake with %s: %w", addr, err), c.Close())
	}
	_ = c.SetDeadline(time.Time{})
	return &Conn{Conn: c, Peer: peer}, nil
}

// CallService finds a service at the master and calls it once.
func CallService(ctx context.Context, master, caller, service string, typ Type, request []byte) ([]byte, error) {
	v, err := CallROS(ctx, master, "lookupService", caller, service)
	if err != nil {
		return nil, err
	}
	uri, _ := v.(string)
	addr := strings.TrimSuffix(strings.TrimPrefix(uri, "rosrpc://"), "/")
	c, err := DialHeader(ctx, addr, EncodeHeader("callerid", caller, "md5sum", typ.MD5, "service", service))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.Write(Frame(request)); err != nil {
		return nil, fmt.Errorf("wire: call %s: %w", service, err)
	}
	var ok [1]byte
	if _, err := io.ReadFull(c, ok[:]); err != nil {
		return nil, fmt.Errorf("wire: call %s: %w", service, err)
	}
	reply, err := ReadFrame(c, maxReply)
	if err != nil {
		return nil, fmt.Errorf("wire: call %s: %w", service, err)
	}
	if ok[0] != 1 {
		return nil, fmt.Errorf("wire: call %s: the service failed: %s", service, reply)
	}
	return reply, nil
}
