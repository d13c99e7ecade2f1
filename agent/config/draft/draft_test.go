package draft_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/config/draft"
	"github.com/robowarden/robowarden/hal/bus"
)

// robot is what the bus of a mobile robot with arms shows.
func robot() *bus.Inventory {
	v := &bus.Inventory{}
	add := func(name, typ string, publishers, subscribers []string) {
		t := v.Topic(name)
		t.Type = typ
		for _, p := range publishers {
			v.Publisher(t, p)
		}
		for _, s := range subscribers {
			v.Subscriber(t, s)
		}
	}
	add("/amcl_pose", "geometry_msgs/PoseWithCovarianceStamped", []string{"/amcl"}, nil)
	add("/odom", "nav_msgs/Odometry", []string{"/base"}, []string{"/amcl"})
	add("/wheel/odom_raw", "nav_msgs/Odometry", []string{"/base"}, nil)
	add("/joint_states", "sensor_msgs/JointState", []string{"/driver"}, nil)
	add("/imu/data", "sensor_msgs/Imu", []string{"/imu"}, nil)
	add("/battery_state", "sensor_msgs/BatteryState", []string{"/bms"}, nil)
	add("/cmd_vel", "geometry_msgs/Twist", []string{"/move_base", "/teleop"}, []string{"/base"})
	add("/base_lock", "std_msgs/Bool", nil, []string{"/base"})
	add("/turtle/pose", "turtlesim/Pose", []string{"/turtle"}, nil)
	v.Service("/motor_stop", "std_srvs/SetBool")
	v.Service("/return_to_dock", "std_srvs/Trigger")
	v.Service("/amcl/get_loggers", "")
	return v
}

const boxURDF = `<robot name="Box Bot">
  <link name="base_link"><collision><origin xyz="0 0 0.2"/><geometry><box size="0.8 0.5 0.4"/></geometry></collision></link>
  <link name="wheel"><collision><geometry><cylinder radius="0.1" length="0.05"/></geometry></collision></link>
  <joint name="left_wheel_joint" type="continuous"><parent link="base_link"/><child link="wheel"/><origin xyz="0 0.3 0.1" rpy="1.5707963 0 0"/><axis xyz="0 0 1"/><limit velocity="20" effort="3"/></joint>
</robot>`

// load writes the drafts and reads them as check does.
func load(t *testing.T, d *draft.Documents) *config.Problems {
	t.Helper()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "topics.yaml")}
	for i, data := range [][]byte{d.Profile, d.Topics} {
		if err := os.WriteFile(files[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(nil, files...)
	var problems *config.Problems
	if errors.As(err, &problems) {
		return problems
	}
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Problems()
}

// TestEveryOpenKeyIsExplained: a draft is refused for nothing but its open keys, and every one of them is named.
func TestEveryOpenKeyIsExplained(t *testing.T) {
	humanoid, err := os.ReadFile("../../../configs/examples/humanoid/robot.urdf")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]draft.Input{
		"box":      {Bus: config.BusROS1, Inventory: robot(), URDF: []byte(boxURDF), URDFFile: "box.urdf"},
		"humanoid": {Bus: config.BusROS2, Inventory: robot(), URDF: humanoid, URDFFile: "robot.urdf"},
		"no URDF":  {Bus: config.BusROS1, Inventory: robot()},
		"nothing":  {Bus: config.BusROS1, Inventory: &bus.Inventory{}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := draft.Make(in)
			if err != nil {
				t.Fatal(err)
			}
			p := load(t, d)
			empty := 0
			for _, problem := range p.List {
				if problem.Severity != config.SeverityError {
					continue
				}
				if problem.Rule != "empty-value" {
					t.Errorf("%s:%d: %s %s: expected %s, found %s", problem.File, problem.Line, problem.Rule, problem.Path, problem.Expected, problem.Found)
				}
				empty++
			}
			if p.Omitted > 0 || empty < 10 {
				t.Errorf("%d open keys are told, %d are not", empty, p.Omitted)
			}
		})
	}
}

