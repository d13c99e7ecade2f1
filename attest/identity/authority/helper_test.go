package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/rs/zerolog"

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

// machine is a software TPM with its state: it can be switched off at any moment, and on again.
type machine struct {
	tb          testing.TB
	dir, socket string
	cmd         *exec.Cmd
}

func newMachine(tb testing.TB) *machine {
	tb.Helper()
	dir := must(os.MkdirTemp("", "tpm"))(tb) // unix sockets' paths are short
	m := &machine{tb: tb, dir: dir, socket: filepath.Join(dir, "s")}
	tb.Cleanup(func() { m.off(); _ = os.RemoveAll(dir) })
	m.on()
	return m
}

func (m *machine) on() {
	m.tb.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			m.tb.Fatal("REQUIRE_ALL=1, but swtpm is not installed")
		}
		m.tb.Skip("swtpm is not installed")
	}
	_ = os.Remove(m.socket)
	m.cmd = exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+m.dir, "--server", "type=unixio,path="+m.socket, "--flags", "not-need-init,startup-clear")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.tb.Fatal(err)
	}
	eventually(m.tb, "swtpm listens", func() bool {
		c, err := net.Dial("unix", m.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// off is a power cut.
func (m *machine) off() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

func (m *machine) open() *tpm.TPM {
	m.tb.Helper()
	t := must(tpm.Open(m.socket))(m.tb)
	m.tb.Cleanup(func() { _ = t.Close() })
	return t
}

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// vendor makes TPMs' certificates.
type vendor struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newVendor(tb testing.TB, name string) *vendor {
	tb.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, t, t, key.Public(), key))(tb)
	return &vendor{key, must(x509.ParseCertificate(der))(tb)}
}

// certify puts a certificate for its endorsement key into a TPM.
func (v *vendor) certify(tb testing.TB, m *machine) {
	tb.Helper()
	ek := must(m.open().Endorsement())(tb)
	key := must(tpm.ParsePublic(ek.Public))(tb).Key()
	name := must(asn1.Marshal(pkix.RDNSequence{{
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 1}, Value: "id:414D4400"},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 2}, Value: "test"},
		{Type: asn1.ObjectIdentifier{2, 23, 133, 2, 3}, Value: "id:1"},
	}}))(tb)
	san := must(asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}}))(tb)
	der := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: v.cert.NotBefore, NotAfter: v.cert.NotAfter, KeyUsage: x509.KeyUsageKeyAgreement, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: san}},
	}, v.cert, key, v.key))(tb)
	m.writeNV(0x01c0000a, der)
}

// writeNV puts bytes where vendors put certificates.
func (m *machine) writeNV(index uint32, data []byte) {
	m.tb.Helper()
	raw := transport.FromReadWriteCloser(must(net.Dial("unix", m.socket))(m.tb))
	defer raw.Close()
	area := tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(index), NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(data)),
		Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, OwnerRead: true, OwnerWrite: true, NoDA: true},
	}
	must(tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}.Execute(raw))(m.tb)
	for at := 0; at < len(data); at += 512 {
		area.Attributes.Written = at > 0
		sum := sha256.Sum256(tpm2.Marshal(area))
		name := tpm2.TPM2BName{Buffer: append(binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMAlgSHA256)), sum[:]...)}
		must(tpm2.NVWrite{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Name: name, Auth: tpm2.PasswordAuth(nil)}, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: name},
			Data: tpm2.TPM2BMaxNVBuffer{Buffer: data[at:min(len(data), at+512)]}, Offset: uint16(at),
		}.Execute(raw))(m.tb)
	}
}

// clock is the time of authority and robots, which a test moves.
type clock struct {
	mu    sync.Mutex
	shift time.Duration
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(c.shift) }

func (c *clock) wait(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.shift += d }

// site is an authority that serves.
type site struct {
	tb      testing.TB
	a       *Authority
	dir, at string
	clock   *clock
	stop    func()
}

func newSite(tb testing.TB, vendors ...*vendor) *site {
	tb.Helper()
	s := &site{tb: tb, dir: filepath.Join(tb.TempDir(), "ca"), clock: &clock{}}
	s.copy(template(tb))
	for i, v := range vendors {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.cert.Raw})
		if err := os.WriteFile(filepath.Join(s.dir, "vendors", fmt.Sprintf("%d.pem", i)), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	s.serve("127.0.0.1:0")
	return s
}

// template is an authority's new folder, made once: making one writes much to the disk.
var template = func() func(testing.TB) string {
	var once sync.Once
	var dir string
	return func(tb testing.TB) string {
		once.Do(func() {
			dir = filepath.Join(must(os.MkdirTemp("", "authority"))(tb), "ca")
			if err := Init(dir, "hospital", time.Now()); err != nil {
				tb.Fatal(err)
			}
			templates = filepath.Dir(dir)
		})
		return dir
	}
}()

