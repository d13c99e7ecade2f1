package zones

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/agent/config"
)

var update = flag.Bool("update", false, "write the expected outputs anew")

// frame is a policy around imported floors and zones: what robowarden check needs besides.
const frame = `kind: policy
version: 1
id: imported
revision: 1
pins:
  profile: "sha256:0000000000000000000000000000000000000000000000000000000000000000"
  topics: "sha256:0000000000000000000000000000000000000000000000000000000000000000"
site: Somewhere
timezone: Europe/Berlin
robots: [{serial: r-1, roles: []}]
stop_category: 2
startup: {release: inputs, input_timeout: 30s}
`

// fataler is what a test and a property have in common.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// accepted holds a result to robowarden check's own loader.
func accepted(t fataler, dir string, r *Result) *config.Policy {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteYAML(&b); err != nil {
		t.Fatalf("%v", err)
	}
	// Floors without a KEEP_IN zone need a word, which the importer leaves to the engineer.
	text := strings.ReplaceAll(b.String(), "} # has no KEEP_IN zone here", ", unbounded: none in this test} # no")
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(frame+text), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	cfg, err := config.Load(nil, file)
	if err != nil {
		t.Fatalf("check refuses what was imported: %v\n%s", err, text)
	}
	if len(cfg.Policy.Zones) != len(r.Zones) {
		t.Fatalf("the policy has %d zones, expected %d", len(cfg.Policy.Zones), len(r.Zones))
	}
	return cfg.Policy
}

func TestGolden(t *testing.T) {
	for name, o := range map[string]Options{
		"zoneset.json":   {Format: VDA5050},
		"local.geojson":  {Format: GeoJSON, Local: true, Floor: "hall"},
		"wgs84.geojson":  {Format: GeoJSON, Datum: &Datum{LatDeg: 52.5163, LonDeg: 13.3777, AltM: 74, HeadingDeg: 12.5}, Floor: "yard", ZoneType: config.ZoneBlocked},
		"keepout.yaml":   {Format: Nav2, Floor: "ground", Unknown: "free"},
		"speedmask.yaml": {Format: Nav2, Floor: "ground", ZoneType: config.ZoneSpeedLimit, MaxSpeedMPS: 0.3, Prefix: "slow-", OccupiedAt: 40, Unknown: "occupied"},
	} {
		r, err := Import(os.DirFS("testdata"), name, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got bytes.Buffer
		if err := r.WriteYAML(&got); err != nil {
			t.Fatal(err)
		}
		if err := r.RenderNotes(&got, false); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".want")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		accepted(t, t.TempDir(), r)
	}
}

// zoneSetOf is a message with one zone.
func zoneSetOf(zone string) string {
	return `{"headerId":1,"timestamp":"2026-01-01T00:00:00Z","version":"3.0.0","manufacturer":"m","serialNumber":"s",` +
		`"zoneSet":{"mapId":"ground","zoneSetId":"z","zones":[` + zone + `]}}`
}

const square4 = `"vertices":[{"x":0,"y":0},{"x":4,"y":0},{"x":4,"y":4},{"x":0,"y":4}]`

// geoOf is a feature with these rings.
func geoOf(properties, rings string) string {
	return `{"type":"FeatureCollection","features":[{"type":"Feature","properties":` + properties + `,"geometry":{"type":"Polygon","coordinates":` + rings + `}}]}`
}

const closedSquare = `[[[0,0],[4,0],[4,4],[0,4],[0,0]]]`

