package config

import (
	"archive/zip"
	"bytes"
	_ "embed" // the time zone database comes with the binary
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// zoneinfo is the IANA time zone database as the Go toolchain ships it (lib/time/zoneinfo.zip). time.LoadLocation would ask
// the computer's own database first, and two robots with different ones would open a ward at different times.
//
//go:embed zoneinfo.zip
var zoneinfo []byte

var errNoZone = errors.New("no such time zone")

// loadZone returns a zone of the embedded database.
func loadZone(name string) (*time.Location, error) {
	r, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("embedded time zones: %w", err)
	}
	for _, f := range r.File {
		if f.Name != name || f.FileInfo().IsDir() {
			continue
		}
		rc, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("embedded time zone %s: %w", name, err)
		}
		data, err := io.ReadAll(rc)
		if err = errors.Join(err, rc.Close()); err != nil {
			return nil, fmt.Errorf("embedded time zone %s: %w", name, err)
		}
		loc, err := time.LoadLocationFromTZData(name, data)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoZone
		}
		return loc, err
	}
	return nil, errNoZone
}
