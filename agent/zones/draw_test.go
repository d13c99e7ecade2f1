package zones

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

func drawn1(t *testing.T, p *config.Policy, v View) string {
	t.Helper()
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := Draw(b, p, v); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatal("the same view gave two pictures")
	}
	wellFormed(t, first.Bytes())
	return first.String()
}

// wellFormed wants XML without scripts and without anything that is elsewhere.
func wellFormed(t *testing.T, raw []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "script" || e.Name.Local == "image" || e.Name.Local == "use" {
				t.Fatalf("element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Fatalf("attribute %s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestDrawDemo(t *testing.T) {
	cfg, err := config.Load(nil, filepath.Join("..", "..", "configs", "demo", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 22, 0, 0, 0, cfg.Policy.Timezone.Location)
	night := drawn1(t, cfg.Policy, View{Floor: "ground", At: at})
	for _, want := range []string{"CLOSED until Tue 06:00", "Monday 2026-11-02 22:00 CET", "controlled drugs; no robots", ">5 m<", "0.25 m/s"} {
		if !strings.Contains(night, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	if day := drawn1(t, cfg.Policy, View{Floor: "ground", At: at.Add(-10 * time.Hour)}); strings.Count(day, "stroke-dasharray") >= strings.Count(night, "stroke-dasharray")+2 || day == night {
		t.Error("day and night look the same")
	}
	theatre := drawn1(t, cfg.Policy, View{Floor: "upper", At: at, Roles: []string{"theatre-delivery"}, RolesKnown: true})
	if !strings.Contains(theatre, "not for this robot") {
		t.Error("an exempt zone looks as if it held")
	}
	if err := Draw(io.Discard, cfg.Policy, View{Floor: "cellar"}); err == nil {
		t.Error("a floor that is not there was drawn")
	}
}

func TestDrawOddSites(t *testing.T) {
	hostile := with(blocked("x", rect(0, 0, 1e-3, 1e-3)), func(z *config.Zone) { z.Reason = `</text><script>alert(1)</script>&"'` })
	many := policyOf()
	for i := range 600 {
		many.Zones = append(many.Zones, blocked("many", rect(float64(i), 0, float64(i)+0.5, 0.5)))
	}
	for name, p := range map[string]*config.Policy{
		"no zones": policyOf(), "hostile text on a speck": policyOf(hostile), "far away": policyOf(blocked("far", rect(-10000, -10000, 10000, 10000))),
		"many": many, "a thin line": policyOf(blocked("line", rect(0, 0, 10000, 0.001))),
	} {
		p.Site = `a site & its "name" <b>`
		if got := drawn1(t, p, View{Floor: "f", At: time.Unix(1_790_000_000, 0)}); len(got) < 500 {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}
