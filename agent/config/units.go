package config

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Digest is a SHA-256 digest, written "sha256:" and 64 lower-case hexadecimal digits.
type Digest [32]byte

// String writes the digest as documents do.
func (d Digest) String() string { return "sha256:" + hex.EncodeToString(d[:]) }

// MarshalText writes the digest as documents do.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ParseDigest reads a digest as documents write it.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	h, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(h) != 64 || strings.ToLower(h) != h {
		return d, fmt.Errorf("a digest is sha256: and 64 lower-case hexadecimal digits")
	}
	if _, err := hex.Decode(d[:], []byte(h)); err != nil {
		return Digest{}, fmt.Errorf("a digest is sha256: and 64 lower-case hexadecimal digits: %w", err)
	}
	return d, nil
}

// Point is a place on a floor, or on the robot's body, in metres.
type Point struct{ X, Y float64 }

// TimeOfDay is minutes after midnight on the wall clock, 0 to 1440 (24:00).
type TimeOfDay int

// String writes the time as documents do.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// MarshalText writes the time as documents do.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Days is a set of weekdays, bit time.Sunday to bit time.Saturday, and of holidays, bit geofence.Holiday.
type Days uint8

// Has returns true if the day belongs to the set.
func (d Days) Has(w time.Weekday) bool { return d&(1<<w) != 0 }

// Timezone is an IANA zone with its rules.
type Timezone struct {
	// Name is the IANA name.
	Name string
	// Location holds the zone's rules from the embedded database.
	Location *time.Location
}

// MarshalText writes the zone's name.
func (t Timezone) MarshalText() ([]byte, error) { return []byte(t.Name), nil }
