package config

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnlyTheEmbeddedZonesCount gives the computer a false database.
func TestOnlyTheEmbeddedZonesCount(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Europe"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ZONEINFO", dir)
	write(t, filepath.Join(dir, "Europe", "Berlin"), "TZif2 nonsense")
	loc, err := loadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC), "01:59 CET"},
		{time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), "03:00 CEST"},
		{time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC), "02:59 CEST"},
		{time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), "02:00 CET"},
	} {
		if got := c.at.In(loc).Format("15:04 MST"); got != c.want {
			t.Errorf("%v: %s, want %s", c.at, got, c.want)
		}
	}
}

func TestUnknownZones(t *testing.T) {
	for _, name := range []string{"", "Local", "CEST", "europe/berlin", "Europe", "Europe/", "../../etc/localtime", "/etc/localtime", "UTC+2", "Mars/Olympus"} {
		if _, err := loadZone(name); !errors.Is(err, errNoZone) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"UTC", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT-5"} {
		if loc, err := loadZone(name); err != nil || loc.String() != name {
			t.Errorf("%q: %v %v", name, loc, err)
		}
	}
}

// TestZonesAreTheToolchains compares every zone with the database that the Go toolchain ships; -update packs it anew.
func TestZonesAreTheToolchains(t *testing.T) {
	shipped, err := zip.OpenReader("testdata/zoneinfo.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer shipped.Close() //nolint:errcheck // only read
	var plain bytes.Buffer
	for _, f := range shipped.File {
		if f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		plain.WriteByte(byte(len(f.Name))) //nolint:gosec // zones have short names
		plain.WriteString(f.Name)
		plain.Write(binary.BigEndian.AppendUint16(nil, uint16(len(data)))) //nolint:gosec // a few kilobytes
		plain.Write(data)
	}
	if *update {
		var out bytes.Buffer
		w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Write(plain.Bytes()); errors.Join(err, w.Close()) != nil {
			t.Fatal(err)
		}
		write(t, "zoneinfo.gz", out.String())
		return
	}
	r, err := gzip.NewReader(bytes.NewReader(zoneinfo))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(packed, plain.Bytes()) {
		t.Errorf("%d bytes are embedded, %d shipped, %v; pack them anew with -update", len(packed), plain.Len(), err)
	}
}

func TestACutStreamIsNoMissingZone(t *testing.T) {
	for _, text := range []string{"\x03UT", "\x03UTC\x00", "\x03UTC\x00\x05TZ"} {
		if _, _, err := nextZone(bufio.NewReader(strings.NewReader(text))); !errors.Is(err, errCut) {
			t.Errorf("%q: %v, expected %v", text, err, errCut)
		}
	}
}
