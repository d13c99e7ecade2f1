package console

import (
	"math"
	"time"
)

// rect is an axis-parallel rectangle as a ring.
func rect(x0, y0, x1, y1 Num) []Point {
	return []Point{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}
}

// sampleScene is a small hospital.
func sampleScene() *Scene {
	walls := [][]Point{
		append(rect(0, 0, 40, 24), Point{0, 0}),
		{{8, 14}, {8, 24}},
		{{20, 14}, {20, 24}},
		{{32, 14}, {32, 24}},
		{{6, 0}, {6, 10}},
		{{18, 0}, {18, 10}},
		{{28, 0}, {28, 10}},
		{{0, 14}, {3.1, 14}},
		{{4.9, 14}, {13.1, 14}},
		{{14.9, 14}, {25.1, 14}},
		{{26.9, 14}, {40, 14}},
		{{0, 10}, {3.9, 10}},
		{{5.7, 10}, {11.1, 10}},
		{{12.9, 10}, {22.1, 10}},
		{{23.9, 10}, {40, 10}},
	}
	return &Scene{
		Site: "Demo hospital",
		Floors: []Floor{
			{ID: "ground", Name: "Ground floor", Walls: walls, Marks: []Mark{{"dock", Point{1.5, 4}}}},
			{ID: "upper", Name: "Upper floor", Walls: walls[:1]},
		},
		Zones: []Zone{
			{ID: "ground-walls", Type: "KEEP_IN", Floor: "ground", Outer: rect(0, 0, 40, 24), Reason: "outer walls"},
			{ID: "ground-stairs", Type: "BLOCKED", Floor: "ground", Outer: rect(0, 10, 3, 14), Reason: "stairs; the robot cannot climb"},
			{ID: "pharmacy", Type: "BLOCKED", Floor: "ground", Outer: rect(0, 14, 8, 24), Reason: "controlled drugs; no robots"},
			{ID: "ward-a-closed", Type: "BLOCKED", Floor: "ground", Outer: rect(8, 14, 20, 24), Reason: "patients sleep"},
			{ID: "ward-b", Type: "SPEED_LIMIT", Floor: "ground", Outer: rect(20, 14, 32, 24), MaxSpeedMPS: 0.4, Reason: "patients on their feet"},
			{ID: "ground-corridor", Type: "SPEED_LIMIT", Floor: "ground", Outer: rect(3, 10, 36, 14), MaxSpeedMPS: 0.8, Reason: "people and beds"},
			{
				ID: "kitchen-meals", Type: "SPEED_LIMIT", Floor: "ground", Outer: rect(6, 0, 18, 10),
				Holes: [][]Point{rect(16.5, 3, 17.5, 6)}, MaxSpeedMPS: 0.3, Reason: "kitchen staff carry hot food",
			},
			{ID: "theatre", Type: "BLOCKED", Floor: "upper", Outer: rect(24, 14, 36, 24), Reason: "operating theatre"},
		},
	}
}

func body(x, y, yaw float64) []Point {
	var out []Point
	for _, p := range [][2]float64{{.45, .22}, {.30, .34}, {-.15, .34}, {-.28, .20}, {-.28, -.20}, {-.15, -.34}, {.30, -.34}, {.45, -.22}} {
		s, c := math.Sincos(yaw)
		out = append(out, Point{Num(x + p[0]*c - p[1]*s), Num(y + p[0]*s + p[1]*c)})
	}
	return out
}

var sampleTime = time.Date(2026, 3, 10, 20, 4, 31, 0, time.FixedZone("CET", 3600))

// sampleWalking drives along the corridor.
func sampleWalking(scene *Scene) *Snapshot {
	var path []Point
	for x := 5.0; x < 14.2; x += 0.2 {
		path = append(path, Point{Num(x), Num(11.5 + 0.15*math.Sin(x))})
	}
	states := make([]ZoneState, len(scene.Zones))
	for i, z := range scene.Zones {
		states[i] = ZoneState{Applies: z.ID != "kitchen-meals", State: "clear", MarginM: 3}
	}
	states[5].State = "inside"
	return &Snapshot{
		Time: sampleTime, ClockTrust: "trusted", Robot: "demo-humanoid-01", Floor: "ground",
		Pose:    &Pose{14.2, 11.5, 0.1, 0.03},
		Contour: body(14.2, 11.5, 0.1), Predicted: body(14.95, 11.55, 0.1), Path: path,
		SpeedMPS: 0.78, StopDistanceM: 0.75, ZoneStates: states,
		Axes: Axes{"limited", 0.8, "free", "free", "free"}, Mode: "limited",
		Triggers: nil,
		Channels: []Channel{{"operator heartbeat", HealthOK, "answers within 40 ms", 120}, {"autonomy", HealthOK, "", 30}, {"docking", HealthUnknown, "not in use", Num(math.NaN())}},
		Inputs: []Input{
			{"pose", HealthOK, 40, 300, ""},
			{"odometry", HealthOK, 10, 200, ""},
			{"joints", HealthOK, 12, 200, ""},
			{"imu", HealthOK, 4, 100, ""},
			{"battery", HealthOK, 300, 5000, "81 %"},
			{"graph", HealthOK, 700, 3000, ""},
		},
		Events: []Event{
			{sampleTime.Add(-5 * time.Minute), "info", "Started; all inputs are fresh."},
			{sampleTime.Add(-4 * time.Minute), "info", "Delivery to ward B."},
			{sampleTime.Add(-271 * time.Second), "warn", "Ward A closes: the day shift has ended."},
		},
		Policy: Policy{"demo-hospital", 1, "sha256:9f2c6a71d4e0b35f8a"}, Scene: scene,
		Attestation: Attestation{"attested", "tpm", 540},
	}
}

