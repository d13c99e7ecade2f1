package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const bareDeployment = `kind: deployment
version: 1
serial: r-1
ros: {master_uri: "http://127.0.0.1:11311", host: 127.0.0.1, node: /robowarden}
paths: {profile: absent.yaml, topics: absent.yaml, policy: absent, keys: absent, state_dir: s, journal_dir: j, control_socket: c.sock}
heartbeat_keys: [{endpoint: operator, file: absent.key}]
journal: {quota_mib: 64, segment_mib: 4}
log: {level: info, format: json}
courier: {broker: "tls://broker.example:8883", prefix: a/b, ca: ca.pem, certificate: r.pem, state_dir: cs, bandwidth_kib_s: 64}
steward: {period: 1s, state_dir: ss, artifacts: slots, tpm: chip}
`

func writeDeployment(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "deployment.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestLoadDeploymentOpensNothingElse reads a deployment as courier and steward do: the guard's keys are not theirs to read.
func TestLoadDeploymentOpensNothingElse(t *testing.T) {
	file := writeDeployment(t, bareDeployment)
	d, err := LoadDeployment(file)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(file)
	for what, got := range map[string]string{"ca.pem": d.Courier.CA, "cs": d.Courier.StateDir, "ss": d.Steward.StateDir, "slots": d.Steward.Artifacts, "chip": d.Steward.TPM, "c.sock": d.Paths.ControlSocket, "j": d.Paths.JournalDir} {
		if want := filepath.Join(folder, what); got != want {
			t.Errorf("got %s, want the absolute %s", got, want)
		}
	}
	if d.Courier.Key != "" || d.Courier.TPM != "" || d.Courier.MetricsSocket != "" {
		t.Errorf("what was not given must stay empty, found %q, %q, %q", d.Courier.Key, d.Courier.TPM, d.Courier.MetricsSocket)
	}
	if d.Courier.StateEvery.String() != "10s" {
		t.Errorf("state_every: got %v, want its default", d.Courier.StateEvery)
	}
}

func TestLoadDeploymentTokens(t *testing.T) {
	file := writeDeployment(t, bareDeployment+
		"tokens: {socket: t.sock, callers_socket: /run/c.sock, programs: [{name: p, uid: 0, unit: p.service, grants: [{audience: fleet, roles: [x]}]}]}\n")
	d, err := LoadDeployment(file)
	if err != nil {
		t.Fatal(err)
	}
	if d.Tokens.Socket != filepath.Join(filepath.Dir(file), "t.sock") || d.Tokens.CallersSocket != "/run/c.sock" ||
		d.Tokens.Life.String() != "5m0s" || d.Tokens.Programs[0].PerMinute != 12 {
		t.Errorf("%+v", d.Tokens)
	}
}

func TestLoadDeploymentTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ old, text, want string }{
		"unencrypted broker": {"tls://", "tcp://", "courier.broker"},
		"port too large":     {":8883", ":88830", "courier.broker"},
		"wildcard in prefix": {"prefix: a/b", "prefix: a/+", "courier.prefix"},
		"no bandwidth":       {"bandwidth_kib_s: 64", "bandwidth_kib_s: 0", "courier.bandwidth_kib_s"},
		"period of zero":     {"period: 1s", "period: 0s", "steward.period"},
		"another kind":       {"kind: deployment", "kind: policy", "deployment"},
		"unknown key":        {"state_dir: ss", "state_dir: ss, port: 1", "steward.port"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadDeployment(writeDeployment(t, strings.Replace(bareDeployment, c.old, c.text, 1)))
			var p *Problems
			if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want problems that name %s", err, c.want)
			}
		})
	}
}
