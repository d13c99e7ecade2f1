package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/hal/msg"
)

// acknowledgements keeps how far the consumer says that it has the robot's logs, by its signature. It is for people: the
// guard deletes by quota, whatever was acknowledged.
type acknowledgements struct {
	robot, boot string
	verify      func(envelope []byte) ([]byte, error)

	mu      sync.Mutex
	highest map[string]order.Acknowledgement
}

var errAcknowledged = errors.New("acknowledgement")

// take verifies one and keeps the highest of each log in this boot.
func (a *acknowledgements) take(envelope []byte) error {
	payload, err := a.verify(envelope)
	if err != nil {
		return err
	}
	ack, err := order.DecodeAcknowledgement(payload)
	switch {
	case err != nil:
		return err
	case ack.Robot != a.robot:
		return fmt.Errorf("%w: expected robot %q, found %q", errAcknowledged, a.robot, ack.Robot)
	case !evidencelog.IsLog(ack.Log):
		return fmt.Errorf("%w: expected one of the robot's logs, found %q", errAcknowledged, ack.Log)
	case ack.BootID != a.boot:
		return nil // What was left of an earlier boot: right, and nothing to show.
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.highest == nil {
		a.highest = map[string]order.Acknowledgement{}
	}
	if a.highest[ack.Log].Seq <= ack.Seq {
		a.highest[ack.Log] = *ack
	}
	return nil
}

func (a *acknowledgements) list() map[string]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]uint64{}
	for log, ack := range a.highest {
		out[log] = ack.Seq
	}
	return out
}

// RolesStatus is what the status says about the other roles.
type RolesStatus struct {
	// Connected lists the roles that are there.
	Connected []string `json:"connected"`
	// Refused counts connections and frames that were not taken, Dropped the frames that a role did not read.
	Refused uint64 `json:"refused"`
	Dropped uint64 `json:"dropped"`
	// Session is the courier's own claim, while its lease lasts.
	Session *SessionStatus `json:"session,omitempty"`
	// Recording are the recording devices that the steward finds open while the robot has to be private.
	Recording []RecordingStatus `json:"recording,omitempty"`
	// Head is the newest record of evidence on disk; Acknowledged says up to which record the consumer has each log.
	Head         uint64            `json:"head_seq"`
	Acknowledged map[string]uint64 `json:"acknowledged,omitempty"`
}

// RecordingStatus is a recording device that a process has open although the robot has to be private, as the steward says.
type RecordingStatus struct {
	Path string `json:"path"`
	PID  int    `json:"pid"`
	UID  int    `json:"uid"`
	Unit string `json:"unit,omitempty"`
	Exe  string `json:"exe,omitempty"`
}

// SessionStatus is the courier's claim.
type SessionStatus struct {
	State     string `json:"state"`
	Detail    string `json:"detail,omitempty"`
	Connected bool   `json:"connected"`
}

// PublisherStatus is one connection to a publisher and what is known about who is behind it.
type PublisherStatus struct {
	Topic  string `json:"topic"`
	Node   string `json:"node"`
	Remote string `json:"remote"`
	Gated  bool   `json:"gated"`
	// Strength is how far the name can be believed: claimed, source-bound, process-bound.
	Strength string `json:"strength"`
	// Demanded is true if the mapping demands a process behind this publisher.
	Demanded bool `json:"demanded"`
	// Process is what the steward says, nil while nobody says anything.
	Process *contract.Process `json:"process,omitempty"`
}

func (a *Agent) rolesStatus() RolesStatus {
	s := RolesStatus{
		Connected: a.roles.connected(), Refused: a.roles.refused.Load(), Dropped: a.roles.dropped.Load(), Acknowledged: a.acks.list(),
	}
	if c, ok := a.facts.claim(); ok {
		s.Session = &SessionStatus{State: c.State, Detail: c.Detail, Connected: c.Connected}
	}
	for _, o := range a.facts.recording() {
		s.Recording = append(s.Recording, RecordingStatus{Path: o.Path, PID: o.PID, UID: o.UID, Unit: o.Unit, Exe: o.Exe})
	}
	if h, ok := a.heads.current(); ok {
		s.Head = h.Seq
	}
	return s
}

// publishers lists the connections, the gated ones first.
func (a *Agent) publishers() []PublisherStatus {
	proven := map[uint32]bool{}
	list := a.peers.list()
	a.guard.With(func(c *guard.Core) {
		for i := range list {
			proven[list[i].ID] = c.Proven(list[i].ID)
		}
	})
	demanded := a.peers.demanded()
	out := make([]PublisherStatus, 0, len(list))
	for _, p := range list {
		s := PublisherStatus{Topic: p.Topic, Node: p.Node, Remote: p.Remote, Gated: p.Gated, Strength: a.peers.strength(p.ID).String()}
		_, s.Demanded = demanded[p.ID]
		if q, ok := a.facts.known(p.ID); ok {
			s.Process = &q
		}
		if proven[p.ID] {
			s.Strength = msg.ProcessBound.String()
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b PublisherStatus) int { return cmp.Compare(rank(a.Gated), rank(b.Gated)) })
	return out
}

func rank(gated bool) int {
	if gated {
		return 0
	}
	return 1
}
