package zones

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// Format names a kind of source.
type Format string

// The formats that Import reads.
const (
	// VDA5050 is a zoneSet message of VDA 5050 version 3, or the zone set alone.
	VDA5050 Format = "vda5050"
	// GeoJSON is RFC 7946, on WGS 84 with a [Datum] or in local metres.
	GeoJSON Format = "geojson"
	// Nav2 is the YAML of a map_server map or costmap filter mask, with its PGM image beside it.
	Nav2 Format = "nav2"
)

// Formats lists the formats, for help texts.
func Formats() []string { return []string{string(VDA5050), string(GeoJSON), string(Nav2)} }

// Options says what a source cannot say by itself. Nothing is guessed: what is needed and not given is an error.
type Options struct {
	Format Format
	// Floor is the floor of everything whose source names none.
	Floor string
	// Datum is where the map lies, for GeoJSON on WGS 84; Local says that its coordinates are metres in the map frame.
	// Exactly one of them is given.
	Datum *Datum
	Local bool
	// ZoneType, MaxSpeedMPS and Reason stand in where the source says nothing.
	ZoneType    string
	MaxSpeedMPS float64
	Reason      string
	// Prefix begins every zone_id that is made up.
	Prefix string
	// Unknown says whether a mask's unknown cells belong to the zones: "free" or "occupied". OccupiedAt is the least value
	// from 1 to 100 at which a cell does, 0 if the source has no values between.
	Unknown    string
	OccupiedAt int
}

// Ring is one ring of a zone, in millimetres, not closed by repeating its first vertex.
type Ring []geofence.Vertex

// Zone is one imported zone.
type Zone struct {
	// ID, Type (in the policy's words), Floor and Reason are as the policy has them.
	ID, Type, Floor, Reason string
	Outer                   Ring
	Holes                   []Ring
	// MaxSpeedMPS is a SPEED_LIMIT zone's limit, MarginM what is kept clear besides.
	MaxSpeedMPS, MarginM float64
	// ReleaseLoss is a RELEASE zone's release_loss.
	ReleaseLoss string
	// DirectionRad and Limitation are those of a DIRECTED or BIDIRECTED zone, Limitation "" for other types.
	DirectionRad float64
	Limitation   string

	// at is the zone in its source; sources gives for each ring its place and, for each vertex, its position there.
	at      place
	sources []ringSource
}

type ringSource struct {
	at    place
	index []int
}

// Left is something of the source that no policy zone stands for.
type Left struct {
	// Name and Kind are the source's own words, Path is its place there.
	Name string `json:"name"`
	Kind string `json:"kind"`
	Path string `json:"path"`
	// Why says why it was left out.
	Why string `json:"why"`
}

// Result is what an import found.
type Result struct {
	// Source is the file's name, SHA256 the digest of everything that was read, in hexadecimal.
	Source, SHA256 string
	Options        Options
	Zones          []Zone
	// Left lists what was not imported.
	Left []Left
	// Notes tell what was changed on the way.
	Notes []config.Problem
	// RoundedM is the farthest that rounding to millimetres moved a vertex, in metres.
	RoundedM float64

	notes *config.Problems
}

// importer is one import on its way.
type importer struct {
	report
	o    Options
	file string
	out  *Result
	ids  map[string]bool
}

// Import reads one source from a folder. The error is a *config.Problems that lists everything that is wrong, each with
// its place; then there is no result.
func Import(folder fs.FS, name string, o Options) (*Result, error) {
	im := &importer{o: o, file: name, out: &Result{Source: name, Options: o}, ids: map[string]bool{}}
	im.options()
	if im.errors == 0 {
		switch o.Format {
		case VDA5050:
			im.json(folder, im.zoneSet)
		case GeoJSON:
			im.json(folder, im.geoJSON)
		case Nav2:
			im.mask(folder)
		}
	}
	if im.errors == 0 {
		im.check()
	}
	if im.errors == 0 {
		im.fits()
	}
	if err := im.err(); err != nil {
		return nil, err
	}
	im.out.Notes, im.out.notes = im.problems.List, &im.problems
	return im.out, nil
}

