package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Inbox is a reader's side of one matched writer.
//
// A best-effort Inbox hands on each sample that is newer than the last, at once. A reliable one hands on every sample in
// order: it starts with the first that the writer's first heartbeat names (see InboxConfig.SkipBacklog), keeps what
// comes early, asks for what is missing, passes over what the writer no longer has, and gives up what it never sends.
//
// Numbers are claims. A number further ahead than InboxConfig.JumpWindow moves nothing by itself; only if for
// InboxConfig.ResyncAfter such numbers, rising, are all that comes, the Inbox goes on there. Likewise an Inbox that was led
// ahead goes back to where the writer's samples (best-effort) or heartbeats (reliable) are, once nothing else has come for as long.
type Inbox struct {
	cfg   InboxConfig
	stats InboxStats
}

// NewInbox is the Inbox of a writer that was just matched. A reliable one is due at once, to ask for a heartbeat.
func NewInbox(c InboxConfig) *Inbox {
	c.fill()
	return &Inbox{cfg: c}
}

// Data takes a DATA; stamp is the source's time from the datagram's INFO_TS, zero if there was none.
func (i *Inbox) Data(now time.Duration, s *wire.Submessage, stamp wire.Time, d Deliver) Verdict {
	return 0
}

// Frag takes a DATA_FRAG; stamp as with Data.
func (i *Inbox) Frag(now time.Duration, s *wire.Submessage, stamp wire.Time, d Deliver) Verdict {
	return 0
}

// Gap takes a GAP; jump says that it names numbers too far ahead, which were not taken.
func (i *Inbox) Gap(now time.Duration, s *wire.Submessage, d Deliver) (jump bool) { return false }

// Heartbeat takes a HEARTBEAT; jump says that it names numbers too far ahead, which were not taken. A best-effort Inbox
// passes it over.
func (i *Inbox) Heartbeat(now time.Duration, s *wire.Submessage, d Deliver) (jump bool) {
	return false
}

// HeartbeatFrag takes a HEARTBEAT_FRAG.
func (i *Inbox) HeartbeatFrag(now time.Duration, s *wire.Submessage) {}

// Due is the time at which Reply wants to be called; ok is false if never, until something comes in.
func (i *Inbox) Due() (at time.Duration, ok bool) { return 0, false }

// Reply appends the ACKNACK and NACK_FRAG submessages that are due at now, from our reader to that writer. They need at
// most MaxReply bytes. Before the message's header and INFO_DST belong.
func (i *Inbox) Reply(now time.Duration, b []byte, reader, writer wire.EntityID) []byte { return b }

// MaxReply is the most that Inbox.Reply appends: an ACKNACK and eight NACK_FRAG, each with 256 bits.
const MaxReply = 60 + 8*64

// Next is the number that is delivered next at the earliest; 0 as long as the beginning is not known.
func (i *Inbox) Next() wire.SeqNum { return 0 }

// HeldBytes is the memory for payloads in use, at most InboxConfig.MaxHeldBytes.
func (i *Inbox) HeldBytes() int { return 0 }

// Stats is what was counted so far.
func (i *Inbox) Stats() InboxStats { return i.stats }
