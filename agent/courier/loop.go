package courier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/internal/metrics"
)

const (
	// tick is how often the loop looks at its timers.
	tick = 100 * time.Millisecond
	// saveEvery paces the cursor file: a cursor that is a second old costs a second's repetition.
	saveEvery = time.Second
	// claimEvery and claimLease pace the claims about the session.
	claimEvery = 2 * time.Second
	claimLease = 10 * time.Second
	// answerWait is how long the guard may take for an answer.
	answerWait = 30 * time.Second
	// inFlightBytes bounds what the broker has not taken yet.
	inFlightBytes = 1 << 20
)

// job is work that may take long; what it returns runs on the loop.
type job func() func()

// loop owns all state. Nothing in it waits for anybody.
type loop struct {
	c     *Courier
	log   zerolog.Logger
	clock Clock
	group sync.WaitGroup

	identity atomic.Pointer[identity] // nil until it is open
	jobs     chan job
	done     chan func()
	asked    chan func()
	saves    chan []byte
	stopped  chan struct{}
	savedAt  time.Duration
	dirty    bool

	net         *link // nil until the robot's id is known
	netEnd      context.CancelFunc
	netEvents   chan netEvent
	arrivals    chan arrival
	parcels     chan *parcel
	up          bool
	link        string // the last state that was noted: up, or why not
	inFlight    int
	flightBytes int
	bucket      bucket

	guardSide   *guardSide
	guardEvents chan guardEvent
	frames      chan contract.Frame
	welcome     *contract.Welcome // nil while the guard is away
	nonce       string            // the guard's, of the last welcome
	// looking says that the worker looks whether the bound key signs, lookAt when it does next; boundNoted are faults as they were noted.
	looking    bool
	lookAt     time.Duration
	boundNoted map[string]string
	// approvals came over the network and wait; keeping says that the worker keeps one; approvalRefused is why it kept the last one not.
	approvals       [][]byte
	keeping         bool
	approvalRefused string
	// counterFault is why the TPM stated nothing about the counter last.
	counterFault string
	lastID       uint32
	waiting      map[uint32]pending

	streams  [3]*reading
	lost     map[string]uint64 // the last number of each log and boot whose loss was noted
	session  session
	result   string // SHA-256 of the attestation result that the guard accepted last
	shown    string // the session's state at the last step
	writer   writer
	control  []*parcel
	receipts []*parcel
	reporting
	carrying
	counters
}

// counters are what the metrics show.
type counters struct {
	sentMessages, sentRecords, sentBytes, forks, badAcks, resends uint64
}

// errRobot ends a courier whose guard serves another robot than before.
var errRobot = errors.New("the robot's id has changed")

// run is the loop.
func (l *loop) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer l.group.Wait()
	defer cancel()
	defer close(l.stopped)
	for _, f := range l.c.startup {
		l.note(KindFault, f)
	}
	l.group.Go(func() { l.work(ctx) })
	l.group.Go(l.save)
	l.guardSide = l.newGuardSide()
	l.group.Go(func() { l.guardSide.run(ctx) })
	if path := l.c.cfg.MetricsSocket; path != "" {
		l.group.Go(func() {
			if err := metrics.Serve(ctx, path, l.collect, l.healthy); err != nil {
				l.log.Error().Err(err).Msg("there are no metrics")
			}
		})
	}
	if t := l.c.tokens; t != nil {
		l.group.Go(func() { l.giveTokens(ctx, t) })
	}
	l.open(ctx)
	if err := l.connect(ctx, l.c.cursor.Robot); err != nil {
		return err
	}
	for _, s := range l.streams {
		l.read(ctx, s)
	}
	for {
		err := l.wait(ctx)
		switch {
		case ctx.Err() != nil:
			l.end()
			return nil
		case err != nil:
			l.end()
			return err
		}
		l.step(ctx)
		l.c.turns.Add(1)
	}
}

// wait takes one event.
func (l *loop) wait(ctx context.Context) error {
	timer, stop := l.clock.After(tick)
	defer stop()
	select {
	case <-ctx.Done():
	case <-timer:
	case f := <-l.done:
		f()
	case f := <-l.asked:
		f()
	case e := <-l.netEvents:
		l.onNet(ctx, e)
	case a := <-l.arrivals:
		l.onArrival(a)
	case e := <-l.guardEvents:
		return l.onGuard(ctx, e)
	case e := <-l.entriesOf(0):
		l.onEntry(ctx, l.streams[0], e)
	case e := <-l.entriesOf(1):
		l.onEntry(ctx, l.streams[1], e)
	case e := <-l.entriesOf(2):
		l.onEntry(ctx, l.streams[2], e)
	}
	return nil
}

