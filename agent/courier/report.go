package courier

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/evidencelog"
)

// reporting is the part of the loop's state that messages are made of.
type reporting struct {
	status                         json.RawMessage // the guard's, as it came; nil while it does not answer
	statusAt                       time.Duration
	statusKey                      string // what a change of is worth a message
	reportsUnattested              bool   // the policy's word, by the guard; false while it is not there
	stateAt                        time.Duration
	stateDue                       bool
	keyFault, guardFault, ackFault string // what was noted last, so that it is noted once
	turn                           int
}

// tag is what the loop remembers about a message in flight.
type tag struct {
	stream  *reading
	receipt bool
	goodbye bool
	size    int
}

// Few records wait for company while there are more than a few messages in flight.
const (
	fewInFlight = 4
	fewRecords  = 16
)

// maxReceipts bounds the receipts that wait for the broker.
const maxReceipts = 64

// pump hands messages to the link as long as the windows let it.
func (l *loop) pump(now time.Duration) {
	for l.up && l.inFlight < maxInFlight && l.flightBytes < inFlightBytes {
		p := l.next(now)
		if p == nil {
			return
		}
		l.hand(p)
	}
}

// hand gives one message to the link, which has room for as many as may be in flight.
func (l *loop) hand(p *parcel) {
	t, _ := p.tag.(tag)
	t.size = len(p.topic) + len(p.payload)
	p.tag = t
	l.bucket.take(t.size)
	l.inFlight++
	l.flightBytes += t.size
	l.sentMessages++
	l.sentBytes += uint64(t.size) //nolint:gosec // not negative
	l.parcels <- p
}

// next is the most urgent message that may be sent now, or nil.
func (l *loop) next(now time.Duration) *parcel {
	if len(l.control) > 0 {
		return pop(&l.control)
	}
	if l.bucket.ready(now) > 0 || l.recovering() {
		return nil
	}
	attested := l.session.attested(now)
	if attested && len(l.receipts) > 0 {
		p := pop(&l.receipts)
		l.receiptsOut = append(l.receiptsOut, p)
		return p
	}
	every := l.c.cfg.StateEvery
	if attested && now-l.stateAt > 2*every {
		// However much evidence waits, who watches the robot sees that it is there.
		return l.state(now)
	}
	if attested || l.reportsUnattested {
		if s := l.pick(true, attested); s != nil {
			return l.event(now, s)
		}
	}
	if attested && (l.stateDue || now-l.stateAt >= every) {
		return l.state(now)
	}
	if attested {
		if s := l.pick(false, true); s != nil {
			return l.event(now, s)
		}
	}
	return nil
}

func pop(list *[]*parcel) *parcel {
	p := (*list)[0]
	*list = slices.Delete(*list, 0, 1)
	return p
}

// pick finds a log with something to send, in turn. Within a log the order is fixed, so a log goes with its most urgent
// record that was read. Before the robot is attested, only what matters for safety goes, and what lies before it; if as much
// as may be read ahead holds nothing of the kind, it is taken to lie before something that does, or no one would ever know.
func (l *loop) pick(safety, attested bool) *reading {
	for i := range l.streams {
		s := l.streams[(l.turn+i)%len(l.streams)]
		if s == nil || !attested && s.log == evidencelog.Steward {
			continue
		}
		if l.inFlight >= fewInFlight && len(s.items)-s.sent < fewRecords {
			continue // while the broker is busy anyway, more of them fit into one message
		}
		if some, urgent := s.ready(); some && (urgent || !safety || !attested && !s.wants()) {
			l.turn = (l.turn + i + 1) % len(l.streams)
			return s
		}
	}
	return nil
}

// parcel makes a message; nil if it cannot be encoded, which is a fault of the program.
func (l *loop) parcel(topic, id string, data headed, t tag) *parcel {
	payload, err := l.writer.write(topic, id, l.session.attested(l.clock.Boot()), data)
	if err != nil {
		l.log.Error().Err(err).Msg("a message could not be made")
		return nil
	}
	return &parcel{topic: l.net.base + topic, payload: payload, retained: topic == TopicConnection, tag: t}
}

