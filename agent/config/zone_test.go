package config

import (
	"errors"
	"os"
	"path/filepath"
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
