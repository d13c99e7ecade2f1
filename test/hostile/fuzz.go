package hostile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// fuzzAttacks send sound bytes with a few of them spoilt by chance. The seed is logged, and the same seed gives the same
// bytes.
func fuzzAttacks() []Attack {
	return []Attack{
		{"fuzz-slave", "sends spoilt requests to the slave API", NeedNode, fuzzSlave},
		{"fuzz-tcpros", "sends spoilt connection headers", NeedNode | NeedServed, fuzzTCPROS},
		{"fuzz-feed", "publishes spoilt handshakes and messages", NeedNode | NeedPose, fuzzFeed},
	}
}

// Mutator spoils bytes by chance, reproducibly.
type Mutator struct{ random *rand.Rand }

// NewMutator starts from a seed.
func NewMutator(seed uint64) *Mutator { return &Mutator{rand.New(rand.NewPCG(seed, 0x726f6f62))} }

// lengths are numbers at which length checks tend to go wrong.
var lengths = []uint32{0, 1, 3, 4, 0x7f, 0xff, 0xffff, 16 << 20, math.MaxInt32, math.MaxInt32 + 1, math.MaxUint32 - 3, math.MaxUint32}

// Mutate returns a copy with one to four changes; b stays as it is.
func (m *Mutator) Mutate(b []byte) []byte {
	out := append([]byte(nil), b...)
	for range 1 + m.random.IntN(4) {
		out = m.change(out)
	}
	return out
}

func (m *Mutator) change(b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(m.random.Uint32())}
	}
	at := m.random.IntN(len(b))
	end := at + m.random.IntN(min(len(b)-at, 64)+1)
	switch m.random.IntN(8) {
	case 0:
		b[at] ^= 1 << m.random.IntN(8)
	case 1:
		b[at] = byte(m.random.Uint32())
	case 2, 3: // a length field, or what happens to lie there
		if at+4 <= len(b) {
			binary.LittleEndian.PutUint32(b[at:], lengths[m.random.IntN(len(lengths))])
		}
	case 4:
		return b[:at]
	case 5:
		return append(b[:at:at], b[end:]...)
	case 6:
		return append(append(b[:end:end], b[at:end]...), b[end:]...)
	case 7:
		noise := make([]byte, 1+m.random.IntN(32))
		for i := range noise {
			noise[i] = byte(m.random.Uint32())
		}
		return append(append(b[:at:at], noise...), b[at:]...)
	}
	return b
}

// fuzzRounds bounds how many connections a fuzz attack makes.
const fuzzRounds = 300

func fuzzSlave(ctx context.Context, t Target) error {
	uri, err := t.slave(ctx, t.Node)
	if err != nil {
		return err
	}
	addr, err := hostPort(uri)
	if err != nil {
		return err
	}
	t.logf("seed %d", t.seed())
	m := NewMutator(t.seed())
	calls := [][]byte{
		wire.EncodeCall("requestTopic", Name, "/odom", []any{[]string{"TCPROS"}}),
		wire.EncodeCall("publisherUpdate", "/master", "/nothing/here", []string{"http://127.0.0.1:1/"}),
		wire.EncodeCall("getBusInfo", Name), wire.EncodeCall("getPid", Name),
		wire.EncodeCall("paramUpdate", "/master", "/nothing", map[string]any{"a": []any{1, true, 2.5}}),
	}
	return conversations(ctx, t, addr, func(i int) []byte {
		body := calls[i%len(calls)]
		if i%4 != 0 {
			body = m.Mutate(body)
		}
		request := fmt.Appendf(nil, "POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if i%4 == 0 {
			request = m.Mutate(request)
		}
		return request
	})
}

func fuzzTCPROS(ctx context.Context, t Target) error {
	addr, err := t.server(ctx, t.Node, t.ServedTopic)
	if err != nil {
		return err
	}
	t.logf("seed %d", t.seed())
	m := NewMutator(t.seed())
	good := wire.EncodeHeader("callerid", Name, "md5sum", t.ServedType.MD5, "type", t.ServedType.Name, "topic", t.ServedTopic, "tcp_nodelay", "1")
	return conversations(ctx, t, addr, func(int) []byte { return m.Mutate(good) })
}

// conversations opens one connection after the other, sends what text gives, and reads for a moment.
func conversations(ctx context.Context, t Target, addr string, text func(i int) []byte) error {
	deadline := time.Now().Add(t.duration())
	done := 0
	for i := 0; i < fuzzRounds && ctx.Err() == nil && time.Now().Before(deadline); i++ {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return fmt.Errorf("hostile: nobody listens any more after %d conversations: %w", done, err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
		_, werr := c.Write(text(i))
		_, rerr := io.Copy(io.Discard, io.LimitReader(c, 1<<16))
		done++
		// A target may hang up or stay silent, as it likes.
		_ = errors.Join(werr, rerr, c.Close())
	}
	t.logf("%d conversations", done)
	return nil
}

func fuzzFeed(ctx context.Context, t Target) error {
	t.logf("seed %d", t.seed())
	var n atomic.Uint64
	l, err := newListener(ctx, func(_ context.Context, c *wire.Conn) {
		// The n-th connection gets the same bytes in every run, however many there are at a time.
		m := NewMutator(t.seed() + n.Add(1))
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err := wire.ReadHeader(c); err != nil {
			return
		}
		// Half of the handshakes are sound, so that the messages behind them get their turn.
		header := wire.EncodeHeader("callerid", Name, "md5sum", t.PoseType.MD5, "type", t.PoseType.Name, "latching", "0")
		if m.random.IntN(2) == 0 {
			header = m.Mutate(header)
		}
		if _, err := c.Write(header); err != nil {
			return
		}
		for i := range 20 {
			if _, err := c.Write(m.Mutate(wire.Frame(forged(t.PoseType, uint32(i), time.Now())))); err != nil {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	defer l.close()
	return addressed(ctx, t, func() any { return []any{"TCPROS", "127.0.0.1", l.port()} }, l.accepted)
}
