package zones

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/robowarden/robowarden/agent/config"
)

const goodMap = "image: m.pgm\nresolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.25\n"

const goodImage = "P2\n2 1\n255\n0 254\n"

func TestMaskRefused(t *testing.T) {
	swap := func(old, next string) string { return strings.Replace(goodMap, old, next, 1) }
	for _, c := range []struct {
		name, yaml, image string
		o                 Options
		rule              string
	}{
		{"no image file", swap("m.pgm", "n.pgm"), goodImage, Options{}, ruleFile},
		{"an image elsewhere", swap("m.pgm", "../m.pgm"), goodImage, Options{}, ruleFile},
		{"an absolute image", swap("m.pgm", "/etc/passwd"), goodImage, Options{}, ruleFile},
		{"resolution zero", swap("0.05", "0"), goodImage, Options{}, ruleRange},
		{"resolution NaN", swap("0.05", "nan"), goodImage, Options{}, ruleRange},
		{"resolution below the grid", swap("0.05", "0.001"), goodImage, Options{}, ruleRange},
		{"an origin of two numbers", swap("[0, 0, 0]", "[0, 0]"), goodImage, Options{}, ruleRange},
		{"an origin that is infinite", swap("[0, 0, 0]", "[0, inf, 0]"), goodImage, Options{}, ruleRange},
		{"an origin far away", swap("[0, 0, 0]", "[0, 1e9, 0]"), goodImage, Options{}, ruleRange},
		{"thresholds the wrong way", swap("0.25", "0.75"), goodImage, Options{}, ruleRange},
		{"negate is a word", swap("negate: 0", "negate: perhaps"), goodImage, Options{}, ruleUnknown},
		{"an unknown mode", goodMap + "mode: ternary\n", goodImage, Options{}, ruleUnknown},
		{"a key missing", swap("negate: 0\n", ""), goodImage, Options{}, ruleMissing},
		{"a key twice", goodMap + "negate: 1\n", goodImage, Options{}, ruleDuplicate},
		{"nested", goodMap + "a:\n  b: 1\n", goodImage, Options{}, ruleSyntax},
		{"no YAML", "\x00\x01", goodImage, Options{}, ruleSyntax},
		{"a PNG", goodMap, "\x89PNG\r\n", Options{}, ruleSyntax},
		{"a PBM", goodMap, "P1\n2 1\n0 1\n", Options{}, ruleSyntax},
		{"no width", goodMap, "P2\n", Options{}, ruleSyntax},
		{"a negative width", goodMap, "P2\n-2 1\n255\n0 0\n", Options{}, ruleSyntax},
		{"no cells", goodMap, "P5\n0 1\n255\n", Options{}, ruleSyntax},
		{"too large", goodMap, "P5\n16384 16384\n255\n", Options{}, ruleTooLarge},
		{"a lie about the size", goodMap, "P2\n4000 4000\n255\n0 0\n", Options{}, ruleSyntax},
		{"cells missing", goodMap, "P5\n2 2\n255\n\x00\x00\x00", Options{}, ruleSyntax},
		{"more behind", goodMap, goodImage + " 7", Options{}, ruleSyntax},
		{"grey beyond the greatest", goodMap, "P2\n2 1\n100\n0 101\n", Options{}, ruleSyntax},
		{"grey 65536", goodMap, "P5\n2 1\n65536\n\x00\x00\x00\x00", Options{}, ruleSyntax},
		{"unknown cells", goodMap, "P2\n2 1\n255\n0 128\n", Options{}, ruleUnclear},
		{"values between", goodMap + "mode: scale\n", "P2\n2 1\n255\n0 128\n", Options{}, ruleUnclear},
		{"nothing occupied", goodMap, "P2\n2 1\n255\n254 254\n", Options{}, ruleMissing},
		{"a KEEP_IN mask", goodMap, goodImage, Options{ZoneType: config.ZoneKeepIn}, ruleOption},
		{"a limit without speed", goodMap, goodImage, Options{ZoneType: config.ZoneSpeedLimit}, ruleMissing},
	} {
		c.o.Format, c.o.Floor = Nav2, "f"
		_, err := Import(fstest.MapFS{"m.yaml": {Data: []byte(c.yaml)}, "m.pgm": {Data: []byte(c.image)}}, "m.yaml", c.o)
		var problems *config.Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v, expected problems", c.name, err)
			continue
		}
		found := false
		for _, p := range problems.List {
			found = found || p.Rule == c.rule && p.Severity == config.SeverityError
		}
		if !found {
			t.Errorf("%s: %v, expected rule %s", c.name, problems, c.rule)
		}
	}
}

// TestCellValues walks through modes, thresholds and negate, greys 0 to 255.
func TestCellValues(t *testing.T) {
	const free, between, occupied, unknown = 0, 50, 100, unknownCell
	for _, c := range []struct {
		mode   string
		negate bool
		grey   int
		want   uint8
	}{
		{modeTrinary, false, 0, occupied},
		{modeTrinary, false, 254, free},
		{modeTrinary, false, 205, free},
		{modeTrinary, false, 128, unknown},
		{modeTrinary, true, 0, free},
		{modeTrinary, true, 254, occupied},
		{modeTrinary, false, 89, occupied},
		{modeTrinary, false, 90, unknown}, // 1 - 89/255 is just above 0.65
		{modeScale, false, 0, occupied},
		{modeScale, false, 255, free},
		{modeScale, false, 140, between},
		{modeScale, true, 115, between},
		{modeRaw, false, 0, free},
		{modeRaw, false, 50, between},
		{modeRaw, false, 100, occupied},
		{modeRaw, false, 101, unknown},
		{modeRaw, true, 100, occupied},
	} {
		m := mapInfo{mode: c.mode, negate: c.negate, occupied: 0.65, free: 0.25}
		if got := m.value(float64(c.grey) / 255); got != c.want {
			t.Errorf("%s, negate %v, grey %d: %d, expected %d", c.mode, c.negate, c.grey, got, c.want)
		}
	}
}

func TestImagesOfBothKindsAgree(t *testing.T) {
	greys := []int{0, 10, 200, 254, 255, 0}
	ascii, binary, wide := "P2 # c\n3\n#c\n2 255", "P5 3 2 255\n", "P5 3 2 65535\n"
	for _, g := range greys {
		ascii += fmt.Sprintf(" %d", g)
		binary += string([]byte{byte(g)})
		wide += string([]byte{byte(g), byte(g)}) // 257 times as much
	}
	var first []uint16
	for i, raw := range []string{ascii, binary, wide} {
		im := &importer{}
		p, ok := im.pgm("m.pgm", []byte(raw))
		if !ok || p.width != 3 || p.height != 2 {
			t.Fatalf("image %d: %v", i, im.err())
		}
		if p.max == 65535 {
			for k := range p.grey {
				p.grey[k] /= 257
			}
		}
		if first == nil {
			first = p.grey
		}
		for k := range first {
			if first[k] != p.grey[k] {
				t.Errorf("image %d, cell %d: %d, expected %d", i, k, p.grey[k], first[k])
			}
		}
	}
}
