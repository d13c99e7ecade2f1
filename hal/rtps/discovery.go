package rtps

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// discovery is what Participant.mu guards.
type discovery struct {
	closed    bool
	seed      maphash.Seed
	remotes   map[wire.Prefix]*remote
	computers map[netip.Addr]*tally
	all       tally
	preferred map[string]bool
	extra     int       // endpoints of preferred topics beyond the caps
	held      int       // bytes that all matches together can have us hold
	ids       []*remote // by the id of SEDP's outboxes; nil is free
	strangers *buckets

	readers    map[wire.EntityID]*Reader
	writers    map[wire.EntityID]*Writer
	nextEntity uint32
	pubs, subs *announcer

	mouth     *mouth
	hello     []byte // the datagram that announces us
	helloAt   time.Duration
	hellos    int
	checkAt   time.Duration // when leases and liveliness are looked at next
	dirty     bool          // the table is to be made anew
	parsed    wire.ParticipantData
	parsedEnd wire.EndpointData
}

// tally counts what is known of one computer, or of all.
type tally struct {
	participants, endpoints int
	bytes                   int // names and user data of endpoints

	looked time.Duration // when it was last counted how many of the participants have answered, 0 if never
	faked  bool          // what came of it, see Participant.faked
}

func (t *tally) empty() bool { return t.participants == 0 && t.endpoints == 0 && t.bytes == 0 }

func (t *tally) add(participants, endpoints, bytes int) {
	t.participants += participants
	t.endpoints += endpoints
	t.bytes += bytes
}

// builtin is what of the specification's own endpoints we have.
const builtin = wire.BuiltinSPDPWriter | wire.BuiltinSPDPReader | wire.BuiltinPubWriter | wire.BuiltinPubReader |
	wire.BuiltinSubWriter | wire.BuiltinSubReader | wire.BuiltinLivelinessReader | wire.BuiltinLivelinessWriter

func (p *Participant) startDiscovery() {
	p.seed = maphash.MakeSeed()
	p.remotes, p.computers = map[wire.Prefix]*remote{}, map[netip.Addr]*tally{}
	p.preferred = map[string]bool{}
	p.ids = make([]*remote, p.lim.Participants)
	p.strangers = newBuckets()
	p.readers, p.writers = map[wire.EntityID]*Reader{}, map[wire.EntityID]*Writer{}
	p.pubs = newAnnouncer(p, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter)
	p.subs = newAnnouncer(p, wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter)
	p.mouth = p.newMouth(false)
	d := wire.ParticipantData{
		GUID: p.GUID(), Domain: int32(p.cfg.Domain), Lease: p.cfg.Lease, Builtin: builtin,
		UserData: p.cfg.UserData, Name: p.cfg.Name,
	}
	d.MetaUnicast.Add(p.meta.local)
	d.Unicast.Add(p.user.local)
	p.hello = wire.AppendData(wire.AppendHeader(nil, p.prefix), wire.EntitySPDPReader, wire.EntitySPDPWriter, 1,
		wire.AppendParticipant(nil, &d))
	p.helloAt = p.cfg.Clock()
}

// ear is what one goroutine needs to look at datagrams.
type ear struct {
	p    *Participant
	msg  wire.Message
	sub  wire.Submessage
	from netip.AddrPort
	now  time.Duration
	path int // pathUnicast or pathGroup
	breath
	intake intake
	buf    [65536]byte
	// Of user data: when the datagram came in, on the boot clock, and by the kernel's note.
	received time.Duration
	arrived  int64
	oob      [stampBytes]byte
}

// serveMeta reads one of the discovery sockets.
func (p *Participant) serveMeta(s *socket, path int) {
	e := &ear{p: p, path: path}
	for {
		n, from, err := s.receive(e)
		if err != nil {
			if !p.survive(err) {
				return
			}
			continue
		}
		if f := p.cfg.drop; f != nil && f(false, false, e.buf[:n]) {
			continue
		}
		e.now, e.from = p.cfg.Clock(), unmap(from)
		e.hear(e.buf[:n])
	}
}

