package enrolment

import (
	"context"
	"crypto/x509"
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

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/authority"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/test/internal/need"
)

const robot = "unitree/g1-0007"

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// built is the other implementation's program, made once.
var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// peer builds the other implementation.
func peer(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "estpeer"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, "estpeer"), ".")
		cmd.Dir = "estpeer"
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "estpeer")
}

// start starts a program until the test ends.
func start(t *testing.T, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// softwareTPM starts one and opens it.
func softwareTPM(t *testing.T) *tpm.TPM {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		need.Missing(t, "no swtpm here: run test/setup/install.sh")
	}
	dir := must(os.MkdirTemp("", "tpm"))(t) // unix sockets' paths are short
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	start(t, path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	eventually(t, "swtpm listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	device := must(tpm.Open(socket))(t)
	t.Cleanup(func() { _ = device.Close() })
	return device
}

// TestAnotherServer enrols a robot at another's EST server, which lets wait at first, and renews by the TPM's key.
func TestAnotherServer(t *testing.T) {
	dir := t.TempDir()
	start(t, peer(t), "-dir", dir, "-user", "g1", "-password", "once", "-later", "2")
	var at string
	eventually(t, "the server listens", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "address"))
		at = string(text)
		return err == nil
	})
	chip := softwareTPM(t)
	o := enrol.Options{
		Dir: filepath.Join(dir, "enrolment"), Certificate: filepath.Join(dir, "robot.pem"), Robot: robot, Key: chip.Device(), TPM: chip,
		EST: &enrol.Server{Address: "https://" + at, Roots: string(must(os.ReadFile(filepath.Join(dir, "roots.pem")))(t)), User: "g1", Secret: "wrong"},
	}
	var no *enrol.RefusedError
	if _, err := enrol.Run(t.Context(), o); !errors.As(err, &no) || no.Status != 401 {
		t.Fatalf("a wrong secret: %v", err)
	}
	o.EST.Secret = "once"
	var wait *enrol.LaterError
	if _, err := enrol.Run(t.Context(), o); !errors.As(err, &wait) || wait.After != time.Second {
		t.Fatalf("the server lets wait: %v", err)
	}
	o.EST, o.Wait = nil, 20*time.Second // what began goes on without being told again
	first := must(enrol.Run(t.Context(), o))(t)
	if first.Did != enrol.Enrolled || first.Certificate.Subject.String() != identity.Subject(identity.RoleRobot, robot).String() {
		t.Errorf("%+v", first)
	}
	if again := must(enrol.Run(t.Context(), o))(t); again.Did != enrol.Nothing {
		t.Errorf("%+v", again)
	}
	o.Renew = true
	second := must(enrol.Run(t.Context(), o))(t)
	if second.Did != enrol.Renewed || second.Certificate.SerialNumber.Cmp(first.Certificate.SerialNumber) == 0 {
		t.Errorf("%+v", second)
	}
	// Another TPM with this robot's disk: its key is not the certificate's, and no secret is left.
	other := softwareTPM(t)
	o.TPM, o.Key = other, other.Device()
	if out, err := enrol.Run(t.Context(), o); !errors.Is(err, enrol.ErrNoInvitation) {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestAnotherClient has another's EST client enrol and renew at our authority.
func TestAnotherClient(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	if err := authority.Init(ca, "hospital", time.Now()); err != nil {
		t.Fatal(err)
	}
	a := must(authority.Open(ca, nil))(t)
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l, []string{"127.0.0.1"}, zerolog.Nop()) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	token, _, err := a.Invite(robot, authority.InviteOptions{Tier: order.TierSoftwareKey, Wait: time.Hour, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	for name, data := range map[string][]byte{
		"request.der": must(identity.Request(key, identity.RoleRobot, robot))(t), "key.pem": must(order.MarshalPrivateKey(key))(t),
		"roots.pem": identity.EncodePEM([]*x509.Certificate{a.Root(identity.RoleServer)}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := peer(t)
	client := func(password string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, program, "-client", l.Addr().String(), "-dir", dir, "-user", robot, "-password", password).CombinedOutput()
		return string(out), err
	}
	if out, err := client(strings.Repeat("00", 32)); err == nil || !strings.Contains(out, "simpleenroll") {
		t.Errorf("a wrong secret: %v %s", err, out)
	}
	if out, err := client(token); err != nil {
		t.Fatal(err, out)
	}
	for _, name := range []string{"first.der", "second.der"} {
		c := must(x509.ParseCertificate(must(os.ReadFile(filepath.Join(dir, name)))(t)))(t)
		if err := identity.CheckChain([]*x509.Certificate{c}, []*x509.Certificate{a.Root(identity.RoleRobot)}, identity.RoleRobot, robot, key.Public(), time.Now()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
