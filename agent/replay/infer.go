package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/recording"
)

// infer makes a topic mapping of what a recording holds, for a first look before anybody has written one. It takes the
// topic with the most messages of each type.
func infer(cfg *config.Config, scans []recording.Summary) (*config.Topics, error) {
	count := map[[2]string]uint64{}
	for i := range scans {
		for _, c := range scans[i].Channels {
			count[[2]string{c.Type, c.Topic}] += c.Messages
		}
	}
	most := func(types ...string) (typ, topic string) {
		for _, t := range types {
			var n uint64
			for k, v := range count {
				if k[0] == t && (v > n || v == n && k[1] < topic) {
					typ, topic, n = t, k[1], v
				}
			}
			if topic != "" {
				return typ, topic
			}
		}
		return "", ""
	}
	t := &config.Topics{ID: "inferred"}
	t.Pose.Type, t.Pose.Topic = most(config.TypePoseCov, config.TypePose, config.TypeOdometry)
	if t.Pose.Topic == "" {
		return nil, fmt.Errorf("%w: no topic carries a pose (%s, %s or %s); for a pose from tf give the mapping with --topics",
			ErrNothing, config.TypePoseCov, config.TypePose, config.TypeOdometry)
	}
	t.Pose.Frame, t.Pose.AssumedStddevM, t.Pose.AssumedYawStddevRad = "map", 0.05, 0.03
	_, t.Odometry.Topic = most(config.TypeOdometry)
	t.Odometry.Type = config.TypeOdometry
	if t.Pose.Type == config.TypeOdometry {
		t.Pose.Frame = "odom"
	}
	sensor := func(typ string) (string, bool) {
		_, topic := most(typ)
		return topic, topic != ""
	}
	if topic, ok := sensor(config.TypeJointState); ok && cfg.Profile.Joints != nil {
		t.Joints = &config.Sensor[config.JointFields]{Topic: topic}
	}
	if topic, ok := sensor(config.TypeIMU); ok {
		t.IMU = &config.Sensor[config.IMUFields]{Topic: topic}
	}
	if topic, ok := sensor(config.TypeBattery); ok {
		t.Battery = &config.Sensor[config.BatteryFields]{Topic: topic}
	}
	_, command := most(config.TypeTwist)
	t.Commands = []config.CommandIn{{
		Channel: "commands", Kind: "autonomy", Topic: cmp.Or(command, "/cmd_vel"), Type: config.TypeTwist,
		Publishers: publishers(scans, command), MaxPublishers: 1, Deadline: 500 * time.Millisecond,
	}}
	t.CommandOut = config.CommandOut{Topic: "/robowarden/cmd_vel", Type: config.TypeTwist, Consumer: "/base"}
	t.Floor.Fixed = cfg.Policy.Floors[0].ID
	return t, nil
}

// publishers are the nodes that published on a topic, a made-up one if the recording names none.
func publishers(scans []recording.Summary, topic string) []string {
	var out []string
	for i := range scans {
		for _, c := range scans[i].Channels {
			if c.Topic == topic && c.Publisher != "" && !slices.Contains(out, c.Publisher) {
				out = append(out, c.Publisher)
			}
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return []string{"/planner"}
	}
	return out[:min(len(out), 16)]
}

func describeTopics(t *config.Topics) string {
	parts := []string{"pose " + t.Pose.Topic + " in frame " + t.Pose.Frame}
	add := func(name, topic string) {
		if topic != "" {
			parts = append(parts, name+" "+topic)
		}
	}
	add("odometry", t.Odometry.Topic)
	if t.Joints != nil {
		add("joints", t.Joints.Topic)
	}
	if t.IMU != nil {
		add("imu", t.IMU.Topic)
	}
	if t.Battery != nil {
		add("battery", t.Battery.Topic)
	}
	add("commands", t.Commands[0].Topic)
	return strings.Join(parts, ", ") + ", floor " + t.Floor.Fixed
}
