package sim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Link is the way between the robot and the operator's desk, each direction by itself.
type Link struct {
	// Down loses everything.
	Down bool
	// Loss is the share of lines lost, in [0, 1].
	Loss float64
	// Delay and Jitter bound the time of one direction: delay + [0, jitter).
	Delay, Jitter time.Duration
}

// GoodLink is a healthy wireless link.
func GoodLink() Link {
	return Link{Delay: 8 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.002}
}

// PoorLink is a link that loses one line in ten and carries the others late.
func PoorLink() Link {
	return Link{Delay: 20 * time.Millisecond, Jitter: 70 * time.Millisecond, Loss: 0.1}
}

// Desk is the operator's desk. It does not run on the robot: it knows the key and answers challenges.
type Desk struct {
	w     *World
	rnd   *rand.Rand
	link  Link
	level string
	key   []byte
	away  bool
	hand  *msg.Twist
	seq   uint32
	cmd   uint32
	// answered counts answers sent, whether or not the link carried them.
	answered int
	last     string
}

func (d *Desk) init(w *World, rnd *rand.Rand) {
	d.w, d.rnd, d.link, d.level = w, rnd, GoodLink(), "ok"
	d.key = append([]byte(nil), w.opts.Key...)
	w.every(41*time.Millisecond, CommandPeriod, func() {
		if d.hand == nil {
			return
		}
		t := *d.hand
		d.carry(func() { w.deliverCommand(ChannelOperator, t, &w.peers.desk, &d.cmd) })
	})
}

// Desk is the world's operator's desk.
func (w *World) Desk() *Desk { return &w.desk }

// SetLink changes the link.
func (d *Desk) SetLink(l Link) { d.link = l }

// SetAway makes the desk answer nothing although the link works, or answer again.
func (d *Desk) SetAway(away bool) { d.away = away }

// Drive makes the operator command a velocity by hand, over the link, until called with nil.
func (d *Desk) Drive(t *msg.Twist) { d.hand = t }

// SetLevel makes the desk answer "ok" or "stop".
func (d *Desk) SetLevel(level string) { d.level = level }

// SetKey makes the desk answer with another key.
func (d *Desk) SetKey(key []byte) { d.key = append([]byte(nil), key...) }

// Answered is the number of answers given, lost ones included.
func (d *Desk) Answered() int { return d.answered }

// LastAnswer is the last answer given, for replaying it.
func (d *Desk) LastAnswer() string { return d.last }

// levelAway is the level of challenges to a channel that is away.
const levelAway = "away"

// Challenge is a line from the guard to the desk: "rw1 challenge <robot> <boot-id> <endpoint> <challenge> <level>".
// While the level is "away", the desk answers "stop", which is how a channel checks in; otherwise what SetLevel says. The
// line is copied.
func (w *World) Challenge(line []byte) {
	d := &w.desk
	text := string(line)
	d.carry(func() {
		if d.away {
			return
		}
		level := d.level
		if strings.HasSuffix(text, " "+levelAway) {
			level = "stop" // A channel that was away checks in at stop first.
		}
		if answer, ok := Answer(d.key, w.opts.Robot, text, level); ok {
			d.answered++
			d.last = answer
			d.Say(answer)
		}
	})
}

// Say sends a line over the link to the guard as an answer, true or forged.
func (d *Desk) Say(line string) {
	d.carry(func() {
		if d.w.on.Answer != nil {
			d.w.on.Answer(&msg.Text{Header: d.w.header(&d.w.peers.desk, "", d.w.Now(), &d.seq), Data: []byte(line)})
		}
	})
}

// SendOrder sends a signed document over the link to the guard. The document is copied.
func (d *Desk) SendOrder(document []byte) {
	data := append([]byte(nil), document...)
	d.carry(func() {
		if d.w.on.Order != nil {
			d.w.on.Order(&msg.Text{Header: d.w.header(&d.w.peers.desk, "", d.w.Now(), &d.seq), Data: data})
		}
	})
}

// carry is one direction of the link. Both random numbers are drawn always, so that a change of the link does not
// shift what comes after.
func (d *Desk) carry(f func()) {
	lost := d.rnd.Float64()
	share := d.rnd.Float64()
	if d.link.Down || lost < d.link.Loss {
		return
	}
	d.w.After(d.link.Delay+time.Duration(share*float64(d.link.Jitter)), f)
}

// Answer makes the answer of an operator who holds the key to a challenge line for the robot. It is false for lines of
// another form or for another robot.
func Answer(key []byte, robot, line, level string) (string, bool) {
	f := strings.Split(line, " ")
	if len(f) != 7 || f[0] != "rw1" || f[1] != "challenge" || f[2] != robot {
		return "", false
	}
	boot, endpoint, challenge := f[3], f[4], f[5]
	if !isHex(boot) || !isHex(challenge) || endpoint == "" {
		return "", false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join([]string{"robowarden/heartbeat/v1", robot, boot, endpoint, challenge, level}, "\x00")))
	return "rw1 answer " + endpoint + " " + challenge + " " + level + " " + hex.EncodeToString(mac.Sum(nil)), true
}

func isHex(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16
}
