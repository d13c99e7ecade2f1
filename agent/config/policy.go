package config

import "time"

// Policy is the safety engineer's document: where the robot may be, when and how fast, what triggers do, and whose
// heartbeat it lives by. It reaches the robot inside a signed set.
type Policy struct {
	// ID names the policy; revisions of one policy keep it.
	ID string `cfg:"id" form:"id" eg:"id: city-hospital"`
	// Revision grows with every change. An older one is never loaded over a newer one.
	Revision int64 `cfg:"revision" range:"[1,9007199254740991]" eg:"revision: 7"`
	// Pins bind the policy to the two documents that could otherwise disable it.
	Pins Pins `cfg:"pins" eg:"pins: {profile: \"sha256:…\", topics: \"sha256:…\"}"`
	// NotBefore is the first moment at which the policy holds; without it, the policy holds from the start.
	NotBefore time.Time `cfg:"not_before,optional" eg:"not_before: \"2026-11-01T00:00:00Z\""`
	// NotAfter is the moment from which the policy holds no more; without it, the policy holds for good.
	NotAfter time.Time `cfg:"not_after,optional" eg:"not_after: \"2027-10-31T00:00:00Z\""`
	// Site names the place.
	Site string `cfg:"site" len:"1..128" eg:"site: City Hospital, east wing"`
	// Timezone is the IANA zone in which shifts are meant.
	Timezone Timezone `cfg:"timezone" eg:"timezone: Europe/Berlin"`
	// Floors lists the storeys.
	Floors []Floor `cfg:"floors" len:"1..64" eg:"floors: [{id: ground, name: Ground floor}]"`
	// Zones are the site's zones.
	Zones []Zone `cfg:"zones" len:"0..10000" eg:"zones: [{zone_id: pharmacy, zone_type: BLOCKED, …}]"`
	// Shifts are weekly spans of civil time.
	Shifts []Shift `cfg:"shifts,optional" len:"0..64" eg:"shifts: [{id: day, days: [mon, tue, wed, thu, fri], start: \"06:00\", end: \"20:00\"}]"`
	// SpecialDays are dates that count as another day of the week, or as a holiday.
	SpecialDays []SpecialDay `cfg:"special_days,optional" len:"0..1024" eg:"special_days: [{date: \"2026-12-25\", counts_as: holiday, name: Christmas Day}]"`
	// Roles are the words that zones and robots share.
	Roles []string `cfg:"roles,optional" len:"0..32" form:"id" eg:"roles: [delivery, cleaning]"`
	// Tasks are the names of tasks that zones ask for, as the topic mapping's facts give them.
	Tasks []string `cfg:"tasks,optional" len:"0..63" form:"id" eg:"tasks: [delivery, cleaning]"`
	// Operators are the names of people or desks that zones ask for.
	Operators []string `cfg:"operators,optional" len:"0..63" form:"id" eg:"operators: [ward-3, pharmacy]"`
	// Facts says how well the sender of a fact must be known for it to loosen anything. What comes from others, and every
	// kind of fact that is not listed, is hearsay: it only tightens.
	Facts []FactDemand `cfg:"facts,optional" len:"0..5" eg:"facts: [{kind: load, identity: source-bound}]"`
	// Robots says which roles each robot has. A robot that is not listed does not start.
	Robots []RobotRoles `cfg:"robots" len:"1..4096" eg:"robots: [{serial: hum-0007, roles: [delivery]}]"`
	// Channels are the endpoints whose heartbeat the robot lives by.
	Channels []Channel `cfg:"channels,optional" len:"0..16" eg:"channels: [{endpoint: operator, period: 200ms, hold_after: 600ms, stop_after: 2s}]"`
	// Commanders say what whoever commands the robot has to prove, for each channel of the topic mapping. Absent, the bus's
	// word counts for all, and the status says so.
	Commanders []Commander `cfg:"commanders,optional" len:"1..16" eg:"commanders: [{channel: planner, authenticity: required, keys: [planner], strength: authenticated}]"`
	// CommandChannels say how well ways to command the robot have to work; one that is left out has the defaults, which count.
	CommandChannels []CommandChannel `cfg:"command_channels,optional" len:"0..16" eg:"command_channels: [{channel: planner, max_hz: 50}]"`
	// Triggers change what the built-in triggers do.
	Triggers []Trigger `cfg:"triggers,optional" len:"0..64" eg:"triggers: [{code: pose.stale, dwell: 2s}]"`
	// Overrides say who may suspend for a while what triggers demand; absent, nobody may.
	Overrides []Override `cfg:"overrides,optional" len:"0..64" eg:"overrides: [{triggers: [pose.covariance], roles: [safety-engineer, supervisor], persons: 2, lasts: 10m, max_speed_mps: 0.3}]"`
	// StopCategory is the category by IEC 60204-1 of the strongest stop: 2 keeps power, 1 removes it after standstill.
	StopCategory int `cfg:"stop_category" range:"[1,2]" eg:"stop_category: 2"`
	// Unauthenticated caps what anybody on the bus can cause without a key and at no cost, such as a false battery gauge.
	// Absent, it is a hold of motion and manipulators that ends by itself.
	Unauthenticated *Unauthenticated `cfg:"unauthenticated,optional" eg:"unauthenticated: {constraint: {motion: hold, manipulators: hold}, latch: false}"`
	// Flap says when triggers that come again and again stay latched; absent, the built-in values hold.
	Flap *Flap `cfg:"flap,optional" eg:"flap: {trips: 5, window: 2m, merge: 2s}"`
	// Reporting says what the courier may tell; absent, nothing before the robot is attested.
	Reporting *Reporting `cfg:"reporting,optional" eg:"reporting: {before_attestation: safety-events}"`
	// Recorder says what is kept of the inputs around each trip; absent, what moves the robot for 20 s before and 10 s after.
	Recorder *Recorder `cfg:"recorder,optional" eg:"recorder: {before: 20s, after: 10s}"`
	// Artifacts are the models and programs that must be the ones that the release in force names.
	Artifacts []Artifact `cfg:"artifacts,optional" len:"1..16" eg:"artifacts: [{name: grasp-model, governs: manipulators}]"`
	// Startup says how the robot leaves the closed state in which it starts.
	Startup Startup `cfg:"startup" eg:"startup: {release: operator, input_timeout: 30s}"`
}

