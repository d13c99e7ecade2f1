package ros1

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
)

// door is a listener that goes on whatever Accept says, and that holds at most so many guests: when one more comes, the
// guest that has been there longest goes. An honest peer is done within milliseconds, so it is the idle that go.
type door struct {
	ln      net.Listener
	rep     *bus.Reporter
	what    string
	max     int
	perAddr int

	mu     sync.Mutex
	guests []*guest // oldest first
	spare  *os.File
	shut   bool
	pause  time.Duration
}

// guest is one accepted connection, as long as the door holds it.
type guest struct {
	*net.TCPConn
	d    *door
	addr netip.AddrPort
	once sync.Once
	err  error
}

// listen opens a door. Multipath TCP is of no use on a robot's own network and is not what ROS peers expect.
func listen(host netip.Addr, port uint16, what string, rep *bus.Reporter, max, perAddr int) (*door, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", netip.AddrPortFrom(host, port).String())
	if err != nil {
		return nil, err
	}
	d := &door{ln: ln, rep: rep, what: what, max: max, perAddr: perAddr}
	d.openSpare()
	return d, nil
}

// openSpare keeps one file descriptor back, to have one when there are none left.
func (d *door) openSpare() {
	if f, err := os.Open(os.DevNull); err == nil {
		d.spare = f
	}
}

func (d *door) port() uint16 {
	if a, ok := d.ln.Addr().(*net.TCPAddr); ok {
		return a.AddrPort().Port()
	}
	return 0
}

// Accept implements net.Listener; it fails only after Close.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.ln.Accept()
		if err != nil {
			if d.closed() || errors.Is(err, net.ErrClosed) {
				return nil, net.ErrClosed
			}
			d.survive(err)
			continue
		}
		d.pause = 0
		tc, ok := c.(*net.TCPConn)
		if !ok {
			c.Close()
			continue
		}
		return d.admit(tc), nil
	}
}

// survive reports and pauses. Where file descriptors ran out it also turns one caller away with the spare one, for the
// backlog would otherwise stay full of callers that nobody answers.
func (d *door) survive(err error) {
	d.rep.Emit(&bus.Event{Kind: bus.AcceptFailed, Detail: d.what + ": " + err.Error()})
	d.pause = min(max(2*d.pause, 5*time.Millisecond), 200*time.Millisecond)
	if (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && d.spare != nil {
		d.spare.Close()
		d.spare = nil
		if tl, ok := d.ln.(*net.TCPListener); ok {
			tl.SetDeadline(time.Now().Add(time.Millisecond))
			if c, err := tl.Accept(); err == nil {
				c.Close()
			}
			tl.SetDeadline(time.Time{})
		}
	}
	if d.spare == nil {
		d.openSpare()
	}
	time.Sleep(d.pause)
}

func (d *door) admit(c *net.TCPConn) *guest {
	g := &guest{TCPConn: c, d: d, addr: addrPort(c.RemoteAddr())}
	d.mu.Lock()
	var out *guest
	same := 0
	for _, o := range d.guests {
		if o.addr.Addr() == g.addr.Addr() {
			same++
		}
	}
	if same >= d.perAddr {
		out = d.guests[slices.IndexFunc(d.guests, func(o *guest) bool { return o.addr.Addr() == g.addr.Addr() })]
	} else if len(d.guests) >= d.max {
		out = d.guests[0]
	}
	d.guests = append(d.guests, g)
	shut := d.shut
	d.mu.Unlock()
	if out != nil {
		_ = out.Close()
	}
	if shut {
		_ = g.Close()
	}
	return g
}

// leave makes the door forget a guest, whose connection stays open.
func (g *guest) leave() {
	d := g.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.guests, g); i >= 0 {
		d.guests = slices.Delete(d.guests, i, i+1)
	}
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.once.Do(func() {
		g.leave()
		g.err = g.TCPConn.Close()
	})
	return g.err
}

func (d *door) closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

// Close implements net.Listener: it closes the listener and every guest.
func (d *door) Close() error {
	d.mu.Lock()
	if d.shut {
		d.mu.Unlock()
		return nil
	}
	d.shut = true
	guests := slices.Clone(d.guests)
	d.mu.Unlock()
	for _, g := range guests {
		_ = g.Close()
	}
	return d.ln.Close()
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return d.ln.Addr() }
