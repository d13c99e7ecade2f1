package zones

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math"

	"github.com/robowarden/robowarden/agent/config"
)

// unknownCell is a cell of which the map says nothing; the others have values from 0 (free) to 100 (occupied).
const unknownCell = 255

// grid is an occupancy grid; rows count from the bottom, as cells do in the map frame.
type grid struct {
	width, height int
	cell          []uint8
}

// mask reads a map_server YAML and its image and draws the occupied cells as zones.
func (im *importer) mask(folder fs.FS) {
	text, ok := im.read(folder, im.file, maxMapYAML)
	if !ok {
		return
	}
	m := im.mapYAML(im.file, text)
	if im.errors > 0 {
		return
	}
	raw, ok := im.read(folder, m.image, maxImageBytes)
	if !ok {
		return
	}
	im.out.SHA256 = fmt.Sprintf("%x", sha256.Sum256(append(text, raw...)))
	picture, ok := im.pgm(m.image, raw)
	if !ok {
		return
	}
	g := occupancy(picture, m)
	in, ok := im.choose(g)
	if !ok || !im.maskKind() {
		return
	}
	im.draw(in, g.width, m)
}

// occupancy reads an image's greys as nav2's map_server does (nav2_map_server, map_io).
func occupancy(p *image, m mapInfo) *grid {
	g := &grid{width: p.width, height: p.height, cell: make([]uint8, p.width*p.height)}
	value := make([]uint8, p.max+1)
	for v := range value {
		value[v] = m.value(float64(v) / float64(p.max))
	}
	for y := range p.height {
		row := p.grey[(p.height-1-y)*p.width:]
		for x := range p.width {
			g.cell[y*p.width+x] = value[row[x]]
		}
	}
	return g
}

// value turns a shade from 0 (black) to 1 (white) into a cell.
func (m *mapInfo) value(shade float64) uint8 {
	if m.mode == modeRaw {
		// negate does not count here: the picture holds the values themselves.
		if v := math.Round(shade * 255); v <= 100 {
			return uint8(v)
		}
		return unknownCell
	}
	occ := 1 - shade
	if m.negate {
		occ = shade
	}
	switch {
	case occ > m.occupied:
		return 100
	case occ < m.free:
		return 0
	case m.mode == modeScale:
		return uint8(math.RoundToEven((occ - m.free) / (m.occupied - m.free) * 100))
	}
	return unknownCell
}

// choose says which cells belong to the zones. Cells that are neither free nor occupied need a word of the user.
func (im *importer) choose(g *grid) ([]bool, bool) {
	in := make([]bool, len(g.cell))
	least := im.o.OccupiedAt
	if least == 0 {
		least = 100
	}
	unknown, between, occupied := 0, 0, 0
	for i, v := range g.cell {
		switch {
		case v == unknownCell:
			unknown++
			in[i] = im.o.Unknown == unknownOccupied
		case v > 0 && v < 100:
			between++
			fallthrough
		default:
			in[i] = int(v) >= least
		}
		if in[i] {
			occupied++
		}
	}
	at := place{file: im.file}
	if unknown > 0 && im.o.Unknown == "" {
		im.wrong(at, ruleUnclear, "a word for cells of which the map says nothing", counted(unknown, "unknown cell"),
			"give --unknown free (a keep-out mask of nav2 ignores them) or --unknown occupied")
	}
	if between > 0 && im.o.OccupiedAt == 0 {
		im.wrong(at, ruleUnclear, "cells that are free (0) or occupied (100)", counted(between, "cell")+" between",
			"give --occupied-at 1…100: the least value that belongs to the zones")
	}
	if occupied == 0 {
		im.wrong(at, ruleMissing, "at least one occupied cell", "none", "check negate, mode and the thresholds")
	}
	return in, im.errors == 0
}

// maskKind checks what the mask's zones are to be.
func (im *importer) maskKind() bool {
	at := place{file: im.file}
	if im.o.ZoneType == "" {
		im.o.ZoneType = config.ZoneBlocked
	}
	switch {
	case im.o.ZoneType == config.ZoneKeepIn:
		im.wrong(at, ruleOption, "BLOCKED or SPEED_LIMIT zones from a mask", config.ZoneKeepIn,
			"pieces that only share an edge do not join to one KEEP_IN area; draw its outline")
	case im.o.ZoneType == config.ZoneSpeedLimit && im.o.MaxSpeedMPS == 0:
		im.wrong(at, ruleMissing, "the limit in m/s", "nothing", "give --speed")
	}
	if im.o.Floor == "" {
		im.wrong(at, ruleMissing, "the floor of the mask", "nothing", "give --floor")
	}
	return im.errors == 0
}

// draw turns cells into zones.
func (im *importer) draw(in []bool, width int, m mapInfo) {
	t := tracer{in: in, width: width}
	pieces, fault := t.pieces()
	if fault != "" {
		im.wrong(place{file: im.file}, ruleTooLarge, fmt.Sprintf("at most %d zones with %d vertices in all", maxZones, maxAllVertices), fault,
			"remove noise from the mask, or draw it coarser")
		return
	}
	sin, cos := math.Sincos(m.origin[2])
	whole := place{file: im.file}
	ring := func(corners []corner) (Ring, ringSource) {
		points := make([]point, len(corners))
		for i, c := range corners {
			x, y := float64(c.x)*m.resolution, float64(c.y)*m.resolution
			points[i] = point{m.origin[0] + x*cos - y*sin, m.origin[1] + x*sin + y*cos, i}
		}
		r, src, _ := im.ring(points, whole)
		return r, src
	}
	reason := im.o.Reason
	if reason == "" {
		reason = "drawn in the mask " + im.file
	}
	for i, p := range pieces {
		z := im.defaults(fmt.Sprintf("mask-%d", i+1))
		z.Reason, z.at = reason, whole
		if z.Type != config.ZoneSpeedLimit {
			z.MaxSpeedMPS = 0
		}
		outer, src := ring(p.outer)
		z.Outer, z.sources = outer, []ringSource{src}
		for _, h := range p.holes {
			hole, src := ring(h)
			z.Holes, z.sources = append(z.Holes, hole), append(z.sources, src)
		}
		if im.errors > 0 {
			return
		}
		im.add(z)
	}
}
