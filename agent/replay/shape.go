package replay

// Timeline is what happened, in seconds from the first recorded message.
type Timeline struct {
	// Entries are events in their order.
	Entries []Entry `json:"events"`
	// Modes, Triggers, Zones and Clips are spans of time.
	Modes    []ModeSpan    `json:"modes"`
	Triggers []TriggerSpan `json:"triggers"`
	Zones    []ZoneSpan    `json:"zones"`
	Clips    []Clip        `json:"clips"`
	// Stops are the demands for a standstill that came while the robot moved.
	Stops []Stop `json:"stops"`
	// Path is where the robot was, thinned: each sample stands for the time since the one before.
	Path []Sample `json:"path"`
	// Omitted counts entries and spans beyond the bounds.
	Omitted int `json:"omitted,omitempty"`
	// Commands counts what the gate did.
	Commands Commands `json:"commands"`
	// EndS is the time of the last event.
	EndS float64 `json:"end_s"`
}

// Entry is one event.
type Entry struct {
	AtS  float64 `json:"at_s"`
	Kind string  `json:"kind"`
	// Rule is the trigger's code, the zone's id or the mode.
	Rule string `json:"rule"`
	// Subject is of what; Words says it for people.
	Subject string `json:"subject,omitempty"`
	Words   string `json:"words"`
	// Cause, Text and Playbook are the trigger's.
	Cause    string `json:"cause,omitempty"`
	Text     string `json:"text,omitempty"`
	Playbook string `json:"playbook,omitempty"`
	// Inputs is what the decision was made from.
	Inputs Inputs `json:"inputs"`
}

// Inputs is what a decision was made from.
type Inputs struct {
	Floor    string       `json:"floor"`
	X        float64      `json:"x_m"`
	Y        float64      `json:"y_m"`
	YawRad   float64      `json:"yaw_rad"`
	SpeedMPS float64      `json:"speed_mps"`
	PoseAgeS float64      `json:"pose_age_s"`
	MarginM  float64      `json:"kept_clear_m"`
	Required float64      `json:"required_m"`
	Mode     string       `json:"mode"`
	Axes     string       `json:"axes"`
	Zones    []NearZone   `json:"zones,omitempty"`
	Parts    []PartInZone `json:"parts,omitempty"`
	Command  *CommandSeen `json:"command,omitempty"`
}

// NearZone is a zone that mattered.
type NearZone struct {
	ID         string  `json:"id"`
	Place      string  `json:"place"`
	DistanceM  float64 `json:"distance_m"`
	AllowedMPS float64 `json:"allowed_mps"`
	Rule       string  `json:"rule"`
}

// PartInZone is a part of the body, or a camera, near a zone.
type PartInZone struct {
	Zone      string  `json:"zone"`
	Part      string  `json:"part"`
	Place     string  `json:"place"`
	DistanceM float64 `json:"distance_m"`
	NeedM     float64 `json:"need_m"`
}

// CommandSeen is a command and what became of it.
type CommandSeen struct {
	AskedMPS  float64 `json:"asked_mps"`
	AskedRadS float64 `json:"asked_radps"`
	Ratio     float64 `json:"ratio"`
	Gate      string  `json:"gate"`
}

// Span is a stretch of time.
type Span struct {
	FromS float64 `json:"from_s"`
	ToS   float64 `json:"to_s"`
}

// ModeSpan is a time under one mode.
type ModeSpan struct {
	Span
	Mode string `json:"mode"`
}

// TriggerSpan is a time during which a trigger restricted the robot.
type TriggerSpan struct {
	Span
	Code    string `json:"code"`
	Subject string `json:"subject,omitempty"`
	Cause   string `json:"cause,omitempty"`
	// Constraint is what it demanded; Restricts is false if that is nothing.
	Constraint string `json:"constraint"`
	Restricts  bool   `json:"restricts"`
	Latched    bool   `json:"latched,omitempty"`
	// MarginM is the least distance in metres to the zone that it is about, meanwhile; absent where it is about none.
	MarginM *float64 `json:"margin_m,omitempty"`
}

// ZoneSpan is a time in a zone or its margin.
type ZoneSpan struct {
	Span
	ID    string `json:"id"`
	Place string `json:"place"`
	// Least is the least distance in metres, negative inside.
	Least float64 `json:"least_m"`
}

// Clip is a time during which the gate would have cut commands.
type Clip struct {
	Span
	Reason string `json:"reason"`
	// Rule is the trigger or the zone behind it.
	Rule string `json:"rule,omitempty"`
	// Commands counts them; Ratio is the least that was left of one; AskedMPS the fastest that was asked.
	Commands int     `json:"commands"`
	Ratio    float64 `json:"least_ratio"`
	AskedMPS float64 `json:"asked_mps"`
}

// Commands counts what the gate did.
type Commands struct {
	Total   int `json:"total"`
	Passed  int `json:"passed"`
	Clipped int `json:"clipped"`
	Dropped int `json:"dropped"`
}

// Stop is a demand for a standstill that came while the robot moved.
type Stop struct {
	AtS      float64 `json:"at_s"`
	Rule     string  `json:"rule"`
	Subject  string  `json:"subject,omitempty"`
	SpeedMPS float64 `json:"speed_mps"`
	// PredictedS is the time to rest by the robot's profile: reaction, and braking from that speed. RequiredM is the way that
	// the geofence reckoned with, all margins included.
	PredictedS float64 `json:"predicted_s"`
	RequiredM  float64 `json:"required_m"`
	// RestS is when the recorded robot stood, measured from the demand; absent if it did not while the demand lasted. A robot
	// that did not hear the demand stops when it pleases.
	RestS *float64 `json:"rest_s,omitempty"`
}

// Sample is one point of the path.
type Sample struct {
	AtS    float64 `json:"t"`
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Yaw    float64 `json:"yaw"`
	Floor  int     `json:"floor"`
	Speed  float64 `json:"speed"`
	Limit  float64 `json:"limit"`  // the lowest speed that zones allow, -1 for none
	Margin float64 `json:"margin"` // least distance to a zone that stops or slows the robot, -1e9 for none
	Need   float64 `json:"need"`   // the way to rest, with all margins
	Mode   int     `json:"mode"`
}
