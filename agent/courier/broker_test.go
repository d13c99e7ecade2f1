package courier

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/attest/order"
)

// longest bounds every wait of a test.
const longest = 90 * time.Second

// until polls for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v for: %s", longest, what)
}

// authority signs the test's certificates.
type authority struct {
	t    testing.TB
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB, dir string) *authority {
	a := &authority{t: t, dir: dir}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.file("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) file(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes name.pem for a key, valid from now-1h to now+life.
func (a *authority) issue(name, cn string, pub crypto.PublicKey, life time.Duration) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, pub, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.file(name+".pem", "CERTIFICATE", der)
}

// pair writes name.pem and name.key.
func (a *authority) pair(name, cn string, life time.Duration) {
	a.t.Helper()
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := order.MarshalPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, name+".key"), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.issue(name, cn, key.Public(), life)
}

// broker is a real mosquitto with TLS 1.3, client certificates and a rule for each of them.
type broker struct {
	t    testing.TB
	ca   *authority
	dir  string
	port int
	cmd  *exec.Cmd
	out  bytes.Buffer
}

func newBroker(t testing.TB, robotCN string) *broker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal("mosquitto is not installed")
		}
		t.Skip("mosquitto is not installed")
	}
	// Mosquitto gives up root's rights, so the folder must be open to its own user.
	dir, err := os.MkdirTemp("", "broker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &broker{t: t, dir: dir, ca: newAuthority(t, dir)}
	b.ca.pair("broker", "broker", time.Hour)
	b.ca.pair("robot", robotCN, time.Hour)
	b.ca.pair("station", "station", time.Hour)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	conf := fmt.Sprintf(`listener %d 127.0.0.1
cafile %[2]s/ca.pem
certfile %[2]s/broker.pem
keyfile %[2]s/broker.key
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
acl_file %[2]s/acl
max_queued_messages 100000
max_inflight_messages 200
persistence false
user root
log_type error
log_type warning
`, b.port, dir)
	b.write("mosquitto.conf", conf)
	b.write("acl", "user station\ntopic readwrite site/#\nuser "+robotCN+"\ntopic readwrite site/v1/acme/r1/#\n")
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) write(name, text string) {
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) start() {
	b.t.Helper()
	b.cmd = exec.Command("/usr/sbin/mosquitto", "-c", filepath.Join(b.dir, "mosquitto.conf"))
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	until(b.t, "mosquitto listens", func() bool {
		c, err := net.DialTimeout("tcp", b.address(), time.Second)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

func (b *broker) address() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }

// stop kills the broker, with all that it has stored.
func (b *broker) stop() {
	if b.cmd != nil && b.cmd.Process != nil {
		_ = b.cmd.Process.Signal(syscall.SIGCONT)
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// station is a client with all rights.
type station struct {
	mqtt.Client
	mu   sync.Mutex
	seen []arrival
	wake func(topic string, payload []byte)
}

func newStation(t testing.TB, b *broker, id string, wake func(topic string, payload []byte)) *station {
	t.Helper()
	s := &station{wake: wake}
	cert, err := tls.LoadX509KeyPair(filepath.Join(b.dir, "station.pem"), filepath.Join(b.dir, "station.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(b.ca.cert)
	o := mqtt.NewClientOptions().AddBroker(fmt.Sprintf("ssl://%s", b.address())).SetClientID(id).SetCleanSession(false)
	o.SetTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	o.SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond).SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond)
	o.SetOnConnectHandler(func(c mqtt.Client) { c.Subscribe("site/#", 1, nil) })
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		s.mu.Lock()
		s.seen = append(s.seen, arrival{m.Topic(), m.Payload()})
		s.mu.Unlock()
		if s.wake != nil {
			s.wake(m.Topic(), m.Payload())
		}
	})
	s.Client = mqtt.NewClient(o)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	select {
	case <-s.Connect().Done():
	case <-ctx.Done():
		t.Fatal("the station cannot connect: " + b.out.String())
	}
	t.Cleanup(func() { s.Disconnect(100) })
	return s
}

// messages are what came on topics with this end.
func (s *station) messages() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.seen...)
}