// Pins are the digests of the documents that the policy was written for.
type Pins struct {
	// Profile is the robot profile's digest.
	Profile Digest `cfg:"profile" eg:"profile: \"sha256:…\""`
	// Topics is the topic mapping's digest.
	Topics Digest `cfg:"topics" eg:"topics: \"sha256:…\""`
}

// Floor is one storey.
type Floor struct {
	// ID is the floor's name in zones and in the topic mapping.
	ID string `cfg:"id" form:"id" eg:"id: ground"`
	// Name is for people.
	Name string `cfg:"name,optional" len:"1..64" eg:"name: Ground floor"`
	// Unbounded says why the robot may go anywhere on this floor while no KEEP_IN zone of it applies. Without it the robot
	// holds then, and a floor that has no KEEP_IN zone at all is refused.
	Unbounded string `cfg:"unbounded,optional" len:"8..256" eg:"unbounded: fenced yard, gate always locked"`
}

// Zone types, in the words of VDA 5050 where it has one.
const (
	// ZoneBlocked is a place where no part of the robot may be.
	ZoneBlocked = "BLOCKED"
	// ZoneSpeedLimit is a place with a highest speed, already reached when entering.
	ZoneSpeedLimit = "SPEED_LIMIT"
	// ZoneKeepIn is a place that no part of the robot may leave.
	ZoneKeepIn = "KEEP_IN"
	// ZoneNoManipulation is a place where arms and hands rest.
	ZoneNoManipulation = "NO_MANIPULATION"
	// ZonePrivacy is a place where cameras and microphones are closed.
	ZonePrivacy = "PRIVACY"
	// ZoneDwellLimit is a place in which the robot stays for a limited time only.
	ZoneDwellLimit = "DWELL_LIMIT"
	// ZoneRelease is closed unless a signed grant for this robot and this zone is in force.
	ZoneRelease = "RELEASE"
	// ZoneDoor is a RELEASE that opens for certain facts only, and in which the robot stays for a limited time only.
	ZoneDoor = "DOOR"
	// ZoneNoStop is a place in which a hold may become a creep on the way out.
	ZoneNoStop = "NO_STOP"
	// ZoneDirected is a place in which motion leads in one direction.
	ZoneDirected = "DIRECTED"
	// ZoneBidirected is a place in which motion leads in one direction or its opposite.
	ZoneBidirected = "BIDIRECTED"
)

