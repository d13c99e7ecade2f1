package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// child is what a process of this test's own binary is told: to be a robot or an authority, and to kill itself after so many
// steps (never, if 0).
type child struct {
	Role, Dir, Socket, Address string
	Invitation                 *identity.Invitation
	Shift                      time.Duration
	Kill                       int
	// Approver (PEM) and Scope say to whom a robot's key is bound, "" for a key that is not.
	Approver, Scope string
}

const childEnv = "ROBOWARDEN_TEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var c child
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		if err := c.main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if templates != "" {
		_ = os.RemoveAll(templates)
	}
	os.Exit(code)
}

// step is the child's: after the one that it is told, nothing more of it runs.
func (c *child) step() func(string) {
	n := 0
	return func(string) {
		if n++; n == c.Kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

func (c *child) main() error {
	now := func() time.Time { return time.Now().Add(c.Shift) }
	if c.Role == "authority" {
		a, err := Open(c.Dir, now)
		if err != nil {
			return err
		}
		a.step = c.step()
		l, err := net.Listen("tcp", c.Address)
		if err != nil {
			return err
		}
		return a.Serve(context.Background(), l, []string{"127.0.0.1"}, zerolog.Nop())
	}
	t, err := tpm.Open(c.Socket)
	if err != nil {
		return err
	}
	o := enrol.Options{
		Dir: filepath.Join(c.Dir, "enrolment"), Certificate: filepath.Join(c.Dir, "robot.pem"), ServerRoots: filepath.Join(c.Dir, "broker-ca.pem"),
		Robot: robot, Key: t.Device(), TPM: t, Invitation: c.Invitation, Now: now, Step: c.step(), Recovery: filepath.Join(c.Dir, "recovery.pem"),
	}
	if c.Approver != "" {
		key, err := identity.ParseApprover([]byte(c.Approver))
		if err != nil {
			return err
		}
		if o.Bound, err = t.Bound(tpm.Approver{Key: key, Scope: c.Scope}, nil); err != nil {
			return err
		}
	}
	_, err = enrol.Run(context.Background(), o)
	return err
}

// command is the child's process.
func (c *child) command(tb testing.TB) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(must(os.Executable())(tb))
	cmd.Env = append(os.Environ(), childEnv+"="+string(must(json.Marshal(c))(tb)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs the child to its end and says whether it killed itself.
func (c *child) run(tb testing.TB) (killed bool) {
	tb.Helper()
	out, err := c.command(tb).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		if ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return false
}

// whole checks that robot and authority agree after whatever happened, and that nothing is left over.
func (d *device) whole(most int) {
	d.s.tb.Helper()
	c, r := d.on(), d.s.record(robot)
	i := slices.IndexFunc(r.Certificates, func(x issued) bool { return string(x.DER) == string(c.Raw) })
	if i < 0 || !r.Certificates[i].Revoked.IsZero() || len(r.Certificates) > most || len(r.Invitations) > 0 {
		d.s.tb.Errorf("certificate %d of %d, %d invitations", i+1, len(r.Certificates), len(r.Invitations))
	}
	state := string(must(os.ReadFile(filepath.Join(d.dir, "enrolment", "enrolment.json")))(d.s.tb))
	if strings.Contains(state, `"secret"`) || strings.Contains(state, `"request"`) || strings.Contains(state, `"replaces"`) {
		d.s.tb.Errorf("left over: %s", state)
	}
	for _, dir := range []string{d.dir, filepath.Join(d.dir, "enrolment")} {
		for _, e := range must(os.ReadDir(dir))(d.s.tb) {
			if strings.HasPrefix(e.Name(), ".") {
				d.s.tb.Errorf("left over: %s", e.Name())
			}
		}
	}
	if n := len(r.Recovery); d.to == nil && n > 0 || d.to != nil && (n == 0 || n > most) {
		d.s.tb.Errorf("%d certificates of recovery", n)
	}
	d.enrolled(nil, enrol.Nothing)
}

// steps are what a run does, to be cut after each.
func (d *device) steps(i *identity.Invitation, did string) []string {
	d.s.tb.Helper()
	var out []string
	d.step = func(s string) { out = append(out, s) }
	d.enrolled(i, did)
	d.step = nil
	return out
}

const monthsLater = 61 * 24 * time.Hour

// TestRobotIsKilled ends the robot's process by kill -9 after each step of enrolment and renewal: the next run, without a
// person, goes on to the end.
func TestRobotIsKilled(t *testing.T) {
	v := newVendor(t, "vendor")
	m := newMachine(t)
	v.certify(t, m)
	one := newSite(t, v).newDevice(m)
	enrolment := one.steps(one.s.invite(robot, nil), enrol.Enrolled)
	one.s.clock.wait(monthsLater)
	renewal := one.steps(nil, enrol.Renewed)
	t.Logf("enrolment %v, renewal %v", enrolment, renewal)
	if len(enrolment) < 9 || len(renewal) < 4 {
		t.Fatal("steps are missing")
	}
	for n, name := range enrolment {
		t.Run("enrolment/"+name, func(t *testing.T) {
			s := newSite(t, v)
			d := s.newDevice(m)
			c := child{Role: "robot", Dir: d.dir, Socket: m.socket, Invitation: s.invite(robot, nil), Kill: n + 1}
			if !c.run(t) {
				t.Fatal("it was not killed")
			}
			c.Kill, c.Invitation = 0, nil
			c.run(t)
			d.whole(1)
		})
	}
	for n, name := range renewal {
		t.Run("renewal/"+name, func(t *testing.T) {
			s := newSite(t, v)
			d := s.newDevice(m)
			d.enrolled(s.invite(robot, nil), enrol.Enrolled)
			s.clock.wait(monthsLater)
			c := child{Role: "robot", Dir: d.dir, Socket: m.socket, Shift: monthsLater, Kill: n + 1}
			if !c.run(t) {
				t.Fatal("it was not killed")
			}
			c.Kill = 0
			c.run(t)
			d.whole(2)
		})
	}
}

// losesPower runs while the TPM loses its power at a step, and runs once more when it has it again.
func (d *device) losesPower(t *testing.T, m *machine, i *identity.Invitation, at string, back bool) {
	t.Helper()
	cut := false
	d.step = func(s string) {
		if s == at && !cut {
			cut = true
			m.off()
			if back {
				m.on()
			}
		}
	}
	_, err := d.run(i)
	if !back {
		m.on()
	}
	if !cut || back && err != nil {
		t.Fatalf("cut %v: %v", cut, err)
	}
	if err != nil && !errors.Is(err, tpm.ErrUnavailable) {
		t.Errorf("the fault is not named: %v", err)
	}
	if _, err := d.run(nil); err != nil {
		t.Fatal(err)
	}
}

// TestTPMLosesPower cuts the TPM's power after each step, for a moment and until the run has ended.
func TestTPMLosesPower(t *testing.T) {
	v := newVendor(t, "vendor")
	m := newMachine(t)
	v.certify(t, m)
	one := newSite(t, v).newDevice(m)
	enrolment := one.steps(one.s.invite(robot, nil), enrol.Enrolled)
	one.s.clock.wait(monthsLater)
	renewal := one.steps(nil, enrol.Renewed)
	for _, back := range powerCuts {
		for n := range len(enrolment) + len(renewal) {
			steps, what := enrolment, "enrolment"
			if n >= len(enrolment) {
				steps, what = renewal, "renewal"
			}
			at := steps[n%len(enrolment)]
			t.Run(fmt.Sprintf("%s/%s/back %v", what, at, back), func(t *testing.T) {
				s := newSite(t, v)
				d := s.newDevice(m)
				i := s.invite(robot, nil)
				if what == "renewal" {
					d.enrolled(i, enrol.Enrolled)
					s.clock.wait(monthsLater)
					i = nil
				}
				d.losesPower(t, m, i, at, back)
				d.whole(2)
			})
		}
	}
}

// serveChild has an authority serve in a process of its own.
func (s *site) serveChild(kill int, shift time.Duration) *exec.Cmd {
	s.tb.Helper()
	c := child{Role: "authority", Dir: s.dir, Address: s.at, Kill: kill, Shift: shift}
	cmd := c.command(s.tb)
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	eventually(s.tb, "the authority listens", func() bool {
		c, err := net.Dial("tcp", s.at)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd
}

// TestAuthorityIsKilled ends the authority by kill -9 after each of its steps: the robot's next run gets its certificate, and no
// invitation is used up in vain.
func TestAuthorityIsKilled(t *testing.T) {
	v := newVendor(t, "vendor")
	m := newMachine(t)
	v.certify(t, m)
	for _, renewal := range []bool{false, true} {
		for n, name := range []string{"challenged", "record", "recorded", "issued"} {
			if renewal && name == "challenged" {
				continue // a renewal has none
			}
			t.Run(fmt.Sprintf("renewal %v/%s", renewal, name), func(t *testing.T) {
				s := newSite(t, v)
				d := s.newDevice(m)
				i := s.invite(robot, nil)
				shift, kill := time.Duration(0), n+1
				if renewal {
					d.enrolled(i, enrol.Enrolled)
					s.clock.wait(monthsLater)
					i, shift, kill = nil, monthsLater, n
				}
				s.stop()
				cmd := s.serveChild(kill, shift)
				if _, err := d.run(i); err == nil {
					t.Error("the robot has noticed nothing")
				}
				if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Errorf("the authority ended with %v", err)
				}
				cmd = s.serveChild(0, shift)
				defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
				if _, err := d.run(nil); err != nil {
					t.Fatal(err)
				}
				d.whole(2)
			})
		}
	}
}

// TestCommandsBesideTheServer invites and revokes in many processes' manner while robots are enrolled: nothing is lost.
func TestCommandsBesideTheServer(t *testing.T) {
	s := newSite(t)
	other := must(Open(s.dir, s.clock.now))(t) // as the command beside the server has it
	done := make(chan error)
	for n := range 8 {
		go func() {
			a := other
			if n%2 == 0 {
				a = s.a
			}
			_, _, err := a.Invite(robot, InviteOptions{Tier: order.TierSoftwareKey, Wait: time.Hour, Life: time.Hour})
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := len(s.record(robot).Invitations); n != 8 {
		t.Errorf("%d invitations, expected 8", n)
	}
	if _, _, err := s.a.Invite(robot, InviteOptions{Tier: order.TierSoftwareKey, Wait: time.Hour, Life: time.Hour}); err == nil {
		t.Error("a ninth invitation waits")
	}
}
