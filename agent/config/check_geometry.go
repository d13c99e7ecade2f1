package config

import (
	"errors"
	"strings"
	"time"

	"github.com/robowarden/robowarden/geofence"
)

// checkGeometry asks the geofence itself, and finds each of its complaints in the document. Profile and topics may be nil
// or faulty: then a robot that is certainly good stands in, and only the site is judged.
func (d *document) checkGeometry(p *Policy, profile *profileDocument, topics *Topics) {
	if !d.clean("timezone") || !d.clean("floors") && len(p.Floors) == 0 {
		return
	}
	t := p.translate(d.clean)
	robot := plainRobot()
	if profile != nil && profile.doc.errors == 0 {
		robot = fenceRobot(profile.value, topics)
	} else {
		t.withoutBody() // nobody knows which parts there are
	}
	before := d.errors
	_, err := geofence.Compile(t.spec, robot)
	for _, err := range unjoin(err) {
		var se *geofence.SpecError
		if !errors.As(err, &se) {
			d.wrong(nil, "geometry", "a site that the geofence takes", err.Error(), "")
			continue
		}
		doc, where := d, t.place(se)
		if (se.Section == "robot" || se.Section == "loads") && profile == nil {
			continue // the stand-in is not the document's fault; a test holds it to the geofence
		}
		if se.Section == "robot" {
			doc, where = profile.doc, robotPlace(se)
		}
		if se.Section == "loads" {
			doc, where = profile.doc, loadPlace(se)
		}
		if where != nil && doc.blamed(where) || before > 0 && (reference(se) || se.Index < 0 && !doc.clean(se.Section)) {
			continue // the same thing has been said better already
		}
		what := strings.TrimSuffix(se.Section, "s")
		doc.wrong(where, "geometry", "a "+what+" that the geofence can judge", se.Problem, "")
	}
}

// reference says whether a complaint is about a name: those are checked here too, and one that is wrong for another
// reason must not be called unknown as well.
func reference(e *geofence.SpecError) bool {
	return e.Section == "zones" && (e.Field == "Floor" || e.Field == "Roles" || e.Field == "Shifts" || e.Field == "Parts" || e.Field == "Views")
}

// profileDocument is a profile with the document that it came from.
type profileDocument struct {
	doc   *document
	value *Profile
}

// blamed says whether an error has been filed about exactly this place or a part of it.
func (d *document) blamed(where *path) bool {
	prefix := where.String()
	for _, p := range d.out.List {
		if p.File == d.file && p.Severity == SeverityError && len(p.Path) >= len(prefix) && p.Path[:len(prefix)] == prefix &&
			(len(p.Path) == len(prefix) || p.Path[len(prefix)] == '.' || p.Path[len(prefix)] == '[') {
			return true
		}
	}
	return false
}

// place returns where in the policy the geofence's complaint belongs.
func (t *translation) place(e *geofence.SpecError) *path {
	source := func(list []int) int {
		if e.Index >= 0 && e.Index < len(list) {
			return list[e.Index]
		}
		return -1
	}
	switch e.Section {
	case "zones":
		if i := source(t.zones); i >= 0 {
			return zonePlace(at("zones", i), e)
		}
		return at("zones")
	case "floors":
		if i := source(t.floors); i >= 0 {
			return at("floors", i)
		}
		return at("floors")
	case "shifts":
		if i := source(t.shifts); i >= 0 {
			return at("shifts", i)
		}
		return at("shifts")
	case "roles":
		if e.Index > 0 { // the first role is the one that every robot has
			return at("roles", e.Index-1)
		}
		return at("roles")
	case "tasks", "operators":
		return at(e.Section, max(e.Index, 0))
	case "validity":
		return at("not_after")
	case "location":
		return at("timezone")
	}
	return nil
}

