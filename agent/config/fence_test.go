package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
)

// covers says whether windows hold at a minute of the week, straight from what a window means.
func covers(windows []geofence.WindowSpec, day time.Weekday, minute int) bool {
	for _, w := range windows {
		yesterday := (day + 6) % 7
		if w.EndMin > w.StartMin {
			if slices.Contains(w.Days, day) && minute >= w.StartMin && minute < w.EndMin {
				return true
			}
			continue
		}
		if slices.Contains(w.Days, day) && minute >= w.StartMin || slices.Contains(w.Days, yesterday) && minute < w.EndMin {
			return true
		}
	}
	return false
}

func drawShift(t *rapid.T, id string) Shift {
	start := TimeOfDay(rapid.IntRange(0, 1439).Draw(t, "start"))
	end := TimeOfDay(rapid.IntRange(0, 1440).Filter(func(m int) bool { return m != int(start) }).Draw(t, "end"))
	return Shift{ID: id, Days: Days(rapid.IntRange(1, 127).Draw(t, "days")), Start: start, End: end}
}

// TestFillsTheWeek compares with every minute of the week.
func TestFillsTheWeek(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var shifts []Shift
		var names []string
		for i := range rapid.IntRange(1, 4).Draw(t, "shifts") {
			s := drawShift(t, fmt.Sprint("s", i))
			if rapid.Bool().Draw(t, "whole") {
				s.Days, s.Start, s.End = s.Days|3, 0, minutesPerDay
			}
			shifts = append(shifts, s)
			if rapid.Bool().Draw(t, "named") {
				names = append(names, s.ID)
			}
		}
		inside, all := windows(shifts, names), true
		for day := time.Sunday; day <= time.Saturday; day++ {
			for m := range minutesPerDay {
				all = all && covers(inside, day, m)
			}
		}
		if got := fillsTheWeek(shifts, names); got != all {
			t.Fatalf("fills the week: %t, expected %t\n%+v", got, all, shifts)
		}
	})
	whole := []Shift{{ID: "a", Days: 0b10101010, End: minutesPerDay}, {ID: "b", Days: 0b01010101, End: minutesPerDay}}
	if !fillsTheWeek(whole, []string{"a", "b"}) || fillsTheWeek(whole, []string{"a"}) {
		t.Error("every other day does not fill the week, and both do")
	}
}

// TestSpecialDays writes a year's calendar and asks what its dates count as.
func TestSpecialDays(t *testing.T) {
	src, err := os.ReadFile("testdata/good/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	load := func(days string) (*Policy, error) {
		name := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(name, []byte("special_days: ["+days+"]\n"+string(src)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(nil, name)
		if err != nil {
			return nil, err
		}
		return cfg.Policy, nil
	}
	p, err := load(`{date: "2026-12-25", counts_as: holiday, name: Christmas Day}, {date: "2026-12-24", counts_as: sat, name: Christmas Eve}`)
	if err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]time.Weekday{"2026-12-25": geofence.Holiday, "2026-12-24": time.Saturday, "2026-12-23": time.Wednesday, "2027-12-25": time.Saturday} {
		at, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if day := p.DayOf(at); day != want {
			t.Errorf("%s counts as %d, expected %d", date, day, want)
		}
	}
	for days, want := range map[string]string{
		`{date: "2026-02-30", counts_as: holiday, name: x}`:                                                    "a date that exists",
		`{date: "25.12.2026", counts_as: holiday, name: x}`:                                                    "a date such as",
		`{date: "2026-12-25", counts_as: sunday, name: x}`:                                                     "holiday",
		`{date: "2026-12-25", counts_as: holiday, name: x}, {date: "2026-12-25", counts_as: sun, name: again}`: "2026-12-25",
		`{date: "2026-12-25", counts_as: holiday}`:                                                             "name",
	} {
		if _, err := load(days); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected a word of %q", days, err, want)
		}
	}
}