// RenderNotes writes the notes for people.
func (r *Result) RenderNotes(w io.Writer, colour bool) error { return r.notes.Render(w, colour) }

// options refuses what was asked wrongly.
func (im *importer) options() {
	at, o := place{file: im.file}, &im.o
	bad := func(expected, found, remedy string) { im.wrong(at, ruleOption, expected, found, remedy) }
	if !slices.Contains(Formats(), string(o.Format)) {
		bad("a format: "+strings.Join(Formats(), ", "), string(o.Format), "")
	}
	if o.Floor != "" && !isID(o.Floor) {
		bad("a floor's id as the policy has it", o.Floor, "letters, digits, dots, dashes and underscores")
	}
	if o.Prefix != "" && !isID(o.Prefix) {
		bad("a beginning for zone ids", o.Prefix, "letters, digits, dots, dashes and underscores")
	}
	if o.ZoneType != "" && !isZoneType(o.ZoneType) {
		bad("a zone type: "+strings.Join(zoneTypes(), ", "), o.ZoneType, "")
	}
	if !(o.MaxSpeedMPS >= 0 && o.MaxSpeedMPS <= maxSpeedMPS) {
		bad(fmt.Sprintf("a speed up to %v m/s", maxSpeedMPS), number(o.MaxSpeedMPS), "")
	}
	if o.OccupiedAt < 0 || o.OccupiedAt > 100 {
		bad("a cell value from 1 to 100", fmt.Sprint(o.OccupiedAt), "")
	}
	if o.Unknown != "" && o.Unknown != unknownFree && o.Unknown != unknownOccupied {
		bad("free or occupied for unknown cells", o.Unknown, "")
	}
	if o.Datum != nil {
		if fault := o.Datum.valid(); fault != "" {
			bad("a datum in degrees and metres: lat,lon,alt,heading", fault, "")
		}
	}
	if o.Format == GeoJSON && (o.Datum != nil) == o.Local {
		found := "neither"
		if o.Local {
			found = "both"
		}
		bad("a datum for WGS 84, or the word that coordinates are local metres", found,
			"RFC 7946 means longitude and latitude: give --datum lat,lon,alt,heading; or --local for metres of the map frame")
	}
}

// Words that options use.
const (
	unknownFree     = "free"
	unknownOccupied = "occupied"
	maxSpeedMPS     = 15 // the policy's own cap
)

// zoneTypes are those that a drawing can say all about; the others have terms that are written by hand.
func zoneTypes() []string {
	return []string{config.ZoneBlocked, config.ZoneSpeedLimit, config.ZoneKeepIn, config.ZoneNoManipulation, config.ZonePrivacy}
}

func isZoneType(s string) bool { return slices.Contains(zoneTypes(), s) }

// json reads a JSON source and hands it on.
func (im *importer) json(folder fs.FS, next func(*tree)) {
	raw, ok := im.read(folder, im.file, maxJSONBytes)
	if !ok {
		return
	}
	im.out.SHA256 = fmt.Sprintf("%x", sha256.Sum256(raw))
	if t, ok := parseJSON(im.file, raw, &im.report); ok {
		next(t)
	}
}

// read reads a regular file of the folder up to a cap.
func (im *importer) read(folder fs.FS, name string, most int64) ([]byte, bool) {
	at := place{file: name}
	f, err := folder.Open(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		im.wrong(at, ruleFile, "a file that can be read", err.Error(), "check the path; files outside the source's folder are not followed")
		return nil, false
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var raw []byte
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(f, most+1))
	}
	if err != nil {
		im.wrong(at, ruleFile, "a file that can be read", err.Error(), "")
		return nil, false
	}
	if int64(len(raw)) > most {
		im.wrong(at, ruleTooLarge, fmt.Sprintf("at most %d bytes", most), "more", "split the site by floors")
		return nil, false
	}
	return raw, true
}
