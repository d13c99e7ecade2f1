package attest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/evidence"
)

func helloOf(i int) message {
	return message{fmt.Sprintf("%s/v1/unitree/g1-%04d/attestation/hello", prefix, i), []byte("{}")}
}

// TestAFloodTakesNobodysPlace has one robot say hello without end. Without a bound by sender, for which the same flood has
// a new sender each time, it fills the inbox.
func TestAFloodTakesNobodysPlace(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		flooder func(i int) message
		fair    bool
	}{
		"one sender":           {func(int) message { return helloOf(1) }, true},
		"off: as many senders": {func(i int) message { return helloOf(10_000 + i) }, false},
	} {
		in := newInbox()
		for i := range 2 * maxWaiting {
			in.put(c.flooder(i), now)
		}
		in.put(helloOf(2), now)
		place := 0
		for n := 1; ; n++ {
			a, ok := in.take()
			if !ok {
				break
			}
			if a.topic == helloOf(2).topic {
				place = n
			}
		}
		if fair := place == maxOfOne+1; fair != c.fair {
			t.Errorf("%s: the other robot's hello had place %d", name, place)
		}
		if in.lost() == 0 || in.all != (share{}) || len(in.of) != 0 {
			t.Errorf("%s: left %+v, %v", name, in.all, in.of)
		}
	}
}

func TestTheInboxIsBounded(t *testing.T) {
	in, now := newInbox(), time.Now()
	big := bytes.Repeat([]byte{1}, maxMessage)
	for i := range 2 * maxWaitingBytes / maxMessage {
		in.put(message{helloOf(i).topic, big}, now)
	}
	if in.all.bytes > maxLargeBytes || in.lost() != (2*maxWaitingBytes-maxLargeBytes)/maxMessage {
		t.Errorf("%+v wait", in.all)
	}
	for i := range 2 * maxWaitingBytes / small {
		in.put(message{helloOf(i).topic, big[:small]}, now)
	}
	if in.all.bytes > maxWaitingBytes || in.lost() == 0 {
		t.Errorf("%+v wait", in.all)
	}
	if lag := in.lag(now.Add(time.Minute)); lag != time.Minute {
		t.Errorf("lag %s", lag)
	}
	a, _ := in.take()
	if a.stale(now.Add(staleHello)) || !a.stale(now.Add(staleHello+1)) {
		t.Error("when a hello is stale")
	}
	a.topic = strings.Replace(a.topic, topicHello, topicEvidence, 1)
	if a.stale(now.Add(time.Hour)) {
		t.Error("evidence says itself until when it counts")
	}
}

// TestAFullAnswerHasRoom: a robot with all logs at their largest, its hello and its evidence are taken in, and no second answer.
func TestAFullAnswerHasRoom(t *testing.T) {
	in, now := newInbox(), time.Now()
	of := func(topic string) string { return fmt.Sprintf("%s/v1/unitree/g1-0001/attestation/%s", prefix, topic) }
	log := make([]byte, base64.StdEncoding.EncodedLen(evidence.MaxLog)+4<<10)
	answer := func() {
		in.put(message{of(topicHello), []byte("{}")}, now)
		for range evidence.MaxLogs {
			in.put(message{of(topicLog), log}, now)
		}
		in.put(message{of(topicEvidence), make([]byte, small)}, now)
	}
	answer()
	if n := in.lost(); n != 0 {
		t.Errorf("%d messages of a full answer have no room", n)
	}
	for range 10 {
		answer()
	}
	if one := in.of[message{topic: of(topicHello)}.sender()]; one.bytes > maxBytesOfOne || one.messages > maxOfOne || in.lost() == 0 {
		t.Errorf("one sender has %+v", one)
	}
}

// TestLogsTakeNobodysPlace has robots fill the inbox with logs: what others need to say hello and to answer has room. Off, what they send
// is as large.
func TestLogsTakeNobodysPlace(t *testing.T) {
	for size, room := range map[int]bool{small: true, small + 1: false} {
		in, now := newInbox(), time.Now()
		for robot := range 2 * maxWaitingBytes / maxBytesOfOne {
			for range maxOfOne {
				in.put(message{helloOf(robot).topic, make([]byte, maxBytesOfOne/maxOfOne)}, now)
			}
		}
		for robot := 500; in.lost() == 0 || robot < 600; robot++ { // and what is left
			in.put(message{helloOf(robot).topic, make([]byte, small+1)}, now)
		}
		in.put(message{helloOf(1000).topic, make([]byte, size)}, now)
		if got := in.lost() == 0; got != room {
			t.Errorf("%d bytes have room: %t", size, got)
		}
	}
}

// crossing is what a server talks to.
type crossing struct {
	up            int64
	joins, leaves int
	err           error
}

func (c *crossing) join() error                  { c.joins++; return c.err }
func (c *crossing) leave()                       { c.leaves++ }
func (c *crossing) connection() int64            { return c.up }
func (c *crossing) publish(string, []byte, bool) {}

// TestWhoLagsLeavesTheRestToOthers has a verifier whose messages wait leave its group, and join it when it has caught up.
func TestWhoLagsLeavesTheRestToOthers(t *testing.T) {
	now := time.Now()
	for _, grouped := range []bool{true, false} {
		s := newServer(nil, prefix, nil, zerolog.Nop())
		s.now, s.grouped = func() time.Time { return now }, grouped
		c := &crossing{}
		want := func(what string, joins, leaves int) {
			t.Helper()
			s.attend(c, c)
			if c.joins != joins || c.leaves != leaves {
				t.Errorf("%s (grouped %t): joined %d times and left %d times, want %d and %d", what, grouped, c.joins, c.leaves, joins, leaves)
			}
		}
		want("no connection", 0, 0)
		c.up = 1
		want("connected", 1, 0)
		want("still connected", 1, 0)
		s.in.put(helloOf(1), now.Add(-maxLag-time.Second))
		s.in.put(helloOf(2), now.Add(-goodLag-time.Second))
		if !grouped { // There is nobody to leave them to.
			want("lags", 1, 0)
			continue
		}
		want("lags", 1, 1)
		s.in.take()
		want("lags less", 1, 1)
		s.in.take()
		want("has caught up", 2, 1)
		c.up = 2
		want("another connection", 3, 2)
		c.up, c.err = 3, errors.New("no")
		want("not taken in", 4, 3)
		want("tries again", 5, 3)
	}
}
