// Package agent is robowarden's composition root: it knows every room and wires them into a running guard. It decides
// nothing itself and never stands between a message and a command.
//
// A vendor embeds the agent by calling [New] with [Options] and then [Agent.Run]; the program robowarden does just that.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/flight"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/internal/task"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/gpio"
	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/interlock"
)

// Options says what to run. Deployment and NewLog are required.
type Options struct {
	// Deployment is the path of the deployment file; everything else follows from it.
	Deployment string
	// Version is the program's version, for the journal.
	Version string
	// Epoch is the oldest civil time that can be true, in nanoseconds since the Unix epoch: the build's.
	Epoch int64
	// Realtime is what [host.Realtime] returned: nil if the process has real-time scheduling, else why not.
	Realtime error
	// AllowDemo accepts keys that are marked as demonstration keys. Only the demonstration sets it.
	AllowDemo bool
	// NewLog makes the log once the deployment has said which level and format it wants. It must not block: a reader of
	// stdout that stands still must not hold the guard.
	NewLog func(level, format string) zerolog.Logger
}

// Agent is a guard with everything around it.
type Agent struct {
	opt     Options
	cfg     *config.Config
	log     zerolog.Logger
	robot   string
	boot    [16]byte
	nonce   string
	clock   host.Clock
	trust   clockTrust
	state   *stateDir
	params  *guard.Params
	journal *journal.Log
	flight  *flight.Recorder
	bus     *wiring
	means   *host.MeansWatch
	guard   *guard.Guard
	orders  *orders
	control *control
	roles   *roles
	facts   *facts
	peers   *peerTable
	heads   *headKeeper
	acks    *acknowledgements
	// proofs has the record of the robot's proof test, trials the test that is under way.
	proofs *proofs
	trials trials
	// age finds out whether the state on disk is the newest.
	age *ageKeeper
	// releases has the signed release in force.
	releases releases
	// halts are the releases that must not be installed any more.
	halts  halts
	store  *order.Store
	ledger *ledger
	// unproven says why the policy in force could not be verified; the robot is stopped until one can.
	unproven interlock.Cause
	// oldest is the clock's floor at the start: the oldest civil time that the core takes for possible.
	oldest int64
	verify *order.Verifier
	// confined says behind which walls the process works, nil before it is known.
	confined  atomic.Pointer[string]
	diagnosis diagnosis
	// orderly is true once an end was asked for; an end by an error is none.
	orderly atomic.Bool
	// newest is the newest trusted civil time, 0 before there is one.
	newest atomic.Int64
	// patience is how long an end waits for rest and for work: shutdownTimeout, but in tests.
	patience time.Duration
	// mu guards cfg and params, which a new policy replaces.
	mu sync.Mutex
}

// shutdownTimeout bounds how long an orderly end waits: for the robot to stand, for what is being done to end, for the journal
// to be written, and for those who write; each.
const shutdownTimeout = 5 * time.Second

