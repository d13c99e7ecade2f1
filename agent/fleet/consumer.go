package fleet

import (
	"bytes"
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

const guardLog = "guard"

// Options is what a consumer works with. All fields but OnRecord, OnAlarm and OnConnection are required.
type Options struct {
	// Prefix is the first level or levels of every topic.
	Prefix string
	// Devices are the device keys of the enrolled robots, by robot id. Nobody else is listened to.
	Devices map[string]crypto.PublicKey
	// Dir holds one file for each robot.
	Dir string
	// MaxBytes bounds the file of each robot. When it is reached, nothing more is acknowledged.
	MaxBytes int64
	// Patience is how long a missing record may take before it is told, longer than a robot needs to send again.
	Patience time.Duration
	// CheckpointWithin is how long a guard's records may go without a checkpoint that proves them.
	CheckpointWithin time.Duration
	// Key signs the acknowledgements; the robots' key lists give it the role consumer.
	Key crypto.Signer
	// OnRecord is handed each record once, after it is on the disk, in the order of its log. It may keep it.
	OnRecord func(robot string, r *Record)
	// OnAlarm is told what cannot be right.
	OnAlarm func(Alarm)
	// OnConnection is told when a robot's connection changes: ONLINE, OFFLINE or CONNECTIONBROKEN.
	OnConnection func(robot, state string)
}

// DefaultOptions returns options for robots that report over a good network: 1 GiB each, two minutes of patience, in which
// a courier sends again twice, and a checkpoint every two minutes.
func DefaultOptions() Options {
	return Options{MaxBytes: 1 << 30, Patience: 2 * time.Minute, CheckpointWithin: 2 * time.Minute}
}

// minBytes is the least room that a robot may have.
const minBytes = 64 << 10

func (o *Options) check() error {
	switch {
	case o.Prefix == "":
		return errors.New("option Prefix: expected the first level of the topics, found nothing")
	case len(o.Devices) == 0:
		return errors.New("option Devices: expected at least one enrolled robot, found none")
	case o.MaxBytes < minBytes:
		return fmt.Errorf("option MaxBytes: expected at least %d, found %d", minBytes, o.MaxBytes)
	case o.Patience <= 0:
		return fmt.Errorf("option Patience: expected a positive duration, found %v", o.Patience)
	case o.CheckpointWithin <= 0:
		return fmt.Errorf("option CheckpointWithin: expected a positive duration, found %v", o.CheckpointWithin)
	case o.Key == nil:
		return errors.New("option Key: expected the consumer's key, found none")
	}
	if _, err := order.AlgorithmOf(o.Key.Public()); err != nil {
		return fmt.Errorf("option Key: %w", err)
	}
	for id, key := range o.Devices {
		if !order.IsRobotID(id) {
			return fmt.Errorf("option Devices: found %q: expected \"manufacturer/serial\"", id)
		}
		if _, err := order.AlgorithmOf(key); err != nil {
			return fmt.Errorf("option Devices: %s: %w", id, err)
		}
	}
	return nil
}

// Consumer takes robots' evidence. Its methods are for one goroutine.
type Consumer struct {
	o      Options
	robots map[string]*robot
	bell   bell
}

// Message is something to publish.
type Message struct {
	// Topic is where it goes.
	Topic string
	// Payload is a DSSE envelope.
	Payload []byte
}

// Open reads the files of the enrolled robots, which makes it know where each log ended.
func Open(now time.Time, o Options) (*Consumer, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	if o.OnRecord == nil {
		o.OnRecord = func(string, *Record) {}
	}
	if o.OnConnection == nil {
		o.OnConnection = func(string, string) {}
	}
	if o.OnAlarm == nil {
		o.OnAlarm = func(Alarm) {}
	}
	c := &Consumer{o: o, robots: map[string]*robot{}, bell: bell{map[toldKey]toldState{}, o.OnAlarm}}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	for id, key := range o.Devices {
		r, err := c.open(now, id, key)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.robots[id] = r
	}
	return c, nil
}

// Close writes what was taken and lets go of the files.
func (c *Consumer) Close() error {
	var failed error
	for _, r := range c.robots {
		if r.failed.IsZero() {
			failed = errors.Join(failed, r.store.close())
		}
	}
	c.robots = nil
	return failed
}

// Take is handed every message of the robots' event and connection topics. Whatever the message, it changes nothing
// but what the message proves.
func (c *Consumer) Take(now time.Time, topic string, payload []byte) {
	id, name, ok := readTopic(c.o.Prefix, topic)
	if !ok {
		c.bell.ring(now, Alarm{Code: Malformed, Text: fmt.Sprintf("topic %q", clip(topic))})
		return
	}
	r := c.robots[id]
	if r == nil {
		c.bell.ring(now, Alarm{Code: UnknownRobot, Robot: id, Text: "a message of a robot that is not enrolled here"})
		return
	}
	var alarm *Alarm
	switch name {
	case "event":
		var list []Record
		list, alarm = readEvent(id, payload)
		if !r.failed.IsZero() {
			return // the robot will send it again
		}
		for i := range list {
			c.take(now, r, &list[i])
		}
	case "connection":
		var state string
		if state, alarm = readConnection(id, payload); alarm == nil && state != r.state {
			r.state = state
			c.o.OnConnection(id, state)
		}
	}
	if alarm != nil {
		c.bell.ring(now, *alarm)
	}
}

// retry is how often a failing disk is tried again, resend how often a robot that sends again is answered again.
const (
	retry  = 5 * time.Second
	resend = time.Second
)

// Commit makes durable what was taken, hands it on, and returns the acknowledgements that are due, at least once a
// second for a robot that sends again what it was acknowledged already.
func (c *Consumer) Commit(now time.Time) ([]Message, error) {
	var out []Message
	var failed error
	for _, r := range c.robots {
		if !c.persist(now, r) {
			continue
		}
		for s := range r.touched {
			if !s.grew && s.resent && now.Sub(s.acked) < resend {
				continue
			}
			delete(r.touched, s)
			if !s.grew && !s.resent {
				continue
			}
			s.grew, s.resent, s.acked = false, false, now
			m, err := c.acknowledge(r, s)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			if m.Payload != nil {
				out = append(out, m)
			}
		}
	}
	return out, failed
}

// persist syncs a robot's file. When the disk refuses, the robot goes back to what is durable and waits.
func (c *Consumer) persist(now time.Time, r *robot) bool {
	if !r.failed.IsZero() {
		if now.Sub(r.failed) < retry {
			return false
		}
		again, err := c.open(now, r.id, r.device)
		if err != nil {
			r.failed = now
			c.bell.ring(now, Alarm{Code: StoreFailed, Robot: r.id, Text: err.Error()})
			return false
		}
		*r = *again
	}
	if err := r.store.sync(); err != nil {
		err = errors.Join(err, r.store.drop())
		r.failed, r.fresh = now, nil
		c.bell.ring(now, Alarm{Code: StoreFailed, Robot: r.id, Text: err.Error()})
		return false
	}
	for i := range r.fresh {
		c.o.OnRecord(r.id, &r.fresh[i])
	}
	r.fresh = slices.Delete(r.fresh, 0, len(r.fresh))
	return true
}

// acknowledge signs how far a stream is durable here. There is nothing to acknowledge before the first record.
func (c *Consumer) acknowledge(r *robot, s *stream) (Message, error) {
	if s.last == 0 {
		return Message{}, nil
	}
	a := order.Acknowledgement{Robot: r.id, Log: s.key.log, BootID: s.key.boot.String(), Seq: s.last, Digest: s.digest.String()}
	payload, err := a.Encode()
	if err != nil {
		return Message{}, fmt.Errorf("fleet: %w", err)
	}
	envelope, err := order.SignDocument(order.AcknowledgementType, payload, c.o.Key)
	if err != nil {
		return Message{}, fmt.Errorf("fleet: acknowledgement: %w", err)
	}
	return Message{Topic: c.o.Prefix + "/v1/" + r.id + "/acknowledgement", Payload: envelope}, nil
}

// Reconnected makes the next Commit acknowledge the newest boot of each log once more: what was published while there
// was no broker is lost.
func (c *Consumer) Reconnected() {
	for _, r := range c.robots {
		for _, s := range r.latest {
			s.grew, r.touched[s] = true, true
		}
	}
}

// Tick tells the holes that nobody has filled in time.
func (c *Consumer) Tick(now time.Time) {
	for _, r := range c.robots {
		for _, s := range r.streams {
			if a, ok := s.overdue(now, c.o.Patience); ok {
				a.Robot = r.id
				c.bell.ring(now, a)
			}
		}
	}
}

// Position is how far one log of one boot has come.
type Position struct {
	Robot, Log string
	Boot       BootID
	// Seq and Digest are the newest record that is taken, Proven the newest number that a checkpoint vouches for.
	Seq    uint64
	Digest Digest
	Proven uint64
	// Records counts what was taken, Waiting what came before its predecessor.
	Records uint64
	Waiting int
}

// Positions returns how far every log has come, ordered by robot, log and boot.
func (c *Consumer) Positions() []Position {
	var out []Position
	for id, r := range c.robots {
		for k, s := range r.streams {
			out = append(out, Position{id, k.log, k.boot, s.last, s.digest, s.proven, s.count, len(s.pending)})
		}
	}
	slices.SortFunc(out, comparePositions)
	return out
}

func comparePositions(a, b Position) int {
	return cmp.Or(cmp.Compare(a.Robot, b.Robot), cmp.Compare(a.Log, b.Log), bytes.Compare(a.Boot[:], b.Boot[:]))
}
