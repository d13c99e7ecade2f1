// Package console is the robot's local page: it shows what the guard decides and why, and never changes anything on the
// robot, never asks anything of another machine and never holds up whoever feeds it.
//
// The page is one document with its own style and script. Data comes by Server-Sent Events, each client seeing the
// newest snapshot at its own pace. It is served on loopback only.
package console

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Bounds of what one snapshot may carry to the page. What is beyond them is cut, and the page says so.
const (
	MaxZones    = 2000
	MaxTriggers = 64
	MaxEvents   = 100
	MaxPath     = 600
	MaxLines    = 64
	MaxString   = 400
)

// Num is a number that may be unknown: NaN and the infinities travel as null and are shown as unknown.
type Num float64

// MarshalJSON writes at most four decimals, or null.
func (n Num) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	text := strconv.AppendFloat(nil, f, 'f', 4, 64)
	text = bytes.TrimRight(text, "0")
	return bytes.TrimSuffix(text, []byte(".")), nil
}

// UnmarshalJSON reads a number, and null as NaN.
func (n *Num) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*n = Num(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Point is a place in metres in frame map: x, y.
type Point [2]Num

// Scene is what seldom changes: the floors and the zones. A Scene is not changed after it was published; another policy
// means another Scene.
type Scene struct {
	// Site is the name of the place.
	Site   string  `json:"site"`
	Floors []Floor `json:"floors"`
	Zones  []Zone  `json:"zones"`
}

// Floor is one storey.
type Floor struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Walls are polylines to draw; they decide nothing.
	Walls [][]Point `json:"walls,omitempty"`
	// Marks are named spots to draw, such as the dock.
	Marks []Mark `json:"marks,omitempty"`
}

// Mark is a named spot on a floor.
type Mark struct {
	Name string `json:"name"`
	At   Point  `json:"at"`
}

// Zone is one zone as its policy has it.
type Zone struct {
	ID string `json:"id"`
	// Type is the policy's zone_type.
	Type  string    `json:"type"`
	Floor string    `json:"floor"`
	Outer []Point   `json:"outer"`
	Holes [][]Point `json:"holes,omitempty"`
	// MaxSpeedMPS is the limit of a SPEED_LIMIT zone in m/s.
	MaxSpeedMPS Num    `json:"max_speed_mps"`
	Reason      string `json:"reason"`
}

// ZoneState is what a zone means to the robot now, in the order of Scene.Zones.
type ZoneState struct {
	// Applies is false while role or shift leave the zone without effect.
	Applies bool `json:"applies"`
	// State is inside, near or clear; empty while it does not apply or lies on another floor.
	State string `json:"state,omitempty"`
	// MarginM is the distance from the body to the zone's edge in metres, negative inside.
	MarginM Num `json:"margin_m"`
}

// Pose is where the robot is believed to be, in frame map.
type Pose struct {
	X   Num `json:"x"`
	Y   Num `json:"y"`
	Yaw Num `json:"yaw"`
	// StddevM is the largest standard deviation of the position in metres.
	StddevM Num `json:"stddev_m"`
}

// Axes are the four things that can be restricted, in the words of the policy.
type Axes struct {
	// Motion is free, limited, dock-only, hold or stop.
	Motion string `json:"motion"`
	// LimitMPS is the speed allowed now in m/s, unknown if nothing limits it.
	LimitMPS Num `json:"limit_mps"`
	// Manipulators is free, limited, hold or disabled.
	Manipulators string `json:"manipulators"`
	// Perception is free or private.
	Perception string `json:"perception"`
	// Remote is free, view-only or blocked.
	Remote string `json:"remote"`
}

