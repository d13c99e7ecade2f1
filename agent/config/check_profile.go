package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rules that several documents share.
const (
	ruleDuplicate    = "duplicate-name"
	ruleUnknownName  = "unknown-name"
	ruleOrder        = "wrong-order"
	ruleExclusive    = "one-of"
	ruleMissing      = "missing-key"
	ruleSecondSource = "second-measurement"
)

// unique reports names that come twice in a list; key names the entry's field, "" for the entry itself.
func (d *document) unique(list, key string, names []string) {
	first := map[string]int{}
	for i, name := range names {
		if name == "" {
			continue
		}
		where := at(list, i)
		if key != "" {
			where = where.child(key)
		}
		if j, twice := first[name]; twice {
			line, _ := d.lines.Position(int(at(list, j).find(d.root).Off))
			d.wrong(where, ruleDuplicate, "each name once", name+" again", fmt.Sprintf("it is already used on line %d", line))
			continue
		}
		first[name] = i
	}
}

// checkProfile checks what the types cannot say about a robot profile.
func (d *document) checkProfile(p *Profile) {
	m, q := &p.Motion, &p.Pose
	d.atMost(at("motion", "creep_mps"), m.CreepMPS, "max_speed_mps", m.MaxSpeedMPS)
	d.atMost(at("motion", "creep_yaw_rate_radps"), m.CreepYawRateRadPS, "max_yaw_rate_radps", m.MaxYawRateRadPS)
	d.atMost(at("pose", "min_stddev_m"), q.MinStddevM, "slow_stddev_m", q.SlowStddevM)
	d.atMost(at("pose", "slow_stddev_m"), q.SlowStddevM, "max_stddev_m", q.MaxStddevM)
	if r := &m.Reaction; r.CommandPeriod >= r.Total() && r.Detection > 0 && r.Actuation > 0 {
		d.wrong(at("motion", "reaction", "command_period"), ruleOrder, "less than detection and actuation together ("+shortDuration(r.Total())+")",
			shortDuration(r.CommandPeriod), "it is a part of the whole; the default is 50ms")
	}
	d.checkLoads(p)
	d.checkJoints(p)
	d.checkStandstill(p)
	d.checkLadder(p)
	d.checkActuators(p)
	d.checkCommissioning(p)
	d.checkFall(p)
	d.checkPosture(p)
	d.checkRequired(p)
}

// atMost reports a value that must not exceed another; values of 0 have been reported already.
func (d *document) atMost(where *path, v float64, other string, limit float64) {
	if v > limit && limit > 0 {
		d.wrong(where, ruleOrder, fmt.Sprintf("at most %s (%s)", other, trimFloat(limit)), trimFloat(v), "")
	}
}

func (d *document) checkJoints(p *Profile) {
	if p.Joints == nil {
		return
	}
	first := map[string]int{}
	for i, j := range p.Joints.List {
		where := at("joints", "list", i)
		if k, twice := first[j.Name]; twice && j.Name != "" {
			d.wrong(where.child("name"), ruleDuplicate,
				"each joint once", j.Name+" again", fmt.Sprintf("it is already joint %d of the list", k))
		}
		first[j.Name] = i
		switch {
		case j.Continuous && (j.Min != nil || j.Max != nil):
			d.wrong(where.child("continuous"), ruleExclusive, "no min and max for a continuous joint", "both",
				"delete min and max, or continuous")
		case !j.Continuous && !d.has("joints", "list", i, "min"):
			d.about(where.find(d.root), where.child("min"), Problem{
				Rule: ruleMissing, Expected: "min: the lower end stop in rad or m", Found: "nothing",
				Hint: "a joint without end stops says continuous: true",
			})
		case !j.Continuous && !d.has("joints", "list", i, "max"):
			d.about(where.find(d.root), where.child("max"), Problem{
				Rule: ruleMissing, Expected: "max: the upper end stop in rad or m", Found: "nothing",
				Hint: "a joint without end stops says continuous: true",
			})
		case j.Min != nil && j.Max != nil && *j.Min >= *j.Max && d.text("joints", "list", i, "min") != "":
			d.wrong(where.child("max"), ruleOrder, "more than min ("+trimFloat(*j.Min)+")", trimFloat(*j.Max), "")
		}
	}
}