// step looks at everything that depends on time, and sends what may be sent.
func (l *loop) step(ctx context.Context) {
	now := l.clock.Boot()
	l.session.setReady(now, l.up && l.welcome != nil && l.identity.Load() != nil && l.head.Digest != "")
	if l.session.poll(now) {
		l.hello()
	}
	if id := l.identity.Load(); id != nil && id.bound != nil && (now >= l.lookAt || id.lost.Load()) {
		l.look(ctx)
	}
	l.keepApproval(ctx)
	l.turned(now)
	for _, s := range l.streams {
		if s == nil {
			continue
		}
		if s.stop == nil && now >= s.again {
			l.read(ctx, s)
		}
		if s.stuck(now); s.astray {
			l.rewind(ctx, s)
		}
		if l.up && s.stale(now) {
			l.again(s)
			l.rewind(ctx, s)
		}
	}
	l.toGuard(now)
	l.signReceipts()
	l.checkpoint(now)
	l.pump(now)
	if l.dirty && now-l.savedAt >= saveEvery {
		l.store(now)
	}
}

// work does what may take long, one after the other: the TPM has one thread anyway.
func (l *loop) work(ctx context.Context) {
	defer func() { l.identity.Load().close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-l.jobs:
			f := j()
			select {
			case l.done <- f:
			case <-ctx.Done():
				return
			}
		}
	}
}

// try hands work over; false if there is too much of it already.
func (l *loop) try(j job) bool {
	select {
	case l.jobs <- j:
		return true
	default:
		return false
	}
}

// open opens the device key, again and again until it works.
func (l *loop) open(ctx context.Context) {
	now, _ := l.clock.Civil()
	l.try(func() func() {
		id, err := openIdentity(l.c.cfg, now)
		if err == nil {
			l.identity.Store(id)
		}
		return func() { l.opened(ctx, id, err) }
	})
}

func (l *loop) opened(ctx context.Context, id *identity, err error) {
	if err == nil {
		l.keyFault = ""
		l.writer.tier, l.writer.recovery = string(id.tier), id.recovery != ""
		l.session.recovery = id.recovery
		l.approvalFaults(id.faults)
		l.boundFault("bound key", id.recovery)
		if l.welcome != nil {
			l.attesterFor(l.welcome)
		}
		l.note(KindStart, Started{l.c.o.Version, string(id.tier), id.keyID, id.recovery != ""})
		l.log.Info().Str("tier", string(id.tier)).Str("key", id.keyID).Bool("recovery", id.recovery != "").Msg("device key")
		return
	}
	if text := err.Error(); text != l.keyFault {
		l.keyFault = text
		l.note(KindFault, Fault{"device key", text})
		l.log.Error().Err(err).Msg("without a device key nothing can be proven, and nothing is reported")
	}
	l.noKey()
	l.group.Go(func() {
		wake, stop := l.clock.After(l.c.pace.reopen)
		defer stop()
		select {
		case <-ctx.Done():
		case <-wake:
			select {
			case l.done <- func() { l.session.failed = ""; l.open(ctx) }:
			case <-ctx.Done():
			}
		}
	})
}

// noKey says that nothing can be proven, as long as there is no device key.
func (l *loop) noKey() {
	if l.keyFault != "" {
		l.session.failed = "no device key: " + l.keyFault
	}
}

// connect starts the connection to the broker once the robot's id is known.
func (l *loop) connect(ctx context.Context, robot string) error {
	if robot == "" || l.net != nil {
		return nil
	}
	n, err := l.newLink(robot)
	if err != nil {
		return err
	}
	l.net = n
	// It ends after the loop has said goodbye.
	ctx, l.netEnd = context.WithCancel(context.WithoutCancel(ctx))
	l.group.Go(func() { n.run(ctx) })
	return nil
}

// store hands the cursor to who writes it; an older one that still waits is replaced.
func (l *loop) store(now time.Duration) {
	data, err := l.c.cursor.encode()
	if err != nil {
		l.log.Error().Err(err).Msg("cursor")
		return
	}
	select {
	case <-l.saves:
	default:
	}
	l.saves <- data
	l.dirty, l.savedAt = false, now
}

// save writes cursors, off the loop: a disk may take seconds.
func (l *loop) save() {
	for {
		var data []byte
		select {
		case data = <-l.saves:
		case <-l.stopped:
			select {
			case data = <-l.saves: // the last one
			default:
				return
			}
		}
		if err := storeCursor(l.c.cfg.StateDir, data); err != nil {
			l.log.Error().Err(err).Msg("the cursor could not be written; after a restart more is sent again")
		}
	}
}

// end says goodbye and lets the connection go.
func (l *loop) end() {
	if l.netEnd != nil {
		l.goodbye()
		l.netEnd()
	}
	if l.dirty {
		l.store(l.clock.Boot())
	}
}
