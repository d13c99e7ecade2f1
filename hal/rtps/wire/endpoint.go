package wire

import "fmt"

// EndpointData is what a participant says of one of its writers or readers over SEDP. All of it is a claim.
type EndpointData struct {
	GUID        GUID
	Participant GUID
	Topic, Type string // as on the wire: "rt/odom", "nav_msgs::msg::dds_::Odometry_"
	QoS         QoS
	// Where the endpoint hears, if elsewhere than its participant.
	Unicast, Multicast Locators
	UserData           []byte // ROS 2 from Iron on: "typehash=RIHS01_…;"
	InlineQoS          bool   // a reader that wants the writer's QoS with every sample; only its status and key come
}

// ParseEndpoint reads a writer's or a reader's data from SEDP's payload and keeps no reference to it. If it returns an
// error, e holds what could be read of it, for a report.
func ParseEndpoint(payload []byte, writer bool, e *EndpointData) error {
	*e = EndpointData{QoS: DefaultQoS(writer)}
	list, err := openList(payload)
	if err != nil {
		return fmt.Errorf("endpoint data: %w", err)
	}
	var seen identity
	err = list.each("endpoint data", func(pid uint16, v []byte) Fault { return e.read(list.o, pid, v, &seen) })
	if err != nil {
		return err
	}
	if seen.hasKey && seen.key != e.GUID {
		return fmt.Errorf("endpoint data, GUID %s has the key hash %s: %w", e.GUID, seen.key, FaultForeign)
	}
	return e.check(writer)
}

// check looks at the identities as a whole.
func (e *EndpointData) check(writer bool) error {
	switch {
	case e.GUID == GUID{}:
		return fmt.Errorf("endpoint data, endpoint's GUID: %w", FaultMissing)
	case e.Topic == "":
		return fmt.Errorf("endpoint data, topic's name: %w", FaultMissing)
	case e.Type == "":
		return fmt.Errorf("endpoint data, type's name: %w", FaultMissing)
	case writer && !e.GUID.Entity.Writer():
		return fmt.Errorf("endpoint data, GUID %s is not a writer's: %w", e.GUID, FaultForeign)
	case !writer && !e.GUID.Entity.Reader():
		return fmt.Errorf("endpoint data, GUID %s is not a reader's: %w", e.GUID, FaultForeign)
	case e.Participant == GUID{}:
		e.Participant = GUID{e.GUID.Prefix, EntityParticipant}
	case e.Participant != GUID{e.GUID.Prefix, EntityParticipant}:
		return fmt.Errorf("endpoint data, GUID %s is none of participant %s: %w", e.GUID, e.Participant, FaultForeign)
	}
	return nil
}

func (e *EndpointData) read(o order, pid uint16, v []byte, seen *identity) (f Fault) {
	switch known(pid) {
	case pidEndpointGUID:
		if f = seen.once(isEntity); f == FaultNone {
			e.GUID, f = readGUID(v)
		}
	case pidParticipantGUID:
		if f = seen.once(isParticipant); f == FaultNone {
			e.Participant, f = readGUID(v)
		}
	case pidTopicName:
		if f = seen.once(isTopic); f == FaultNone {
			e.Topic, f = readName(o, v)
		}
	case pidTypeName:
		if f = seen.once(isType); f == FaultNone {
			e.Type, f = readName(o, v)
		}
	case pidKeyHash:
		seen.hasKey = true
		seen.key, f = readGUID(v)
	case pidUnicast:
		f = readLocator(o, v, &e.Unicast)
	case pidMulticast:
		f = readLocator(o, v, &e.Multicast)
	case pidUserData:
		e.UserData, f = readUserData(o, v)
	case pidExpectsInline:
		e.InlineQoS, f = readBool(v)
	default:
		f = e.QoS.read(o, pid, v)
	}
	return f
}

// AppendEndpoint appends the payload with which e is announced over SEDP. Whether e is a writer is in its GUID.
func AppendEndpoint(b []byte, e *EndpointData) []byte {
	b = append(b, 0, plCDRLittle, 0, 0)
	b = paramGUID(b, pidEndpointGUID, e.GUID)
	b = paramGUID(b, pidParticipantGUID, GUID{e.GUID.Prefix, EntityParticipant})
	b = paramText(b, pidTopicName, e.Topic)
	b = paramText(b, pidTypeName, e.Type)
	b = e.QoS.append(b, e.GUID.Entity.Writer())
	b = paramLocators(b, pidUnicast, &e.Unicast)
	b = paramLocators(b, pidMulticast, &e.Multicast)
	if len(e.UserData) > 0 {
		b = paramOctets(b, pidUserData, e.UserData[:min(len(e.UserData), MaxUserData)])
	}
	if e.InlineQoS {
		b = append(put16(put16(b, pidExpectsInline), 4), 1, 0, 0, 0)
	}
	return put32(b, uint32(pidSentinel))
}

// KeyOf is the GUID that a dispose of discovery data is about: Cyclone DDS writes it as the payload, Fast DDS as the key
// hash in the inline QoS. If both are there they have to agree.
func KeyOf(s *Submessage) (GUID, error) {
	hash := GUIDOf(s.KeyHash)
	switch {
	case s.HasPayload:
		g, err := KeyGUID(s.Payload)
		if err == nil && s.HasKeyHash && hash != g {
			return GUID{}, fmt.Errorf("serialised key %s with the key hash %s: %w", g, hash, FaultForeign)
		}
		return g, err
	case s.HasKeyHash:
		return hash, nil
	}
	return GUID{}, fmt.Errorf("dispose, key: %w", FaultMissing)
}

// KeyGUID is the GUID in a serialised key: from a parameter list with an entity's GUID or key hash, or from plain CDR.
func KeyGUID(payload []byte) (GUID, error) {
	if len(payload) < 4 {
		return GUID{}, fmt.Errorf("serialised key: %w", FaultPayload)
	}
	if payload[0] == 0 && payload[1] <= cdrLittle {
		g, f := readGUID(payload[4:])
		if f != FaultNone {
			return GUID{}, fmt.Errorf("serialised key: %w", f)
		}
		return g, nil
	}
	list, err := openList(payload)
	if err != nil {
		return GUID{}, fmt.Errorf("serialised key: %w", err)
	}
	var key GUID
	if err = list.each("serialised key", func(pid uint16, v []byte) Fault { return readKey(pid, v, &key) }); err != nil {
		return GUID{}, err
	}
	if key == (GUID{}) {
		return key, fmt.Errorf("serialised key: %w", FaultMissing)
	}
	return key, nil
}

// readKey takes an entity's GUID. An endpoint's may come with its participant's, which names less.
func readKey(pid uint16, v []byte, key *GUID) Fault {
	switch known(pid) {
	case pidParticipantGUID, pidEndpointGUID, pidKeyHash:
	default:
		return unknown(pid)
	}
	g, f := readGUID(v)
	switch {
	case f != FaultNone:
		return f
	case *key == GUID{} || *key == GUID{g.Prefix, EntityParticipant}:
		*key = g
	case g != *key && g != GUID{key.Prefix, EntityParticipant}:
		return FaultForeign
	}
	return FaultNone
}

// identity notes which of an entity's identities have been given.
type identity struct {
	seen   uint8
	hasKey bool
	key    GUID
}

const (
	isEntity uint8 = 1 << iota
	isParticipant
	isTopic
	isType
)

// once tells off an identity that is given a second time: readers that take the first and readers that take the last
// would see two different entities.
func (i *identity) once(bit uint8) Fault {
	if i.seen&bit != 0 {
		return FaultTwice
	}
	i.seen |= bit
	return FaultNone
}
