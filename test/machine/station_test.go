package machine

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/attest/verifier"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// prefix is the first level of all topics.
const prefix = "test"

// station is the other side of the network: a broker, a verifier and a consumer, the latter two as they ship.
type station struct {
	dir            string
	broker         *broker.Broker
	verifier, tail *proc.Process
	verifierKey    crypto.Signer
	consumerKey    crypto.Signer
}

// newStation starts the broker and draws the keys that the robot's key list will name.
func newStation(t testing.TB) *station {
	t.Helper()
	s := &station{dir: t.TempDir(), verifierKey: newKey(t), consumerKey: newKey(t)}
	s.broker = broker.Start(t, broker.Options{
		Prefix: prefix, Robots: []string{robotID}, Stations: []string{"verifier", "tail"}, Host: wire.Host, Roots: s.authority(t),
	})
	return s
}

// file writes a file of the station's own and returns its path.
func (s *station) file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// enrol is what somebody does who puts a robot into service: get it a certificate for its TPM's key, carry its public keys to
// the verifier and the consumer, and say what it should run.
func (r *robot) enrol(t *testing.T) {
	a, _, _, err := r.challenge(t)
	if err != nil {
		t.Fatal(err)
	}
	device := must(tpm.ParsePublic(a.Device))(t).Key()
	s := r.station
	identity := r.certify(t, a.AK, device)
	references := must(json.Marshal(r.references(t)))(t)
	state := filepath.Join(s.dir, "verifier")
	out, err := exec.Command(made.Parts.Station, "verifier", "enrol", s.file(t, "identity.json", identity),
		"--references", s.file(t, "references.json", references), "--state-dir", state).CombinedOutput()
	if err != nil {
		t.Fatalf("enrol: %v\n%s", err, out)
	}
	own := s.broker.Authority.Client(r.whole, "verifier")
	s.verifier = proc.StartT(r.whole, proc.Spec{Name: "verifier", Argv: []string{
		made.Parts.Station, "verifier", "--state-dir", state, "--key", s.file(t, "verifier.key", must(order.MarshalPrivateKey(s.verifierKey))(t)),
		"--broker", s.broker.URL(), "--prefix", prefix, "--ca", own.CA, "--certificate", own.Certificate, "--certificate-key", own.Key,
	}})
	own = s.broker.Authority.Client(r.whole, "tail")
	s.tail = proc.StartT(r.whole, proc.Spec{Name: "tail", Argv: []string{
		made.Parts.Station, "fleet", "tail", "--store", filepath.Join(s.dir, "fleet"), "--key", s.file(t, "consumer.key", must(order.MarshalPrivateKey(s.consumerKey))(t)),
		"--broker", s.broker.URL(), "--prefix", prefix, "--ca", own.CA, "--certificate", own.Certificate, "--certificate-key", own.Key,
		"--robot", robotID + "=" + s.file(t, "device.pub", must(order.MarshalPublicKey(device))(t)), "--patience", "5m",
	}})
	for _, p := range []*proc.Process{s.verifier} {
		if _, err := p.WaitOutput(within(t, patience), `"message":"connected"`); err != nil {
			t.Fatal(err)
		}
	}
}

// references are what the robot should run: this program, measured into PCR 14, these documents, and a firmware whose log
// explains the rest.
func (r *robot) references(t testing.TB) *verifier.References {
	t.Helper()
	allowed := func(d string) verifier.Rule { return verifier.Rule{Set: verifier.Set{Allowed: []string{d}}} }
	out := &verifier.References{
		Name: "machine", Tier: order.TierTPM, FirmwareLog: verifier.FirmwareLogRequired, SecureBoot: verifier.SecureBootAny,
		Agent:  allowed(must(r.Facts(within(t, patience)))(t).ProgramSHA256),
		Policy: allowed(sum(r.site.policyText)), Profile: allowed(r.site.digest(t, "profile.yaml")), Topics: allowed(r.site.digest(t, "topics.yaml")),
		Kernel: verifier.Rule{Set: verifier.Set{Any: true, Why: "PCR 4 and 9 hold the kernel itself"}},
	}
	out.Agent.File = wire.Program
	for _, n := range append(append([]int{}, quoted...), 14) {
		out.PCRs = append(out.PCRs, verifier.PCRRule{PCR: n, Logs: true})
	}
	return out
}

