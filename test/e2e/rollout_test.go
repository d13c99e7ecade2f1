package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/gobin"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// member is one robot of a fleet: all roles of the real binary, a TPM of its own, and the models that were brought to it.
type member struct {
	*guard
	site *site
	tpm  string
}

// rollingOut is a fleet with its desk. The robots stand: nothing is on their buses.
type rollingOut struct {
	station string
	broker  *broker.Broker
	robots  map[string]*member
	desk    mqtt.Client
	seen    chan mqtt.Message
	dir     string
	number  uint64
}

// artifactPolicy demands the artifact that the tests roll out. Nobody tells these robots that they stand.
const artifactPolicy = `artifacts:
  - {name: grasp, governs: manipulators, any_time: true}
`

// newFleet starts robots, each in the groups that are named, and the desk: broker, verifier and consumer.
func newFleet(t *testing.T, groups map[string][]string) *rollingOut {
	t.Helper()
	f := &rollingOut{station: gobin.Product(t, "robowarden-station"), robots: map[string]*member{}, dir: t.TempDir()}
	ids := make([]string, 0, len(groups))
	for id := range groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	f.broker = broker.Start(t, broker.Options{Prefix: sitePrefix, Robots: ids, Stations: []string{"verifier", "consumer", "eye"}})
	var first *site
	enrolled := []string{}
	for _, id := range ids {
		m := f.join(t, id, groups[id], ids, first)
		if first == nil {
			first = m.site
		}
		enrolled = append(enrolled, "--robot", id+"="+m.site.path("identity.json"))
	}
	v, c := f.broker.Authority.Client(t, "verifier"), f.broker.Authority.Client(t, "consumer")
	proc.StartT(t, proc.Spec{Name: "verifier", Argv: []string{
		f.station, "verifier", "--state-dir", filepath.Join(f.dir, "verifier"), "--key", keyFile(t, first, "verifier.key", first.verifier), "--broker", f.broker.URL(),
		"--prefix", sitePrefix, "--ca", v.CA, "--certificate", v.Certificate, "--certificate-key", v.Key, "--result-life", "10m",
	}})
	proc.StartT(t, proc.Spec{Name: "fleet tail", Argv: append([]string{
		f.station, "fleet", "tail", "--broker", f.broker.URL(), "--prefix", sitePrefix, "--key", keyFile(t, first, "consumer.key", first.consumer),
		"--ca", c.CA, "--certificate", c.Certificate, "--certificate-key", c.Key, "--store", filepath.Join(f.dir, "fleet"), "--output", "json",
	}, enrolled...)})
	w := &whole{broker: f.broker, site: first}
	f.desk, f.seen = w.eye(t)
	for _, id := range ids {
		m := f.robots[id]
		if tok := f.desk.Subscribe(sitePrefix+"/v1/"+id+"/receipt", 1, func(_ mqtt.Client, msg mqtt.Message) { f.seen <- msg }); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		m.guard = &guard{Process: proc.StartT(t, proc.Spec{Name: id, Argv: []string{binary(t), "run", "--deployment", m.site.path("deployment.yaml")}}), site: m.site}
	}
	for _, id := range ids {
		// A release waits until the TPM, which steward and courier share, has proven that the disk is the newest.
		f.robots[id].await(t, "an attested robot", 90*time.Second, func(s agent.Status) bool {
			return s.Attestation.State == "attested" && s.Attestation.Tier == "tpm" && s.Age.State == "proven"
		})
	}
	return f
}

// join makes a robot's disk and TPM, and enrols it.
func (f *rollingOut) join(t *testing.T, id string, groups, fleet []string, keys *site) *member {
	t.Helper()
	s := newSite(t, domain.Here(t, bus.Cyclone), siteConfig{robot: id, fleet: fleet, keysOf: keys, more: artifactPolicy})
	m := &member{site: s, tpm: softwareTPM(t)}
	f.robots[id] = m
	creds := f.broker.Authority.Client(t, broker.CommonName(id))
	deployment := string(must(os.ReadFile(s.path("deployment.yaml")))(t))
	s.write(t, "slots/.here", "")
	s.write(t, "deployment.yaml", deployment+fmt.Sprintf(`courier:
  {broker: %q, prefix: %s, ca: %s, certificate: %s, key: %s, tpm: %s, measured_log: measured, state_dir: courier, bandwidth_kib_s: 1024, state_every: 1s}
steward: {period: 200ms, state_dir: steward, artifacts: slots, tpm: %s}
groups: [%s]
`, f.broker.URL(), sitePrefix, creds.CA, creds.Certificate, creds.Key, m.tpm, m.tpm, strings.Join(groups, ", ")))
	command(t, binary(t), "measure", "--tpm", m.tpm, "--log", s.path("measured"), binary(t))
	s.write(t, "identity.json", command(t, binary(t), "identity", "--deployment", s.path("deployment.yaml")))
	s.write(t, "references.yaml", fmt.Sprintf(`name: %s
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
`, s.serial(), binary(t), s.fileSum(t, binary(t)), sum(s.policy)))
	command(t, f.station, "verifier", "enrol", s.path("identity.json"), "--references", s.path("references.yaml"), "--state-dir", filepath.Join(f.dir, "verifier"))
	return m
}