// New loads the configuration, opens journal and state, and binds the bus's ports and the control socket. It talks to
// nobody yet. Whoever does not run the agent closes it; after an error there is nothing to close.
func New(opt Options) (*Agent, error) {
	a := &Agent{opt: opt, patience: shutdownTimeout}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// open is one straight line on purpose: the order of these steps is what makes a start safe, and it should be readable
// at once.
func (a *Agent) open() error {
	opt := a.opt
	var err error
	if a.boot, err = host.BootID(); err != nil {
		return err
	}
	a.nonce = newNonce()
	a.means = host.NewMeansWatch()
	if a.cfg, err = config.LoadConfig(opt.Deployment, a.openPolicy); err != nil {
		return err
	}
	dep := a.cfg.Deployment
	a.oldest = a.trust.floor
	if a.params, err = guard.NewParams(a.cfg, dep.Node(a.cfg.Profile.Bus), a.oldest); err != nil {
		return err
	}
	storeState, _ := a.store.State()
	latches := a.state.loadLatches(storeState != order.StateNew)
	core, err := guard.NewCore(a.params, guard.Start{
		Boot: a.clock.Boot(), Latches: latches, Unclean: a.state.unclean(), Crashed: a.state.crashed(a.boot), Policy: a.unproven,
	})
	if err != nil {
		return err
	}
	if err := a.storeDocuments(a.cfg); err != nil {
		// A robot must not stay unguarded because its recordings cannot be replayed.
		a.log.Error().Err(err).Msg("a replay of this run will miss its documents")
	}
	a.cfg.Forget()
	if err := a.openJournal(dep); err != nil {
		return err
	}
	a.peers = newPeerTable(demands(a.params), transport(a.cfg.Profile.Bus))
	envelopes, err := a.envelopes()
	if err != nil {
		return err
	}
	if a.bus, err = newWiring(a.cfg, envelopes, a.clock, a.peers, a.log); err != nil {
		return err
	}
	beats, err := a.heartbeats()
	if err != nil {
		return err
	}
	a.guard = guard.New(guard.Options{
		Core: core, Clock: a.clock, Sink: a.bus.sink, Journal: recorder{a.journal, a.flight}, Heartbeats: beats, Envelopes: envelopes,
		Persist: a.state.persist, Log: a.log,
	})
	a.age = newAgeKeeper(a.state, counts(dep), a.store.Generation, a.clock.Boot, a.log)
	a.age.guard, a.age.poke = a.guard, a.peers.poke
	a.orders = &orders{
		ledger: a.ledger, guard: a.guard, log: a.log, stage: a.stageOrder, halt: a.haltRelease,
		zones:   func() *geofence.Set { _, p := a.current(); return p.Set },
		channel: a.channel,
		now: func() (order.Times, time.Duration) {
			return times(a.clock.Civil(), a.guard.Trust()), a.clock.Boot()
		},
		age: a.age, nonce: a.nonce, inbox: newInbox(a.clock.Boot), used: make(chan usedStop, maxUsedStops), began: a.clock.Boot(),
	}
	a.orders.verifier.Store(a.verify)
	a.bus.onOrder = a.orders.offer
	now, _ := a.orders.now()
	a.openRelease(now)
	a.proofs, a.trials.changed = newProofs(a.robot, a.cfg, a.state), make(chan struct{}, 1)
	a.openRoles(dep)
	if err := a.control.open(); err != nil {
		return err
	}
	return a.bus.connect(a.guard)
}

// Close gives back what [New] took, for an agent that is not run.
func (a *Agent) Close() error {
	var errs []error
	if a.means != nil {
		a.means.Close()
	}
	if a.control != nil {
		errs = append(errs, a.control.close())
	}
	if a.bus != nil {
		errs = append(errs, a.bus.node.Close())
	}
	if a.journal != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		errs = append(errs, a.journal.Close(ctx))
	}
	if a.state != nil {
		errs = append(errs, a.state.dir.Close())
	}
	return errors.Join(errs...)
}

// current returns the configuration in force.
func (a *Agent) current() (*config.Config, *guard.Params) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg, a.params
}

func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails: crypto/rand ends the program instead.
	return hex.EncodeToString(b[:])
}