// Trigger is a reason for a restriction that is in force.
type Trigger struct {
	// Code is the stable machine word, Title a few words and Text a plain sentence.
	Code  string    `json:"code"`
	Title string    `json:"title"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
	// Latched is true if it stays although its cause may be gone; Clear says in plain words what ends it.
	Latched bool   `json:"latched"`
	Clear   string `json:"clear"`
	// Constraint is what it restricts, in plain words.
	Constraint string `json:"constraint,omitempty"`
}

// Health of a channel or an input.
const (
	HealthOK      = "ok"
	HealthLate    = "late"
	HealthLost    = "lost"
	HealthUnknown = "unknown"
)

// Channel is one way to command the robot or to keep it alive.
type Channel struct {
	Name   string `json:"name"`
	Health string `json:"health"`
	Text   string `json:"text"`
	// AgeMS is the time since it was last heard in milliseconds.
	AgeMS Num `json:"age_ms"`
}

// Input is one source of measurements.
type Input struct {
	Name   string `json:"name"`
	Health string `json:"health"`
	// AgeMS and MaxAgeMS are in milliseconds.
	AgeMS    Num    `json:"age_ms"`
	MaxAgeMS Num    `json:"max_age_ms"`
	Text     string `json:"text,omitempty"`
}

// Event is a line of the recent past.
type Event struct {
	Time time.Time `json:"time"`
	// Level is info, warn or error.
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Policy is what is in force.
type Policy struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
	Digest   string `json:"digest"`
}

// Attestation is how far a verifier vouches for the robot's software.
type Attestation struct {
	// State is attested, unattested, expired, failed or recovery; empty is not shown.
	State string `json:"state,omitempty"`
	// Tier is what the evidence was signed by.
	Tier string `json:"tier,omitempty"`
	// LeftS is for how long the result counts, in seconds.
	LeftS Num `json:"left_s"`
}

// Snapshot is everything that the page shows at one moment. It is not changed after it was published.
type Snapshot struct {
	// Time is the robot's civil time; ClockTrust says trusted, holdover or untrusted.
	Time       time.Time `json:"time"`
	ClockTrust string    `json:"clock_trust,omitempty"`
	Robot      string    `json:"robot"`
	Floor      string    `json:"floor"`
	Pose       *Pose     `json:"pose"`
	// Contour is the body's outline now, Predicted where it would come to rest, Path where it has been; in frame map.
	Contour   []Point `json:"contour"`
	Predicted []Point `json:"predicted"`
	Path      []Point `json:"path"`
	// SpeedMPS and YawRPS are the measured velocity, StopDistanceM the way until rest at this speed.
	SpeedMPS      Num         `json:"speed_mps"`
	YawRPS        Num         `json:"yaw_rps"`
	StopDistanceM Num         `json:"stop_distance_m"`
	ZoneStates    []ZoneState `json:"zones"`
	Axes          Axes        `json:"axes"`
	// Mode is the derived name: free, limited, hold, stop safely, return to dock, disable manipulators.
	Mode string `json:"mode"`
	// Summary is one plain sentence; the page makes one of the axes if it is empty.
	Summary string `json:"summary,omitempty"`
	// StopCategory is the IEC 60204-1 category of the stop in force, nil without one.
	StopCategory *int `json:"stop_category"`
	// Standstill is true while rest is confirmed by two independent measurements.
	Standstill bool `json:"standstill"`
	// Advisory is true while no actuator works without ROS's goodwill; AdvisoryText says why.
	Advisory     bool      `json:"advisory"`
	AdvisoryText string    `json:"advisory_text,omitempty"`
	Triggers     []Trigger `json:"triggers"`
	Channels     []Channel `json:"channels"`
	Inputs       []Input   `json:"inputs"`
	Events       []Event   `json:"events"`
	Policy       Policy    `json:"policy"`
	// Attestation is what a verifier has said.
	Attestation Attestation `json:"attestation"`
	// Scene is sent only when it is another one than before.
	Scene *Scene `json:"-"`
	// SceneID tells which scene the zones' states belong to. It is filled in on the way out.
	SceneID uint64 `json:"scene_id"`
	// Cut is true if something was left out for its size. It is filled in on the way out.
	Cut bool `json:"cut"`
}
