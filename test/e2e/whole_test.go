package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/plant"
)

const sitePrefix = "site/robots"

// whole is a robot with all its roles, and the desk that it reports to.
type whole struct {
	*guard
	site     *site
	broker   *broker.Broker
	station  string
	verifier *proc.Process
	tail     *proc.Process
	// jwk is the key that signs the robot's tokens.
	jwk string
}

// softwareTPM starts a swtpm of the test's own and returns its socket.
func softwareTPM(t testing.TB) string {
	t.Helper()
	socket, on := stoppableTPM(t)
	on()
	return socket
}

// stoppableTPM is a swtpm that can lose power, and be switched on again.
func stoppableTPM(t testing.TB) (socket string, on func() (off func())) {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil {
		need.Missing(t, "no swtpm here: run test/setup/install.sh")
	}
	dir := must(os.MkdirTemp("", "tpm"))(t) // A socket's path is short.
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	on = func() func() {
		_ = os.Remove(socket)
		p := proc.StartT(t, proc.Spec{Name: "swtpm", Argv: []string{
			"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + dir, "--server", "type=unixio,path=" + socket, "--flags", "not-need-init,startup-clear",
		}})
		until(t, 10*time.Second, "a software TPM that listens", func() bool { _, err := os.Stat(socket); return err == nil })
		return func() { p.Kill() }
	}
	return socket, on
}

func keyFile(t testing.TB, s *site, name string, key crypto.Signer) string {
	t.Helper()
	s.write(t, name, string(must(order.MarshalPrivateKey(key))(t)))
	return s.path(name)
}

// command runs one of the product's commands to its end.
func command(t testing.TB, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// newWhole starts everything but the robot: a broker with certificates for everybody, a TPM by which the binary was
// measured, a verifier that knows the robot, and a consumer of its evidence.
func newWhole(t testing.TB, b bus.Bus, c siteConfig) *whole {
	t.Helper()
	w := &whole{site: newSite(t, b, c), station: gobin.Product(t, "robowarden-station")}
	s := w.site
	w.broker = broker.Start(t, broker.Options{Prefix: sitePrefix, Robots: []string{robotID}, Stations: []string{"verifier", "consumer", "eye"}})
	tpm := softwareTPM(t)
	robot := w.broker.Authority.Client(t, broker.CommonName(robotID))
	deployment := string(must(os.ReadFile(s.path("deployment.yaml")))(t))
	s.write(t, "deployment.yaml", deployment+fmt.Sprintf(`courier:
  {broker: %q, prefix: %s, ca: %s, certificate: %s, key: %s, tpm: %s, measured_log: measured, state_dir: courier, bandwidth_kib_s: 1024, state_every: 1s}
steward: {period: 200ms, state_dir: steward}
`, w.broker.URL(), sitePrefix, robot.CA, robot.Certificate, robot.Key, tpm)+s.tokensSection(t))
	command(t, binary(t), "measure", "--tpm", tpm, "--log", s.path("measured"), binary(t))
	s.write(t, "identity.json", command(t, binary(t), "identity", "--deployment", s.path("deployment.yaml")))
	w.jwk = command(t, binary(t), "identity", "--jwk", "--deployment", s.path("deployment.yaml"))
	s.write(t, "references.yaml", fmt.Sprintf(`name: e2e
tier: tpm
firmware_log: none
pcrs:
  - {pcr: 0, any: true, why: there is no firmware here}
  - {pcr: 14, logs: true}
agent: {file: %s, allowed: [%q]}
policy: {allowed: [%q]}
profile: {any: true, why: the guard pins it}
topics: {any: true, why: the guard pins it}
kernel: {any: true, why: whatever runs the tests}
`, binary(t), s.fileSum(t, binary(t)), sum(s.policy)))
	t.Logf("%s", command(t, w.station, "verifier", "enrol", s.path("identity.json"), "--references", s.path("references.yaml"), "--state-dir", s.path("verifier")))
	w.verify(t)
	w.consume(t)
	return w
}

// verify starts the verifier that knows the robot.
func (w *whole) verify(t testing.TB) {
	t.Helper()
	s := w.site
	v := w.broker.Authority.Client(t, "verifier")
	w.verifier = proc.StartT(t, proc.Spec{Name: "verifier", Argv: []string{
		w.station, "verifier", "--state-dir", s.path("verifier"), "--key", keyFile(t, s, "verifier.key", s.verifier), "--broker", w.broker.URL(),
		"--prefix", sitePrefix, "--ca", v.CA, "--certificate", v.Certificate, "--certificate-key", v.Key, "--result-life", "10m",
	}})
}

func (s *site) fileSum(t testing.TB, path string) string {
	t.Helper()
	return sum(string(must(os.ReadFile(path))(t)))
}

// consume starts the consumer with the identity that the robot was enrolled with.
func (w *whole) consume(t testing.TB) {
	t.Helper()
	s := w.site
	c := w.broker.Authority.Client(t, "consumer")
	// What it says goes to a file: of a process's output only begin and end are kept.
	w.tail = proc.StartT(t, proc.Spec{Name: "fleet tail", Argv: []string{
		"sh", "-c", `out=$1; shift; exec "$@" >>"$out"`, "sh", s.path("told.json"),
		w.station, "fleet", "tail", "--broker", w.broker.URL(), "--prefix", sitePrefix, "--key", keyFile(t, s, "consumer.key", s.consumer),
		"--ca", c.CA, "--certificate", c.Certificate, "--certificate-key", c.Key, "--robot", robotID + "=" + s.path("identity.json"),
		"--store", s.path("fleet"), "--output", "json",
	}})
	t.Cleanup(func() {
		if raw, err := os.ReadFile(s.path("told.json")); err == nil && t.Failed() {
			t.Logf("the consumer said:\n%s", tail(string(raw), 6000))
		}
	})
}

// told gives the objects of one type that the consumer has printed so far.
func (w *whole) told(kind string) []map[string]any {
	raw, err := os.ReadFile(w.site.path("told.json"))
	if err != nil {
		return nil // nothing yet
	}
	var out []map[string]any
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
		var v map[string]any
		if json.Unmarshal(sc.Bytes(), &v) == nil && v["type"] == kind {
			out = append(out, v)
		}
	}
	return out
}