// Run guards the robot until ctx ends, then lets it settle and closes everything in reverse order.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.state.start(a.boot); err != nil {
		return err
	}
	defer a.means.Close()
	a.noteStart()
	a.tellMeans() // before anybody is heard
	a.age.start()
	writers, work := task.Group{Patience: shutdownTimeout}, task.Group{Patience: a.patience}
	writers.Go("journal", a.journal.Run)
	writers.Go("latches", a.state.run)
	work.Go("bus", a.bus.node.Run)
	work.Go("orders", a.orders.run)
	work.Go("used stops", a.orders.record)
	work.Go("waiting orders", a.orders.lookAfterWaiting)
	work.Go("control", a.control.run)
	work.Go("facts", a.facts.run)
	work.Go("pushes", a.roles.push)
	if a.cfg.Deployment.Courier != nil {
		work.Go("heads", a.heads.run)
	}
	work.Go("ticks", a.ticks)
	work.Go("health", a.health)
	work.Go("flight recorder", a.flight.Run)
	work.Go("time", a.keepTime)
	work.Go("proof test", a.lookAfterProof)
	work.Go("age of the disk", a.age.run)
	for _, r := range a.bus.sink.rungs {
		if r != nil {
			work.Go("rung "+r.name, func(ctx context.Context) error { return r.run(ctx, a.log) })
		}
	}
	a.bus.sink.devices.each(func(d *deviceRung) {
		work.Go("device "+d.name, func(ctx context.Context) error { return d.runner.Run(ctx, a.endsAtRest) })
	})
	for i, in := range newInputs(a.cfg.Profile.Inputs) {
		work.Go("input "+a.cfg.Profile.Inputs[i].Name, func(ctx context.Context) error {
			return in.Run(ctx, func(s gpio.InputState) { a.guard.Input(guard.InputReport{Input: i, State: inputState(s)}) })
		})
	}
	if p := a.bus.sink.private; p != nil {
		work.Go("privacy", func(ctx context.Context) error { return p.run(ctx, a.log) })
	}
	// What moves the robot ends before what records it.
	wctx, stopWriters := context.WithCancel(context.Background())
	defer stopWriters()
	writersDone := writers.Start(wctx)
	err := work.Run(a.settled(ctx))
	if late, ok := err.(*task.LateError); ok { //nolint:errorlint // with another error beside it the end is none in order
		// Whoever waits for a disk, or compiles a large policy on a busy computer, does not keep the guard from ending. What
		// it has not done by now it would not have done after a power cut either, and every start expects that.
		a.log.Error().Strs("tasks", late.Names).Msg(late.Error())
		err = nil
	}
	closing, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err = errors.Join(err, a.journal.Close(closing))
	stopWriters()
	err = errors.Join(err, <-writersDone)
	if err == nil {
		err = a.state.end()
	}
	return err
}

// settled returns a context that ends only after the robot has been brought to rest: an orderly end holds the robot
// first, and says so, before the commands and the lock fall silent.
func (a *Agent) settled(ctx context.Context) context.Context {
	out, cancel := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() {
		defer cancel()
		a.orderly.Store(true)
		a.guard.Terminate()
		deadline := time.Now().Add(a.patience)
		poll := time.NewTicker(guard.TickPeriod)
		defer poll.Stop()
		for time.Now().Before(deadline) && !a.guard.AtRest() {
			<-poll.C
		}
	})
	return out
}

// endsAtRest says whether this is an orderly end of a robot that stands: only then a watchdog may be switched off.
func (a *Agent) endsAtRest() bool { return a.orderly.Load() && a.guard.AtRest() }

// ticks drives the guard at a fixed rate.
func (a *Agent) ticks(ctx context.Context) error {
	t := time.NewTicker(guard.TickPeriod)
	defer t.Stop()
	planned := a.clock.Boot()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		planned += guard.TickPeriod
		now := a.clock.Boot()
		if now-planned > guard.TickPeriod {
			// A tick that was missed is reported once as late, not as a growing backlog.
			a.guard.Tick(planned)
			planned = now
			continue
		}
		a.guard.Tick(min(planned, now))
	}
}

// keepTime stores the newest trusted time now and then. It waits for the disk, so it has a goroutine of its own.
func (a *Agent) keepTime(ctx context.Context) error {
	const look, keep = time.Second, 10 * time.Minute
	t := time.NewTicker(look)
	defer t.Stop()
	var stored int64
	for {
		if newest := a.newest.Load(); newest-stored > int64(keep) {
			stored = newest
			if err := a.state.storeTime(newest); err != nil {
				a.log.Warn().Err(err).Msg("the newest trusted time could not be stored")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