// templates is what TestMain removes.
var templates string

// copy copies an authority's folder.
func (s *site) copy(from string) {
	s.tb.Helper()
	if err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		to := filepath.Join(s.dir, strings.TrimPrefix(path, from))
		if err != nil || e.IsDir() {
			return errors.Join(err, os.Mkdir(to, 0o700))
		}
		return os.WriteFile(to, must(os.ReadFile(path))(s.tb), 0o600)
	}); err != nil {
		s.tb.Fatal(err)
	}
}

// serve serves until the test ends, or stop.
func (s *site) serve(address string) {
	s.tb.Helper()
	s.a = must(Open(s.dir, s.clock.now))(s.tb)
	l := must(net.Listen("tcp", address))(s.tb)
	s.at = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.a.Serve(ctx, l, []string{"127.0.0.1"}, zerolog.Nop()) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				s.tb.Errorf("the authority ended with %v", err)
			}
		})
	}
	s.tb.Cleanup(s.stop)
}

// invite makes an invitation.
func (s *site) invite(name string, change func(*InviteOptions)) *identity.Invitation {
	s.tb.Helper()
	o := InviteOptions{Tier: order.TierTPM, Wait: time.Hour, Life: 90 * 24 * time.Hour}
	if change != nil {
		change(&o)
	}
	token, expires, err := s.a.Invite(name, o)
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.invitation(name, o.Tier, token, expires)
}

func (s *site) invitation(name string, tier order.Tier, token string, expires time.Time) *identity.Invitation {
	return &identity.Invitation{
		Server: "https://" + s.at, Robot: name, Tier: tier, Token: token, Expires: expires,
		Roots: string(identity.EncodePEM([]*x509.Certificate{s.a.Root(identity.RoleServer)})),
	}
}

// device is a robot that wants to be enrolled.
type device struct {
	s    *site
	dir  string
	name string
	m    *machine
	t    *tpm.TPM
	key  tpm.Signer
	to   *tpm.Approver // whose approvals its key is bound to, nil for a key that is not
	step func(string)
}

// newDevice is a robot with a TPM.
func (s *site) newDevice(m *machine) *device {
	s.tb.Helper()
	t := m.open()
	return &device{s: s, dir: s.tb.TempDir(), name: robot, m: m, t: t, key: t.Device()}
}

func (d *device) options() enrol.Options {
	o := enrol.Options{
		Dir: filepath.Join(d.dir, "enrolment"), Certificate: filepath.Join(d.dir, "robot.pem"), ServerRoots: filepath.Join(d.dir, "broker-ca.pem"),
		Robot: d.name, Key: d.key, TPM: d.t, Now: d.s.clock.now, Step: d.step, Recovery: filepath.Join(d.dir, "recovery.pem"),
	}
	if d.to != nil {
		o.Bound = must(d.t.Bound(*d.to, nil))(d.s.tb)
	}
	return o
}

func (d *device) run(i *identity.Invitation) (*enrol.Outcome, error) {
	o := d.options()
	o.Invitation = i
	return enrol.Run(context.Background(), o)
}

// enrolled runs and wants this to be done.
func (d *device) enrolled(i *identity.Invitation, did string) *x509.Certificate {
	d.s.tb.Helper()
	out, err := d.run(i)
	if err != nil {
		d.s.tb.Fatal(err)
	}
	if out.Did != did {
		d.s.tb.Fatalf("did %s, expected %s", out.Did, did)
	}
	return out.Certificate
}

// refused runs and wants the authority's no with these words.
func (d *device) refused(i *identity.Invitation, words string) {
	d.s.tb.Helper()
	if out, err := d.run(i); err == nil || !strings.Contains(err.Error(), words) {
		d.s.tb.Errorf("%+v, %v: expected %q", out, err, words)
	}
}

// on is the certificate in the robot's file.
func (d *device) on() *x509.Certificate {
	d.s.tb.Helper()
	return must(identity.ParsePEM(must(os.ReadFile(filepath.Join(d.dir, "robot.pem")))(d.s.tb)))(d.s.tb)[0]
}

// record is what the authority knows of a robot.
func (s *site) record(name string) *record {
	s.tb.Helper()
	return must(s.a.load(identity.RoleRobot, name))(s.tb)
}

func chmod(tb testing.TB, path string, mode os.FileMode) {
	tb.Helper()
	if err := os.Chmod(path, mode); err != nil {
		tb.Fatal(err)
	}
}

// swap gives two files each other's name.
func swap(tb testing.TB, a, b string) {
	tb.Helper()
	for _, x := range [][2]string{{a, a + ".x"}, {b, a}, {a + ".x", b}} {
		if err := os.Rename(x[0], x[1]); err != nil {
			tb.Fatal(err)
		}
	}
}
