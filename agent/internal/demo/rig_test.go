package demo

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/configs"
)

// demoConfig loads the demonstration's documents.
func demoConfig(t testing.TB) *config.Config {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml"} {
		raw, err := fs.ReadFile(configs.FS(), configs.Demo+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: "demo-humanoid-01"}
	return cfg
}

func TestTheRealGuardHoldsTheDay(t *testing.T) {
	cfg := demoConfig(t)
	o := options()
	o.Zones = ZonesOf(cfg.Policy, "demo-humanoid-01")
	o.Timezone = cfg.Policy.Timezone.Location
	o.Footprint = FootprintOf(cfg.Profile)
	rig := Rig{Config: cfg, Self: "/robowarden", Log: zerolog.Nop()}
	o.Start = rig.Start
	var told strings.Builder
	o.Tell = NewTeller(&told, false)
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(&told, false); err != nil {
		t.Fatal(err)
	}
	t.Log(told.String())
	for _, row := range r.Failed() {
		t.Errorf("%s: %v", row.Name, row.Measured)
	}
}
