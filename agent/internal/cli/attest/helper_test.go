package attest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
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
	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

const (
	robot      = "unitree/g1-0007"
	bootID     = "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968"
	guardNonce = "000102030405060708090a0b0c0d0e0f"
	agentPath  = "/usr/bin/robowarden"
	prefix     = "site/robots"
)

// tool finds a program, or skips the test; where everything must run, that is a failure.
func tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		why := fmt.Sprintf("no %s here: run test/setup/install.sh", name)
		if os.Getenv("REQUIRE_ALL") == "1" {
			tb.Fatalf("REQUIRE_ALL=1, but %s", why)
		}
		tb.Skip(why)
	}
	return path
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func write(tb testing.TB, dir, name string, data []byte, mode os.FileMode) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, mode); err != nil {
		tb.Fatal(err)
	}
	return path
}

// start runs a server until the test ends, and waits until it listens.
func start(tb testing.TB, network, address, name string, args ...string) {
	tb.Helper()
	cmd := exec.Command(tool(tb, name), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if tb.Failed() {
			tb.Logf("%s wrote:\n%s", name, out.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s does not listen on %s within 10 s", name, address)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// authority signs the certificates of a site.
type authority struct {
	tb  testing.TB
	dir string
	key *ecdsa.PrivateKey
	ca  *x509.Certificate
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{tb: tb, dir: tb.TempDir(), key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))(tb)
	a.ca = must(x509.ParseCertificate(der))(tb)
	write(tb, a.dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	return a
}

// issue makes a certificate and key in files.
func (a *authority) issue(name string) (cert, key string) {
	a.tb.Helper()
	priv := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(a.tb)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.ca, priv.Public(), a.key))(a.tb)
	file := "cert-" + fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:8]
	cert = write(a.tb, a.dir, file+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(priv))(a.tb)})
	return cert, write(a.tb, a.dir, file+".key", text, 0o600)
}

// broker runs mosquitto as a site would: TLS 1.3, client certificates, each robot only its own topics.
func (a *authority) broker() string {
	a.tb.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(a.tb)
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l.Close()
	cert, key := a.issue("broker")
	acl := fmt.Sprintf("user verifier\ntopic readwrite %[1]s/v1/#\nuser unitree:g1-0007\ntopic write %[1]s/v1/unitree/g1-0007/#\ntopic read %[1]s/v1/unitree/g1-0007/#\n"+
		"user unitree:g1-0008\ntopic write %[1]s/v1/unitree/g1-0008/#\ntopic read %[1]s/v1/unitree/g1-0008/#\n", prefix)
	config := fmt.Sprintf("listener %s 127.0.0.1\ncafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\nuse_identity_as_username true\n"+
		"tls_version tlsv1.3\nallow_anonymous false\nacl_file %s\npersistence false\nuser root\n",
		port, filepath.Join(a.dir, "ca.pem"), cert, key, write(a.tb, a.dir, "acl", []byte(acl), 0o600))
	start(a.tb, "tcp", address, "mosquitto", "-c", write(a.tb, a.dir, "mosquitto.conf", []byte(config), 0o600))
	return address
}

// client connects as a robot.
func (a *authority) client(address, name string) mqtt.Client {
	a.tb.Helper()
	cert, key := a.issue(name)
	pool := x509.NewCertPool()
	pool.AddCert(a.ca)
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(cert, key))(a.tb)}}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tls://" + address).SetClientID("robowarden:" + name).SetTLSConfig(config))
	await(a.tb, c.Connect())
	a.tb.Cleanup(func() { c.Disconnect(50) })
	return c
}

func await(tb testing.TB, token mqtt.Token) {
	tb.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		tb.Fatal("the broker does not answer within 10 s")
	}
	if token.Error() != nil {
		tb.Fatal(token.Error())
	}
}

