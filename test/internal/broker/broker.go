// Package broker runs a real MQTT broker and a network that misbehaves, for tests; it never talks to anything outside this machine.
//
// The broker is the one that Debian has, with TLS 1.3, client certificates from an authority of the test's own, and rules that
// go by the certificate's common name. A test may stop it, kill it with or without what it had stored, or hold it.
// A [Proxy] is a broker as an attacker would run it: it has a certificate that everybody believes.
package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// Robots' topics, up and down, below <prefix>/v1/<manufacturer>/<serial>/.
var (
	up   = []string{"connection", "state", "event", "attestation/hello", "attestation/evidence", "attestation/log", "receipt"}
	down = []string{"attestation/challenge", "attestation/result", "order", "acknowledgement"}
)

// program is where Debian puts the broker.
const program = "/usr/sbin/mosquitto" //nolint:misspell // its name

// Options says who may talk to the broker.
type Options struct {
	// Prefix is the first level of the topics.
	Prefix string
	// Robots are ids, "manufacturer/serial". Each may use its own topics, by its certificate's common name.
	Robots []string
	// Stations are common names that may read what robots send and send what robots read.
	Stations []string
	// Host is the IPv4 address that the broker listens on; default 127.0.0.1.
	Host string
	// Roots are PEM files of other authorities whose certificates count as well.
	Roots []string
	// Admins are common names that may read and write everything; the proxy and the tests' eyes use them.
	Admins []string
}

// Broker is a broker of the test's own.
type Broker struct {
	// Authority makes certificates that the broker believes.
	Authority *Authority
	t         testing.TB
	dir       string
	host      string
	port      int
	process   *proc.Process
	probe     Credentials
}

// CommonName is the common name of a robot's certificate.
func CommonName(robot string) string { return strings.ReplaceAll(robot, "/", ":") }

// Start starts a broker and waits until it answers.
func Start(t testing.TB, o Options) *Broker {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		need.Missing(t, "no %s here: run test/setup/install.sh", program)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	b := &Broker{Authority: NewAuthority(t), t: t, dir: t.TempDir(), host: o.Host, port: FreePort(t)}
	b.Authority.host = net.ParseIP(o.Host)
	server := b.Authority.Client(t, "localhost")
	b.probe = b.Authority.Client(t, "probe")
	b.file("acl", acl(o))
	for _, f := range append([]string{server.CA}, o.Roots...) {
		root, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.file("roots.pem", b.text("roots.pem")+string(root))
	}
	b.file("broker.conf", fmt.Sprintf(`user root
listener %d %s
cafile %s
certfile %s
keyfile %s
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
allow_anonymous false
acl_file %s
persistence true
persistence_location %s/
autosave_interval 1
max_queued_messages 0
max_inflight_messages 64
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
`, b.port, b.host, filepath.Join(b.dir, "roots.pem"), server.Certificate, server.Key, filepath.Join(b.dir, "acl"), b.storage()))
	b.Restart()
	return b
}

// acl writes the broker's rules.
func acl(o Options) string {
	var s strings.Builder
	rule := func(kind, topic string) { fmt.Fprintf(&s, "topic %s %s/v1/%s\n", kind, o.Prefix, topic) }
	for _, robot := range o.Robots {
		fmt.Fprintf(&s, "user %s\n", CommonName(robot))
		for _, name := range up {
			rule("write", robot+"/"+name)
		}
		for _, name := range down {
			rule("read", robot+"/"+name)
		}
	}
	for _, cn := range o.Stations {
		fmt.Fprintf(&s, "user %s\n", cn)
		for _, name := range up {
			rule("read", "+/+/"+name)
		}
		for _, name := range down {
			rule("write", "+/+/"+name)
		}
	}
	for _, cn := range o.Admins {
		fmt.Fprintf(&s, "user %s\ntopic readwrite #\n", cn)
	}
	return s.String()
}

func (b *Broker) file(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// text is what a file of the broker's holds by now.
func (b *Broker) text(name string) string {
	text, _ := os.ReadFile(filepath.Join(b.dir, name)) // None there is empty.
	return string(text)
}

func (b *Broker) storage() string { return filepath.Join(b.dir, "storage") }

// FreePort finds a port of the loopback that nobody uses at the moment.
func FreePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address %v", l.Addr())
	}
	return a.Port
}

// Address is host and port.
func (b *Broker) Address() string { return net.JoinHostPort(b.host, strconv.Itoa(b.port)) }

// URL is the address as a deployment names it.
func (b *Broker) URL() string { return "tls://" + b.Address() }

// Restart starts the broker after Stop or Kill, and waits until it answers.
func (b *Broker) Restart() {
	b.t.Helper()
	if err := os.MkdirAll(b.storage(), 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.process = proc.StartT(b.t, proc.Spec{
		Name: "broker", Argv: []string{program, "-c", filepath.Join(b.dir, "broker.conf")},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: b.probe.TLS}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", b.Address())
		if err == nil {
			_ = conn.Close()
			return
		}
		if ctx.Err() != nil || !b.process.Running() {
			b.t.Fatalf("the broker does not answer: %v\n%s", err, b.process.Output())
		}
		time.Sleep(20 * time.Millisecond) // The pause of a poll.
	}
}

// Stop ends the broker in order; it stores what it has.
func (b *Broker) Stop() { b.process.Stop(5 * time.Second) }

// Kill ends the broker at once. With lose, everything that it had stored is gone as well.
func (b *Broker) Kill(lose bool) {
	b.t.Helper()
	b.process.Kill()
	if lose {
		if err := os.RemoveAll(b.storage()); err != nil {
			b.t.Fatal(err)
		}
	}
}

// Pause holds the broker where it stands: connections stay open and nobody answers. Resume lets it go on.
func (b *Broker) Pause() {
	b.t.Helper()
	if err := b.process.Pause(); err != nil {
		b.t.Fatal(err)
	}
}

// Resume continues a paused broker.
func (b *Broker) Resume() {
	b.t.Helper()
	if err := b.process.Resume(); err != nil {
		b.t.Fatal(err)
	}
}

// Process is the broker's own.
func (b *Broker) Process() *proc.Process { return b.process }
