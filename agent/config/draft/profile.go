package draft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
)

// maxCorners is how many corners a profile's footprint may have, maxJoints how many joints it may list.
const maxCorners, maxJoints = 32, 64

// maxReachM is how far a corner of a profile's footprint may be from either axis, in m, and maxHeightM how high the body may be.
const maxReachM, maxHeightM = 10, 5

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// profile writes the robot profile.
func (d *drafter) profile() []byte {
	p := &page{}
	p.line("# yaml-language-server: $schema=robot-profile.schema.json")
	p.line("#")
	p.line("# A draft from the robot's bus and description. A key without a value is a TO DO, and `robowarden check` explains it.")
	p.line("# Measure; do not take figures from a data sheet: this document decides what counts as safe.")
	p.line("kind: robot-profile")
	p.line("version: 1\n")
	p.line("id: %s", d.name())
	p.open("manufacturer", "who answers for the figures in this document")
	p.line("bus: %s", d.bus)
	p.line("gate: [velocity]\n")
	d.outline(p)
	d.motion(p)
	d.quality(p)
	d.jointList(p)
	d.kinematics(p)
	p.line("rest:")
	p.open("  kind", "the posture in which it rests: stand, kneel, sit or park")
	p.open("  balance_elsewhere", "true if it keeps its balance, or needs none, without this computer and its power")
	p.line("")
	d.ladder(p)
	d.inputs(p)
	return []byte(p.String())
}

// outline writes the body. Only a body that is wholly known and moves nothing beyond itself is written as a value.
func (d *drafter) outline(p *page) {
	p.line("body:")
	b := d.body
	if b == nil {
		p.open("  base_frame", "the frame whose pose the pose topic reports, such as base_link")
		p.open("  height_m", "in m, with the highest load")
		p.open("  footprint", "the outline seen from above, with the arms' reach and every load: [[x, y], …] in m, x forward")
		return
	}
	if fits(frameForm, b.root) {
		p.with("  base_frame: "+b.root, "the URDF's root; it has to be the frame whose pose the pose topic reports")
	} else {
		p.open("  base_frame", "the frame whose pose the pose topic reports, such as base_link")
	}
	ring := outward(atMost(b.outline, maxCorners))
	fitting := !slices.ContainsFunc(ring, func(c [2]float64) bool { return max(math.Abs(c[0]), math.Abs(c[1])) > maxReachM })
	whole := b.unknown == 0 && len(ring) >= 3 && !b.reaches && fitting
	if whole && b.high > b.low && b.high-b.low <= maxHeightM {
		p.with("  height_m: "+number(math.Ceil((b.high-b.low)*1000-1e-3)/1000), "from the URDF's lowest shape to its highest; add the highest load")
	} else {
		p.open("  height_m", "in m, with the highest load")
	}
	corners := make([]string, len(ring))
	for i, c := range ring {
		corners[i] = fmt.Sprintf("[%s, %s]", number(c[0]), number(c[1]))
	}
	switch list := strings.Join(corners, ", "); {
	case !fitting:
		p.open("  footprint", fmt.Sprintf("the outline; the URDF's reaches further than %d m from its root, which no profile may: look for a wrong unit there", maxReachM))
	case whole:
		p.line("  # The hull of the URDF's shapes; add every load.")
		p.line("  footprint: [%s]", list)
	case len(ring) >= 3:
		p.open("  footprint", "the outline with the arms' reach and every load")
		p.line("  # With every joint at zero the URDF's shapes have this hull, %d links apart whose shape is not known:", b.unknown)
		p.line("  # [%s]", list)
	default:
		p.open("  footprint", fmt.Sprintf("the outline; the URDF has %d links whose shape is not known, and none to measure", b.unknown))
	}
}

func (d *drafter) motion(p *page) {
	p.line("\nmotion:")
	for _, k := range [][2]string{
		{"max_speed_mps", "the highest speed over ground, in m/s"},
		{"max_yaw_rate_radps", "the highest turning rate, in rad/s"},
		{"accel_mps2", "the strongest acceleration, in m/s²"},
		{"decel_mps2", "what a controlled stop keeps with full load on the steepest slope, in m/s²"},
		{"angular_decel_radps2", "the same for turning, in rad/s²"},
	} {
		p.open("  "+k[0], k[1])
	}
	p.line("  reaction:")
	p.open("    detection", "the age of a measurement at worst when it is decided on, such as 50ms")
	p.open("    actuation", "from the command to the first braking force, such as 150ms")
	p.open("  creep_mps", "the speed for leaving a zone under supervision, in m/s")
	p.open("  creep_yaw_rate_radps", "the same for turning, in rad/s")
	p.open("  base_command_timeout", "how long the base follows its last command: the last answer left when the guard dies")
	p.line("  standstill:")
	p.open("    speed_mps", "the odometry's speed below which it may be standing, in m/s")
	p.open("    yaw_rate_radps", "the same for turning, in rad/s")
	p.open("    dwell", "how long all measurements must stay below, such as 500ms")
	if d.imu == nil && d.joints != nil {
		p.line("    joints:")
		p.open("      groups", "the joints that carry it, such as [leg]")
		p.open("      velocity", "the joints' speed below which it may be standing, in rad/s")
		return
	}
	if d.imu == nil {
		d.note("odometry alone is not believed when the robot is to stand still, and the bus shows neither an inertial unit nor joints")
	}
	p.line("    imu:")
	p.open("      gyro_radps", "the angular velocity below which it may be standing; look at a robot that stands")
}