// model writes a model of some content and returns its folder.
func (f *rollingOut) model(t *testing.T, text string) string {
	t.Helper()
	dir := filepath.Join(f.dir, "models", text)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), []byte("weights of "+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// release has the desk sign a release of a model, and returns its order.
func (f *rollingOut) release(t *testing.T, version, model string, svn, floor int, more ...string) []byte {
	t.Helper()
	f.number++
	first := f.robots[slices.Sorted(keysOf(f.robots))[0]].site
	out := filepath.Join(f.dir, fmt.Sprintf("%s-%d.release", version, f.number))
	command(t, append([]string{
		f.station, "artifact", "manifest", "--release", version, "--svn", fmt.Sprint(svn), "--rollback-floor", fmt.Sprint(floor), "--sequence", fmt.Sprint(f.number),
		"--artifact", "grasp=" + f.model(t, model) + "@1", "--settle", "3s", "--window", "60s", "--reason", "a test", "--key", keyFile(t, first, "releaser.key", first.releaser), "--out", out,
	}, more...)...)
	return must(os.ReadFile(out))(t)
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// send sends an order to robots over the broker and waits for every receipt.
func (f *rollingOut) send(t *testing.T, envelope []byte, accepted bool, ids ...string) {
	t.Helper()
	for _, id := range ids {
		f.desk.Publish(sitePrefix+"/v1/"+id+"/order", 1, false, envelope)
	}
	for got := 0; got < len(ids); {
		select {
		case msg := <-f.seen:
			if strings.Contains(string(msg.Payload()), `"accepted":true`) != accepted {
				t.Fatalf("expected accepted %t: %s", accepted, msg.Payload())
			}
			got++
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d receipts came", got, len(ids))
		}
	}
}

// install has one robot install the model that was brought to it, and returns the exit code and what was said.
func (f *rollingOut) install(t *testing.T, id, model string) (int, string) {
	t.Helper()
	s := f.robots[id].site
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary(t), "artifact", "install", "grasp", "--from", f.model(t, model), "--dir", s.path("slots"),
		"--socket", s.path("control.sock"), "--tpm", f.robots[id].tpm).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

// slots reads a robot's slots.
func (m *member) slots(t *testing.T) slots.Status {
	t.Helper()
	out, _ := exec.CommandContext(t.Context(), binary(t), "artifact", "status", "--output", "json", "--dir", m.site.path("slots"), "--socket", m.site.path("control.sock"), "--tpm", m.tpm).Output()
	var all struct {
		Slots []slots.Status `json:"slots"`
	}
	if err := json.Unmarshal(out, &all); err != nil || len(all.Slots) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return all.Slots[0]
}

// proven waits until a release is good on a robot and its guard believes it.
func (m *member) proven(t *testing.T, release string) {
	t.Helper()
	until(t, 60*time.Second, release+" proven on "+m.site.robot, func() bool {
		r := m.slots(t).Running()
		return r != nil && r.Release == release && r.Good
	})
	m.await(t, "a guard that believes the model", 20*time.Second, func(s agent.Status) bool { return len(s.Artifacts) == 1 && s.Artifacts[0].State == "verified" })
}

// ramped finds a version in whose ramp one robot is and another is not.
func ramped(t *testing.T, percent int, in, out string) string {
	t.Helper()
	for n := range 1000 {
		r := order.Release{Version: fmt.Sprint("2.", n), RampPercent: percent}
		_, a := r.Ramp(in)
		_, b := r.Ramp(out)
		if a && !b {
			return r.Version
		}
	}
	t.Fatal("no such version")
	return ""
}

// TestRollout brings a release to a fleet by signed orders over the broker: to the canary, then to half of the others. One of them
// turns sick and takes it back by itself; what it reports becomes a halt that a person signs, and nobody else installs it.
func TestRollout(t *testing.T) {
	const canary, sick, waiting = "acme/canary-1", "acme/ward-1", "acme/ward-2"
	all := []string{canary, sick, waiting}
	f := newFleet(t, map[string][]string{canary: {"canary", "fleet"}, sick: {"fleet"}, waiting: {"fleet"}})
	began := time.Now()
	first := f.release(t, "1.0", "old", 1, 0, "--audience", "group:fleet")
	f.send(t, first, true, all...)
	for _, id := range all {
		if code, out := f.install(t, id, "old"); code != 0 {
			t.Fatal(out)
		}
	}
	for _, id := range all {
		f.robots[id].proven(t, "1.0")
	}
	version := ramped(t, 50, sick, waiting)
	old := []string{"--fallback", "grasp=" + f.robots[canary].slots(t).Running().SHA256}

	// The canaries first. The others refuse an order that is not for them.
	f.send(t, f.release(t, version, "new", 2, 2, append(old, "--audience", "group:canary")...), true, canary)
	f.send(t, must(os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%s-%d.release", version, f.number))))(t), false, sick)
	if code, out := f.install(t, canary, "new"); code != 0 {
		t.Fatal(out)
	}
	f.robots[canary].proven(t, version)
	if st := f.robots[canary].slots(t); st.Floor != 1 || st.Least != 2 || st.FloorIn != slots.InCounter {
		t.Errorf("the way back has svn 1, so the TPM's counter stops there: %+v", st)
	}

	// Half of the fleet.
	f.send(t, f.release(t, version, "new", 2, 2, append(old, "--audience", "group:fleet", "--ramp", "50")...), true, all...)
	if code, out := f.install(t, waiting, "new"); code != 1 || !strings.Contains(out, "waits") {
		t.Errorf("outside the ramp: exit %d, %s", code, out)
	}
	// The file of a release that is on trial changes under the running robot: its arm stops at once, and it takes the release back.
	if code, out := f.install(t, sick, "new"); code != 0 {
		t.Fatal(out)
	}
	m := f.robots[sick]
	m.await(t, "the new model verified", 30*time.Second, func(s agent.Status) bool { return len(s.Artifacts) == 1 && s.Artifacts[0].State == "verified" })
	m.site.write(t, "slots/grasp/active/weights.bin", "weights of evil")
	m.await(t, "manipulators disabled by the changed model", 30*time.Second, func(s agent.Status) bool {
		return s.Axes.Manipulators == "disabled" && has(s, "artifact.manipulation-untrusted")
	})
	until(t, 30*time.Second, "the release taken back by the robot alone", func() bool {
		st := m.slots(t)
		return st.Running().Release == "1.0" && st.Trial != nil && len(st.Trial.Taken) == 1
	})
	if code, out := f.install(t, sick, "new"); code != 1 || !strings.Contains(out, "taken this very content back") {
		t.Errorf("installed again: exit %d, %s", code, out)
	}
	f.halt(t, version, sick)
	f.send(t, must(os.ReadFile(filepath.Join(f.dir, "halt.order")))(t), true, all...)
	if code, out := f.install(t, waiting, "new"); code != 1 || !strings.Contains(out, "was halted") {
		t.Errorf("halted: exit %d, %s", code, out)
	}
	f.send(t, f.release(t, version, "new", 2, 2, append(old, "--audience", "group:fleet")...), false, all...)
	for id, release := range map[string]string{canary: version, sick: "1.0", waiting: "1.0"} {
		if r := f.robots[id].slots(t).Running(); r.Release != release || !r.Good {
			t.Errorf("%s runs %s, good %t: expected %s", id, r.Release, r.Good, release)
		}
	}
	t.Logf("from the first order to the refused one %v", time.Since(began).Round(100*time.Millisecond))
}

// halt waits for the desk to propose a halt because of a robot, and has the operator sign what was prepared.
func (f *rollingOut) halt(t *testing.T, version, because string) {
	t.Helper()
	var out []byte
	until(t, 60*time.Second, "a proposed halt", func() bool {
		var err error
		out, err = exec.CommandContext(t.Context(), f.station, "fleet", "halts", "--store", filepath.Join(f.dir, "fleet"), "--draft", f.dir, "--audience", "group:fleet").CombinedOutput()
		var ended *exec.ExitError
		return errors.As(err, &ended) && ended.ExitCode() == 1 && strings.Contains(string(out), "PROPOSED") && strings.Contains(string(out), "rolled-back")
	})
	if !strings.Contains(string(out), because) {
		t.Errorf("the desk says:\n%s", out)
	}
	s := f.robots[because].site
	said := command(t, f.station, "sign", filepath.Join(f.dir, "halt-"+version+".yaml"), "--key", keyFile(t, s, "operator-signing.key", s.operator), "--out", filepath.Join(f.dir, "halt.order"))
	if !strings.Contains(said, because) {
		t.Errorf("signed:\n%s", said)
	}
}