func zonePlace(zone *path, e *geofence.SpecError) *path {
	switch {
	case e.Ring == 0:
		zone = zone.child("vertices")
	case e.Ring > 0:
		zone = zone.child("holes").item(e.Ring - 1)
	default:
		key := map[string]string{
			"ID": "zone_id", "Floor": "floor", "Kind": "zone_type", "Outer": "vertices", "Holes": "holes",
			"MaxSpeedMPS": "max_speed_mps", "MarginM": "margin_m", "Roles": "roles", "Shifts": "shifts", "Reason": "reason",
			"WarnM": "warn_m", "Tasks": "tasks", "ExceptTasks": "except_tasks", "Operators": "operators", "ExceptOperators": "except_operators",
			"Height": "to_m", "Parts": "parts", "Views": "views",
			"Loss": "release_loss", "Facts": "opened_by", "MaxDwell": "max_dwell", "Within": "within",
			"DirectionRad": "direction_rad", "Limitation": "limitation",
		}[e.Field]
		if key == "" {
			return zone
		}
		zone = zone.child(key)
		if e.Element >= 0 {
			zone = zone.item(e.Element)
		}
		return zone
	}
	if e.Vertex >= 0 {
		zone = zone.item(e.Vertex)
	}
	return zone
}

// robotPlace returns where in the profile the geofence's complaint belongs.
func robotPlace(e *geofence.SpecError) *path {
	place := map[string]*path{
		"Footprint": at("body", "footprint"), "MaxSpeedMPS": at("motion", "max_speed_mps"),
		"MaxYawRateRadPS": at("motion", "max_yaw_rate_radps"), "AccelMPS2": at("motion", "accel_mps2"),
		"DecelMPS2": at("motion", "decel_mps2"), "AngularDecelRadPS2": at("motion", "angular_decel_radps2"),
		"Reaction": at("motion", "reaction"), "CommandPeriod": at("motion", "reaction", "command_period"), "CreepMPS": at("motion", "creep_mps"),
		"CreepYawRateRadPS": at("motion", "creep_yaw_rate_radps"), "SigmaK": at("pose", "sigma_k"),
		"MapErrorM": at("pose", "map_error_m"), "PoseMaxAge": at("pose", "max_age"), "PoseMaxFuture": at("pose", "max_future"),
		"MinStdDevM": at("pose", "min_stddev_m"), "SlowStdDevM": at("pose", "slow_stddev_m"),
		"MaxStdDevM": at("pose", "max_stddev_m"), "FreezeAfter": at("pose", "freeze_after"),
		"JumpSlackM": at("pose", "jump_slack_m"), "JumpSlackRad": at("pose", "jump_slack_rad"),
		"RecoverPoses": at("pose", "recover_poses"), "RecoverDwell": at("pose", "recover_dwell"),
		"ReleaseMarginM": at("pose", "release_margin_m"), "ReleaseDwell": at("pose", "release_dwell"),
	}[e.Field]
	if place != nil && e.Vertex >= 0 {
		place = place.item(e.Vertex)
	}
	return place
}

// loadPlace returns where in the profile the geofence's complaint about a load belongs.
func loadPlace(e *geofence.SpecError) *path {
	if e.Index < 0 {
		return at("loads")
	}
	where := at("loads", e.Index)
	switch e.Field {
	case "Name":
		return where.child("id")
	case "HeightM":
		return where.child("height_m")
	case "DecelMPS2":
		return where.child("decel_mps2")
	case "AngularDecelRadPS2":
		return where.child("angular_decel_radps2")
	}
	return where
}

// plainRobot is a robot that the geofence takes.
func plainRobot() geofence.Robot {
	return geofence.Robot{
		Footprint:   []geofence.Vertex{{X: 300, Y: 300}, {X: -300, Y: 300}, {X: -300, Y: -300}, {X: 300, Y: -300}},
		MaxSpeedMPS: 1, MaxYawRateRadPS: 1, AccelMPS2: 1, DecelMPS2: 1, AngularDecelRadPS2: 1, Reaction: 100 * time.Millisecond, CommandPeriod: 50 * time.Millisecond,
		CreepMPS: 0.1, CreepYawRateRadPS: 0.1, SigmaK: 3, MapErrorM: 0.05, PoseMaxAge: 300 * time.Millisecond,
		PoseMaxFuture: 50 * time.Millisecond, MinStdDevM: 0.01, SlowStdDevM: 0.1, MaxStdDevM: 0.2,
		FreezeAfter: 500 * time.Millisecond, JumpSlackM: 0.2, JumpSlackRad: 0.2, RecoverPoses: 10, RecoverDwell: time.Second,
		ReleaseMarginM: 0.15, ReleaseDwell: time.Second,
	}
}