func (d *document) checkStandstill(p *Profile) {
	s := &p.Motion.Standstill
	if !d.has("motion", "standstill") {
		return
	}
	if s.IMU == nil && s.Joints == nil {
		d.wrong(at("motion", "standstill"), ruleSecondSource, "imu or joints beside odometry", "odometry alone",
			"wheels that slip and odometry that lies both say that the robot stands; give a second measurement, such as imu: {gyro_radps: 0.05}")
	}
	if s.Joints == nil {
		return
	}
	for i, g := range s.Joints.Groups {
		if p.Joints == nil || !slices.ContainsFunc(p.Joints.List, func(j Joint) bool { return j.Group == g }) && g != "" {
			d.wrong(at("motion", "standstill", "joints", "groups", i), ruleUnknownName, "a group that joints of this profile belong to", g,
				"")
		}
	}
}

func (d *document) checkLadder(p *Profile) {
	var names []string
	stops := false
	for i, r := range p.Ladder {
		names = append(names, r.Name)
		stops = stops || r.Kind != RungDockService
		answers := r.Kind == RungService || r.Kind == RungDockService || r.Kind == RungTopic || slices.Contains(deviceRungs, r.Kind)
		if answers && !d.has("stop_ladder", i, "ack_within") {
			d.about(at("stop_ladder", i).find(d.root), at("stop_ladder", i, "ack_within"), Problem{
				Rule: ruleMissing, Expected: "ack_within: the time for the service or device to answer", Found: "nothing",
				Example: "ack_within: 200ms",
			})
		} else if r.AckWithin > 0 && !answers && r.Kind != "" {
			d.wrong(at("stop_ladder", i, "ack_within"), ruleExclusive, "ack_within for services and devices only", "a "+r.Kind+" rung",
				"it cannot answer; whether the robot stands is measured")
		}
		if r.WithoutROS && r.Kind != RungLock && !slices.Contains(deviceRungs, r.Kind) && r.Kind != "" {
			d.wrong(at("stop_ladder", i, "without_ros"), "needs-ros", "false for a "+r.Kind+" rung", "true",
				"it reaches the robot over ROS, so it works only while ROS is willing; a lock with timeout or a device of actuators works without")
		}
		if r.StopCategory == 1 && !p.Rest.BalanceElsewhere && r.SettleFor == 0 && d.has("rest", "balance_elsewhere") {
			d.wrong(at("stop_ladder", i, "stop_category"), "power-cut", "2 while rest.balance_elsewhere is false", "1",
				"without power this robot cannot keep its balance; settle first (settle_for) and keep power")
		}
	}
	d.unique("stop_ladder", "name", names)
	if len(p.Ladder) > 0 && !stops {
		d.wrong(at("stop_ladder"), "no-stop", "a rung that stops the robot", "docking alone",
			"add a rung of kind zero-velocity, lock or service")
	}
}

func (d *document) checkRequired(p *Profile) {
	if !d.has("required_inputs") {
		return
	}
	d.unique("required_inputs", "", p.RequiredInputs)
	need := map[string]string{
		"pose": "the geofence", "floor": "the geofence", "odometry": "the stopping distance", "graph": "the watch over publishers",
	}
	if p.Motion.Standstill.IMU != nil {
		need["imu"] = "motion.standstill.imu"
	}
	if p.Fall != nil {
		need["imu"] = "fall"
	}
	if p.Motion.Standstill.Joints != nil {
		need["joints"] = "motion.standstill.joints"
	}
	var missing []string
	for input := range need {
		if !slices.Contains(p.RequiredInputs, input) {
			missing = append(missing, input)
		}
	}
	slices.Sort(missing)
	for _, input := range missing {
		d.wrong(at("required_inputs"), "required-input", input+" among the required inputs",
			"a list without it", need[input]+" cannot work without it")
	}
	if p.Joints == nil {
		if i := slices.Index(p.RequiredInputs, "joints"); i >= 0 {
			d.wrong(at("required_inputs", i), "required-input", "inputs that this robot has", "joints",
				"describe the joints under joints")
		}
	}
}

// lowLevel recognises names and types by which robots take commands for single joints.
var lowLevel = regexp.MustCompile(`(?i)low_?(level_?)?(cmd|command|control)|joint.*(cmd|command|target|trajectory|setpoint)|(cmd|command).*joint|motor_?(cmd|command)|servo|` +
	`(position|velocity|effort|trajectory)_controllers?/|^sensor_msgs/JointState$|^trajectory_msgs/|^control_msgs/|LowCmd|MotorCmd|^std_msgs/Float`)

// isLowLevel says whether a topic or type is for joint commands.
func isLowLevel(s string) bool { return s != "" && lowLevel.MatchString(strings.TrimSpace(s)) }
