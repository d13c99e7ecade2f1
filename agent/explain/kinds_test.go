package explain

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// TestEveryKindIsExplained asks about a robot in the middle of a zone of each kind, and about one that is far from it.
func TestEveryKindIsExplained(t *testing.T) {
	terms := map[string]func(*config.Zone){
		config.ZoneSpeedLimit: func(z *config.Zone) { z.MaxSpeedMPS = 0.2 },
		config.ZoneDwellLimit: func(z *config.Zone) { z.MaxDwell = time.Minute },
		config.ZoneDoor:       func(z *config.Zone) { z.OpenedBy, z.MaxDwell = []string{"badge"}, time.Minute },
		config.ZoneNoStop:     func(z *config.Zone) { z.Within = time.Minute },
		config.ZoneDirected:   func(z *config.Zone) { z.DirectionRad, z.Limitation = new(float64), "STRICT" },
		config.ZoneBidirected: func(z *config.Zone) { z.DirectionRad, z.Limitation = new(float64), "RESTRICTED" },
	}
	words := map[string]string{
		config.ZoneBlocked: "is in it", config.ZoneSpeedLimit: "at most 0.2 m/s", config.ZoneKeepIn: "is outside of it", config.ZoneNoManipulation: "arms and hands rest",
		config.ZonePrivacy: "cameras and microphones are closed", config.ZoneDwellLimit: "for a while only", config.ZoneRelease: "without a lease",
		config.ZoneDoor: "without a lease", config.ZoneNoStop: "creep on the way out",
		config.ZoneDirected: "nothing else passes but a turn in place", config.ZoneBidirected: "0° from x or the opposite, within 30°; else it creeps",
	}
	for _, zoneType := range config.ZoneTypes() {
		t.Run(zoneType, func(t *testing.T) {
			cfg := demo(t)
			z := config.Zone{ID: "z", Type: zoneType, Floor: "ground", Vertices: []config.Point{{X: 15, Y: 10}, {X: 18, Y: 10}, {X: 18, Y: 14}, {X: 15, Y: 14}}, Reason: "a test"}
			if f := terms[zoneType]; f != nil {
				f(&z)
			}
			p := *cfg.Policy
			p.Zones = append(p.Zones[:len(p.Zones):len(p.Zones)], z)
			if zoneType == config.ZoneKeepIn {
				p.Zones = []config.Zone{z}
			}
			cfg.Policy = &p
			x := 16.5
			if zoneType == config.ZoneKeepIn {
				x = 15
			}
			a, err := Ask(question(cfg, "ground", x, 12, "2026-11-02T10:00"))
			if err != nil {
				t.Fatal(err)
			}
			one := find(t, a, "z")
			if !one.Applies() || !strings.Contains(one.Why, words[zoneType]) {
				t.Errorf("%+v, expected %q", one, words[zoneType])
			}
			others := map[string]int{config.ZoneNoManipulation: 1, config.ZonePrivacy: 2}[zoneType]
			if len(a.Others) != others {
				t.Errorf("%+v, expected %d", a.Others, others)
			}
			var b bytes.Buffer
			if err := a.WriteText(&b); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "unknown rule") || others > 0 && !strings.Contains(b.String(), a.Others[0].Axis+" "+a.Others[0].State) {
				t.Errorf("%s", b.String())
			}
		})
	}
}