// eye is a client of the desk's that sees what the robot sends and may send orders.
func (w *whole) eye(t testing.TB, topics ...string) (mqtt.Client, chan mqtt.Message) {
	t.Helper()
	creds := w.broker.Authority.Client(t, "eye")
	seen := make(chan mqtt.Message, 1024)
	o := mqtt.NewClientOptions().AddBroker(w.broker.URL()).SetTLSConfig(creds.TLS).SetClientID("eye").SetOrderMatters(false)
	c := mqtt.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		t.Fatalf("eye: %v", tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	for _, topic := range topics {
		if tok := c.Subscribe(w.topic(topic), 1, func(_ mqtt.Client, m mqtt.Message) { seen <- m }); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
			t.Fatalf("eye: subscribe %s: %v", topic, tok.Error())
		}
	}
	return c, seen
}

func (w *whole) topic(name string) string { return sitePrefix + "/v1/" + robotID + "/" + name }

// run starts all roles as a robot without systemd would.
func (w *whole) run(t testing.TB) {
	t.Helper()
	w.guard = &guard{Process: proc.StartT(t, proc.Spec{
		Name: "robowarden run", Argv: []string{binary(t), "run", "--deployment", w.site.path("deployment.yaml")},
	}), site: w.site}
	w.ready(t)
}

// attested waits until a result of the verifier counts and the steward has found the plant behind its publishers.
func (w *whole) attested(t testing.TB, p *plant.Plant) agent.Status {
	t.Helper()
	return w.await(t, "an attested robot whose steward knows the publishers", 60*time.Second, func(s agent.Status) bool {
		return s.Attestation.State == "attested" && s.Attestation.Tier == "tpm" && known(s.Publishers, p.PID())
	})
}

// child is the supervisor's process of one role.
func (g *guard) child(t testing.TB, role string) int {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", fmt.Sprint(g.PID()), "-f", " "+role+" --deployment").Output()
	var pid int
	if _, scan := fmt.Sscan(string(out), &pid); err != nil || scan != nil {
		t.Fatalf("no %s below the supervisor: %v", role, err)
	}
	return pid
}