// sampleStopped stands because the operator's channel was lost.
func sampleStopped(scene *Scene) *Snapshot {
	s := sampleWalking(scene)
	category := 2
	s.Pose = &Pose{5.2, 12.9, math.Pi / 2, 0.03}
	s.Contour, s.Predicted, s.Path = body(5.2, 12.9, math.Pi/2), nil, nil
	s.SpeedMPS, s.StopDistanceM, s.StopCategory, s.Standstill = 0, 0, &category, true
	s.Axes = Axes{"stop", Num(math.NaN()), "disabled", "free", "blocked"}
	s.Mode, s.Advisory = "stop safely", true
	s.ZoneStates[2] = ZoneState{true, "near", 0.21}
	s.Triggers = []Trigger{
		{
			"channel-lost", "Operator does not answer", "The operator's desk has not answered a challenge for 2 s.",
			sampleTime.Add(-31 * time.Second), true, "Stays until an operator sends a signed reset.", "stop",
		},
		{"joint-missing", "A joint is silent", "left_elbow_joint has not reported for 200 ms.", sampleTime.Add(-75 * time.Second), false, "Ends by itself when the joint reports again for 2 s.", "arms"},
	}
	s.Channels[0] = Channel{"operator heartbeat", HealthLost, "silent for 33 s", 33000}
	s.Channels[1].Health, s.Channels[1].Text = HealthLate, "commands are dropped"
	s.Inputs[2].Health = HealthLate
	s.Events = append(s.Events, Event{sampleTime.Add(-31 * time.Second), "error", "Stop, category 2: the operator does not answer."})
	return s
}

// sampleZones stands among a zone of each kind, with each state that the list and the map tell apart.
func sampleZones() *Snapshot {
	scene := sampleScene()
	scene.Zones = append(scene.Zones[:2:2],
		Zone{ID: "pharmacy", Type: "BLOCKED", Floor: "ground", Outer: rect(0, 14, 8, 24), Reason: "controlled drugs; no robots"},
		Zone{ID: "ward-a", Type: "RELEASE", Floor: "ground", Outer: rect(8, 14, 20, 24), Reason: "a nurse lets it in"},
		Zone{ID: "theatre-door", Type: "DOOR", Floor: "ground", Outer: rect(20, 13, 24, 15), Reason: "opens by badge"},
		Zone{ID: "changing", Type: "PRIVACY", Floor: "ground", Outer: rect(20, 15, 32, 24), Reason: "people undress here"},
		Zone{ID: "laboratory", Type: "NO_MANIPULATION", Floor: "ground", Outer: rect(32, 14, 40, 24), Reason: "glass on the benches"},
		Zone{ID: "lift-sill", Type: "NO_STOP", Floor: "ground", Outer: rect(36, 10, 40, 14), Reason: "doors close here"},
		Zone{ID: "reception", Type: "DWELL_LIMIT", Floor: "ground", Outer: rect(18, 0, 28, 10), Reason: "people queue"},
		Zone{ID: "corridor", Type: "SPEED_LIMIT", Floor: "ground", Outer: rect(3, 10, 36, 14), MaxSpeedMPS: 0.8, Reason: "people and beds"},
		Zone{ID: "kitchen-meals", Type: "RELEASE", Floor: "ground", Outer: rect(6, 0, 18, 10), Reason: "kitchen staff carry hot food"},
	)
	s := sampleWalking(scene)
	s.Pose = &Pose{22.2, 12.4, math.Pi / 2, 0.03}
	s.Contour, s.Predicted, s.Path = body(22.2, 12.4, math.Pi/2), body(22.2, 12.9, math.Pi/2), nil
	s.ZoneStates = make([]ZoneState, len(scene.Zones))
	for i, z := range scene.Zones {
		s.ZoneStates[i] = ZoneState{Applies: z.ID != "kitchen-meals", State: "clear", MarginM: 3}
	}
	s.ZoneStates[4] = ZoneState{true, "near", 0.3}
	s.ZoneStates[5] = ZoneState{true, "near", 2.1}
	s.ZoneStates[9] = ZoneState{true, "inside", 0}
	return s
}
