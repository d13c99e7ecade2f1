package machine

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// ca runs the desk's command for the pilot authority of this station.
func (s *station) ca(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(made.Parts.Station, append([]string{"ca", "--dir", filepath.Join(s.dir, "ca")}, args...)...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		t.Fatalf("ca %v: %v\n%s", args, err, words.Bytes())
	}
	return out.Bytes()
}

// authority makes a pilot authority, whose robots the broker shall believe.
func (s *station) authority(t testing.TB) (roots []string) {
	t.Helper()
	s.ca(t, "init", "--site", "a test")
	return []string{filepath.Join(s.dir, "ca", "roots", "robot.pem")}
}

// certify has the robot enrol itself, by the product on both sides: the authority serves, a person invites the robot whose TPM
// he has looked at, and the robot's TPM proves itself. Who the robot is, the authority tells the verifier.
func (r *robot) certify(t testing.TB, ak []byte, device crypto.PublicKey) (identity []byte) {
	t.Helper()
	s := r.station
	port := broker.FreePort(t)
	address := fmt.Sprintf("%s:%d", wire.Host, port)
	served := proc.StartT(r.whole, proc.Spec{Name: "authority", Argv: []string{
		made.Parts.Station, "ca", "--dir", filepath.Join(s.dir, "ca"), "serve", "--listen", address, "--host", wire.Host,
	}})
	if _, err := served.WaitOutput(within(t, patience), `"message":"serving"`); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		argv := append([]string{wire.Program, "enroll", "--deployment", wire.Data + "/deployment.yaml"}, args...)
		if err := r.Start(within(t, patience), "enroll", argv...); err != nil {
			t.Fatal(err)
		}
		out := must(r.Output(within(t, 2*patience), "enroll", true))(t)
		if out.Exit != "exit status 0" {
			t.Fatalf("enroll %v: %s\n%s\nthe authority wrote:\n%s", args, out.Exit, out.Text, served.Output())
		}
		return out.Text
	}
	ek := strings.TrimSpace(run("--show-ek"))
	invitation := filepath.Join(s.dir, "invitation")
	s.ca(t, "invite", robotID, "--server", "https://"+address, "--out", invitation, "--ek", strings.Fields(ek)[0])
	if err := r.Put(within(t, patience), wire.Data+"/invitation", must(os.ReadFile(invitation))(t)); err != nil {
		t.Fatal(err)
	}
	t.Log(strings.TrimSpace(run("--invitation", wire.Data+"/invitation")))
	// It is given once: the same file gets nobody a second certificate.
	certificate := must(r.File(within(t, patience), wire.Data+"/robot.pem"))(t)
	if !bytes.Contains(certificate, []byte("BEGIN CERTIFICATE")) {
		t.Errorf("the robot has no certificate: %s", certificate)
	}
	identity = s.ca(t, "identity", robotID)
	var who evidence.Identity
	if err := json.Unmarshal(identity, &who); err != nil || who.Tier != order.TierTPM || !bytes.Equal(who.AK, ak) {
		t.Errorf("the authority says %s (%v), which is not this TPM", identity, err)
	}
	key, ok := device.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !key.Equal(who.Key) {
		t.Error("the authority has certified another key than the TPM's")
	}
	return identity
}
