package policytune

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
)

// site lays the test drive into a folder: as a drive without, and if asked for as one with an incident.
func site(t *testing.T, incident bool) *Question {
	t.Helper()
	demo := filepath.Join("..", "..", "configs", "demo")
	cfg, err := config.Load(nil, filepath.Join(demo, "policy.yaml"), filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../recording/testdata/drive-lz4.bag")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	put := func(name string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(folder, "drive.bag"))
	if incident {
		put(filepath.Join(folder, Incidents, "drive.bag"))
	}
	return &Question{Folder: folder, Config: cfg}
}

func knobOf(t *testing.T, r *Result, name string) *Knob {
	t.Helper()
	for i := range r.Knobs {
		if r.Knobs[i].Name == name {
			return &r.Knobs[i]
		}
	}
	t.Fatalf("no threshold %q", name)
	return nil
}

// TestTradeOff: the longer a cause has to last, the later an incident is answered, and by as much.
func TestTradeOff(t *testing.T) {
	q := site(t, true)
	before := clone(q.Config.Policy)
	r, err := Run(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, q.Config.Policy) {
		t.Error("the policy was edited")
	}
	if r.Base.FalseTrips != 1 || r.Base.Missed != 0 || !r.Base.Current {
		t.Errorf("as it is: %+v", r.Base)
	}
	k := knobOf(t, r, "triggers: zone.overrun: start_delay")
	current := 0
	for i, o := range k.Outcomes {
		if o.Current {
			current++
		}
		if o.Refused == "" && o.Value > 0 && (o.DelayS < o.Value-0.03 || o.DelayS > o.Value+0.06) {
			t.Errorf("start_delay %g s: %.2f s later", o.Value, o.DelayS)
		}
		if i > 0 && k.Outcomes[i-1].Value >= o.Value {
			t.Error("the values are not in order")
		}
	}
	if current != 1 {
		t.Errorf("%d values are the policy's own", current)
	}
	if last := k.Outcomes[len(k.Outcomes)-1]; !strings.Contains(last.Refused, "expected 0s to 200ms") {
		t.Errorf("beyond what the trigger has: %+v", last)
	}
	margin := knobOf(t, r, "zones: margin_m, changed by").Outcomes
	if first, last := margin[0], margin[len(margin)-1]; first.Cut >= last.Cut {
		t.Errorf("a margin of %+g m cuts %d commands, one of %+g m %d", first.Value, first.Cut, last.Value, last.Cut)
	}
	hz := knobOf(t, r, "command_channels: planner: max_hz").Outcomes
	if len(hz) < 5 {
		t.Errorf("rates: %+v", hz)
	}
	var text, page bytes.Buffer
	if err := Text(&text, r); err != nil {
		t.Fatal(err)
	}
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text.String(), page.String()} {
		if !strings.Contains(out, "not allowed") || strings.Contains(out, "NaN") || strings.Contains(out, "%!") {
			t.Errorf("%.2000s", out)
		}
	}
}

// TestNothingLooserWithoutIncidents is the off run: what is missed cannot be seen.
func TestNothingLooserWithoutIncidents(t *testing.T) {
	r, err := Run(t.Context(), site(t, false))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.Knobs {
		if k.Suggested == nil || strings.HasSuffix(k.Name, "max_hz") {
			continue // Fewer commands are stricter.
		}
		longer := strings.HasSuffix(k.Name, "start_delay")
		for _, o := range k.Outcomes {
			if o.Current && (longer && *k.Suggested > o.Value || !longer && *k.Suggested < o.Value) {
				t.Errorf("%s: %g is suggested over %g, without any incident", k.Name, *k.Suggested, o.Value)
			}
		}
	}
	if len(r.Warnings) == 0 || !strings.Contains(strings.Join(r.Warnings, " "), "no recordings of incidents") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

func TestRefuses(t *testing.T) {
	q := site(t, false)
	q.Folder = t.TempDir()
	if _, err := Run(t.Context(), q); err == nil || !strings.Contains(err.Error(), "found none") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(q.Folder, "x.mcap"), []byte("no recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), q); err == nil || !strings.Contains(err.Error(), "x.mcap") {
		t.Error(err)
	}
}
