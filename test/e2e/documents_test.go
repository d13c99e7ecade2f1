package e2e

import (
	"fmt"
	"strings"
	"testing"
)

func profileYAML(c siteConfig, bus string) string {
	ladder := "  - {name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}\n"
	if c.lock {
		ladder += "  - {name: lock, kind: lock, without_ros: true, stop_category: 2}\n"
	}
	if c.services {
		ladder += "  - {name: motors, kind: service, ack_within: 500ms, without_ros: false, stop_category: 2}\n"
	}
	return fmt.Sprintf(`kind: robot-profile
version: 1
id: runner-test
manufacturer: acme
bus: %s
gate: [velocity]
body:
  base_frame: base_link
  height_m: 1.0
  footprint: [[0.30, 0.20], [-0.30, 0.20], [-0.30, -0.20], [0.30, -0.20]]
motion:
  max_speed_mps: %g
  max_yaw_rate_radps: 1.5
  accel_mps2: 1.2
  decel_mps2: %g
  angular_decel_radps2: 2.0
  reaction: {detection: %v, actuation: %v}
  creep_mps: 0.1
  creep_yaw_rate_radps: 0.2
  base_command_timeout: 500ms
  standstill:
    speed_mps: 0.03
    yaw_rate_radps: 0.05
    dwell: 300ms
    imu: {gyro_radps: 0.12}
    joints: {groups: [leg], velocity: 0.15}
pose:
  max_age: 300ms
  max_future: 50ms
  slow_stddev_m: 0.10
  min_stddev_m: 0.005
  max_stddev_m: 0.20
  sigma_k: %g
  map_error_m: %g
  freeze_after: 500ms
  jump_slack_m: 0.20
  jump_slack_rad: 0.30
  recover_poses: 10
  recover_dwell: 1s
  release_margin_m: 0.05
  release_dwell: 1s
joints:
  max_age: 300ms
  list:
%srest: {kind: park, balance_elsewhere: true}
stop_ladder:
%srequired_inputs: [pose, floor, odometry, joints, imu, graph]
`, bus, maxSpeedMPS, decelMPS2, detection, actuation, sigmaK, mapErrorM, jointsYAML(29, c.gates != ""), ladder) + recordersYAML(c)
}

func recordersYAML(c siteConfig) string {
	if c.recorder == "" {
		return ""
	}
	return fmt.Sprintf("recorders: [%q]\n", c.recorder)
}

func stewardYAML(c siteConfig) string {
	if !c.steward {
		return ""
	}
	return "steward: {period: 200ms, state_dir: steward}\n"
}

func jointsYAML(n int, arm bool) string {
	var out strings.Builder
	for i := range n {
		group := "leg"
		switch {
		case arm && i == n-1:
			group = "arm"
		case arm && i == n-2:
			group = "hand"
		}
		fmt.Fprintf(&out, "    - {name: joint_%02d, group: %s, min: -3.2, max: 3.2, max_velocity: 30}\n", i, group)
	}
	return out.String()
}

func topicsYAML(c siteConfig) string {
	in, out, publisher := "/cmd_vel_raw", "/cmd_vel", "/planner"
	if c.commandIn != "" {
		in, out, publisher = c.commandIn, c.commandOut, c.commandPublisher
	}
	kind := c.commandKind
	if kind == "" {
		kind = "autonomy"
	}
	text := fmt.Sprintf(`kind: topic-mapping
version: 1
id: runner-test-topics
pose: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/plant]}
floor: {fixed: ground}
odometry: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/plant]}
joints: {topic: /joint_states, publishers: [/plant]}
imu: {topic: /imu/data, frame: base_link, publishers: [/plant]}
commands:
  - {channel: autonomy, kind: %s, topic: %s, type: geometry_msgs/Twist, publishers: [%s], deadline: 300ms}
  - {channel: docking, kind: autonomy, topic: /cmd_vel_dock, type: geometry_msgs/Twist, publishers: [/docking], deadline: 300ms, dock: true}
command_out: {topic: %s, type: geometry_msgs/Twist, consumer: /plant}
orders: {topic: /robowarden/orders}
diagnostics: /diagnostics
`, kind, in, publisher, out)
	if c.gates != "" {
		text += "gates:\n" + c.gates
	}
	if c.lock {
		text += "lock: {topic: /robowarden/lock, consumer: /plant, timeout: 500ms}\n"
	}
	var services []string
	if c.services {
		services = append(services, "stop: {name: /motor_stop, type: std_srvs/SetBool}")
	}
	if c.camera {
		text += "cameras: [{name: head, topic: /camera/camera_info, type: sensor_msgs/CameraInfo, publishers: [/camera]}]\n"
		services = append(services, "private: {name: /camera/private, type: std_srvs/SetBool}")
	}
	if len(services) > 0 {
		text += "services: {" + strings.Join(services, ", ") + "}\n"
	}
	if c.operatorLink {
		text += `heartbeats:
  - {endpoint: operator, challenge_topic: /robowarden/challenge, response_topic: /robowarden/answer, publishers: [/operator]}
`
	}
	return text
}

func (s *site) policyYAML(t testing.TB, c siteConfig) string {
	t.Helper()
	channels := c.channels
	if channels == "" && c.operatorLink {
		channels = "channels:\n  - {endpoint: operator, period: 100ms, hold_after: 500ms, stop_after: 1500ms}\n"
	}
	zones := c.zones
	if zones == "" {
		zones = yard()
	}
	limits := c.commandLimits
	if limits == "" {
		// Benches send far more often than a planner does, and a busy computer may read only the newest of them.
		limits = "max_hz: 20000, max_loss_ratio: 1"
	}
	return fmt.Sprintf(`kind: policy
version: 1
id: test-site
revision: %d
pins: {profile: "sha256:%s", topics: "sha256:%s"}
site: a test
timezone: Europe/Berlin
floors:
  - {id: ground, name: Ground floor, unbounded: a test floor without walls}
zones:
%srobots:
  - {serial: %s, roles: []}
%sstop_category: 2
command_channels: [{channel: autonomy, %s}]
%sstartup: {release: inputs, input_timeout: 30s}
`, s.revision, s.digest(t, "profile.yaml"), s.digest(t, "topics.yaml"), zones, s.serial(), channels, limits, c.more)
}
