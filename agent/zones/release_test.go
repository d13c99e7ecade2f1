package zones

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/robowarden/robowarden/geofence"
)

// TestZoneTypesOfTheStandard: what the guard enforces comes in, what it does not is left with the geofence's own reason.
func TestZoneTypesOfTheStandard(t *testing.T) {
	left := map[string]string{"RELEASE with CONTINUE": "needs a bound"}
	for _, k := range geofence.PlannerKinds() {
		left[k.Word] = k.Why
	}
	types := map[string]string{
		"BLOCKED": "", "SPEED_LIMIT": `"maximumSpeed":0.5,`, "RELEASE": "", "RELEASE with STOP": `"releaseLossBehavior":"STOP",`,
		"RELEASE with EVACUATE": `"releaseLossBehavior":"EVACUATE",`, "RELEASE with CONTINUE": `"releaseLossBehavior":"CONTINUE",`,
	}
	for word := range left {
		if _, there := types[word]; !there {
			types[word] = ""
		}
	}
	for name, terms := range types {
		t.Run(name, func(t *testing.T) {
			word, loss, _ := strings.Cut(name, " with ")
			r, err := Import(fstest.MapFS{"s": {Data: []byte(zoneSetOf(`{"zoneId":"z","zoneType":"` + word + `",` + terms + square4 + `}`))}}, "s", Options{Format: VDA5050})
			if err != nil {
				t.Fatal(err)
			}
			if why := left[name]; why != "" {
				if len(r.Zones) != 0 || len(r.Left) != 1 || !strings.Contains(r.Left[0].Why, why) {
					t.Errorf("zones %+v, left %+v, expected none because %q", r.Zones, r.Left, why)
				}
				return
			}
			var b bytes.Buffer
			if err := r.WriteYAML(&b); err != nil {
				t.Fatal(err)
			}
			if word == "RELEASE" && loss == "" {
				loss = "STOP" // the standard's default
			}
			if len(r.Left) != 0 || !strings.Contains(b.String(), "zone_type: "+word+"\n") || strings.Contains(b.String(), "release_loss: ") != (loss != "") ||
				!strings.Contains(b.String(), loss) {
				t.Errorf("%s", b.String())
			}
		})
	}
	if _, err := Import(fstest.MapFS{"s": {Data: []byte(zoneSetOf(`{"zoneId":"z","zoneType":"RELEASE","releaseLossBehavior":"GO",` + square4 + `}`))}}, "s", Options{Format: VDA5050}); err == nil {
		t.Error("an unknown behaviour was taken")
	}
}
