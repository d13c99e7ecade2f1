package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/courier"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

const robot = "unitree/g1-0007"

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// lockedBuffer is what a command writes, read while it runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// station runs a command to its end.
func station(cmd *cobra.Command, args ...string) (string, error) {
	var out lockedBuffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			tb.Fatalf("REQUIRE_ALL=1, but %s is not installed", name)
		}
		tb.Skipf("%s is not installed", name)
	}
	return path
}

// start starts a tool until the test ends, and waits until it listens.
func start(tb testing.TB, network, address, name string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(tool(tb, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(tb, name+" listens", func() bool {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd
}

// write writes a file of the test.
func write(tb testing.TB, dir, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// freePort is a port that was free a moment ago.
func freePort(tb testing.TB) string {
	tb.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(tb)
	defer l.Close()
	return l.Addr().String()
}

// TestPilot is the pilot of docs/enrolment.md: an authority is made and serves, a robot with a TPM is invited and enrolled, its
// broker lets it in, it is revoked, the broker keeps it out, and it is invited anew.
func TestPilot(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	run := func(args ...string) string {
		t.Helper()
		out, err := station(New(), append(args, "--dir", ca)...)
		if err != nil {
			t.Fatalf("ca %v: %v\n%s", args, err, out)
		}
		return out
	}
	run("init", "--site", "hospital")
	at := freePort(t)
	serving, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var log lockedBuffer
	cmd := New()
	cmd.SetErr(&log)
	cmd.SetArgs([]string{"serve", "--dir", ca, "--listen", at, "--host", "127.0.0.1"})
	go func() { done <- cmd.ExecuteContext(serving) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the authority ended with %v", err)
		}
	}()
	eventually(t, "the authority serves", func() bool { return strings.Contains(log.String(), "serving") })

	socket := filepath.Join(must(os.MkdirTemp("", "tpm"))(t), "s")
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(socket)) })
	start(t, "unix", socket, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+filepath.Dir(socket), "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	c := &config.Courier{TPM: socket, StateDir: filepath.Join(dir, "courier"), Certificate: filepath.Join(dir, "robot.pem"), CA: filepath.Join(dir, "broker-ca.pem")}
	ek := must(courier.Endorsement(c))(t)
	invite := func(name string, more ...string) *identity.Invitation {
		t.Helper()
		file := filepath.Join(dir, name)
		out := run(append([]string{"invite", robot, "--server", "https://" + at, "--out", file}, more...)...)
		if info := must(os.Stat(file))(t); info.Mode().Perm() != 0o600 || !strings.Contains(out, "robowarden enroll --invitation") {
			t.Errorf("mode %v, %s", info.Mode(), out)
		}
		return must(identity.ParseInvitation(must(os.ReadFile(file))(t)))(t)
	}
	pin := fmt.Sprintf("%x", sha256.Sum256(ek.Public))
	if _, err := courier.Enrol(context.Background(), c, robot, courier.EnrolOptions{Invitation: invite("a.invitation")}); err == nil || !strings.Contains(err.Error(), "(--ek "+pin+")") {
		t.Fatalf("a TPM that nobody has certified: %v", err)
	}
	got := must(courier.Enrol(context.Background(), c, robot, courier.EnrolOptions{Invitation: invite("b.invitation", "--ek", pin)}))(t)
	if got.Did != enrol.Enrolled || got.Certificate.Subject.CommonName != "unitree:g1-0007" {
		t.Fatalf("%+v", got)
	}
	id := &evidence.Identity{}
	if err := id.UnmarshalJSON([]byte(run("identity", robot))); err != nil {
		t.Fatal(err)
	}
	if own := must(courier.Identify(c, robot))(t); !bytes.Equal(own.AK, id.AK) || own.Robot != id.Robot || own.Tier != id.Tier {
		t.Errorf("the robot says %+v, the authority %+v", own, id)
	}

	b := newBroker(t, dir, run)
	if err := b.connect(c); err != nil {
		t.Fatalf("an enrolled robot: %v", err)
	}
	revokeRobot(t, dir, run)
	b.reload()
	eventually(t, "the broker keeps the robot out", func() bool { return b.connect(c) != nil })
	if _, err := courier.Enrol(context.Background(), c, robot, courier.EnrolOptions{Renew: true}); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked robot: %v", err)
	}
	if out := run("list"); !strings.Contains(out, "revoked") || !strings.Contains(out, "broker") && !strings.Contains(out, "127.0.0.1") {
		t.Error(out)
	}
	must(courier.Enrol(context.Background(), c, robot, courier.EnrolOptions{Invitation: invite("c.invitation", "--ek", pin)}))(t)
	if err := b.connect(c); err != nil {
		t.Errorf("invited anew: %v", err)
	}
	// The same robot with a key that is bound to approved states: it gets two certificates, and a verifier both keys.
	approver := must(order.GenerateKey(order.ECDSAP256))(t)
	file := write(t, dir, "approver.pem", must(order.MarshalPublicKey(approver.Public()))(t))
	c.BoundKey = &config.BoundKey{Approver: file, Scope: "g1", Recovery: filepath.Join(dir, "recovery.pem")}
	got = must(courier.Enrol(context.Background(), c, robot, courier.EnrolOptions{Invitation: invite("d.invitation", "--ek", pin, "--approver", file, "--scope", "g1")}))(t)
	if got.Recovery == nil || got.Recovery.Subject.CommonName != "recovery@unitree:g1-0007" || got.Certificate.Subject.CommonName != "unitree:g1-0007" {
		t.Errorf("bound: %+v", got)
	}
	var known evidence.Identity
	if err := known.UnmarshalJSON([]byte(run("identity", robot))); err != nil || known.Recovery == nil {
		t.Errorf("%+v, %v", known, err)
	}
	if own := must(courier.Identify(c, robot))(t); own.Recovery == nil || !own.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(known.Key) {
		t.Error("robot and authority tell a verifier different keys")
	}
	if text := log.String(); strings.Contains(text, must(identity.ParseInvitation(must(os.ReadFile(filepath.Join(dir, "b.invitation")))(t)))(t).Token) {
		t.Error("the log holds a secret")
	}
}

// broker is a mosquitto that lets robots of the authority in, but for those on its list.
type broker struct {
	t       *testing.T
	at, dir string
	run     func(args ...string) string
	cmd     *exec.Cmd
}

func newBroker(t *testing.T, dir string, run func(args ...string) string) *broker {
	t.Helper()
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	request := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA256}, key))(t)
	csr := write(t, dir, "broker.csr", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
	private := write(t, dir, "broker.key", must(order.MarshalPrivateKey(key))(t))
	run("issue", "--role", "server", "--name", "127.0.0.1", "--request", csr, "--out", filepath.Join(dir, "broker.pem"))
	b := &broker{t: t, at: freePort(t), dir: dir, run: run}
	b.list()
	_, port, _ := net.SplitHostPort(b.at)
	conf := write(t, dir, "mosquitto.conf", fmt.Appendf(nil, "listener %s 127.0.0.1\ncafile %s/ca/roots/robot.pem\ncertfile %[2]s/broker.pem\nkeyfile %s\nrequire_certificate true\nuse_identity_as_username true\ncrlfile %[2]s/robots.crl.pem\nallow_anonymous true\nuser root\n",
		port, dir, private))
	b.cmd = start(t, "tcp", b.at, "mosquitto", "-c", conf)
	return b
}

