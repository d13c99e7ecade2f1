package courier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// attempt makes one connection with the given settings and returns why it failed.
func attempt(t *testing.T, cfg *config.Courier, address string) *linkError {
	t.Helper()
	broker, err := url.Parse("tls://" + address)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan netEvent)
	p := quick()
	p.connect = time.Second
	l := &link{
		pace: p, clock: testClock{}, broker: broker, left: make(chan struct{}, 1), who: func() (string, []string, bool) { return ClientID(testRobot, false), down(false, false), false }, base: testBase, will: []byte("{}"), events: events,
		arrived: make(chan arrival, 1), parcels: make(chan *parcel), pause: backoff{first: time.Hour, most: time.Hour, random: half},
		config: func(now time.Time) (*tls.Config, error) {
			return credentials(cfg, broker.Hostname(), nil, cfg.Certificate, now)
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case e := <-events:
		if e.up {
			return nil
		}
		return e.down
	case <-time.After(longest):
		t.Fatal("nothing happens")
		return nil
	}
}

// listener accepts connections and treats each as serve says.
func listener(t *testing.T, serve func(net.Conn)) string { return listenOn(t, "127.0.0.1", serve) }

func listenOn(t *testing.T, host string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestReasonsWithoutConnection(t *testing.T) {
	b := newBroker(t, "acme:r1")
	b.ca.pair("expired", "acme:r1", -time.Minute)
	b.ca.pair("stranger", "acme:r2", time.Hour)
	b.ca.pair("old", "broker", -time.Minute)
	other := newAuthority(t, t.TempDir())
	other.pair("robot", "acme:r1", time.Hour)
	good := config.Courier{
		CA: filepath.Join(b.dir, "ca.pem"), Certificate: filepath.Join(b.dir, "robot.pem"), Key: filepath.Join(b.dir, "robot.key"),
	}
	with := func(change func(c *config.Courier)) *config.Courier {
		c := good
		change(&c)
		return &c
	}
	pair := func(dir, name string) *config.Courier {
		return with(func(c *config.Courier) {
			c.Certificate, c.Key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
		})
	}
	serveTLS := func(name string, most uint16, serve func(*tls.Conn)) string {
		cert, err := tls.LoadX509KeyPair(filepath.Join(b.dir, name+".pem"), filepath.Join(b.dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return listener(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: most})
			_ = s.SetDeadline(time.Now().Add(5 * time.Second))
			if s.Handshake() == nil {
				serve(s)
			}
		})
	}
	brokerCert, err := tls.LoadX509KeyPair(filepath.Join(b.dir, "broker.pem"), filepath.Join(b.dir, "broker.key"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(b.address())
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for _, c := range []struct {
		name, reason string
		cfg          *config.Courier
		address      string
	}{
		{"everything is right", "", &good, b.address()},
		{"own certificate expired", ReasonOwnExpired, pair(b.dir, "expired"), b.address()},
		{"own certificate of another authority", ReasonOwnRefused, pair(other.dir, "robot"), b.address()},
		{"certificate and key do not belong together", ReasonOwnUnusable, with(func(c *config.Courier) { c.Key = filepath.Join(b.dir, "stranger.key") }), b.address()},
		{"no key", ReasonOwnUnusable, with(func(c *config.Courier) { c.Key = "" }), b.address()},
		{"key file missing", ReasonOwnUnusable, with(func(c *config.Courier) { c.Key = "/nowhere" }), b.address()},
		{"the broker lets us not listen", ReasonNotAuthorised, &good, serveTLS("broker", 0, deny)},
		{"the broker lets us not in", ReasonNotAuthorised, &good, serveTLS("broker", 0, func(c *tls.Conn) {
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write([]byte{0x20, 2, 0, 5})
		})},
		{"broker of another authority", ReasonBrokerUnknown, with(func(c *config.Courier) { c.CA = filepath.Join(other.dir, "ca.pem") }), b.address()},
		{"broker's certificate expired", ReasonBrokerExpired, &good, serveTLS("old", 0, func(*tls.Conn) {})},
		{"broker's certificate for another name", ReasonBrokerName, &good, listenOn(t, "127.0.0.2", func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{brokerCert}})
			_ = s.SetDeadline(time.Now().Add(5 * time.Second))
			_ = s.Handshake()
		})},
		{"name unknown", ReasonDNS, &good, "broker.invalid:" + port},
		{"nobody listens", ReasonRefused, &good, gone.Addr().String()},
		{"nobody answers", ReasonTimeout, &good, listener(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1000)); time.Sleep(1200 * time.Millisecond) })},
		{"no TLS", ReasonTLS, &good, listener(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })},
		{"TLS 1.2", ReasonTLS, &good, serveTLS("broker", tls.VersionTLS12, func(*tls.Conn) {})},
		{"no MQTT", ReasonProtocol, &good, serveTLS("broker", 0, func(c *tls.Conn) { _, _ = c.Write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}) })},
		{"closed at once", ReasonClosed, &good, serveTLS("broker", 0, func(*tls.Conn) {})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := attempt(t, c.cfg, c.address)
			if reason := reasonOf(got); reason != c.reason {
				t.Errorf("found %q, expected %q: %v", reason, c.reason, got)
			}
		})
	}
}

