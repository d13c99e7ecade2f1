// Package policytest runs a policy's test cases: inputs over time, and what has to be decided, as promtool tests alerting
// rules. The cases go through the guard's own cores in virtual time. It says which zones, shifts, triggers and channels no
// case has exercised, and puts nothing into force.
package policytest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// maxFile bounds a file of test cases.
const maxFile = 4 << 20

// File is a file of test cases.
type File struct {
	// Robot is the serial number whose roles count where a case names none; empty takes the policy's only robot.
	Robot string `yaml:"robot"`
	// Tests are the cases.
	Tests []Case `yaml:"tests"`
}

// Case is one test.
type Case struct {
	Name string `yaml:"name"`
	// Robot is the serial number whose roles count.
	Robot string `yaml:"robot"`
	// Time is when the case begins, by the policy's clock (2026-11-02T21:55) or RFC 3339.
	Time string `yaml:"time"`
	// Floor is where it begins; empty takes the policy's first.
	Floor string `yaml:"floor"`
	// Start is the pose at the beginning: x, y in metres, yaw in radians. The robot has then stood there for a while.
	Start []float64 `yaml:"start"`
	// Inputs happen in their order.
	Inputs []Input `yaml:"inputs"`
	// Expect is what has to be decided.
	Expect []Expect `yaml:"expect"`
}

// Input is what happens at a moment; what is left out stays as it is.
type Input struct {
	At Seconds `yaml:"at"`
	// Command is what the planner asks for from now on: forward and sideways in m/s, turning in rad/s. The robot does what
	// the gate lets through.
	Command []float64 `yaml:"command"`
	// Channel is who commands; empty is the mapping's first channel.
	Channel string `yaml:"channel"`
	// Drive is how the robot moves from now on, whatever the gate says.
	Drive []float64 `yaml:"drive"`
	// Pose moves the robot there at once.
	Pose []float64 `yaml:"pose"`
	// Floor is the floor from now on.
	Floor string `yaml:"floor"`
	// StddevM is the pose's standard deviation in metres from now on.
	StddevM float64 `yaml:"stddev_m"`
	// Silence ends inputs, Resume lets them go on: pose, odometry, joints, imu, battery, cameras, microphones, bus, journal,
	// a channel's heartbeat by the name of its endpoint, or a source of facts by its id, until it says something again. A name
	// that two of them have is refused.
	Silence []string `yaml:"silence"`
	Resume  []string `yaml:"resume"`
	// Battery is the charge in [0, 1], Recording whether cameras and microphones are active.
	Battery   *float64 `yaml:"battery"`
	Recording *bool    `yaml:"recording"`
	// Facts is what the mapping's sources of facts say from now on, by their ids, as on the bus: a text, or true and false.
	Facts map[string]string `yaml:"facts"`
	// Joints sets positions by the profile's names, in rad or m.
	Joints map[string]float64 `yaml:"joints"`
	// Stop is a signed stop order, Reset one that resets what is latched, by persons in these roles.
	Stop  bool     `yaml:"stop"`
	Reset []string `yaml:"reset"`
	// StopBy is an endpoint that answers with a stop from now on, RunBy one that no longer does.
	StopBy string `yaml:"stop_by"`
	RunBy  string `yaml:"run_by"`
	// Stranger is a publisher that nobody lists, on a topic, from now on.
	Stranger *Stranger `yaml:"stranger"`
	// Clock is how far civil time is believed: trusted, holdover or untrusted.
	Clock string `yaml:"clock"`
	// Lease answers a request for a RELEASE or DOOR zone, Grant lets the robot creep out of a zone.
	Lease *Lease `yaml:"lease"`
	Grant *Lease `yaml:"grant"`
	// Attested says whether a verifier vouches for the robot's software.
	Attested *bool `yaml:"attested"`
}

// Stranger is a publisher that nobody lists.
type Stranger struct {
	Topic string `yaml:"topic"`
	Name  string `yaml:"name"`
}

// Lease is an answer about a zone.
type Lease struct {
	Zone string `yaml:"zone"`
	// For is how long it counts; State is granted (the default) or revoked.
	For   Seconds `yaml:"for"`
	State string  `yaml:"state"`
	// Facts are what it vouches for.
	Facts []string `yaml:"facts"`
}