// ZoneTypes lists all types of zone, in the order in which documents explain them.
func ZoneTypes() []string {
	return []string{
		ZoneBlocked, ZoneSpeedLimit, ZoneKeepIn, ZoneNoManipulation, ZonePrivacy, ZoneDwellLimit, ZoneRelease, ZoneDoor, ZoneNoStop,
		ZoneDirected, ZoneBidirected,
	}
}

// Zone is one polygon and its rule. Coordinates are metres in the floor's map frame.
type Zone struct {
	// ID is unique within the policy.
	ID string `cfg:"zone_id" form:"id" eg:"zone_id: pharmacy"`
	// Type is what the zone means.
	Type string `cfg:"zone_type" enum:"BLOCKED|SPEED_LIMIT|KEEP_IN|NO_MANIPULATION|PRIVACY|DWELL_LIMIT|RELEASE|DOOR|NO_STOP|DIRECTED|BIDIRECTED" eg:"zone_type: BLOCKED"`
	// Floor is the floor's id.
	Floor string `cfg:"floor" form:"id" eg:"floor: ground"`
	// Vertices is the outer ring, either way round, not closed by repeating the first.
	Vertices []Point `cfg:"vertices" len:"3..4096" range:"[-10000,10000]" eg:"vertices: [[0, 0], [10, 0], [10, 4], [0, 4]]"`
	// Holes are rings inside the outer ring that do not belong to the zone.
	Holes [][]Point `cfg:"holes,optional" len:"0..256" range:"[-10000,10000]" eg:"holes: [[[2, 1], [3, 1], [3, 2], [2, 2]]]"`
	// MaxSpeedMPS is the highest speed in a SPEED_LIMIT zone in m/s, 0 for other types.
	MaxSpeedMPS float64 `cfg:"max_speed_mps,optional" range:"(0,15]" eg:"max_speed_mps: 0.6"`
	// MarginM is kept clear around the zone in addition to the pose's uncertainty, in metres.
	MarginM float64 `cfg:"margin_m,optional" range:"[0,10]" eg:"margin_m: 0.10"`
	// WarnM is the width in metres of a ring around the margin of a BLOCKED, KEEP_IN, RELEASE or DOOR zone. In it, zone.warn
	// tells people; nothing is restricted.
	WarnM float64 `cfg:"warn_m,optional" range:"(0,10]" eg:"warn_m: 0.5"`
	// ReleaseLoss is what a robot does that is in a RELEASE or DOOR zone when its grant ends: STOP holds it where it is,
	// CONTINUE lets it creep on for Within, EVACUATE lets it creep out. Absent means STOP.
	ReleaseLoss string `cfg:"release_loss,optional" enum:"STOP|CONTINUE|EVACUATE" eg:"release_loss: EVACUATE"`
	// OpenedBy are the facts of which a grant must vouch for one to open a DOOR.
	OpenedBy []string `cfg:"opened_by,optional" len:"1..3" enum:"badge|door|task" eg:"opened_by: [badge, door]"`
	// MaxDwell is how long the robot may stay in a DWELL_LIMIT or DOOR zone, its margin included.
	MaxDwell time.Duration `cfg:"max_dwell,optional" range:"(0,24h]" eg:"max_dwell: 90s"`
	// Within bounds for how long release_loss CONTINUE lets the robot go on, and for how long a hold in a NO_STOP zone may
	// be a creep.
	Within time.Duration `cfg:"within,optional" range:"(0,10m]" eg:"within: 10s"`
	// DirectionRad is the direction of travel in a DIRECTED or BIDIRECTED zone, in radians from the map's x axis anticlockwise.
	DirectionRad *float64 `cfg:"direction_rad,optional" range:"[-6.2831,6.2831]" eg:"direction_rad: 1.5708"`
	// Limitation is how strictly it counts: STRICT (DIRECTED only) lets nothing pass that deviates by more than 30 degrees,
	// RESTRICTED lets it creep, but never against the direction, SOFT restricts nothing.
	Limitation string `cfg:"limitation,optional" enum:"SOFT|RESTRICTED|STRICT" eg:"limitation: STRICT"`
	// BusEntry lets facts from the bus open a DOOR as a grant does, those among OpenedBy; absent, they can only close it.
	BusEntry *BusEntry `cfg:"bus_entry,optional" eg:"bus_entry: {max_speed_mps: 0.4}"`
	// Tasks limits the zone to the time in which the robot does one of these; a task that nobody vouches for may be any.
	Tasks []string `cfg:"tasks,optional" len:"1..63" form:"id" eg:"tasks: [cleaning]"`
	// ExceptTasks exempts the robot while it surely does one of these. At most one of Tasks and ExceptTasks is set.
	ExceptTasks []string `cfg:"except_tasks,optional" len:"1..63" form:"id" eg:"except_tasks: [delivery]"`
	// Operators limits the zone to the time in which the robot works for one of these.
	Operators []string `cfg:"operators,optional" len:"1..63" form:"id" eg:"operators: [night-desk]"`
	// ExceptOperators exempts the robot while it surely works for one of these.
	ExceptOperators []string `cfg:"except_operators,optional" len:"1..63" form:"id" eg:"except_operators: [pharmacy]"`
	// Roles limits the zone to robots that have one of these roles; absent means every robot.
	Roles []string `cfg:"roles,optional" len:"1..32" form:"id" eg:"roles: [cleaning]"`
	// ExceptRoles exempts robots that have one of these roles. At most one of Roles and ExceptRoles is set.
	ExceptRoles []string `cfg:"except_roles,optional" len:"1..32" form:"id" eg:"except_roles: [pharmacy-delivery]"`
	// UnlessAttested true lets the zone apply only while no verifier vouches for the robot's software: evidence that is
	// missing, refused or out of date counts as none. Not together with roles or except_roles.
	UnlessAttested bool `cfg:"unless_attested,optional" eg:"unless_attested: true"`
	// Shifts limits the zone to these shifts; absent means always.
	Shifts []string `cfg:"shifts,optional" len:"1..64" form:"id" eg:"shifts: [night]"`
	// OutsideShifts limits the zone to the time outside all of these shifts. At most one of Shifts and OutsideShifts is set.
	OutsideShifts []string `cfg:"outside_shifts,optional" len:"1..64" form:"id" eg:"outside_shifts: [day]"`
	// FromM is the height above the floor in metres at which the zone begins; absent means far below.
	FromM *float64 `cfg:"from_m,optional" range:"[-100,100]" eg:"from_m: 0.80"`
	// ToM is the height at which it ends; absent means far above.
	ToM *float64 `cfg:"to_m,optional" range:"[-100,100]" eg:"to_m: 1.40"`
	// Parts are groups of the profile's kinematics.parts that a BLOCKED zone keeps out instead of the robot's outline; with
	// contour among them, the outline as well.
	Parts []string `cfg:"parts,optional" len:"1..17" form:"id" eg:"parts: [hands]"`
	// Views are cameras of the profile's kinematics.cameras that may not look into a BLOCKED zone, whose outline then binds
	// only with parts: [contour].
	Views []string `cfg:"views,optional" len:"1..8" form:"id" eg:"views: [head]"`
	// Reason is told to the people who ask why the robot stands.
	Reason string `cfg:"reason" len:"3..256" eg:"reason: controlled drugs; no robots"`
}