func TestRefused(t *testing.T) {
	local := Options{Format: GeoJSON, Local: true, Floor: "f", ZoneType: config.ZoneBlocked}
	vda := Options{Format: VDA5050}
	globe := Options{Format: GeoJSON, Floor: "f", ZoneType: config.ZoneBlocked, Datum: &Datum{LatDeg: 50, LonDeg: 8}}
	for _, c := range []struct {
		name, source string
		o            Options
		rule, path   string
	}{
		{"no format", "{}", Options{}, ruleOption, ""},
		{"neither datum nor local", geoOf("{}", closedSquare), Options{Format: GeoJSON}, ruleOption, ""},
		{"both datum and local", geoOf("{}", closedSquare), Options{Format: GeoJSON, Local: true, Datum: &Datum{}}, ruleOption, ""},
		{"a datum beyond the pole", geoOf("{}", closedSquare), Options{Format: GeoJSON, Datum: &Datum{LatDeg: 91}}, ruleOption, ""},
		{"a datum that is not finite", geoOf("{}", closedSquare), Options{Format: GeoJSON, Datum: &Datum{LatDeg: math.NaN()}}, ruleOption, ""},
		{"empty", "", vda, ruleSyntax, ""},
		{"cut off", `{"zoneSet":{"zones":[`, vda, ruleSyntax, ""},
		{"two values", `{} {}`, vda, ruleSyntax, ""},
		{"a name twice", `{"zones":[],"zones":[]}`, vda, ruleSyntax, ""},
		{"not UTF-8", "{\"a\":\"\xff\"}", vda, ruleSyntax, ""},
		{"nested deeply", strings.Repeat("[", 100_000), vda, ruleSyntax, ""},
		{"no zones", `{"zoneSet":{"mapId":"m"},"version":"3.0.0"}`, vda, ruleMissing, "zoneSet"},
		{"an empty list", zoneSetOf(""), vda, ruleMissing, ""},
		{"version 2", strings.Replace(zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED",`+square4+`}`), "3.0.0", "2.1.0", 1), vda, ruleVersion, "version"},
		{"a map id that is no floor", strings.Replace(zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED",`+square4+`}`), "ground", "the ground", 1), vda, ruleType, "zoneSet.mapId"},
		{"an unknown type", zoneSetOf(`{"zoneId":"a","zoneType":"FORBIDDEN",` + square4 + `}`), vda, ruleUnknown, "zoneSet.zones[0].zoneType"},
		{"a speed of 0", zoneSetOf(`{"zoneId":"a","zoneType":"SPEED_LIMIT","maximumSpeed":0,` + square4 + `}`), vda, ruleRange, "zoneSet.zones[0].maximumSpeed"},
		{"no speed", zoneSetOf(`{"zoneId":"a","zoneType":"SPEED_LIMIT",` + square4 + `}`), vda, ruleMissing, "zoneSet.zones[0].maximumSpeed"},
		{"a speed too large for a number", zoneSetOf(`{"zoneId":"a","zoneType":"SPEED_LIMIT","maximumSpeed":1e999,` + square4 + `}`), vda, ruleRange, "zoneSet.zones[0].maximumSpeed"},
		{"an id twice", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED",` + square4 + `},{"zoneId":"a","zoneType":"BLOCKED",` + square4 + `}`), vda, ruleDuplicate, "zoneSet.zones[1]"},
		{"two vertices", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":0,"y":0},{"x":1,"y":0}]}`), vda, ruleGeometry, "zoneSet.zones[0].vertices"},
		{
			"self-crossing", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":0,"y":0},{"x":4,"y":4},{"x":4,"y":0},{"x":0,"y":3}]}`),
			vda, ruleGeometry, "zoneSet.zones[0].vertices[2]",
		},
		{
			"a spike", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":0,"y":0},{"x":4,"y":0},{"x":6,"y":0},{"x":4,"y":0.0001},{"x":4,"y":4}]}`),
			vda, ruleGeometry, "zoneSet.zones[0].vertices[3]",
		},
		{
			"no area", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":0,"y":0},{"x":4,"y":0},{"x":8,"y":0}]}`), vda, ruleGeometry,
			"zoneSet.zones[0].vertices",
		},
		{"a direction without its limitation", lane(`"DIRECTED","direction":1`), vda, ruleMissing, "zoneSet.zones[0].directedLimitation"},
		{"the other kind's limitation", lane(`"BIDIRECTED","direction":1,"directedLimitation":"SOFT"`), vda, ruleMissing, "zoneSet.zones[0].bidirectedLimitation"},
		{"strict both ways", lane(`"BIDIRECTED","direction":1,"bidirectedLimitation":"STRICT"`), vda, ruleUnknown, "zoneSet.zones[0].bidirectedLimitation"},
		{"no direction", lane(`"DIRECTED","directedLimitation":"STRICT"`), vda, ruleMissing, "zoneSet.zones[0].direction"},
		{"degrees", lane(`"DIRECTED","directedLimitation":"STRICT","direction":90`), vda, ruleRange, "zoneSet.zones[0].direction"},
		{"a direction that is text", lane(`"DIRECTED","directedLimitation":"STRICT","direction":"1"`), vda, ruleRange, "zoneSet.zones[0].direction"},
		{"too far away", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":0,"y":0},{"x":4e7,"y":0},{"x":4,"y":4}]}`), vda, ruleRange, "zoneSet.zones[0].vertices[1]"},
		{"text for a number", zoneSetOf(`{"zoneId":"a","zoneType":"BLOCKED","vertices":[{"x":"0","y":0},{"x":4,"y":0},{"x":4,"y":4}]}`), vda, ruleType, "zoneSet.zones[0].vertices[0].x"},
		{"an open ring", geoOf("{}", `[[[0,0],[4,0],[4,4],[0,4]]]`), local, ruleGeometry, "features[0].geometry.coordinates[0]"},
		{"three positions", geoOf("{}", `[[[0,0],[4,0],[0,0]]]`), local, ruleRange, "features[0].geometry.coordinates[0]"},
		{
			"a hole outside", geoOf("{}", `[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[5,5],[6,5],[6,6],[5,5]]]`), local, ruleGeometry,
			"features[0].geometry.coordinates[1]",
		},
		{
			"a hole that touches", geoOf("{}", `[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[0,1],[1,1],[1,2],[0,1]]]`), local, ruleGeometry,
			"features[0].geometry.coordinates[1][",
		},
		{"four numbers", geoOf("{}", `[[[0,0,0,0],[4,0],[4,4],[0,0,0,0]]]`), local, ruleRange, "features[0].geometry.coordinates[0][0]"},
		{"latitude first", geoOf("{}", `[[[8,120],[8,121],[9,121],[8,120]]]`), globe, ruleRange, "features[0].geometry.coordinates[0][0]"},
		{"another continent", geoOf("{}", `[[[80,50],[81,50],[81,51],[80,50]]]`), globe, ruleRange, "features[0].geometry.coordinates[0][0]"},
		{"an old crs", `{"type":"FeatureCollection","crs":{},"features":[]}`, globe, ruleUnknown, "crs"},
		{"shifts in a drawing", geoOf(`{"shifts":["day"]}`, closedSquare), local, ruleNotRead, "features[0].properties.shifts"},
		{"a speed that is text", geoOf(`{"zone_type":"SPEED_LIMIT","speed":"fast"}`, closedSquare), local, ruleRange, "features[0].properties.speed"},
		{"no kind", geoOf("{}", closedSquare), Options{Format: GeoJSON, Local: true, Floor: "f"}, ruleMissing, "features[0].properties.zone_type"},
		{"no floor", geoOf("{}", closedSquare), Options{Format: GeoJSON, Local: true, ZoneType: config.ZoneBlocked}, ruleMissing, "features[0].properties.floor"},
		{"an unknown geometry", `{"type":"Circle"}`, local, ruleUnknown, "type"},
	} {
		_, err := Import(fstest.MapFS{"s": {Data: []byte(c.source)}}, "s", c.o)
		var problems *config.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v, expected problems", c.name, err)
			continue
		}
		p := problems.List[0]
		for _, one := range problems.List { // notes may come first
			if one.Severity == config.SeverityError {
				p = one
				break
			}
		}
		if p.Rule != c.rule || !strings.HasPrefix(p.Path, c.path) || c.path == "" && p.Path != "" || p.Expected == "" || p.Found == "" && c.name != "no format" {
			t.Errorf("%s: rule %s at %q (%s), expected %s at %q", c.name, p.Rule, p.Path, p.String(), c.rule, c.path)
		}
	}
}

// lane is a zone set with one zone of a type, whose other values follow it.
func lane(typ string) string {
	return zoneSetOf(`{"zoneId":"a","zoneType":` + typ + `,` + square4 + `}`)
}

// TestLanesComeIn: a direction of travel is the policy's, in all its words, and whole turns do not count.
func TestLanesComeIn(t *testing.T) {
	for source, want := range map[string]Zone{
		`"DIRECTED","directedLimitation":"SOFT","direction":0`:                 {Type: "DIRECTED", Limitation: "SOFT"},
		`"DIRECTED","directedLimitation":"RESTRICTED","direction":-1.5`:        {Type: "DIRECTED", Limitation: "RESTRICTED", DirectionRad: -1.5},
		`"DIRECTED","directedLimitation":"STRICT","direction":8.5`:             {Type: "DIRECTED", Limitation: "STRICT", DirectionRad: 8.5 - 2*math.Pi},
		`"BIDIRECTED","bidirectedLimitation":"RESTRICTED","direction":3.14159`: {Type: "BIDIRECTED", Limitation: "RESTRICTED", DirectionRad: 3.14159},
	} {
		r, err := Import(fstest.MapFS{"s": {Data: []byte(lane(source))}}, "s", Options{Format: VDA5050})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if z := r.Zones[0]; z.Type != want.Type || z.Limitation != want.Limitation || math.Abs(z.DirectionRad-want.DirectionRad) > 1e-12 {
			t.Errorf("%s: %+v", source, z)
		}
		accepted(t, t.TempDir(), r)
	}
}

func TestLeftByName(t *testing.T) {
	r, err := Import(fstest.MapFS{"s": {Data: []byte(zoneSetOf(
		`{"zoneId":"gate","zoneType":"RELEASE","releaseLossBehavior":"CONTINUE",` + square4 + `},{"zoneId":"keep to it","zoneType":"LINE_GUIDED",` + square4 + `},{"zoneId":"ok","zoneType":"BLOCKED",` + square4 + `}`))}},
		"s", Options{Format: VDA5050})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	if len(r.Left) != 2 || r.Left[0].Name != "gate" || r.Left[1].Kind != "LINE_GUIDED" || len(r.Zones) != 1 {
		t.Errorf("%+v", r.Left)
	}
	for _, want := range []string{"NOT IMPORTED: gate (RELEASE)", "NOT IMPORTED: keep to it (LINE_GUIDED)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the output", want)
		}
	}
}

// TestHostileText puts what a terminal or YAML would obey into names.
func TestHostileText(t *testing.T) {
	for _, text := range []string{`\u001b[2J`, `a\nb: c`, `'`, `it''s: {}`, `\u202Eabc`, `# x`, `\u00ad\u200b`, ` `, strings.Repeat("x", 5000), `é ü 中文`, `\ud800`} {
		source := zoneSetOf(`{"zoneId":"` + text + `","zoneType":"BLOCKED","zoneDescriptor":"` + text + `",` + square4 + `},{"zoneId":"R` + text + `","zoneType":"RELEASE",` + square4 + `}`)
		r, err := Import(fstest.MapFS{"s": {Data: []byte(source)}}, "s", Options{Format: VDA5050})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		accepted(t, t.TempDir(), r)
		var b bytes.Buffer
		if err := r.RenderNotes(&b, false); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(b.String(), 0x1b) {
			t.Errorf("%q: a terminal would obey the notes", text)
		}
	}
}

// TestPolygonsKeepTheirPlace holds the GeoJSON importer to positions made by going the other way.
func TestPolygonsKeepTheirPlace(t *testing.T) {
	d := Datum{LatDeg: -33.9, LonDeg: 151.2, AltM: 40, HeadingDeg: -75}
	p := newProjector(d)
	want := [][2]float64{{-12.5, 3}, {30, -4.25}, {41.125, 28}, {0, 30}}
	var ring []string
	for _, w := range append(want, want[0]) {
		// From the map to east and north, then by hand to earth-centred coordinates.
		s, c := math.Sincos(d.HeadingDeg * degree)
		e, n := w[0]*c+w[1]*s, -w[0]*s+w[1]*c
		at := p.origin
		at.x += -p.sinLon*e - p.sinLat*p.cosLon*n
		at.y += p.cosLon*e - p.sinLat*p.sinLon*n
		at.z += p.cosLat * n
		lat, lon, alt := geodetic(at)
		ring = append(ring, fmt.Sprintf("[%.12f,%.12f,%.6f]", lon/degree, lat/degree, alt))
	}
	r, err := Import(fstest.MapFS{"s": {Data: []byte(geoOf("{}", "[["+strings.Join(ring, ",")+"]]"))}}, "s",
		Options{Format: GeoJSON, Datum: &d, Floor: "f", ZoneType: config.ZoneBlocked})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Zones[0].Outer {
		if v.X != int32(math.Round(want[i][0]*1000)) || v.Y != int32(math.Round(want[i][1]*1000)) {
			t.Errorf("vertex %d is %v mm, expected %v m", i, v, want[i])
		}
	}
}