// newTPM starts a software TPM.
func newTPM(tb testing.TB) *tpm.TPM {
	tb.Helper()
	dir := must(os.MkdirTemp("", "station"))(tb) // Short: unix sockets' paths are.
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	start(tb, "unix", socket, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	t := must(tpm.Open(socket))(tb)
	tb.Cleanup(func() { _ = t.Close() })
	return t
}

// robotSide is a robot with a TPM that has measured its agent.
type robotSide struct {
	tb       testing.TB
	tpm      *tpm.TPM
	log      []byte
	client   mqtt.Client
	attester *evidence.Attester
	guard    *order.Verifier
	mu       sync.Mutex
	results  [][]byte
	answered chan struct{}
	last     []byte
}

func sum(s string) string {
	d := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%x", d)
}

func newRobot(tb testing.TB) *robotSide {
	tb.Helper()
	r := &robotSide{tb: tb, tpm: newTPM(tb), answered: make(chan struct{}, 16)}
	f := eventlog.MeasuredFile{Path: agentPath, Size: 5, Digest: sha256.Sum256([]byte("agent"))}
	if err := r.tpm.Extend(14, f.Extended()); err != nil {
		tb.Fatal(err)
	}
	m := eventlog.Measured{PCR: 14, Files: []eventlog.MeasuredFile{f}}
	r.log = m.Bytes()
	r.attester = must(evidence.NewAttester(robot, bootID, order.TierTPM))(tb)
	return r
}

func (r *robotSide) identity() *evidence.Identity {
	return &evidence.Identity{Robot: robot, Tier: order.TierTPM, AK: r.tpm.AKPublic(), Key: r.tpm.Device().Public()}
}

// send writes a message as the courier does.
func (r *robotSide) send(kind string, part any) {
	r.tb.Helper()
	data := map[string]any{"headerId": 1, "timestamp": "2026-11-22T12:00:00.000Z", "version": "1.0.0", "manufacturer": "unitree", "serialNumber": "g1-0007", "attested": false, "tier": "tpm"}
	if err := json.Unmarshal(must(json.Marshal(part))(r.tb), &data); err != nil {
		r.tb.Fatal(err)
	}
	message := must(json.Marshal(map[string]any{
		"specversion": "1.0", "id": order.NewID(), "source": "robowarden:" + robot, "type": "io.robowarden.attestation." + kind + ".v1",
		"time": "2026-11-22T12:00:00.000Z", "timetrust": "trusted", "datacontenttype": "application/json", "data": data,
	}))(r.tb)
	await(r.tb, r.client.Publish(prefix+"/v1/"+robot+"/attestation/"+kind, 1, false, message))
}

func (r *robotSide) hello() {
	id := must(order.KeyID(r.tpm.Device().Public()))(r.tb)
	r.send(topicHello, evidence.Hello{
		BootID: bootID, GuardNonce: guardNonce, KeyID: id, AKName: fmt.Sprintf("%x", r.tpm.AKName()), Logs: map[string]string{evidence.LogMeasured: sum(string(r.log))},
	})
}

// answer answers one challenge.
func (r *robotSide) answer(envelope []byte, change func(*evidence.Claims)) {
	now := order.Times{Civil: time.Now().UTC(), Uncertainty: time.Second, Trust: order.Trusted}
	c, err := r.attester.Accept(now, time.Duration(now.Civil.UnixNano()), r.guard, envelope)
	if err != nil {
		r.tb.Errorf("challenge: %v", err)
		return
	}
	claims := &evidence.Claims{
		Nonce: must(evidence.Nonce(c))(r.tb), Robot: robot, BootID: bootID, GuardNonce: guardNonce, Tier: order.TierTPM,
		Agent:  evidence.Measured{SHA256: sum("agent"), Label: evidence.PCRBacked},
		Policy: evidence.Measured{SHA256: sum("policy")}, Profile: evidence.Measured{SHA256: sum("profile")}, Topics: evidence.Measured{SHA256: sum("topics")},
		Kernel: "6.1.0", Journal: evidence.Head{Seq: 7, Digest: sum("journal")}, Logs: []evidence.Log{{Name: evidence.LogMeasured, SHA256: sum(string(r.log))}},
	}
	if change != nil {
		change(claims)
	}
	r.last = must(evidence.Build(claims, c.PCRs, r.tpm.Device(), func(data []byte, pcrs []int) (evidence.Quote, error) {
		q, err := r.tpm.Quote(data, pcrs)
		return evidence.Quote(q), err
	}))(r.tb)
	r.send(topicEvidence, evidence.Answer{Session: c.Session, Evidence: r.last}) // It overtakes the log.
	for _, name := range c.Logs {
		r.send(topicLog, evidence.LogPart{Name: name, SHA256: sum(string(r.log)), Log: r.log})
	}
	r.send(topicEvidence, evidence.Answer{Session: c.Session, Evidence: r.last}) // A broker may deliver twice.
	r.answered <- struct{}{}
}

// references are what the robot is judged by, as somebody keeps them in YAML.
const references = `name: g1
tier: tpm
firmware_log: none
pcrs:
  - {pcr: 0, any: true, why: no firmware log here}
  - {pcr: 14, logs: true}
agent: {file: ` + agentPath + `, allowed: ["%s"]}
policy: {allowed: ["%s"]}
profile: {any: true, why: the guard pins it}
topics: {any: true, why: the guard pins it}
kernel: {any: true, why: no updates are planned}
`

// station runs a command of the station and returns what it wrote.
func station(ctx context.Context, cmd *cobra.Command, args ...string) (string, error) {
	var out lockedBuffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// keyList makes a guard that believes the verifier's key.
func keyList(tb testing.TB, key crypto.Signer) *order.Verifier {
	tb.Helper()
	root := must(order.GenerateKey(order.Ed25519))(tb)
	list := &order.KeyList{}
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	for _, h := range []struct {
		person string
		role   order.Role
		key    crypto.Signer
	}{{"rita", order.RoleRoot, root}, {"verifier-1", order.RoleVerifier, key}} {
		list.Keys = append(list.Keys, order.Key{
			ID: must(order.KeyID(h.key.Public()))(tb), PEM: string(must(order.MarshalPublicKey(h.key.Public()))(tb)), Person: h.person,
			Roles: []order.Role{h.role}, NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		})
	}
	envelope := must(order.Sign(&order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robot}, Sequence: 1, NotBefore: from, NotAfter: from.Add(24 * time.Hour), Reason: "keys", KeyList: list,
	}, root))(tb)
	return must(order.NewVerifier(order.Config{
		Robot: robot, BootID: bootID, Nonce: guardNonce, Roots: []crypto.PublicKey{root.Public()}, KeyLists: [][]byte{envelope},
	}, order.NewFloors()))(tb)
}

// patch starts another agent after the first, through the measuring step.
func (r *robotSide) patch() (digest string) {
	r.tb.Helper()
	m := must(eventlog.ParseMeasured(r.log))(r.tb)
	f := eventlog.MeasuredFile{Path: agentPath, Size: 7, Digest: sha256.Sum256([]byte("patched"))}
	if err := r.tpm.Extend(14, f.Extended()); err != nil {
		r.tb.Fatal(err)
	}
	m.Files = append(m.Files, f)
	r.log = m.Bytes()
	return sum("patched")
}

func parseTime(s string) (time.Time, error) { return time.Parse("2006-01-02T15:04:05Z", s) }

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
