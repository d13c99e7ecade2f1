package zones

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/agent/zones"
)

// importFlags is what zones import is told.
type importFlags struct {
	options                    zones.Options
	format, datum, out, output string
	partial                    bool
}

func newImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE --format vda5050|geojson|nav2",
		Short: "Turn another tool's drawing into zones of a policy",
		Long: `Import reads a VDA 5050 version 3 zone set, GeoJSON (RFC 7946), or the YAML of a nav2 map_server mask with its PGM beside
it, and writes the floors: and zones: of a policy. Every shape goes through the geofence's own checks. What a policy has
no zones for is listed by name, and nothing is written then, unless --partial says that the rest is wanted.

Coordinates come out in whole millimetres; the head of the output says how far rounding moved a vertex at most. The
zones are not in force: put them into the policy, run robowarden check and zones lint, and sign it.

Exit status: 0 written, 1 refused or not complete, 2 used wrongly.`,
		Example: `  robowarden-station zones import zoneset.json --format vda5050 --floor ground --out zones.yaml
  robowarden-station zones import site.geojson --format geojson --datum 52.5163,13.3777,74,12.5 --floor yard
  robowarden-station zones import keepout.yaml --format nav2 --floor ground --unknown free --reason "no robots here"`,
		Args: one("one file"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	s := cmd.Flags()
	s.StringVar(&f.format, "format", "", "what the file is: "+strings.Join(zones.Formats(), ", "))
	s.StringVar(&f.options.Floor, "floor", "", "the floor of all zones whose source names none (vda5050: instead of the mapId)")
	s.StringVar(&f.datum, "datum", "", "geojson: where the map's origin lies, lat,lon,alt,heading: degrees, metres above the WGS 84 ellipsoid, and the bearing of the map's y axis in degrees clockwise from north")
	s.BoolVar(&f.options.Local, "local", false, "geojson: coordinates are metres of the map frame")
	s.StringVar(&f.options.ZoneType, "kind", "", "zone_type where the source says none: BLOCKED, SPEED_LIMIT or KEEP_IN (nav2: BLOCKED is the default)")
	s.Float64Var(&f.options.MaxSpeedMPS, "speed", 0, "max_speed_mps of SPEED_LIMIT zones where the source says none")
	s.StringVar(&f.options.Reason, "reason", "", "reason where the source says none")
	s.StringVar(&f.options.Prefix, "prefix", "", "begins every zone_id")
	s.StringVar(&f.options.Unknown, "unknown", "", "nav2: whether unknown cells are free or occupied")
	s.IntVar(&f.options.OccupiedAt, "occupied-at", 0, "nav2: the least value from 1 to 100 that counts as occupied, for modes scale and raw")
	s.BoolVar(&f.partial, "partial", false, "write the rest although something was not imported")
	s.StringVar(&f.out, "out", "", "the file to write; standard output without it")
	s.StringVar(&f.output, "output", "text", "the report: text for people, json for programs")
	return cmd
}

func (f *importFlags) run(cmd *cobra.Command, file string) error {
	asJSON, err := wantJSON(f.output)
	if err != nil {
		return err
	}
	if f.format == "" {
		return answer.Usage("--format: expected one of %s, found nothing", strings.Join(zones.Formats(), ", "))
	}
	if f.datum != "" {
		v, err := numbers("datum", f.datum, "52.5163,13.3777,74,12.5", "lat,lon,alt,heading")
		if err != nil {
			return err
		}
		f.options.Datum = &zones.Datum{LatDeg: v[0], LonDeg: v[1], AltM: v[2], HeadingDeg: v[3]}
	}
	f.options.Format = zones.Format(f.format)
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only read from
	r, err := zones.Import(root.FS(), filepath.Base(file), f.options)
	report := cmd.ErrOrStderr()
	if err != nil {
		return answer.Refused(report, err)
	}
	if err := f.report(report, r, asJSON); err != nil {
		return err
	}
	if len(r.Left) > 0 && !f.partial {
		fmt.Fprintln(report, "nothing is written: a zone that is left out is a place where the robot may go. With --partial the rest is.")
		return cli.ErrNo
	}
	if f.out == "" {
		return r.WriteYAML(cmd.OutOrStdout())
	}
	return writeFile(f.out, r.WriteYAML)
}

// report tells what was imported, what was changed on the way, and what was left out.
func (f *importFlags) report(w io.Writer, r *zones.Result, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Source   string           `json:"source"`
			SHA256   string           `json:"sha256"`
			Zones    int              `json:"zones"`
			Floors   []string         `json:"floors"`
			RoundedM float64          `json:"rounded_m"`
			Left     []zones.Left     `json:"not_imported"`
			Notes    []config.Problem `json:"notes"`
		}{r.Source, r.SHA256, len(r.Zones), append([]string{}, r.Floors()...), r.RoundedM, append([]zones.Left{}, r.Left...), append([]config.Problem{}, r.Notes...)})
	}
	if err := r.RenderNotes(w, answer.Colourful(w)); err != nil {
		return err
	}
	fmt.Fprintf(w, "imported: %d zones on floors %s; rounding moved no vertex by more than %s mm\n",
		len(r.Zones), strings.Join(r.Floors(), ", "), r.RoundedMM())
	for _, l := range r.Left {
		fmt.Fprintf(w, "  NOT imported: %s (%s) at %s: %s\n", l.Name, l.Kind, l.Path, l.Why)
	}
	return nil
}