// BusEntry says how facts from the bus open a DOOR.
type BusEntry struct {
	// MaxSpeedMPS is the highest speed in the door, in m/s.
	MaxSpeedMPS float64 `cfg:"max_speed_mps" range:"(0,15]" eg:"max_speed_mps: 0.4"`
	// Tasks are those whose fact opens it, where opened_by has task.
	Tasks []string `cfg:"tasks,optional" len:"1..63" form:"id" eg:"tasks: [delivery]"`
}

// FactDemand is how well the sender of one kind of fact must be known.
type FactDemand struct {
	// Kind is what the fact is about.
	Kind string `cfg:"kind" enum:"load|task|operator|door|badge" eg:"kind: load"`
	// Identity is the least that must be known of its sender: source-bound, that it speaks from the address that the bus
	// names; process-bound, that the steward has named its process as the mapping demands; authenticated, that it proved a key.
	Identity string `cfg:"identity" enum:"source-bound|process-bound|authenticated" eg:"identity: source-bound"`
}

// Shift is a weekly span [Start, End) of civil time on the days on which it starts. An End at or before Start lies on the
// following day.
type Shift struct {
	// ID is unique within the policy.
	ID string `cfg:"id" form:"id" eg:"id: day"`
	// Days are the days on which the shift starts: weekdays, and holiday for the special days that count as one.
	Days Days `cfg:"days" eg:"days: [mon, tue, wed, thu, fri]"`
	// Start belongs to the shift.
	Start TimeOfDay `cfg:"start" eg:"start: \"06:00\""`
	// End does not belong to the shift; 24:00 is midnight at the end of the day.
	End TimeOfDay `cfg:"end" eg:"end: \"20:00\""`
}