// TestFilledInDraftIsAccepted: with a figure for every open key, nothing else is missing.
func TestFilledInDraftIsAccepted(t *testing.T) {
	d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: robot(), URDF: []byte(boxURDF), URDFFile: "box.urdf"})
	if err != nil {
		t.Fatal(err)
	}
	fill := map[string]string{
		"manufacturer": "Acme", "max_speed_mps": "1.2", "max_yaw_rate_radps": "1", "accel_mps2": "1", "decel_mps2": "0.8", "angular_decel_radps2": "1.5",
		"detection": "50ms", "actuation": "150ms", "creep_mps": "0.1", "creep_yaw_rate_radps": "0.3", "base_command_timeout": "500ms",
		"speed_mps": "0.02", "yaw_rate_radps": "0.03", "dwell": "500ms", "gyro_radps": "0.05", "max_age": "300ms", "min_stddev_m": "0.02",
		"slow_stddev_m": "0.08", "max_stddev_m": "0.15", "map_error_m": "0.05", "jump_slack_m": "0.2", "jump_slack_rad": "0.25", "release_margin_m": "0.15",
		"kind": "park", "balance_elsewhere": "true", "frame": "map", "timeout": "500ms", "fixed": "ground", "without_ros": "true",
		"ack_within": "500ms", "stop_category": "2", "group": "wheel", "max_velocity": "20",
	}
	fillIn := func(doc []byte, role string) []byte {
		text := regexp.MustCompile(`(?m)([a-z_0-9]+):[ ]*([,}]|# TO DO|$)`).ReplaceAllStringFunc(string(doc), func(s string) string {
			m := regexp.MustCompile(`([a-z_0-9]+):([ ]*)(.*)`).FindStringSubmatch(s)
			value, known := fill[m[1]]
			if m[1] == "kind" && role == "topics" {
				value = "autonomy"
			}
			if !known {
				return s
			}
			return m[1] + ": " + value + " " + m[3]
		})
		return []byte(text)
	}
	d.Profile, d.Topics = fillIn(d.Profile, "profile"), fillIn(d.Topics, "topics")
	p := load(t, d)
	for _, problem := range p.List {
		if problem.Severity == config.SeverityError {
			t.Errorf("%s:%d: %s %s: expected %s, found %s", filepath.Base(problem.File), problem.Line, problem.Rule, problem.Path, problem.Expected, problem.Found)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", d.Profile, d.Topics)
	}
}

// TestChoices: what the bus and the URDF show is in the documents.
func TestChoices(t *testing.T) {
	d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: robot(), URDF: []byte(boxURDF), URDFFile: "box.urdf"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"id: box-bot\n", "base_frame: base_link ", "height_m: 0.4 ",
		"{name: left_wheel_joint, group: wheel, continuous: true, max_velocity: 20, max_effort: 3}",
		"footprint: [[-0.4, -0.25], [0.4, -0.25], [0.4, 0.25], [0.1",
	} {
		if !strings.Contains(string(d.Profile), want) {
			t.Errorf("the profile does not have %q:\n%s", want, d.Profile)
		}
	}
	for _, want := range []string{
		"topic: /amcl_pose\n", "type: geometry_msgs/PoseWithCovarianceStamped\n", "consumer: /base\n", "topic: /cmd_vel_raw\n", "topic: /cmd_vel_raw_2\n",
		"channel: move-base\n", "stop: {name: /motor_stop, type: std_srvs/SetBool}", "# also: /wheel/odom_raw",
	} {
		if !strings.Contains(string(d.Topics), want) {
			t.Errorf("the mapping does not have %q:\n%s", want, d.Topics)
		}
	}
	if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, "move /teleop from /cmd_vel to /cmd_vel_raw_2") {
		t.Errorf("notes:\n%s", notes)
	}
}

// TestArmsLeaveTheFootprintOpen: a URDF whose arms can reach beyond the hull, or of which only meshes' names are known,
// gives no outline that would be believed.
func TestArmsLeaveTheFootprintOpen(t *testing.T) {
	arm := strings.Replace(boxURDF, `type="continuous"`, `type="revolute"`, 1)
	arm = strings.Replace(arm, "<limit ", `<limit lower="-1" upper="1" `, 1)
	mesh := strings.Replace(boxURDF, `<box size="0.8 0.5 0.4"/>`, `<mesh filename="package://box/base.stl"/>`, 1)
	for name, text := range map[string]string{
		"arm": arm, "mesh": mesh,
		"a wheel that tumbles": strings.Replace(boxURDF, `<axis xyz="0 0 1"/>`, "", 1),
		"only seen":            strings.Replace(boxURDF, `<link name="wheel"><collision>`, `<link name="wheel"><visual/></link><link name="w"><collision>`, 1),
	} {
		d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: robot(), URDF: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(d.Profile), "  footprint:   ") || !strings.Contains(string(d.Profile), "  height_m:   ") {
			t.Errorf("%s: footprint or height has a value:\n%s", name, d.Profile)
		}
	}
}

