package rtps

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
