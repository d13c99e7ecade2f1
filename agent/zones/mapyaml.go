package zones

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxMapYAML is the largest YAML of a map, in bytes.
const maxMapYAML = 64 << 10

// Modes of map_server.
const (
	modeTrinary = "trinary"
	modeScale   = "scale"
	modeRaw     = "raw"
)

// Bounds of a map's resolution, in metres for one cell. Below, rounding to millimetres would no longer be small.
const (
	minResolution = 0.005
	maxResolution = 10
)

// mapInfo is what the YAML of a map_server map says (nav2_map_server, map_io).
type mapInfo struct {
	image          string
	resolution     float64
	origin         [3]float64 // x, y in metres and yaw in radians of the lower left cell's corner
	occupied, free float64    // thresholds of the occupancy, 0 to 1
	negate         bool
	mode           string
}

// entry is one key of the flat YAML that map_server reads.
type entry struct {
	key    string
	values []string
	at     place
}

// flatYAML reads keys with a scalar, or a list of scalars in brackets or on lines of their own. A map needs no more, and
// everything else is an error with its line.
func (im *importer) flatYAML(file, text string) []entry {
	var out []entry
	open := false // a list may follow on lines of its own
	for i, line := range strings.Split(text, "\n") {
		at := place{file: file, line: i + 1, column: 1}
		line = strings.TrimRight(cutComment(line), " \t\r")
		body := strings.TrimLeft(line, " \t")
		if body == "" || body == "---" || strings.HasPrefix(line, "%YAML") {
			continue
		}
		if item, ok := strings.CutPrefix(body, "- "); ok && open {
			last := &out[len(out)-1]
			last.values = append(last.values, unquote(item))
			continue
		}
		key, value, ok := strings.Cut(body, ":")
		if !ok || body != line || value != "" && value[0] != ' ' && value[0] != '\t' {
			im.wrong(at, ruleSyntax, "a line such as resolution: 0.05", body, "write the map's YAML flat, as map_saver does")
			continue
		}
		e := entry{key: strings.TrimSpace(unquote(key)), at: at}
		e.at.path = short(e.key)
		e.values = listed(strings.TrimSpace(value))
		open = e.values == nil
		if slices.ContainsFunc(out, func(o entry) bool { return o.key == e.key }) {
			im.wrong(e.at, ruleDuplicate, "each key once", "the key again", "")
		}
		out = append(out, e)
	}
	return out
}

// cutComment removes a comment: a # at the start or behind a blank, outside quotes.
func cutComment(line string) string {
	var quote byte
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// listed splits [a, b, c]; a scalar is a list of one, nothing is nil.
func listed(s string) []string {
	if s == "" {
		return nil
	}
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return []string{unquote(s)}
	}
	var out []string
	for part := range strings.SplitSeq(s[1:len(s)-1], ",") {
		out = append(out, unquote(part))
	}
	return out
}

// mapYAML reads and checks the YAML of a map.
func (im *importer) mapYAML(file string, raw []byte) mapInfo {
	m := mapInfo{mode: modeTrinary}
	need := []string{"image", "resolution", "origin", "occupied_thresh", "free_thresh", "negate"}
	seen := map[string]bool{}
	for _, e := range im.flatYAML(file, string(raw)) {
		seen[e.key] = true
		switch e.key {
		case "image":
			m.image = im.imageName(e)
		case "resolution":
			m.resolution = im.within(e, 0, minResolution, maxResolution)
		case "origin":
			if len(e.values) != 3 {
				im.wrong(e.at, ruleRange, "three numbers: [x, y, yaw]", strings.Join(e.values, ", "), "")
				continue
			}
			m.origin[0] = im.within(e, 0, -maxCoordinateM, maxCoordinateM)
			m.origin[1] = im.within(e, 1, -maxCoordinateM, maxCoordinateM)
			m.origin[2] = im.within(e, 2, -2*math.Pi, 2*math.Pi)
		case "occupied_thresh":
			m.occupied = im.within(e, 0, 0, 1)
		case "free_thresh":
			m.free = im.within(e, 0, 0, 1)
		case "negate":
			m.negate = im.word(e, "0", "1", "false", "true") > 0 && e.values[0] != "false"
		case "mode":
			im.word(e, modeTrinary, modeScale, modeRaw)
			m.mode = strings.Join(e.values, "")
		default:
			im.note(e.at, ruleNotRead, strings.Join(need, ", ")+", mode", e.key, "this key means nothing to the shape of a map")
		}
	}
	for _, key := range need {
		if !seen[key] {
			im.wrong(place{file: file, path: key}, ruleMissing, key, "nothing", "map_saver writes it; without it nobody can say what the cells mean")
		}
	}
	if im.errors == 0 && m.mode != modeRaw && m.free >= m.occupied {
		im.wrong(place{file: file, path: "free_thresh"}, ruleRange, "less than occupied_thresh, "+number(m.occupied), number(m.free), "")
	}
	return m
}

// imageName takes only a name within the YAML's own folder: a map from elsewhere must not open other files.
func (im *importer) imageName(e entry) string {
	name := strings.Join(e.values, ",")
	at := path.Join(path.Dir(im.file), name)
	if len(e.values) != 1 || path.IsAbs(name) || name == "" || at == ".." || strings.HasPrefix(at, "../") || strings.ContainsAny(name, "\\\x00") {
		im.wrong(e.at, ruleFile, "an image in the folder of the YAML", name, "put the image beside the YAML and name it without a path")
	}
	return at
}

func (im *importer) within(e entry, i int, low, high float64) float64 {
	var v float64
	err := strconv.ErrSyntax
	if i < len(e.values) {
		v, err = strconv.ParseFloat(e.values[i], 64)
	}
	if err != nil || !(v >= low && v <= high) || i == 0 && e.key != "origin" && len(e.values) != 1 {
		im.wrong(e.at, ruleRange, fmt.Sprintf("a number from %s to %s", number(low), number(high)), strings.Join(e.values, ", "), "")
		return 0
	}
	return v
}

// word returns which of the words an entry has.
func (im *importer) word(e entry, words ...string) int {
	i := -1
	if len(e.values) == 1 {
		i = slices.Index(words, e.values[0])
	}
	if i < 0 {
		im.wrong(e.at, ruleUnknown, "one of "+strings.Join(words, ", "), strings.Join(e.values, ", "), "")
	}
	return i
}
