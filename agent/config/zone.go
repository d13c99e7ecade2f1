package config

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // the time zone database comes with the binary
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// zoneinfo is the IANA time zone database as the Go toolchain ships it (lib/time/zoneinfo.zip, kept in testdata), packed as one
// stream, which takes a fifth of the room. time.LoadLocation would ask the computer's own database first, and two robots with
// different ones would open a ward at different times.
//
// The stream has, for each zone by its name: the name's length (1 byte), the name, the length of its TZif data (2 bytes, big
// endian), the data (RFC 8536).
//
//go:embed zoneinfo.gz
var zoneinfo []byte

var (
	errNoZone = errors.New("no such time zone")
	errCut    = errors.New("the stream ends within a zone")
)

// loadZone returns a zone of the embedded database.
func loadZone(name string) (*time.Location, error) {
	packed, err := gzip.NewReader(bytes.NewReader(zoneinfo))
	if err != nil {
		return nil, fmt.Errorf("embedded time zones: %w", err)
	}
	r := bufio.NewReader(packed)
	for {
		found, data, err := nextZone(r)
		switch {
		case errors.Is(err, io.EOF):
			return nil, errNoZone
		case err != nil:
			return nil, fmt.Errorf("embedded time zones: %w", err)
		case found != name:
			continue
		}
		loc, err := time.LoadLocationFromTZData(name, data)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoZone
		}
		return loc, err
	}
}

// nextZone reads one zone of the stream; [io.EOF] is its end.
func nextZone(r *bufio.Reader) (name string, data []byte, err error) {
	n, err := r.ReadByte()
	if err != nil {
		return "", nil, err
	}
	head := make([]byte, int(n)+2)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", nil, errCut
	}
	data = make([]byte, binary.BigEndian.Uint16(head[n:]))
	if _, err := io.ReadFull(r, data); err != nil {
		return "", nil, errCut
	}
	return string(head[:n]), data, nil
}