// deny lets a client in and refuses its subscriptions.
func deny(c *tls.Conn) {
	buf := make([]byte, 4000)
	_, _ = c.Read(buf)
	_, _ = c.Write([]byte{0x20, 2, 0, 0})
	if n, _ := c.Read(buf); n > 4 {
		i := 2
		for buf[i-1]&0x80 != 0 { // the length may have two bytes
			i++
		}
		_, _ = c.Write([]byte{0x90, 6, buf[i], buf[i+1], 0x80, 0x80, 0x80, 0x80})
	}
	_, _ = c.Read(buf)
}

func reasonOf(e *linkError) string {
	if e == nil {
		return ""
	}
	return e.reason
}

func TestReasonsOfErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		reason string
	}{
		{errors.New("pingresp not received, disconnecting"), ReasonSilent},
		{errors.New("EOF"), ReasonClosed},
		{fmt.Errorf("x: %w", &linkError{ReasonProtocol, errPacket}), ReasonProtocol},
		{errors.New("remote error: tls: expired certificate"), ReasonOwnRefused},
		{errors.New("remote error: tls: protocol version not supported"), ReasonTLS},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, ReasonDNS},
		{context.DeadlineExceeded, ReasonTimeout},
	} {
		if got := classify(c.err); got.reason != c.reason {
			t.Errorf("%v: %s, expected %s", c.err, got.reason, c.reason)
		}
		if !strings.Contains(classify(c.err).Error(), c.reason) {
			t.Errorf("%v does not name its reason", c.err)
		}
	}
}

// TestRetriesSpreadOut measures attempts against a port where nobody listens, with a clock that jumps.
func TestRetriesSpreadOut(t *testing.T) {
	clock := newFakeClock()
	events := make(chan netEvent)
	broker, _ := url.Parse("tls://127.0.0.1:1")
	l := &link{
		who:  func() (string, []string, bool) { return ClientID(testRobot, false), down(false, false), false },
		pace: defaultPace(), clock: clock, broker: broker, events: events, parcels: make(chan *parcel),
		pause:  backoff{first: time.Second, most: time.Minute, random: half},
		config: func(time.Time) (*tls.Config, error) { return nil, &linkError{ReasonOwnExpired, errors.New("expired")} },
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	defer func() { cancel(); <-done }()
	var at []time.Duration
	for range 9 {
		if e := <-events; reasonOf(e.down) != ReasonOwnExpired {
			t.Fatalf("%+v", e.down)
		}
		at = append(at, clock.Boot())
		clock.jump(t)
	}
	want := time.Second
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap != want*3/4 {
			t.Errorf("attempt %d after %v, expected %v", i, gap, want*3/4)
		}
		want = min(2*want, time.Minute)
	}
}