// known says whether the steward has found the plant's process behind all of the plant's connections.
func known(publishers []agent.PublisherStatus, pid int) bool {
	n := 0
	for _, p := range publishers {
		if p.Node != "/plant" {
			continue
		}
		if p.Process == nil || !p.Process.Found || p.Process.PID != pid || p.Process.ExeSHA256 == "" {
			return false
		}
		n++
	}
	return n >= 3
}

// TestWholeRobot is the main job in full: a robot that drives is guarded, attested, looked after and reported, and takes
// an order from its desk; then its courier and its steward are killed and nothing loosens, stops or gets lost.
func TestWholeRobot(t *testing.T) {
	t.Run("ros", func(t *testing.T) { wholeRobot(t, meet(t, bus.ROS)) })
	for _, kind := range onDDS() {
		// The desk is on this computer's own network.
		t.Run(string(kind), func(t *testing.T) { wholeRobot(t, domain.Here(t, kind)) })
	}
}

// spinning is how the kernel shows the limit of a running guard, in microseconds.
var spinning = regexp.MustCompile(`Max realtime timeout +500000 +1000000 `)

func wholeRobot(t *testing.T, b bus.Bus) {
	p := plant.Start(t, b, plant.Config{LockTopic: "/robowarden/lock"})
	w := newWhole(t, b, siteConfig{lock: true})
	w.run(t)
	g := w.guard
	st := w.attested(t, p)
	t.Logf("attestation %+v, publishers %+v, confinement %s", st.Attestation, st.Publishers, st.Confinement)
	until(t, 30*time.Second, "the guard's decisions at the desk", func() bool { return len(w.told("record")) > 5 })

	id := w.token(t, w.jwk)
	until(t, 30*time.Second, "the token in the evidence", func() bool {
		for _, r := range w.told("record") {
			if r["log"] == "courier" && strings.Contains(fmt.Sprint(r["text"]), id) {
				return true
			}
		}
		return false
	})

	driver.StartDrive(t, b, driver.Drive{VX: 0.3})
	until(t, 10*time.Second, "a robot that drives", func() bool { s := p.Truth(t).Samples; return len(s) > 0 && s[len(s)-1].Speed() > 0.2 })
	for _, role := range []string{"courier", "steward"} {
		if err := syscall.Kill(w.child(t, role), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	g.await(t, "courier and steward back, the robot attested", 60*time.Second, func(s agent.Status) bool {
		if s.Axes.Motion != "free" && s.Axes.Motion != "limited" {
			t.Errorf("the end of courier and steward restricts the robot: %+v", s.Triggers)
		}
		return s.Attestation.State == "attested" && known(s.Publishers, p.PID())
	})
	if s := p.Truth(t).Samples; s[len(s)-1].Speed() < 0.2 {
		t.Error("the robot stands although only courier and steward were killed")
	}

	w.token(t, w.jwk) // killed in the middle, they left nothing that is in the way

	desk, seen := w.eye(t, "receipt")
	desk.Publish(w.topic("order"), 1, false, w.site.stopOrder(t))
	g.await(t, "a robot that the desk has stopped", 20*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "stop" && s.AtRest })
	select {
	case msg := <-seen:
		if !strings.Contains(string(msg.Payload()), `"accepted":true`) {
			t.Errorf("the receipt: %s", msg.Payload())
		}
	case <-time.After(20 * time.Second):
		t.Error("no receipt reached the desk")
	}
	until(t, 30*time.Second, "the stop in the evidence", func() bool {
		for _, r := range w.told("record") {
			if r["log"] == "guard" && strings.Contains(fmt.Sprint(r["text"]), "stop") && strings.Contains(fmt.Sprint(r["text"]), "order.stop") {
				return true
			}
		}
		return false
	})
	for _, a := range w.told("alarm") {
		t.Errorf("the consumer shouts: %v", a)
	}
	if st.Scheduling == "real-time" {
		limits := fmt.Sprintf("/proc/%d/limits", w.child(t, "guard"))
		until(t, 20*time.Second, "a guard whose spinning is bounded once its start is over", func() bool { return spinning.Match(must(os.ReadFile(limits))(t)) })
	}
	if exit := g.Stop(20 * time.Second); exit.Code != 0 {
		t.Errorf("the robot's roles ended with %v:\n%s", exit, tail(g.Output(), 3000))
	}
}
