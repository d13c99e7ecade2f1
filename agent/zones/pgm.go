package zones

import (
	"bytes"
	"fmt"
	"strconv"
)

// Caps of images.
const (
	// maxImageBytes is the largest image file; ASCII takes up to 4 bytes a cell.
	maxImageBytes = 72 << 20
	// maxSide and maxCells bound an image, in cells.
	maxSide  = 16_384
	maxCells = 16 << 20
)

// image is a grey picture; rows come from the top, as files have them.
type image struct {
	width, height, max int
	grey               []uint16
}

// pgm reads a portable graymap: P2 (ASCII) or P5 (binary), of one picture, with comments in the header.
func (im *importer) pgm(file string, raw []byte) (*image, bool) {
	at := place{file: file}
	bad := func(expected, found string) (*image, bool) {
		im.wrong(at, ruleSyntax, expected, found, "save the map as PGM, as map_saver does")
		return nil, false
	}
	if len(raw) < 2 || raw[0] != 'P' || raw[1] != '2' && raw[1] != '5' {
		return bad("a PGM image that begins with P2 or P5", strconv.Quote(string(raw[:min(len(raw), 4)])))
	}
	binary := raw[1] == '5'
	s := pgmScanner{rest: raw[2:]}
	var head [3]int
	for i, name := range []string{"width", "height", "greatest grey"} {
		v, ok := s.number(65_535)
		if !ok || v == 0 {
			return bad("a "+name+" from 1 to 65535 in the header", s.near())
		}
		head[i] = v
	}
	out := &image{width: head[0], height: head[1], max: head[2]}
	if out.width > maxSide || out.height > maxSide || out.width*out.height > maxCells {
		im.wrong(at, ruleTooLarge, fmt.Sprintf("at most %d cells on a side and %d in all", maxSide, maxCells),
			fmt.Sprintf("%d × %d", out.width, out.height), "split the map, or draw it coarser")
		return nil, false
	}
	fill := s.ascii
	if binary {
		fill = s.binary
	}
	if fault := fill(out); fault != "" {
		return bad(fmt.Sprintf("%d × %d cells from 0 to %d", out.width, out.height, out.max), fault)
	}
	return out, true
}

type pgmScanner struct{ rest []byte }

func isPGMSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// space skips white space and comments.
func (s *pgmScanner) space() {
	for len(s.rest) > 0 {
		switch c := s.rest[0]; {
		case c == '#':
			end := bytes.IndexByte(s.rest, '\n')
			if end < 0 {
				end = len(s.rest) - 1
			}
			s.rest = s.rest[end+1:]
		case isPGMSpace(c):
			s.rest = s.rest[1:]
		default:
			return
		}
	}
}

// number reads a whole number that is separated from what was before it.
func (s *pgmScanner) number(most int) (int, bool) {
	before := len(s.rest)
	s.space()
	if len(s.rest) == before {
		return 0, false
	}
	v, n := 0, 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		if v = v*10 + int(s.rest[n]-'0'); v > most {
			return 0, false
		}
		n++
	}
	s.rest = s.rest[n:]
	return v, n > 0
}

func (s *pgmScanner) near() string {
	if len(s.rest) == 0 {
		return "the end of the file"
	}
	return strconv.Quote(string(s.rest[:min(len(s.rest), 8)]))
}

// ascii reads the cells of a P2 image and returns what is wrong.
func (s *pgmScanner) ascii(out *image) string {
	n := out.width * out.height
	if len(s.rest) < 2*n {
		return "fewer cells"
	}
	out.grey = make([]uint16, n)
	for i := range out.grey {
		v, ok := s.number(out.max)
		if !ok {
			return fmt.Sprintf("%s at cell %d", s.near(), i)
		}
		out.grey[i] = uint16(v)
	}
	if s.space(); len(s.rest) > 0 {
		return "more behind them"
	}
	return ""
}

// binary reads the cells of a P5 image: one byte each, or two with the high one first where the greatest grey needs them.
func (s *pgmScanner) binary(out *image) string {
	if len(s.rest) == 0 || !isPGMSpace(s.rest[0]) {
		return "no white space behind the header"
	}
	data, n, size := s.rest[1:], out.width*out.height, 1
	if out.max > 255 {
		size = 2
	}
	if len(data) != n*size {
		return fmt.Sprintf("%d bytes of cells, expected %d", len(data), n*size)
	}
	out.grey = make([]uint16, n)
	for i := range out.grey {
		if size == 1 {
			out.grey[i] = uint16(data[i])
		} else {
			out.grey[i] = uint16(data[2*i])<<8 | uint16(data[2*i+1])
		}
		if int(out.grey[i]) > out.max {
			return fmt.Sprintf("%d at cell %d", out.grey[i], i)
		}
	}
	return ""
}