// TestRolesAndExceptions compares whom a zone binds after translation with what the words say.
func TestRolesAndExceptions(t *testing.T) {
	roles := []string{"a", "b", "c", "d"}
	subset := rapid.Custom(func(t *rapid.T) []string {
		var out []string
		for _, r := range roles {
			if rapid.Bool().Draw(t, r) {
				out = append(out, r)
			}
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Roles:  roles,
			Robots: []RobotRoles{{Serial: "r", Roles: subset.Draw(t, "robot")}},
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "zones") {
			z := Zone{ID: fmt.Sprint("z", i), Type: ZoneBlocked}
			switch set := subset.Draw(t, "set"); rapid.IntRange(0, 2).Draw(t, "kind") {
			case 1:
				z.Roles = set
			case 2:
				z.ExceptRoles = set
			}
			p.Zones = append(p.Zones, z)
		}
		spec := p.translate(func(...any) bool { return true }).spec
		own, known := p.FenceRoles("r")
		if !known || len(own) == 0 {
			t.Fatal("a known robot without roles would be bound by every zone")
		}
		for i, z := range p.Zones {
			binds := len(spec.Zones[i].Roles) == 0 || overlap(spec.Zones[i].Roles, own)
			want := len(z.Roles) == 0 && len(z.ExceptRoles) == 0 ||
				len(z.Roles) > 0 && overlap(z.Roles, p.Robots[0].Roles) || len(z.ExceptRoles) > 0 && !overlap(z.ExceptRoles, p.Robots[0].Roles)
			if binds != want {
				t.Fatalf("zone %+v, robot %q (%q): binds %v, want %v", z, p.Robots[0].Roles, own, binds, want)
			}
			for _, r := range spec.Zones[i].Roles {
				if !slices.Contains(spec.Roles, r) {
					t.Fatalf("role %q is not declared", r)
				}
			}
		}
	})
}

func TestUnknownRobotHasNoRoles(t *testing.T) {
	p := Policy{Robots: []RobotRoles{{Serial: "a"}}}
	if _, known := p.FenceRoles("b"); known {
		t.Error("an unknown robot was given roles")
	}
}

func TestMillimetres(t *testing.T) {
	for _, c := range []struct {
		m  float64
		mm int32
	}{{0, 0}, {0.001, 1}, {-0.001, -1}, {1.005, 1005}, {10000, 10_000_000}, {-9999.999, -9_999_999}, {0.29, 290}, {1.115, 1115}} {
		if got := millimetres([]Point{{c.m, 0}})[0].X; got != c.mm {
			t.Errorf("%v m: %d mm, want %d", c.m, got, c.mm)
		}
	}
}

// TestRobotIsWhole finds fields of the geofence's robot that nobody fills: 0 never means off there.
func TestRobotIsWhole(t *testing.T) {
	cfg, err := Load(nil, good(KindProfile)...)
	if err != nil {
		t.Fatal(err)
	}
	topics := &Topics{Pose: PoseTopic{AssumedStddevM: 0.05, AssumedYawStddevRad: 0.03}, SecondPose: &SecondPose{}}
	if n := zeroFields(fenceRobot(cfg.Profile, topics)); !slices.Equal(n, []string{"Loads", "Chain"}) { // this one carries nothing, and has no kinematics
		t.Errorf("not filled: %v", n)
	}
	if n := zeroFields(plainRobot()); !slices.Equal(n, []string{"HeightM", "Loads", "Chain", "AssumedStdDevM", "AssumedYawStdDevRad", "Second"}) {
		t.Errorf("not filled: %v", n)
	}
	spec := geofence.Spec{Floors: []geofence.FloorSpec{{ID: "a", WithoutKeepIn: geofence.Allow}}}
	if _, err := geofence.Compile(spec, plainRobot()); err != nil {
		t.Errorf("the geofence does not take the stand-in: %v", err)
	}
	ladder := cfg.Profile.LadderSpec()
	if n := zeroFields(ladder); len(n) > 0 || ladder.N != 2 || !ladder.Rungs[1].Independent {
		t.Errorf("ladder %+v", ladder)
	}
}
