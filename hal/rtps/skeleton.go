package rtps

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

var errSkeleton = errors.New("rtps: not served yet")

// Participant is our own participant.
type Participant struct {
	cfg        Config
	prefix     wire.Prefix
	meta, user struct{ local netip.AddrPort }
	healthy    atomic.Bool
	generation atomic.Uint64
}

// Reader reads one topic.
type Reader struct {
	p    *Participant
	guid wire.GUID
	cfg  ReaderConfig
}

// Writer writes one topic.
type Writer struct {
	p    *Participant
	guid wire.GUID
	cfg  WriterConfig
}

type remoteState struct {
	heard     atomic.Int64
	conflicts atomic.Uint64
	proven    atomic.Bool
}

type endpointState struct{}

// New binds the sockets; it talks to nobody.
func New(c Config) (*Participant, error) {
	c.Limits = c.Limits.filled()
	return nil, errors.Join(errSkeleton, c.Limits.check())
}

func (p *Participant) run(context.Context) error              { return errSkeleton }
func (p *Participant) close() error                           { return nil }
func (p *Participant) newReader(ReaderConfig) (*Reader, error) { return nil, errSkeleton }
func (p *Participant) newWriter(WriterConfig) (*Writer, error) { return nil, errSkeleton }
func (p *Participant) rematch(*Reader)                        {}
func (p *Participant) reorder(*Writer)                        {}
func (p *Participant) writersOf(*Reader) []*RemoteWriter      { return nil }
func (p *Participant) closeReader(*Reader)                    {}
func (p *Participant) closeWriter(*Writer)                    {}
func (p *Participant) endpointsNow() []*Endpoint              { return nil }
func (p *Participant) participantsNow() []*RemoteParticipant  { return nil }
func (r *Reader) stats() ReaderStats                          { return ReaderStats{} }
func (w *Writer) write(uint64, []byte) (Sent, error)          { return Sent{}, errSkeleton }
func (w *Writer) acked() bool                                 { return false }
func (w *Writer) readers() int                                { return 0 }
func (w *Writer) matched() []*RemoteReader                    { return nil }