// quality writes when a pose can be believed. What is a habit of the field has a value; what is this robot's has none.
func (d *drafter) quality(p *page) {
	p.line("\npose:")
	p.open("  max_age", "three times the interval between poses, such as 300ms")
	p.line("  max_future: 50ms")
	p.open("  min_stddev_m", "the best that the localisation is ever believed to be, in m")
	p.open("  slow_stddev_m", "the deviation beyond which it creeps, in m")
	p.open("  max_stddev_m", "the deviation beyond which the pose is a fault, in m")
	p.with("  sigma_k: 3.0", "99 % in two dimensions")
	p.open("  map_error_m", "the map's own error, in m")
	p.line("  freeze_after: 500ms")
	p.open("  jump_slack_m", "what a pose may move beyond speed times time, in m")
	p.open("  jump_slack_rad", "the same for the heading, in rad")
	p.line("  recover_poses: 10")
	p.line("  recover_dwell: 2s")
	p.open("  release_margin_m", "how far clear of an edge a violation is over, in m")
	p.line("  release_dwell: 2s\n")
}

// groupWords are parts of joints' names that say what a joint belongs to.
var groupWords = []struct {
	group string
	words []string
}{
	{"wheel", []string{"wheel", "caster", "castor"}},
	{"leg", []string{"hip", "knee", "ankle", "leg", "thigh", "calf"}},
	{"hand", []string{"wrist", "finger", "thumb", "gripper", "hand", "index", "middle"}},
	{"arm", []string{"shoulder", "elbow", "arm"}},
	{"head", []string{"head", "neck"}},
	{"waist", []string{"waist", "torso", "spine"}},
	{"lift", []string{"lift", "elevator"}},
}

func groupOf(joint string) string {
	lower := strings.ToLower(joint)
	for _, g := range groupWords {
		if slices.ContainsFunc(g.words, func(w string) bool { return strings.Contains(lower, w) }) {
			return g.group
		}
	}
	return ""
}

// jointList writes the joints of the URDF, if somebody publishes joints.
func (d *drafter) jointList(p *page) {
	if d.joints == nil {
		return
	}
	p.line("joints:")
	p.open("  max_age", "three times the interval between joint states, such as 200ms")
	if d.body == nil || len(d.body.joints) == 0 {
		p.open("  list", "give the robot's URDF, or list the joints as in the example of check")
		p.line("")
		return
	}
	p.line("  # Groups are taken from the names; read them.")
	p.line("  list:")
	left := 0
	for i, j := range d.body.joints {
		if i >= maxJoints || !fits(jointForm, j.Name) {
			left++
			continue
		}
		p.line("    %s", jointLine(&j))
	}
	if left > 0 {
		d.note("%d joints of the URDF are not in the profile: it lists at most %d, with names of letters, digits, _ . and -", left, maxJoints)
	}
	p.line("")
}

// What a profile may say of a joint at most: its stops' distance from 0 in rad or m, its speed in rad/s or m/s, its effort in N·m or N.
const maxPosition, maxVelocity, maxEffort = 100, 200, 10_000

// within is a number, and nothing, which is a TO DO, for one that no profile may have: a wrong unit, most likely.
func within(v, most float64) string {
	if math.Abs(v) > most {
		return ""
	}
	return number(v)
}

func jointLine(j *urdf.Joint) string {
	parts := []string{"name: " + j.Name, "group: " + groupOf(j.Name)}
	if j.Type == urdf.Continuous {
		parts = append(parts, "continuous: true")
	} else {
		parts = append(parts, "min: "+within(j.Lower, maxPosition), "max: "+within(j.Upper, maxPosition))
	}
	velocity := ""
	if j.Velocity > 0 {
		velocity = within(j.Velocity, maxVelocity)
	}
	parts = append(parts, "max_velocity: "+velocity)
	if j.Effort > 0 {
		parts = append(parts, "max_effort: "+within(j.Effort, maxEffort))
	}
	return "- {" + strings.Join(parts, ", ") + "}"
}

// kinematics shows how to bind zones to parts of the body.
func (d *drafter) kinematics(p *page) {
	if d.body == nil || d.urdfFile == "" || !d.body.reaches {
		return
	}
	p.line("# For zones that bind hands or cameras:")
	p.line("# kinematics:")
	p.line("#   urdf: %s", d.urdfFile)
	p.line("#   sha256: %q\n", d.urdfSum)
}

// ladder writes the ways to stop of which the bus shows something.
func (d *drafter) ladder(p *page) {
	p.line("# In the order in which they are tried. Add what works without the bus: a contact, a relay, a watchdog.")
	p.line("stop_ladder:")
	p.line("  - {name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}")
	if d.stop != nil {
		p.with("  - {name: vendor-stop, kind: service, ack_within: , without_ros: false, stop_category: }", "TO DO: "+d.stop.Name)
	}
	if d.lock() != nil {
		p.with("  - {name: lock, kind: lock, without_ros: , stop_category: 2}", "TO DO: true if its reader stops the base when the lock is silent")
	}
	p.line("")
}

func (d *drafter) inputs(p *page) {
	inputs := []string{"pose", "floor", "odometry"}
	for _, s := range []struct {
		name string
		seen *choice
	}{{"joints", d.joints}, {"imu", d.imu}, {"battery", d.battery}} {
		if s.seen != nil || s.name == "imu" && d.joints == nil {
			inputs = append(inputs, s.name)
		}
	}
	p.line("required_inputs: [%s]", strings.Join(append(inputs, "graph"), ", "))
}

// number writes a figure as documents do.
func number(v float64) string {
	if math.Abs(v) < 5e-7 {
		return "0"
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}