// TestHeightIsAboveTheFloor: a profile's height is measured from the ground that the robot stands on, wherever the URDF's root is.
func TestHeightIsAboveTheFloor(t *testing.T) {
	high := strings.Replace(boxURDF, `<origin xyz="0 0 0.2"/>`, `<origin xyz="0 0 -0.6"/>`, 1)
	high = strings.Replace(high, `xyz="0 0.3 0.1"`, `xyz="0 0.3 -0.7"`, 1)
	d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: robot(), URDF: []byte(high)})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(d.Profile), "  height_m: 0.4 ") {
		t.Errorf("the height of a box of 0.4 m:\n%s", d.Profile)
	}
}

// TestGoalsAreNoPoses: what tells a robot where to go, or where it should believe to be, is not where it is.
func TestGoalsAreNoPoses(t *testing.T) {
	v := &bus.Inventory{}
	for name, typ := range map[string]string{"/initialpose": bus.TypePoseWithCovarianceStamped, "/move_base_simple/goal": bus.TypePoseStamped, "/odom": bus.TypeOdometry, "/clock_ok": bus.TypeBool} {
		e := v.Topic(name)
		e.Type = typ
		v.Publisher(e, "/rviz")
		v.Subscriber(e, "/base")
	}
	d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: v})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(d.Topics); strings.Contains(text, "initialpose") || strings.Contains(text, "goal") || strings.Contains(text, "lock:") || !strings.Contains(text, "topic: /odom\n") {
		t.Errorf("the mapping:\n%s", text)
	}
}

// TestHostileNames: what no document may hold is written nowhere, and a name cannot become a line of its own.
func TestHostileNames(t *testing.T) {
	v := robot()
	evil := []string{"/cmd_vel\ngate: []", "/x: {}", "/a #", "/ünïcode", "", "no/slash", "/" + strings.Repeat("a", 100000), "/x\x1b[31m"}
	for _, e := range evil {
		if c := v.Topic(e); c != nil {
			c.Type = bus.TypeTwist
			v.Publisher(c, e)
			v.Subscriber(c, e)
		}
		v.Service(e+"stop", e)
		for i := range v.Topics {
			v.Publisher(&v.Topics[i], e)
			v.Subscriber(&v.Topics[i], e)
		}
	}
	d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: v, URDF: []byte(strings.Replace(boxURDF, "left_wheel_joint", "a}, {name: b", 1))})
	if err != nil {
		t.Fatal(err)
	}
	all := string(d.Profile) + string(d.Topics)
	for _, e := range evil {
		if e != "" && strings.Contains(all, e) {
			t.Errorf("%.40q is in a document", e)
		}
	}
	if strings.Contains(all, "name: b") || strings.ContainsRune(all, 0x1b) || len(all) > 20000 {
		t.Errorf("%d bytes:\n%.3000s", len(all), all)
	}
	for _, p := range load(t, d).List {
		if p.Severity == config.SeverityError && p.Rule != "empty-value" {
			t.Errorf("%s %s: found %s", p.Rule, p.Path, p.Found)
		}
	}
}

func FuzzMake(f *testing.F) {
	f.Add("/cmd_vel", "geometry_msgs/Twist", "/base", []byte(boxURDF))
	f.Add("/odom\n", "nav_msgs/Odometry", "dds:10.0.0.1", []byte("<robot/>"))
	f.Fuzz(func(t *testing.T, topic, typ, node string, urdf []byte) {
		v := robot()
		if e := v.Topic(topic); e != nil {
			e.Type = typ
			v.Publisher(e, node)
			v.Subscriber(e, node)
		}
		v.Service(topic, typ)
		d, err := draft.Make(draft.Input{Bus: config.BusROS1, Inventory: v, URDF: urdf})
		if err != nil {
			return
		}
		for _, p := range load(t, d).List {
			if p.Severity == config.SeverityError && p.Rule != "empty-value" {
				t.Errorf("%s %s %s: expected %s, found %s\n%s%s", p.File, p.Rule, p.Path, p.Expected, p.Found, d.Profile, d.Topics)
			}
		}
	})
}
