package fleet

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/courier"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// courierEnv holds a deployment as JSON for a process that is a courier.
const courierEnv = "ROBOWARDEN_TEST_COURIER"

// runCourier is the courier's role as a library.
func runCourier(ctx context.Context, text string) error {
	var d config.Deployment
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return err
	}
	c, err := courier.New(courier.Options{
		Config: &d, Version: "test",
		NewLog: func(string, string) zerolog.Logger { return zerolog.New(os.Stderr).Level(zerolog.InfoLevel) },
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// deployment is a robot's, as far as a courier reads it.
func (r *robot) deployment(url string) *config.Deployment {
	return &config.Deployment{
		Serial: "runner-1",
		Paths: config.Paths{
			Keys: r.path("keys"), StateDir: r.path("state"), JournalDir: r.path("journal"), ControlSocket: r.path("control.sock"),
		},
		Log: config.Log{Level: "info", Format: "json"},
		Courier: &config.Courier{
			Broker: url, Prefix: prefix, CA: r.creds.CA, Certificate: r.creds.Certificate, Key: r.creds.Key,
			StateDir: r.path("courier"), BandwidthKiBPS: 1 << 20, StateEvery: 10e9,
		},
	}
}

// startCourier starts the courier as a process of its own.
func startCourier(t testing.TB, r *robot, url string) *process {
	t.Helper()
	socketFits(t, r.path("control.sock"))
	text := must(json.Marshal(r.deployment(url)))(t)
	p := &process{t: t, spec: proc.Spec{Name: "courier", Argv: []string{must(os.Executable())(t)}, Env: []string{courierEnv + "=" + string(text)}}}
	return p
}