// accepted waits until the guard itself has checked a result of the verifier that accepts the robot as it runs now.
func (r *robot) accepted(t *testing.T) {
	s := r.await(t, "a guard that has an accepted attestation result", func(s *agent.Status) bool {
		return !has(s, "attestation.missing") && !has(s, "attestation.failed") && !has(s, "attestation.expired")
	})
	if !strings.Contains(r.station.verifier.Output(), `"message":"accepted"`) {
		t.Errorf("the guard holds the robot for attested, and the verifier has accepted nothing; triggers %v", codes(&s))
	}
}

// refused extends a PCR in secret and lets the courier attest anew: the verifier refuses, and the guard acts on that.
func (r *robot) refused(t *testing.T) {
	r.extendIsSeen(t)
	if err := r.Signal(within(t, patience), r.role(t, "courier").PID, int(syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	s := r.await(t, "a guard that acts on a refusal", func(s *agent.Status) bool { return has(s, "attestation.failed") })
	if s.Axes.Motion == "free" || s.Axes.Remote == "free" {
		t.Errorf("axes %+v after a refusal", s.Axes)
	}
	if !strings.Contains(r.station.verifier.Output(), "pcr-mismatch:7") {
		t.Errorf("the verifier has not said pcr-mismatch:7; it wrote:\n%s", tail(r.station.verifier.Output()))
	}
	t.Logf("motion %s at most %.1f m/s, remote %s", s.Axes.Motion, s.Axes.MaxSpeedMPS, s.Axes.Remote)
}

// reported ends the consumer and looks at what has come from both starts of the machine.
func (r *robot) reported(t *testing.T) {
	boots := []string{r.bootIDs[0], r.bootIDs[1]}
	until(t, patience, "the start of the guard in both starts of the machine at the consumer", func() bool {
		return count(r.station.tail.Output(), " guard ", " start {") >= 2
	})
	text := r.station.tail.Output()
	for _, id := range boots {
		if short := strings.ReplaceAll(id, "-", "")[:8]; !strings.Contains(text, " "+short+" ") {
			t.Errorf("no record of boot %s has come", id)
		}
	}
	if err := r.station.tail.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exit := must(r.station.tail.Wait(within(t, patience)))(t)
	t.Logf("%d records came, %d of them decisions", count(text, " guard "), count(text, " guard ", " decision "))
	if exit.Code != 0 {
		t.Errorf("the consumer ended with %v: a gap, a fork or worse:\n%s", exit, tail(text))
	}
}

// count counts lines that hold all words.
func count(text string, words ...string) int {
	n := 0
	for line := range strings.Lines(text) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// measure is the launch step before the roles.
func (r *robot) measure(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Start(ctx, "measure", wire.Program, "measure", wire.Program); err != nil {
		t.Fatal(err)
	}
	out := must(r.Output(ctx, "measure", true))(t)
	if out.Exit != "exit status 0" {
		t.Fatalf("measure ended with %q:\n%s", out.Exit, out.Text)
	}
}

// keys are the station's entries in the robot's key list.
func (s *station) keys(entry func(crypto.Signer, string, ...order.Role) order.Key) []order.Key {
	if s == nil {
		return nil
	}
	return []order.Key{entry(s.verifierKey, "verifier", order.RoleVerifier), entry(s.consumerKey, "consumer", order.RoleConsumer)}
}

// courierYAML are the deployment's sections of the other roles.
func (s *station) courierYAML(t testing.TB, site *site) string {
	t.Helper()
	if s == nil {
		return ""
	}
	ca := s.broker.Authority.Client(t, "nobody").CA
	site.write(t, "ca.pem", string(must(os.ReadFile(ca))(t)))
	return fmt.Sprintf(`courier: {broker: %q, prefix: %s, ca: ca.pem, certificate: robot.pem, tpm: %s, event_log: %s, state_dir: courier, bandwidth_kib_s: 1024, state_every: %v}
steward: {period: 3s, state_dir: steward}
`, s.broker.URL(), prefix, wire.TPMDevice, wire.EventLog, 5*time.Second)
}