func (b *broker) list() {
	b.t.Helper()
	b.run("crl", "--out", filepath.Join(b.dir, "robots.crl.pem"))
}

// reload has the broker read its list again.
func (b *broker) reload() {
	b.t.Helper()
	b.list()
	_ = b.cmd.Process.Signal(syscall.SIGHUP)
}

// connect opens a session with the robot's own certificate and says why there is none.
func (b *broker) connect(c *config.Courier) error {
	t := must(tpm.Open(c.TPM))(b.t)
	defer func() { _ = t.Close() }()
	chain := must(identity.ParsePEM(must(os.ReadFile(c.Certificate))(b.t)))(b.t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(c.CA))(b.t)) // as the enrolment has written it
	var key crypto.Signer = t.Device()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", b.at, &tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{chain[0].Raw}, PrivateKey: key}},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 10, 0, 1, 'r'}); err != nil {
		return err
	}
	answer := make([]byte, 4)
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if !bytes.Equal(answer, []byte{0x20, 2, 0, 0}) {
		return fmt.Errorf("the broker answers %x", answer)
	}
	return nil
}

// revokeRobot signs a revocation with the station's commands and has the authority take it.
func revokeRobot(t *testing.T, dir string, run func(args ...string) string) {
	t.Helper()
	root, security := must(order.GenerateKey(order.ECDSAP256))(t), must(order.GenerateKey(order.Ed25519))(t)
	roots := write(t, dir, "roots.pem", must(order.MarshalPublicKey(root.Public()))(t))
	private := write(t, dir, "sara.key", must(order.MarshalPrivateKey(security))(t))
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	list := &order.KeyList{}
	for role, key := range map[order.Role]crypto.Signer{order.RoleRoot: root, order.RoleSecurity: security} {
		list.Keys = append(list.Keys, order.Key{
			ID: must(order.KeyID(key.Public()))(t), PEM: string(must(order.MarshalPublicKey(key.Public()))(t)), Person: string(role), Roles: []order.Role{role},
			NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		})
	}
	keys := write(t, dir, "keylist.order", must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robot}, Sequence: 1, NotBefore: from, NotAfter: from.Add(24 * time.Hour), Reason: "keys", KeyList: list,
	}, root))(t))
	file := filepath.Join(dir, "g1.revocation")
	// A revocation is in whole seconds: what was issued in the same one is issued after it. Wait for the next.
	issued := time.Now()
	eventually(t, "the next second", func() bool { return time.Now().Truncate(time.Second).After(issued) })
	if out, err := station(NewSignRevocation(), "--name", robot, "--reason", "stolen", "--key", private, "--out", file); err != nil {
		t.Fatal(out, err)
	}
	run("roots", roots)
	if out := run("keylist", keys); !strings.Contains(out, "sequence 1:") {
		t.Error(out)
	}
	if out := run("revoke", file, "--keys", keys); !strings.Contains(out, "stolen") {
		t.Error(out)
	}
	issued = time.Now()
	eventually(t, "the next second", func() bool { return time.Now().Truncate(time.Second).After(issued) })
}