// SpecialDay is a date that counts as another day than its weekday: shifts of that weekday do not start on it, and shifts of
// the other day do. A shift that began the evening before goes on into it.
type SpecialDay struct {
	// Date is a date of the civil calendar in the policy's time zone; each comes once.
	Date string `cfg:"date" form:"date" eg:"date: \"2026-12-25\""`
	// CountsAs is the day whose shifts start on it; on a holiday those do that list holiday among their days.
	CountsAs string `cfg:"counts_as" enum:"holiday|mon|tue|wed|thu|fri|sat|sun" eg:"counts_as: holiday"`
	// Name is what people call the day.
	Name string `cfg:"name" len:"1..128" eg:"name: Christmas Day"`
}

// RobotRoles gives one robot its roles.
type RobotRoles struct {
	// Serial is the robot's serial number, as in its deployment.
	Serial string `cfg:"serial" form:"serial" eg:"serial: hum-0007"`
	// Roles are from the policy's list; an empty list is a robot to which only general zones apply.
	Roles []string `cfg:"roles" len:"0..32" form:"id" eg:"roles: [delivery]"`
}

// Channel is an endpoint whose heartbeat the robot lives by.
type Channel struct {
	// Endpoint is the name in the topic mapping's heartbeats and the deployment's keys.
	Endpoint string `cfg:"endpoint" form:"id" eg:"endpoint: operator"`
	// Period is how often the endpoint is challenged.
	Period time.Duration `cfg:"period" range:"[10ms,60s]" eg:"period: 200ms"`
	// HoldAfter is the silence after which the robot holds.
	HoldAfter time.Duration `cfg:"hold_after" range:"[20ms,10m]" eg:"hold_after: 600ms"`
	// StopAfter is the silence after which the robot stops and stays stopped.
	StopAfter time.Duration `cfg:"stop_after" range:"[20ms,60m]" eg:"stop_after: 2s"`
}