// urge queues a message that goes before everything.
func (l *loop) urge(topic string, data headed) {
	if l.net == nil || !l.up {
		return
	}
	if p := l.parcel(topic, "", data, tag{}); p != nil {
		l.control = append(l.control, p)
	}
}

func (l *loop) event(now time.Duration, s *reading) *parcel {
	b := s.take(now)
	l.sentRecords += uint64(len(b.records))
	return l.parcel(TopicEvent, eventID(s.log, b.boot, b.first, b.last),
		&Event{Log: s.log, BootID: evidencelog.FormatBoot(b.boot), Records: b.records}, tag{stream: s})
}

func (l *loop) state(now time.Duration) *parcel {
	l.stateAt, l.stateDue = now, false
	m := &State{Attestation: l.session.state(now), Enforcement: "unknown", Guard: l.status, Oldest: []Oldest{}}
	if l.session.attested(now) {
		civil, _ := l.clock.Civil()
		m.Until = stamp(civil.Add(l.session.until - now))
	}
	if l.status == nil {
		m.Guard = json.RawMessage("null")
	} else if s, err := readStatus(l.status); err == nil {
		m.Enforcement = s.enforcement()
	}
	for _, s := range l.streams {
		if s == nil {
			continue
		}
		if o, ok := s.oldest(); ok {
			m.Oldest = append(m.Oldest, o)
		}
	}
	return l.parcel(TopicState, "", m, tag{})
}

// status is what the courier itself reads in the guard's status.
type status struct {
	// Clock is the guard's trust in civil time.
	Clock    string `json:"clock"`
	Mode     string `json:"mode"`
	Advisory *bool  `json:"advisory"`
	AtRest   bool   `json:"at_rest"`
	Axes     struct {
		Motion       string  `json:"motion"`
		MaxSpeedMPS  float64 `json:"max_speed_mps"`
		Manipulators string  `json:"manipulators"`
		Perception   string  `json:"perception"`
		Remote       string  `json:"remote"`
	} `json:"axes"`
	Triggers []struct {
		Code  string `json:"code"`
		Cause string `json:"cause"`
	} `json:"triggers"`
	Overrides []struct {
		Order string `json:"order"`
	} `json:"overrides"`
	Sessions []struct {
		Order string `json:"order"`
	} `json:"sessions"`
	Policy struct {
		Digest            string `json:"digest"`
		ReportsUnattested bool   `json:"reports_unattested"`
	} `json:"policy"`
	// Release is the release in force, Content what the steward has measured of artifacts.
	Release *struct {
		SVN       uint64 `json:"svn"`
		Artifacts []struct {
			Name   string `json:"name"`
			SHA256 string `json:"sha256"`
		} `json:"artifacts"`
	} `json:"release"`
	Content []struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
	} `json:"content"`
}

func readStatus(raw []byte) (*status, error) {
	s := &status{}
	return s, json.Unmarshal(raw, s)
}

func (s *status) enforcement() string {
	switch {
	case s.Advisory == nil:
		return "unknown"
	case *s.Advisory:
		return "advisory"
	}
	return "enforcing"
}

// key changes when somebody who watches the robot wants to know.
func (s *status) key() string {
	var b strings.Builder
	fmt.Fprint(&b, s.Mode, s.AtRest, s.Axes, s.Policy.Digest, s.enforcement(), s.Overrides, s.Sessions)
	for _, t := range s.Triggers {
		fmt.Fprint(&b, " ", t.Code, t.Cause)
	}
	return b.String()
}

// gotStatus takes the guard's status.
func (l *loop) gotStatus(raw []byte) {
	s, err := readStatus(raw)
	if err != nil {
		return
	}
	l.status = raw
	l.c.clock.told(s.Clock)
	l.reportsUnattested = s.Policy.ReportsUnattested
	if key := s.key(); key != l.statusKey {
		l.statusKey, l.stateDue = key, true
	}
}