// Expect is what has to be decided at a moment, or during a time. What is left out does not matter.
type Expect struct {
	At   *Seconds `yaml:"at"`
	From *Seconds `yaml:"from"`
	To   *Seconds `yaml:"to"`
	// Mode, Motion, Manipulators, Perception and Remote are in the words of policies.
	Mode         string `yaml:"mode"`
	Motion       string `yaml:"motion"`
	Manipulators string `yaml:"manipulators"`
	Perception   string `yaml:"perception"`
	Remote       string `yaml:"remote"`
	// MaxSpeedMPS is the speed to which motion is limited.
	MaxSpeedMPS *float64 `yaml:"max_speed_mps"`
	// Triggers have to be active, NotTriggers must not be.
	Triggers    []string `yaml:"triggers"`
	NotTriggers []string `yaml:"not_triggers"`
	// Zone has to be at Place: inside, margin or outside.
	Zone  string `yaml:"zone"`
	Place string `yaml:"place"`
	// Command is what becomes of the last command: passed, cut or dropped.
	Command string `yaml:"command"`
	// SentAtMostMPS bounds the speed of what the gate sends.
	SentAtMostMPS *float64 `yaml:"sent_at_most_mps"`
}

// Seconds is a time from the beginning of a case, written as 1.5s or 2m.
type Seconds time.Duration

// UnmarshalYAML reads a duration.
func (s *Seconds) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > 24*time.Hour {
		return fmt.Errorf("expected a time such as 1.5s or 2m, at most 24h, found %q", text)
	}
	*s = Seconds(d)
	return nil
}

// Load reads a file of test cases. A key that is not known is refused: a misspelt expectation expects nothing.
func Load(name string) (*File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %d bytes; expected at most %d", name, info.Size(), maxFile)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parse(name, raw)
}

func parse(name string, raw []byte) (*File, error) {
	var f File
	if err := yaml.UnmarshalWithOptions(raw, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(f.Tests) == 0 {
		return nil, fmt.Errorf("%s: expected tests: with one case or more, found none", name)
	}
	var errs []error
	for i := range f.Tests {
		if err := f.Tests[i].check(); err != nil {
			errs = append(errs, fmt.Errorf("%s: test %d, %q: %w", name, i+1, f.Tests[i].Name, err))
		}
	}
	return &f, errors.Join(errs...)
}

// maxLength bounds how long a case may be.
const maxLength = 24 * time.Hour

// check looks at what needs no policy.
func (c *Case) check() error {
	three := func(what string, v []float64) error {
		if v != nil && len(v) != 3 {
			return fmt.Errorf("%s: expected three numbers, found %d", what, len(v))
		}
		return nil
	}
	if c.Name == "" || len(c.Expect) == 0 || len(c.Start) != 3 {
		return errors.New("expected a name, start: [x, y, yaw] and one expectation or more")
	}
	last := Seconds(0)
	for i := range c.Inputs {
		in := &c.Inputs[i]
		if in.At < last {
			return fmt.Errorf("input %d: expected a time not before the one before, found %v", i+1, time.Duration(in.At))
		}
		last = in.At
		if err := errors.Join(three("command", in.Command), three("drive", in.Drive), three("pose", in.Pose)); err != nil {
			return fmt.Errorf("input %d: %w", i+1, err)
		}
	}
	for i := range c.Expect {
		x := &c.Expect[i]
		if (x.At == nil) == (x.From == nil) || (x.From == nil) != (x.To == nil) || x.From != nil && *x.To < *x.From {
			return fmt.Errorf("expectation %d: expected at, or from and to", i+1)
		}
		if (x.Zone == "") != (x.Place == "") {
			return fmt.Errorf("expectation %d: expected zone and place together", i+1)
		}
	}
	return nil
}

// end is when the last thing happens.
func (c *Case) end() time.Duration {
	var out Seconds
	for i := range c.Inputs {
		out = max(out, c.Inputs[i].At)
	}
	for i := range c.Expect {
		for _, s := range []*Seconds{c.Expect[i].At, c.Expect[i].To} {
			if s != nil {
				out = max(out, *s)
			}
		}
	}
	return min(time.Duration(out), maxLength)
}