// survive says whether to go on after an error of a socket. It pauses, so that an error that stays is no busy loop.
func (p *Participant) survive(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	if p.rep.wants(SocketFailed) {
		p.rep.emit(&Event{Kind: SocketFailed, Detail: clip(err.Error())})
	}
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-p.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// hear looks at one datagram of discovery.
func (e *ear) hear(b []byte) {
	p := e.p
	if err := e.msg.Reset(b); err != nil {
		p.malformed(e.from, wire.GUID{}, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if e.msg.Sender == p.prefix {
		p.ownPrefix(e)
		return
	}
	r := p.remotes[e.msg.Sender]
	switch {
	case r == nil:
		e.stranger()
	case !p.speaks(r.RemoteParticipant, e.from, e.path):
		e.impostor(r)
	default:
		r.heard.Store(int64(e.now))
		if !r.bucket.take(e.now, p.lim.KnownPerParticipant) {
			if r.answers.Load() {
				p.keptOut(e.now)
			}
			p.flood(e.from, r.GUID, p.lim.KnownPerParticipant)
			return
		}
		e.known(r)
		if p.remotes[r.GUID.Prefix] == r {
			p.flush(r, e.now)
		}
	}
	p.publish()
}

// known looks at a datagram of a participant that comes from its source.
func (e *ear) known(r *remote) {
	p, s := e.p, &e.sub
	for {
		ok, err := e.msg.Next(s)
		if err != nil {
			p.malformed(e.from, r.GUID, err)
		}
		if !ok {
			return
		}
		if e.msg.Source != e.msg.Sender {
			p.relayed(e)
			return
		}
		if e.msg.HasDest && e.msg.Dest != p.prefix {
			continue
		}
		if s.Writer == wire.EntitySPDPWriter {
			if s.Kind == wire.Data && !e.announced(r) {
				return
			}
			continue
		}
		switch s.Kind {
		case wire.AckNack, wire.NackFrag:
			p.acknowledged(r, s, e.now)
		default:
			if st := r.stream(s.Writer); st != nil && (s.Reader == wire.EntityUnknown || s.Reader == st.reader) {
				st.take(e)
			}
		}
	}
}

// strangerLook is how many submessages of a stranger's datagram are looked at: announcements begin with themselves.
const strangerLook = 4

// stranger looks at a datagram in the name of somebody unknown: only an announcement is of interest. What else comes from
// there is nobody's fault, as for those who still know the guard before this one, and counts for no budget.
func (e *ear) stranger() {
	p, s := e.p, &e.sub
	for range strangerLook {
		ok, err := e.msg.Next(s)
		if err != nil {
			p.malformed(e.from, wire.GUID{Prefix: e.msg.Sender}, err)
		}
		if !ok {
			return
		}
		if e.msg.Source != e.msg.Sender {
			p.relayed(e)
			return
		}
		if s.Kind == wire.Data && s.Writer == wire.EntitySPDPWriter && (!e.msg.HasDest || e.msg.Dest == p.prefix) {
			if !p.strangers.take(e.now, p.computer(e.from.Addr()), p.lim.UnknownPerAddress, p.lim.Unknown) {
				p.missed(e.from.Addr(), e.now)
				p.flood(e.from, wire.GUID{Prefix: e.msg.Sender, Entity: wire.EntityParticipant}, p.lim.UnknownPerAddress)
				return
			}
			e.announced(nil)
			return
		}
	}
}

// impostor looks at a datagram in the name of a participant from another source: nothing of it is taken, but what it tried
// is told.
func (e *ear) impostor(r *remote) {
	p, s := e.p, &e.sub
	r.conflicts.Add(1)
	if !p.strangers.take(e.now, p.computer(e.from.Addr()), p.lim.UnknownPerAddress, p.lim.Unknown) {
		p.flood(e.from, r.GUID, p.lim.UnknownPerAddress)
		return
	}
	kind, what := SourceConflict, "a datagram"
	for ok, _ := e.msg.Next(s); ok; ok, _ = e.msg.Next(s) {
		switch {
		case p.reclaims(r, e):
			what = "after another one who took its way, itself: the answer to our question"
		case s.Kind == wire.Data && (s.Dispose || s.Unregister):
			kind, what = ForeignDispose, "a farewell"
		case s.Kind == wire.Data && s.Writer == wire.EntitySPDPWriter && kind == SourceConflict:
			what = "an announcement"
		}
	}
	if p.rep.wants(kind) {
		p.rep.emit(&Event{
			Kind: kind, GUID: r.GUID, Participant: r.RemoteParticipant, Source: e.from,
			Detail: what + " in its name; expected from " + r.Source.String() + " and " + r.DataSource().String() + " only" + p.advice(r.Source.Addr(), e.from.Addr()),
		})
	}
}

// stream is one of a participant's builtin writers as we hear it.
type stream struct {
	r       *remote
	reader  wire.EntityID
	writer  wire.EntityID
	in      *reliable.Inbox
	deliver reliable.Deliver
}

// Caps of what a participant's discovery may make us hold. Type information of some vendors makes announcements long.
const (
	maxAnnouncement = 32 << 10
	heldDiscovery   = 32 << 10
	maxAssertion    = 256
)

func newStream(r *remote, reader, writer wire.EntityID, deliver reliable.Deliver) *stream {
	c := reliable.InboxConfig{
		Reliable: true, AskFromZero: r.Vendor == vendorFastDDS,
		MaxSample: maxAnnouncement, MaxHeldBytes: heldDiscovery, MaxPartials: 2,
	}
	if writer == wire.EntityLivelinessWriter {
		c.MaxSample, c.MaxHeldBytes, c.MaxPartials = maxAssertion, 8*maxAssertion, 1
	}
	return &stream{r, reader, writer, reliable.NewInbox(c), deliver}
}

// take gives a submessage to the stream's inbox.
func (st *stream) take(e *ear) {
	s := &e.sub
	p, v, jump := e.p, reliable.Delivered, false
	switch s.Kind {
	case wire.Data:
		v = st.in.Data(e.now, s, e.msg.Stamp, st.deliver)
	case wire.DataFrag:
		v = st.in.Frag(e.now, s, e.msg.Stamp, st.deliver)
	case wire.Gap:
		jump = st.in.Gap(e.now, s, st.deliver)
	case wire.Heartbeat:
		jump = st.in.Heartbeat(e.now, s, st.deliver)
	case wire.HeartbeatFrag:
		st.in.HeartbeatFrag(e.now, s)
	case wire.AckNack, wire.NackFrag:
	}
	if n := max(int(s.SampleSize), len(s.Payload)); v == reliable.Refused && n > maxAnnouncement && st.writer != wire.EntityLivelinessWriter {
		p.cap(wire.GUID{Prefix: e.msg.Source, Entity: st.writer}, e.from, "",
			fmt.Sprintf("an announcement of %d bytes is not taken in: the limit is %d", n, maxAnnouncement))
	}
	if v == reliable.Conflict || v == reliable.Jump || jump {
		p.doubted(v, wire.GUID{Prefix: e.msg.Source, Entity: st.writer}, st.r.RemoteParticipant, nil, e.from, s.Seq)
	}
}