func TestCommandsUsedWrongly(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	if out, err := station(New(), "init", "--dir", ca, "--site", "x"); err != nil {
		t.Fatal(out, err)
	}
	junk := write(t, dir, "junk", []byte("junk"))
	for _, x := range []struct {
		args, want string
		code       int
	}{
		{"init --dir " + ca + " --site x", "there already", 1},
		{"init --dir " + ca, "--site", 2},
		{"serve --dir " + ca, "--host", 2},
		{"serve --host x", "--dir", 2},
		{"serve --host x --dir " + dir, "no authority's folder", 1},
		{"invite --dir " + ca, "arg", 2},
		{"invite " + robot + " --dir " + ca, "--server", 2},
		{"invite " + robot + " --dir " + ca + " --server http://x --out " + dir + "/a", "https", 2},
		{"invite " + robot + " --dir " + ca + " --server https://x --out " + junk, "exists", 1},
		{"invite robot --dir " + ca + " --server https://x --out " + dir + "/a", "manufacturer/serial", 1},
		{"invite " + robot + " --dir " + ca + " --server https://x --until tomorrow --out " + dir + "/a", "--until", 2},
		{"invite " + robot + " --dir " + ca + " --server https://x --until 2020-01-01T00:00:00Z --out " + dir + "/a", "past", 1},
		{"invite " + robot + " --dir " + ca + " --server https://x --ek 00 --out " + dir + "/a", "endorsement", 1},
		{"invite " + robot + " --dir " + ca + " --server https://x --scope g1 --out " + dir + "/a", "--approver", 2},
		{"invite " + robot + " --dir " + ca + " --server https://x --approver " + junk + " --out " + dir + "/a", "approver", 1},
		{"issue --dir " + ca + " --role root", "--role", 2},
		{"issue --dir " + ca + " --role operator --name olga --request " + junk + " --out " + dir + "/o.pem", "certificate request", 1},
		{"issue --dir " + ca + " --role robot --name " + robot + " --request " + junk + " --out " + dir + "/o.pem", "invite", 1},
		{"revoke " + junk + " --dir " + ca, "--keys", 2},
		{"keylist " + junk + " --dir " + ca, "ca roots", 1},
		{"keylist --dir " + ca, "arg", 2},
		{"revoke " + junk + " --keys " + junk + " --dir " + ca, "ca roots", 1},
		{"roots " + junk + " --dir " + ca, "root keys", 1},
		{"identity " + robot + " --dir " + ca, "not enrolled", 1},
		{"crl --dir " + ca, "--out", 2},
		{"list --fast", "fast", 2},
	} {
		out, err := station(New(), strings.Fields(x.args)...)
		code := 1
		var coded interface{ ExitCode() int }
		if errors.As(err, &coded) {
			code = coded.ExitCode()
		}
		if err == nil || code != x.code || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: ends with %d, %v; expected %d, %q\n%s", x.args, code, err, x.code, x.want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("an invitation that failed has left a file")
	}
}
