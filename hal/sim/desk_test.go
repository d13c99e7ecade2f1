package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

const (
	someBoot      = "00112233445566778899aabbccddeeff"
	someChallenge = "ffeeddccbbaa99887766554433221100"
)

func challenge() []byte {
	return []byte("rw1 challenge demo-humanoid-01 " + someBoot + " operator " + someChallenge + " ok")
}

func TestAnswerMatchesVectorMadeElsewhere(t *testing.T) {
	// Made with: printf 'robowarden/heartbeat/v1\0demo-humanoid-01\0<boot>\0operator\0<challenge>\0ok' |
	// openssl dgst -sha256 -hmac key-of-the-operator
	const want = "a42d1d22f837eaf1ee91143b6bb07b879c3cd5d1b4dc896180a49caba52b50a1"
	got, ok := Answer([]byte("key-of-the-operator"), "demo-humanoid-01", string(challenge()), "ok")
	if !ok || got != "rw1 answer operator "+someChallenge+" ok "+want {
		t.Errorf("got %q, %v", got, ok)
	}
}

func TestAnswerRefusesOtherLines(t *testing.T) {
	good := string(challenge())
	for name, line := range map[string]string{
		"another robot":   strings.Replace(good, "demo-humanoid-01", "demo-humanoid-02", 1),
		"another version": strings.Replace(good, "rw1", "rw2", 1),
		"an answer":       strings.Replace(good, "challenge", "answer", 1),
		"short boot id":   strings.Replace(good, someBoot, "0011", 1),
		"not hex":         strings.Replace(good, someChallenge, strings.Repeat("z", 32), 1),
		"two spaces":      strings.Replace(good, " ok", "  ok", 1),
		"no endpoint":     strings.Replace(good, " operator ", "  ", 1),
		"empty":           "",
	} {
		if answer, ok := Answer([]byte("k"), "demo-humanoid-01", line, "ok"); ok {
			t.Errorf("%s: answered %q", name, answer)
		}
	}
}

func TestDeskAnswersOverTheLink(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Desk)
		want bool
	}{
		"good link":       {func(*Desk) {}, true},
		"link down":       {func(d *Desk) { d.SetLink(Link{Down: true}) }, false},
		"all lines lost":  {func(d *Desk) { d.SetLink(Link{Loss: 1}) }, false},
		"operator away":   {func(d *Desk) { d.SetAway(true) }, false},
		"away and back":   {func(d *Desk) { d.SetAway(true); d.SetAway(false) }, true},
		"level stop":      {func(d *Desk) { d.SetLevel("stop") }, true},
		"link very slow":  {func(d *Desk) { d.SetLink(Link{Delay: time.Minute}) }, false},
		"link just right": {func(d *Desk) { d.SetLink(Link{Delay: 400 * time.Millisecond}) }, true},
	} {
		var got string
		w := rig(t, Handlers{Answer: func(m *msg.Text) { got = string(m.Data) }}, func(o *Options) { o.Key = []byte("k") })
		w.Desk().SetLink(Link{Delay: time.Millisecond})
		c.set(w.Desk())
		w.Challenge(challenge())
		w.Advance(time.Second)
		if (got != "") != c.want {
			t.Errorf("%s: answer %q, want one: %v", name, got, c.want)
		}
	}
}

func TestDeskChecksInAtStop(t *testing.T) {
	var got []string
	w := rig(t, Handlers{Answer: func(m *msg.Text) { got = append(got, string(m.Data)) }}, nil)
	w.Challenge([]byte(strings.Replace(string(challenge()), " ok", " away", 1)))
	w.Advance(time.Second)
	w.Challenge([]byte(strings.Replace(string(challenge()), " ok", " checked-in", 1)))
	w.Advance(time.Second)
	if len(got) != 2 || !strings.Contains(got[0], " stop ") || !strings.Contains(got[1], " ok ") {
		t.Errorf("answers %q", got)
	}
}

func TestDeskWithAnotherKeyAnswersDifferently(t *testing.T) {
	var got []string
	w := rig(t, Handlers{Answer: func(m *msg.Text) { got = append(got, string(m.Data)) }}, nil)
	w.Challenge(challenge())
	w.Advance(time.Second)
	w.Desk().SetKey([]byte("somebody else's"))
	w.Challenge(challenge())
	w.Advance(time.Second)
	if len(got) != 2 || got[0] == got[1] || w.Desk().Answered() != 2 || w.Desk().LastAnswer() != got[1] {
		t.Errorf("answers %q, counted %d", got, w.Desk().Answered())
	}
}

func TestOrdersAndHandDrivingTravelOverTheLink(t *testing.T) {
	var order string
	var commands int
	w := rig(t, Handlers{
		Order: func(m *msg.Text) { order = string(m.Data) },
		Command: func(c *msg.Command) {
			if c.Channel == ChannelOperator && c.Linear.X == 0.3 {
				commands++
			}
		},
	}, nil)
	twist := forward(0.3)
	w.Desk().Drive(&twist)
	w.Desk().SendOrder([]byte("signed"))
	w.Advance(time.Second)
	if order != "signed" || commands < 15 {
		t.Errorf("order %q, %d commands in a second", order, commands)
	}
	w.Desk().SetLink(Link{Down: true})
	w.Advance(100 * time.Millisecond)
	order, commands = "", 0
	w.Desk().SendOrder([]byte("signed"))
	w.Advance(time.Second)
	if order != "" || commands != 0 {
		t.Errorf("over a dead link came order %q and %d commands", order, commands)
	}
}