// onNet takes what the link says.
func (l *loop) onNet(ctx context.Context, e netEvent) {
	now := l.clock.Boot()
	switch {
	case e.sent != nil:
		t, _ := e.sent.tag.(tag)
		l.inFlight--
		l.flightBytes -= t.size
		if t.stream != nil {
			t.stream.touch(now)
		}
		if t.receipt {
			l.receiptsOut = slices.DeleteFunc(l.receiptsOut, func(p *parcel) bool { return p == e.sent })
		}
	case e.deaf != nil:
		text := ""
		if *e.deaf != "" {
			text = "the broker does not let the robot listen to " + *e.deaf + ": allow it, or no approval comes over the network"
		}
		l.boundFault("approval topic", text)
	case e.up:
		l.up, l.inFlight, l.flightBytes = true, 0, 0
		l.changed("up", "")
		l.control = nil
		l.urge(TopicConnection, &Connection{ConnectionState: Online})
		l.stateDue = true
		for _, s := range l.streams {
			if s != nil && s.sent > 0 {
				l.rewind(ctx, s)
			}
		}
	case e.down != nil:
		l.lostLink(e.down)
	}
}

// lostLink takes back what the broker has not taken.
func (l *loop) lostLink(why *linkError) {
	l.up, l.inFlight, l.flightBytes, l.control = false, 0, 0, nil
	l.changed(why.reason, why.Error())
	for {
		select {
		case <-l.parcels:
			continue
		default:
		}
		break
	}
	// Receipts are few and nobody asks for them again, so they are kept until the broker has taken them.
	l.receipts = append(slices.Clone(l.receiptsOut), l.receipts...)
	l.receiptsOut = nil
}

// changed notes a new state of the connection, and nothing while it stays the same.
func (l *loop) changed(state, detail string) {
	if state == l.link {
		return
	}
	l.link = state
	if state == "up" {
		l.note(KindLink, Change{State: "up"})
		l.log.Info().Msg("connected to the broker")
		return
	}
	l.note(KindLink, Change{State: "down", Reason: state, Detail: clip(detail)})
	l.log.Warn().Str("reason", state).Str("detail", clip(detail)).Msg("no connection to the broker")
}

// goodbye tells that the robot goes in order, and waits a little for the broker to take it.
func (l *loop) goodbye() {
	if !l.up {
		return
	}
	p := l.parcel(TopicConnection, "", &Connection{ConnectionState: Offline}, tag{goodbye: true})
	if p == nil || l.inFlight >= maxInFlight {
		return
	}
	l.hand(p)
	late, stop := l.clock.After(shutdownTimeout / 2)
	defer stop()
	for {
		select {
		case <-late:
			return
		case <-l.arrivals:
		case e := <-l.netEvents:
			if e.down != nil {
				return
			}
			if e.sent != nil {
				if t, _ := e.sent.tag.(tag); t.goodbye {
					return
				}
			}
		}
	}
}

// lose notes which records can never be sent any more, once.
func (l *loop) lose(s *reading, loss *evidencelog.Loss) {
	boot := evidencelog.FormatBoot(loss.BootID)
	if key := s.log + " " + boot; l.lost[key] < loss.Last {
		if len(l.lost) > 4*maxBoots {
			clear(l.lost)
		}
		l.lost[key] = loss.Last
		l.note(KindGap, Gap{Log: s.log, BootID: boot, First: loss.First, Last: loss.Last})
		l.log.Error().Str("log", s.log).Uint64("first", loss.First).Uint64("last", loss.Last).Msg("records were lost before anybody acknowledged them")
	}
}

// moved takes what an acknowledgement has led to.
func (l *loop) moved(s *reading, to *evidencelog.Position, err error) {
	if err != nil {
		l.forks++
		l.fault(s, err)
		return
	}
	if to != nil {
		l.c.cursor.move(s.log, *to)
		l.dirty, s.at = true, *to
	}
}
