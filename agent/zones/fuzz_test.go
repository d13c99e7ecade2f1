package zones

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/robowarden/robowarden/agent/config"
)

// fuzzOne wants an importer to refuse with places and reasons, or to return what robowarden check accepts, twice the same.
func fuzzOne(t *testing.T, files fstest.MapFS, name string, o Options) {
	t.Helper()
	r, err := Import(files, name, o)
	if err != nil {
		problems, ok := err.(*config.Problems) //nolint:errorlint // nothing else may come out
		if !ok || problems.Errors() == 0 || problems.Error() == "" {
			t.Fatalf("%v is no list of problems", err)
		}
		return
	}
	var first, second bytes.Buffer
	if err := r.WriteYAML(&first); err != nil {
		t.Fatal(err)
	}
	again, err := Import(files, name, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.WriteYAML(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatal("the same source gave two results")
	}
	if len(r.Zones) > 0 {
		accepted(t, t.TempDir(), r)
	}
}

func seed(f *testing.F, name string) []byte {
	f.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

func FuzzZoneSet(f *testing.F) {
	f.Add(seed(f, "zoneset.json"))
	f.Add([]byte(zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED",` + square4 + `}`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzOne(t, fstest.MapFS{"s": {Data: raw}}, "s", Options{Format: VDA5050, Floor: "f"})
	})
}

func FuzzGeoJSON(f *testing.F) {
	f.Add(seed(f, "local.geojson"), true)
	f.Add(seed(f, "wgs84.geojson"), false)
	f.Add([]byte(geoOf(`{"zone_type":"KEEP_IN"}`, closedSquare)), true)
	f.Fuzz(func(t *testing.T, raw []byte, local bool) {
		o := Options{Format: GeoJSON, Local: local, Floor: "f", ZoneType: config.ZoneBlocked, MaxSpeedMPS: 1}
		if !local {
			o.Datum = &Datum{LatDeg: 52.5163, LonDeg: 13.3777, AltM: 74, HeadingDeg: 12.5}
		}
		fuzzOne(t, fstest.MapFS{"s": {Data: raw}}, "s", o)
	})
}

func FuzzMask(f *testing.F) {
	f.Add(seed(f, "keepout.yaml"), seed(f, "keepout.pgm"))
	f.Add(seed(f, "speedmask.yaml"), seed(f, "speedmask.pgm"))
	f.Add([]byte(goodMap), []byte(goodImage))
	f.Fuzz(func(t *testing.T, yaml, image []byte) {
		if len(image) > 4096 {
			t.Skip("time is better spent on other shapes")
		}
		files := fstest.MapFS{"m.yaml": {Data: yaml}, "m.pgm": {Data: image}, "keepout.pgm": {Data: image}, "speedmask.pgm": {Data: image}}
		fuzzOne(t, files, "m.yaml", Options{Format: Nav2, Floor: "f", Unknown: "occupied", OccupiedAt: 50})
	})
}
