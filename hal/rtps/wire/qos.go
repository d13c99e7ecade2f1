package wire

import "time"

// Durability: what a writer keeps for readers that come late.
const (
	Volatile uint8 = iota
	TransientLocal
	Transient
	Persistent
)

// Liveliness: how a writer shows that it is alive.
const (
	Automatic uint8 = iota // its participant is heard of
	ManualByParticipant
	ManualByTopic
)

// Presentation: how far the order of samples reaches.
const (
	PresentInstance uint8 = iota
	PresentTopic
	PresentGroup
)

// Data representations (XTypes 7.6.3.1.1).
const (
	XCDR1 int16 = 0
	XML   int16 = 1
	XCDR2 int16 = 2
)

// QoS is what a writer offers or a reader requests, as far as a match depends on it.
type QoS struct {
	Reliable          bool
	Durability        uint8
	Deadline          time.Duration // the longest time between two samples
	LatencyBudget     time.Duration
	Liveliness        uint8
	LivelinessLease   time.Duration
	Exclusive         bool  // ownership: only the strongest writer is heard
	OwnershipStrength int32 // a writer's
	BySource          bool  // destination order by the source's time
	Presentation      uint8
	Coherent, Ordered bool     // parts of presentation
	Partitions        []string // none is the same as one without a name
	Representations   []int16  // none is the same as XCDR1; a writer uses its first, a reader takes each
}

// DefaultQoS is what holds for what discovery data leaves out (9.6.2.2.2): writers are reliable, readers are not.
func DefaultQoS(writer bool) QoS {
	return QoS{Reliable: writer, Deadline: Infinite, LivelinessLease: Infinite}
}

func (q *QoS) read(o order, pid uint16, v []byte) (f Fault) {
	switch known(pid) {
	case pidReliability:
		var kind uint8
		kind, f = readEnum(o, v, reliabilityBestEffort, reliabilityReliable)
		q.Reliable = kind == reliabilityReliable
	case pidDurability:
		q.Durability, f = readEnum(o, v, 0, uint32(Persistent))
	case pidDeadline:
		q.Deadline, f = readDuration(o, v)
	case pidLatencyBudget:
		q.LatencyBudget, f = readDuration(o, v)
	case pidLiveliness:
		q.Liveliness, f = readEnum(o, v, 0, uint32(ManualByTopic))
		if f == FaultNone {
			q.LivelinessLease, f = readDuration(o, v[4:])
		}
	case pidOwnership:
		var kind uint8
		kind, f = readEnum(o, v, 0, 1)
		q.Exclusive = kind == 1
	case pidOwnershipStrength:
		var n uint32
		n, f = readU32(o, v)
		q.OwnershipStrength = int32(n)
	case pidDestinationOrder:
		var kind uint8
		kind, f = readEnum(o, v, 0, 1)
		q.BySource = kind == 1
	case pidPresentation:
		f = q.readPresentation(o, v)
	case pidPartition:
		q.Partitions, f = readNames(o, v)
	case pidDataRepresentation:
		q.Representations, f = readRepresentations(o, v)
	default:
		f = unknown(pid)
	}
	return f
}

const (
	reliabilityBestEffort = 1
	reliabilityReliable   = 2
)

func (q *QoS) readPresentation(o order, v []byte) (f Fault) {
	if q.Presentation, f = readEnum(o, v, 0, uint32(PresentGroup)); f != FaultNone {
		return f
	}
	if len(v) < 6 {
		return FaultLength
	}
	if q.Coherent, f = readBool(v[4:]); f != FaultNone {
		return f
	}
	q.Ordered, f = readBool(v[5:])
	return f
}

// append writes out what peers might take another default for, and else only what differs from the default.
func (q *QoS) append(b []byte, writer bool) []byte {
	const blocking = 100 * time.Millisecond // a writer's max_blocking_time, which no reader looks at
	b = put32(put16(put16(b, pidReliability), 12), uint32(reliabilityBestEffort+flagIf(q.Reliable, 1)))
	b = putDuration(b, blocking)
	b = paramU32(b, pidDurability, uint32(q.Durability))
	b = put32(put16(put16(b, pidLiveliness), 12), uint32(q.Liveliness))
	b = putDuration(b, q.LivelinessLease)
	b = paramDuration(b, pidDeadline, q.Deadline)
	b = paramU32(b, pidOwnership, uint32(flagIf(q.Exclusive, 1)))
	if writer && q.OwnershipStrength != 0 {
		b = paramU32(b, pidOwnershipStrength, uint32(q.OwnershipStrength))
	}
	if q.LatencyBudget != 0 {
		b = paramDuration(b, pidLatencyBudget, q.LatencyBudget)
	}
	if q.BySource {
		b = paramU32(b, pidDestinationOrder, 1)
	}
	if q.Presentation != 0 || q.Coherent || q.Ordered {
		b = put32(put16(put16(b, pidPresentation), 8), uint32(q.Presentation))
		b = append(b, flagIf(q.Coherent, 1), flagIf(q.Ordered, 1), 0, 0)
	}
	if len(q.Partitions) > 0 {
		b = param(b, pidPartition, q.putPartitions)
	}
	if len(q.Representations) > 0 {
		b = param(b, pidDataRepresentation, q.putRepresentations)
	}
	return b
}

func (q *QoS) putPartitions(b []byte) []byte {
	b = put32(b, uint32(len(q.Partitions)))
	for _, name := range q.Partitions {
		at := len(b)
		b = pad(putText(b, name), at)
	}
	return b
}

func (q *QoS) putRepresentations(b []byte) []byte {
	b = put32(b, uint32(len(q.Representations)))
	for _, r := range q.Representations {
		b = put16(b, uint16(r))
	}
	return b
}