// CommandChannel says how well one way to command the robot has to work. Below it the channel is degraded, lost or hostile,
// and the triggers channel.degraded, channel.lost and channel.hostile say what follows.
type CommandChannel struct {
	// Channel is the name in the topic mapping's commands.
	Channel string `cfg:"channel" form:"id" eg:"channel: planner"`
	// Needed true says that the task needs the channel: its silence is then a loss, and the start waits for it.
	Needed bool `cfg:"needed,optional" eg:"needed: true"`
	// LostAfter is the silence after which it is lost, more than its deadline; the default is four deadlines.
	LostAfter time.Duration `cfg:"lost_after,optional" range:"[20ms,60m]" eg:"lost_after: 2s"`
	// MaxHz is the most commands a second that the commander sends; more of them are a flood. The default is 200.
	MaxHz float64 `cfg:"max_hz,optional" range:"[0.1,20000]" eg:"max_hz: 50"`
	// MaxJitter is the largest mean deviation of the interval between commands; the default is half a deadline.
	MaxJitter time.Duration `cfg:"max_jitter,optional" range:"[1ms,10s]" eg:"max_jitter: 50ms"`
	// MaxLatency is how much later a command may come than the quickest of late, by its stamp; the default is half a deadline.
	MaxLatency time.Duration `cfg:"max_latency,optional" range:"[1ms,10s]" eg:"max_latency: 100ms"`
	// MaxSkew is by how much the sender's clock may differ from the robot's, by stamps; the default is a second.
	MaxSkew time.Duration `cfg:"max_skew,optional" range:"[1ms,10m]" default:"1s" eg:"max_skew: 1s"`
	// MaxLossRatio is the largest share of commands that may be lost, by their numbers; the default is 0.1.
	MaxLossRatio float64 `cfg:"max_loss_ratio,optional" range:"[0.001,1]" eg:"max_loss_ratio: 0.1"`
	// Dwell is how long every sign must be away before the channel counts as better; the default is a second.
	Dwell time.Duration `cfg:"dwell,optional" range:"[10ms,10m]" default:"1s" eg:"dwell: 1s"`
}

// Trigger changes one built-in trigger. What is left out stays as built in.
type Trigger struct {
	// Code is the trigger's code.
	Code string `cfg:"code" form:"id" eg:"code: pose.stale"`
	// Enabled false switches the trigger off; then Reason says why.
	Enabled *bool `cfg:"enabled,optional" eg:"enabled: false"`
	// Reason is required to switch off, and shown wherever the robot's state is.
	Reason string `cfg:"reason,optional" len:"8..256" eg:"reason: no arms fitted on this robot"`
	// Constraint is what the trigger does.
	Constraint *Constraint `cfg:"constraint,optional" eg:"constraint: {motion: hold}"`
	// StartDelay is how long the cause must last. It drains slower than it fills, so that a flickering cause still fires.
	StartDelay *time.Duration `cfg:"start_delay,optional" range:"(0,60s]" eg:"start_delay: 200ms"`
	// Dwell is how long the cause must be gone before the trigger clears.
	Dwell *time.Duration `cfg:"dwell,optional" range:"(0,60m]" eg:"dwell: 2s"`
	// Clear says what clears the trigger once its cause is gone.
	Clear string `cfg:"clear,optional" enum:"on-clear|on-dwell|operator|two-persons|never" eg:"clear: operator"`
	// ResetBy lists the signers' roles that may reset the trigger.
	ResetBy []string `cfg:"reset_by,optional" len:"1..8" enum:"operator|supervisor|safety-engineer|security|service" eg:"reset_by: [operator, safety-engineer]"`
}

// Unauthenticated is the cap on signals that nobody has authenticated. The triggers that it counts for are marked as
// hearsay in the table of triggers.
type Unauthenticated struct {
	// Constraint is the most that they may demand, whatever their rules say; motion at least limited to 0.5 m/s.
	Constraint *Constraint `cfg:"constraint" eg:"constraint: {motion: hold, manipulators: hold}"`
	// Latch true lets them stay until somebody resets them, as their rules and the flap guard say.
	Latch bool `cfg:"latch" eg:"latch: false"`
}

// Flap is the guard against triggers that come and go.
type Flap struct {
	// Trips of one class within Window latch the last of them until an operator resets it.
	Trips int `cfg:"trips" range:"[2,8]" eg:"trips: 5"`
	// Window is the time over which trips are counted.
	Window time.Duration `cfg:"window" range:"[1s,24h]" eg:"window: 2m"`
	// Merge is the time within which trips of one class count as one.
	Merge time.Duration `cfg:"merge" range:"[10ms,10m]" eg:"merge: 2s"`
}

