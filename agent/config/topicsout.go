package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// CommandIn is one way of commanding the base.
type CommandIn struct {
	// Channel is the policy's name for who commands this way.
	Channel string `cfg:"channel" form:"id" eg:"channel: planner"`
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /cmd_vel_raw"`
	// Kind says on whose behalf this channel commands.
	Kind string `cfg:"kind" enum:"operator|fleet|vendor|autonomy" eg:"kind: autonomy"`
	// Type is the message type.
	Type string `cfg:"type" kin:"msg" form:"rostype" eg:"type: geometry_msgs/Twist"`
	// Publishers are the only nodes that may command this way. Anybody else on the topic is a trigger.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/move_base]"`
	// MaxPublishers is how many of them may publish at once; the default is 1.
	MaxPublishers int `cfg:"max_publishers,optional" range:"[1,16]" default:"1" eg:"max_publishers: 1"`
	// Frame is the frame_id that a stamped type must carry; empty where it does not matter.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: base_link"`
	// Dock marks the channel that is let through while the robot may only go to its dock.
	Dock bool `cfg:"dock,optional" eg:"dock: true"`
	// MaxBytes is the largest message that is read; the default is 4 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,65536]" default:"4096" eg:"max_bytes: 4096"`
	// Deadline is the age beyond which a command is dropped; the default is 500 ms.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,5s]" default:"500ms" eg:"deadline: 500ms"`
}

// Monitored is a topic whose publishers are watched. Its messages are not read.
type Monitored struct {
	// Name is the topic's name in triggers and logs.
	Name string `cfg:"name" form:"id" eg:"name: joint-commands"`
	// Topic is the absolute name, or that of a DDS topic: rt/lowcmd is /lowcmd, and dds:LowCmd is none of ROS.
	Topic string `cfg:"topic" form:"anytopic" eg:"topic: rt/lowcmd"`
	// Publishers are the only ones that may publish there. Anybody else is a trigger.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/walker]"`
	// MaxPublishers is how many of them may publish at once; the default is 1.
	MaxPublishers int `cfg:"max_publishers,optional" range:"[1,16]" default:"1" eg:"max_publishers: 1"`
}

// CommandOut is the topic that the base follows.
type CommandOut struct {
	// Topic is the absolute name.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /cmd_vel"`
	// Type is the message type.
	Type string `cfg:"type" kin:"msg" enum:"geometry_msgs/Twist|geometry_msgs/TwistStamped|ackermann_msgs/AckermannDrive|ackermann_msgs/AckermannDriveStamped" eg:"type: geometry_msgs/Twist"`
	// Frame is the frame_id of what is sent in a stamped type.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: base_link"`
	// WheelbaseM is the distance in metres between the axles of a base that is commanded by Ackermann's types, here or under
	// commands. The rates in these messages do not pass: a base changes speed and angle as fast as it does.
	WheelbaseM float64 `cfg:"wheelbase_m,optional" range:"(0,20]" eg:"wheelbase_m: 0.6"`
	// Consumer is the node that drives the base; it is asked whom it is really connected to.
	Consumer string `cfg:"consumer" form:"publisher" eg:"consumer: /base_driver"`
}

// Lock is a lock topic with timeout, such as twist_mux has.
type Lock struct {
	// Topic is the absolute name; its type is std_msgs/Bool and true means locked.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /robowarden/lock"`
	// Consumer is the node that obeys the lock.
	Consumer string `cfg:"consumer" form:"publisher" eg:"consumer: /twist_mux"`
	// Timeout is the silence after which the consumer locks by itself, as set there. The guard sends four times as often.
	Timeout time.Duration `cfg:"timeout" range:"[40ms,5s]" eg:"timeout: 500ms"`
}

// Period returns how often the lock is sent: a quarter of its timeout, so that three lost messages do not lock.
func (l Lock) Period() time.Duration { return l.Timeout / 4 }

// EStopTopic is a topic by which a vendor's software stops the robot while it says so.
type EStopTopic struct {
	// Topic is the absolute name; its type is std_msgs/Bool and true means stop.
	Topic string `cfg:"topic" form:"topic" eg:"topic: /robot/e_stop"`
	// Consumer is the node that obeys.
	Consumer string `cfg:"consumer" form:"publisher" eg:"consumer: /base_driver"`
	// Period is how often the guard repeats what it says.
	Period time.Duration `cfg:"period" range:"[20ms,500ms]" eg:"period: 100ms"`
}

// Services are the vendor's services that the guard calls.
type Services struct {
	// Stop brings the robot to rest.
	Stop *Service `cfg:"stop,optional" eg:"stop: {name: /robot/stop, type: std_srvs/Trigger}"`
	// Dock sends the robot to its dock.
	Dock *Service `cfg:"dock,optional" eg:"dock: {name: /robot/dock, type: std_srvs/Trigger}"`
	// Private closes cameras and microphones. A std_srvs/SetBool is told when the robot need not be private any more; others are
	// not.
	Private *Service `cfg:"private,optional" eg:"private: {name: /sensors/private, type: std_srvs/SetBool}"`
	// Kneel makes the standing robot kneel and stay so; for a step of the profile's posture, as the next two.
	Kneel *Service `cfg:"kneel,optional" eg:"kneel: {name: /robot/kneel, type: std_srvs/Trigger}"`
	// Sit makes it sit down.
	Sit *Service `cfg:"sit,optional" eg:"sit: {name: /robot/sit, type: std_srvs/Trigger}"`
	// Off takes the power from its drives.
	Off *Service `cfg:"off,optional" eg:"off: {name: /robot/motors_off, type: std_srvs/Trigger}"`
}

// Posture returns the service that takes the robot into a posture, nil for none.
func (s *Services) Posture(name string) *Service {
	switch name {
	case interlock.PostureKneel.String():
		return s.Kneel
	case interlock.PostureSit.String():
		return s.Sit
	case interlock.PostureOff.String():
		return s.Off
	}
	return nil
}

// Mapped are the services that the mapping has.
func (s *Services) Mapped() []*Service {
	return slices.DeleteFunc([]*Service{s.Stop, s.Dock, s.Private, s.Kneel, s.Sit, s.Off}, func(s *Service) bool { return s == nil })
}

// Service is one service.
type Service struct {
	// Name is the absolute name.
	Name string `cfg:"name" form:"topic" eg:"name: /robot/stop"`
	// Type is the service's type.
	Type string `cfg:"type" kin:"srv" enum:"std_srvs/Trigger|std_srvs/SetBool|std_srvs/Empty" eg:"type: std_srvs/Trigger"`
}

// Heartbeat is one endpoint's challenge and response over the bus.
type Heartbeat struct {
	// Endpoint is the policy's channel that lives by this heartbeat.
	Endpoint string `cfg:"endpoint" form:"id" eg:"endpoint: operator"`
	// ChallengeTopic is where the guard sends its challenges.
	ChallengeTopic string `cfg:"challenge_topic" form:"topic" eg:"challenge_topic: /robowarden/challenge"`
	// ResponseTopic is where the endpoint answers.
	ResponseTopic string `cfg:"response_topic" form:"topic" eg:"response_topic: /robowarden/response"`
	// Publishers are the only nodes whose answers are read.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/operator_console]"`
}
