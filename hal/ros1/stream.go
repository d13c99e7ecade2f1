package ros1

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
)

// maxDrain bounds how often a stream in mode Latest looks for yet newer bytes before it delivers, so that a flood
// cannot keep it from delivering at all.
const maxDrain = 64

// minStreamBuffer holds a score of poses: one read empties the socket after a pause of the process.
const minStreamBuffer = 16 << 10

// stream reads framed messages from one connection: a length of four bytes, then the body. Only its own goroutine
// touches it, but for the atomics, which the node's watchdog reads.
type stream struct {
	conn  net.Conn
	raw   syscall.RawConn
	clock func() time.Duration
	dec   decoder
	count *counters
	max   int
	mode  bus.Mode
	pace  pacer

	buf        []byte
	start, end int
	// await and try are receiveWaiting and receiveNow; got and errno are what they found.
	await, try func(fd uintptr) bool
	got        int
	errno      syscall.Errno
	// began is the boot time of the first bytes of an incomplete message, or 0.
	began time.Duration

	// lastRx is the boot time of the last bytes. partialSince is began while the stream waits for the peer, and 0
	// while it works: a slow handler is not the peer's fault.
	lastRx, partialSince atomic.Int64
}

// counters are what a subscription's streams share.
type counters struct {
	delivered, skipped, malformed atomic.Uint64
	connected                     atomic.Int64
}

func newStream(conn net.Conn, dec decoder, s *Sub) (*stream, error) {
	st := &stream{conn: conn, clock: s.n.cfg.Clock, dec: dec, count: &s.count, max: s.max, mode: s.mode, pace: s.pace}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection %T has no file descriptor", conn)
	}
	var err error
	if st.raw, err = sc.SyscallConn(); err != nil {
		return nil, err
	}
	size := minStreamBuffer
	if s.max+4 < 1<<10 {
		size = 4 << 10
	}
	st.buf = make([]byte, size)
	st.await, st.try = st.receiveWaiting, st.receiveNow
	st.lastRx.Store(int64(st.clock()))
	return st, nil
}

// run reads until the connection ends or the peer breaks a rule.
func (s *stream) run() error {
	for {
		if err := s.raw.Read(s.await); err != nil {
			return err
		}
		switch {
		case s.errno != 0:
			return os.NewSyscallError("recvfrom", s.errno)
		case s.got == 0:
			return io.EOF
		}
		boot := s.clock()
		s.lastRx.Store(int64(boot))
		s.partialSince.Store(0)
		s.end += s.got
		if err := s.handle(boot); err != nil {
			return err
		}
	}
}

// handle delivers what is complete and makes room for what is not.
func (s *stream) handle(boot time.Duration) error {
	var moved bool
	var err error
	if s.mode == bus.Every {
		moved, err = s.deliverEvery(boot)
	} else {
		moved, err = s.deliverLatest(boot)
	}
	if err != nil {
		return err
	}
	switch {
	case s.start == s.end:
		s.start, s.end, s.began = 0, 0, 0
		return nil
	case moved || s.began == 0:
		s.began = boot
	}
	s.partialSince.Store(int64(s.began))
	return s.makeRoom()
}

// makeRoom moves an incomplete message to the front and lets the buffer hold it whole.
func (s *stream) makeRoom() error {
	if s.start > 0 {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end < 4 {
		return nil
	}
	n, err := s.length(0)
	if err != nil {
		return err
	}
	if 4+n > len(s.buf) {
		s.buf = append(make([]byte, 0, 4+n), s.buf[:s.end]...)[:4+n]
	}
	return nil
}

// length reads the length at offset at and holds it to the cap.
func (s *stream) length(at int) (int, error) {
	n := binary.LittleEndian.Uint32(s.buf[at:])
	if uint64(n) > uint64(s.max) {
		return 0, fmt.Errorf("message of %d bytes announced; expected at most %d: %w", n, s.max, errOversize)
	}
	return int(n), nil
}

// next finds the next complete message.
func (s *stream) next() (body []byte, ok bool, err error) {
	if s.end-s.start < 4 {
		return nil, false, nil
	}
	n, err := s.length(s.start)
	if err != nil || s.end-s.start < 4+n {
		return nil, false, err
	}
	body = s.buf[s.start+4 : s.start+4+n]
	s.start += 4 + n
	return body, true, nil
}

func (s *stream) deliverEvery(boot time.Duration) (moved bool, err error) {
	for {
		body, ok, err := s.next()
		if err != nil || !ok {
			return moved, err
		}
		moved = true
		if !s.pace.allow(boot) {
			s.count.skipped.Add(1)
			continue
		}
		if err := s.deliver(body, boot); err != nil {
			return moved, err
		}
	}
}

// deliverLatest delivers the newest complete message. A buffer filled to its end means that the socket may hold more,
// so that is looked at first, without waiting.
func (s *stream) deliverLatest(boot time.Duration) (moved bool, err error) {
	for drained := 0; ; drained++ {
		var newest []byte
		for {
			body, ok, err := s.next()
			if err != nil {
				return moved, err
			}
			if !ok {
				break
			}
			if newest != nil {
				s.count.skipped.Add(1)
			}
			newest, moved = body, true
		}
		if newest == nil {
			return moved, nil
		}
		if s.end < len(s.buf) || drained == maxDrain || s.start == 4+len(newest) {
			return moved, s.deliver(newest, boot)
		}
		s.start -= 4 + len(newest)
		s.more()
	}
}

// more moves the newest complete message and what follows it to the front, where next finds them again, and adds what
// the socket has.
func (s *stream) more() {
	s.end = copy(s.buf, s.buf[s.start:s.end])
	s.start = 0
	if s.raw.Read(s.try) == nil {
		s.end += s.got // what else it found, the next read finds again
	}
}

// receiveWaiting receives what the socket has; false says that there is nothing yet.
func (s *stream) receiveWaiting(fd uintptr) bool {
	s.got, s.errno = receive(fd, s.buf[s.end:])
	return s.errno != syscall.EAGAIN
}

// receiveNow receives what the socket has, if there is anything.
func (s *stream) receiveNow(fd uintptr) bool {
	s.got, _ = receive(fd, s.buf[s.end:])
	return true
}

func (s *stream) deliver(body []byte, boot time.Duration) error {
	if err := s.dec.decode(body, boot); err != nil {
		s.count.malformed.Add(1)
		return err
	}
	s.count.delivered.Add(1)
	return nil
}

// pacer lets through at most one message per gap on average, with a burst of a quarter of a second (GCRA).
type pacer struct {
	gap, due time.Duration
}

const paceBurst = 250 * time.Millisecond

func (p *pacer) allow(now time.Duration) bool {
	if p.due < now {
		p.due = now
	}
	if p.due-now > paceBurst {
		return false
	}
	p.due += p.gap
	return true
}
