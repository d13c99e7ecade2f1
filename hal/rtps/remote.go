package rtps

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// vendorFastDDS is Fast DDS's number among implementations.
var vendorFastDDS = [2]byte{1, 15}

// RemoteParticipant is somebody else on the domain. Exported fields do not change; a participant whose announcement
// changes in them is a new RemoteParticipant with new endpoints.
type RemoteParticipant struct {
	// GUID is its own. The prefix is a claim, but one that is bound to Source.
	GUID wire.GUID
	// Vendor is the implementation's number, such as 1.16 for CycloneDDS and 1.15 for Fast DDS: {1, 16}.
	Vendor [2]byte
	// Source is the UDP source of its first announcement; what comes from another address in its name is not taken.
	Source netip.AddrPort
	// Name is its entity name, at most MaxName bytes.
	Name string
	// UserData is its user data, at most MaxUserData bytes. It must not be written to.
	UserData []byte
	// Secured tells that it announces DDS Security.
	Secured bool
	// Domain is the domain id that it announces, -1 where it does not.
	Domain int32
	// Since is when it was first heard of, on the boot clock.
	Since time.Duration

	remoteState
}

// Heard is when something was last taken from it, on the boot clock.
func (r *RemoteParticipant) Heard() time.Duration { return time.Duration(r.heard.Load()) }

// DataSource is the UDP source of what comes from it by unicast, samples included: Source, or another socket of the same
// computer where multicast is sent from one of its own.
func (r *RemoteParticipant) DataSource() netip.AddrPort {
	if a := r.ways[pathUnicast].Load(); a != nil {
		return *a
	}
	return r.Source
}

// Conflicts counts the datagrams that came in its name from another source and were not taken.
func (r *RemoteParticipant) Conflicts() uint64 { return r.conflicts.Load() }

// Proven tells whether it has answered questions that only a receiver at its announced address can have seen. Until then
// Source may be forged; implementations without the builtin liveliness endpoints never prove theirs.
func (r *RemoteParticipant) Proven() bool { return r.proven.Load() }

// Endpoint is a remote writer or reader as discovery describes it. It does not change; an endpoint whose announcement
// changes becomes a new Endpoint.
type Endpoint struct {
	GUID        wire.GUID
	Participant *RemoteParticipant
	// Topic and Type are names as on the wire, such as "rt/odom" and "nav_msgs::msg::dds_::Odometry_".
	Topic, Type string
	QoS         wire.QoS
	// UserData is the endpoint's user data, at most MaxUserData bytes. It must not be written to.
	UserData []byte
	// Writer tells writers from readers.
	Writer bool

	endpointState
}

// RemoteWriter is a remote writer that is, or could be, matched with one Reader.
type RemoteWriter struct {
	*Endpoint
	// Tag is the consumer's own. It is set in Accept or OnMatch while the writer is not accepted yet, and read in Handler.
	Tag any

	heard atomic.Int64
}

// Heard is when a sample or a heartbeat of it was last taken, on the boot clock; 0 before the first.
func (w *RemoteWriter) Heard() time.Duration { return time.Duration(w.heard.Load()) }

// RemoteReader is a remote reader that is matched with one Writer.
type RemoteReader struct {
	*Endpoint
	// Tag is the consumer's own. It is set in OnMatch.
	Tag any

	heard atomic.Int64
}

// Heard is when it last acknowledged or asked for something, on the boot clock; 0 before the first, and always for a
// best-effort one. One that has is matched on its side too, so that what is written from then on counts for it.
func (r *RemoteReader) Heard() time.Duration { return time.Duration(r.heard.Load()) }

// VisitEndpoints calls f for every remote endpoint that is known, matched or not, in no order, with no lock held.
func (p *Participant) VisitEndpoints(f func(*Endpoint)) {
	for _, e := range p.endpointsNow() {
		f(e)
	}
}

// Participants lists the remote participants that are known.
func (p *Participant) Participants() []*RemoteParticipant { return p.participantsNow() }

// Generation changes with every change of what VisitEndpoints and Participants tell; to poll it costs nothing.
func (p *Participant) Generation() uint64 { return p.generation.Load() }