// Constraint is what a trigger asks of each axis; an empty axis is left free by it.
type Constraint struct {
	// Motion constrains driving or walking.
	Motion string `cfg:"motion,optional" enum:"limited|dock-only|hold|stop" eg:"motion: hold"`
	// MaxSpeedMPS belongs to motion: limited, in m/s.
	MaxSpeedMPS float64 `cfg:"max_speed_mps,optional" range:"(0,15]" eg:"max_speed_mps: 0.3"`
	// Manipulators constrains arms and hands.
	Manipulators string `cfg:"manipulators,optional" enum:"limited|hold|disabled" eg:"manipulators: disabled"`
	// Perception constrains cameras and microphones.
	Perception string `cfg:"perception,optional" enum:"private" eg:"perception: private"`
	// Remote constrains remote control.
	Remote string `cfg:"remote,optional" enum:"view-only|blocked" eg:"remote: view-only"`
}

// What a robot may report before a verifier has accepted its evidence.
const (
	// ReportNothing is hello, evidence and the state of the connection alone.
	ReportNothing = "nothing"
	// ReportSafetyEvents is the logs of guard and courier as well, marked as unattested.
	ReportSafetyEvents = "safety-events"
)

// Reporting says what the courier may tell.
type Reporting struct {
	// BeforeAttestation is nothing, or safety-events: the logs of guard and courier, marked unattested, so that the desk hears
	// of a stop although nobody can tell yet what the robot runs.
	BeforeAttestation string `cfg:"before_attestation" enum:"nothing|safety-events" eg:"before_attestation: safety-events"`
}

// ReportsUnattested says whether safety events go out before the robot is attested.
func (p *Policy) ReportsUnattested() bool {
	return p.Reporting != nil && p.Reporting.BeforeAttestation == ReportSafetyEvents
}

// What an artifact governs.
const (
	// GovernsManipulators means arms and hands only: without it they are disabled, and the robot drives.
	GovernsManipulators = "manipulators"
	// GovernsMotion means where and how the robot drives: without it the robot holds.
	GovernsMotion = "motion"
)

// Artifact is a model or a program that the robot shall run only as it was released.
type Artifact struct {
	// Name is the artifact's in releases.
	Name string `cfg:"name" form:"id" eg:"name: grasp-model"`
	// Governs is what depends on it: manipulators, or motion.
	Governs string `cfg:"governs" enum:"manipulators|motion" eg:"governs: manipulators"`
	// AnyTime lets a new one become active while the robot moves; otherwise it has to be at rest.
	AnyTime bool `cfg:"any_time,optional" eg:"any_time: true"`
	// Provenance is what must be known about how it was made, for whoever installs it; absent, nothing.
	Provenance *Provenance `cfg:"provenance,optional" eg:"provenance: {builders: [\"https://ci.example/builder\"], model_version: true}"`
}

// Provenance is what a policy demands to be known about how an artifact was made.
type Provenance struct {
	// Builders are those that may have made it.
	Builders []string `cfg:"builders" len:"1..16" eg:"builders: [\"https://ci.example/builder\"]"`
	// ModelVersion demands that the model's version is named.
	ModelVersion bool `cfg:"model_version,optional" eg:"model_version: true"`
	// Datasets are the SHA-256 digests of data sets that must have gone into it.
	Datasets []Digest `cfg:"datasets,optional" len:"1..32" eg:"datasets: [\"sha256:…\"]"`
}

// Startup says how the robot leaves the closed state in which it starts.
type Startup struct {
	// Release is inputs to be released once all required inputs are fresh, operator to need a signed reset as well.
	Release string `cfg:"release" enum:"inputs|operator" eg:"release: operator"`
	// InputTimeout is how long required inputs may be missing at start before that is a trigger.
	InputTimeout time.Duration `cfg:"input_timeout" range:"[1s,10m]" eg:"input_timeout: 30s"`
}

// RolesOf returns the roles of the robot with the given serial number, and false if the policy does not know it.
func (p *Policy) RolesOf(serial string) ([]string, bool) {
	for _, r := range p.Robots {
		if r.Serial == serial {
			return r.Roles, true
		}
	}
	return nil, false
}

// FloorIndex returns the position of the floor in Floors, or -1.
func (p *Policy) FloorIndex(id string) int {
	for i, f := range p.Floors {
		if f.ID == id {
			return i
		}
	}
	return -1
}
