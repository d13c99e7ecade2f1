package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// site writes a policy with many zones of many vertices.
func site(tb testing.TB, zones, vertices int) string {
	tb.Helper()
	src, err := os.ReadFile("testdata/good/policy.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("zones:\n")
	for i := range zones {
		x, y := float64(i%40)*10+1, float64(i/40)*10+15
		fmt.Fprintf(&b, "  - {zone_id: z%d, zone_type: BLOCKED, floor: hall, reason: shelf, vertices: [", i)
		for v := range vertices {
			if v < vertices/2 {
				fmt.Fprintf(&b, "[%.3f, %.3f], ", x+float64(v)*0.1, y+float64(v%2)*0.05)
			} else {
				fmt.Fprintf(&b, "[%.3f, %.3f], ", x+float64(vertices-1-v)*0.1, y+5+float64(v%2)*0.05)
			}
		}
		b.WriteString("]}\n")
	}
	name := filepath.Join(tb.TempDir(), "policy.yaml")
	text := strings.Replace(string(src), "zones:\n", b.String(), 1)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

// BenchmarkLoadSite loads a policy of 1 000 zones with 40 vertices each.
func BenchmarkLoadSite(b *testing.B) {
	name := site(b, 1000, 40)
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(nil, name); err != nil {
			b.Fatal(err)
		}
	}
}
