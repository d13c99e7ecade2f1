package config

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseDigest(t *testing.T) {
	good := "sha256:72591ec219c4063bf841ebe5b3c4a39be44fe58a621c7816554f06bb9e542d38"
	d, err := ParseDigest(good)
	if err != nil || d.String() != good {
		t.Errorf("%v: %v", d, err)
	}
	for _, s := range []string{"", "sha256:", good[7:], "SHA256" + good[6:], good + "0", good[:70], "sha256:" + string(make([]byte, 64)), good[:70] + "g", good[:70] + "F"} {
		if d, err := ParseDigest(s); err == nil || d != (Digest{}) {
			t.Errorf("%q: %v", s, d)
		}
	}
}

func TestUnitsAsJSON(t *testing.T) {
	loc, err := loadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(struct {
		Start TimeOfDay
		Zone  Timezone
		Pin   Digest
	}{TimeOfDay(6*60 + 5), Timezone{"Europe/Berlin", loc}, Digest{1}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Start":"06:05","Zone":"Europe/Berlin","Pin":"sha256:0100000000000000000000000000000000000000000000000000000000000000"}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", time.Millisecond: "1ms", 1500 * time.Millisecond: "1500ms", time.Second: "1s", 90 * time.Second: "90s", 2 * time.Minute: "2m",
		36 * time.Hour: "36h", 250 * time.Microsecond: "0.25ms",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestDays(t *testing.T) {
	d := Days(1<<time.Sunday | 1<<time.Friday)
	for w := time.Sunday; w <= time.Saturday; w++ {
		if d.Has(w) != (w == time.Sunday || w == time.Friday) {
			t.Errorf("%v: %v", w, d.Has(w))
		}
	}
}

func TestRadius(t *testing.T) {
	b := Body{Footprint: []Point{{0.3, 0.4}, {-0.1, 0}, {0, -0.2}}}
	if got := b.RadiusM(); math.Abs(got-0.5) > 1e-12 {
		t.Errorf("%v m", got)
	}
}
