package courier

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/hal/host"
)

// Options says what to run. One of Deployment and Config, and NewLog, are required.
type Options struct {
	// Deployment is the path of the deployment file.
	Deployment string
	// Config is the deployment itself, with absolute paths; it goes before the file. If both are given, the file's digest is
	// a claim of the evidence all the same.
	Config *config.Deployment
	// Version is the program's version, for people.
	Version string
	// NewLog makes the log once the deployment has said which level and format it wants. It must not block.
	NewLog func(level, format string) zerolog.Logger
	// Clock is the machine's if it is nil.
	Clock Clock
	// MeasuredLog replaces the deployment's.
	MeasuredLog string
	// AllowDemo accepts verifiers' keys that are marked as demonstration keys. Only the demonstration sets it.
	AllowDemo bool
}

// Courier is the role that speaks to the network.
type Courier struct {
	turns   atomic.Uint64
	o       Options
	dep     *config.Deployment
	cfg     *config.Courier
	broker  *url.URL
	clock   *guardedClock
	log     zerolog.Logger
	boot    [16]byte
	pace    pace
	journal *journal.Log
	// executable is the digest of the program that runs, "" if it cannot be read.
	executable string
	// deployed and commandLine are the digests of the deployment document and of the kernel's command line, "" likewise.
	deployed, commandLine string
	cursor                *cursor
	// tokens gives programs of the robot their tokens, nil where the deployment does not want that.
	tokens *tokens
	// startup are faults to be noted once the journal runs.
	startup []Fault
}

// The courier's own journal is small: it holds what changed, not what was sent.
const (
	ownQuota   = 16 << 20
	ownSegment = 1 << 20
	ownRing    = 256 << 10
)

// journalDir is where a role keeps its journal below its state directory.
func journalDir(state string) string { return filepath.Join(state, "journal") }

// New loads the deployment and opens the courier's own files. It talks to nobody yet.
func New(o Options) (*Courier, error) {
	c := &Courier{o: o, dep: o.Config, clock: &guardedClock{Clock: o.Clock}, pace: defaultPace()}
	if c.dep == nil {
		var err error
		if c.dep, err = config.LoadDeployment(o.Deployment); err != nil {
			return nil, err
		}
	}
	if c.cfg = c.dep.Courier; c.cfg == nil {
		return nil, errors.New("the deployment has no courier: add the section `courier`, or do not start one")
	}
	if o.Clock == nil {
		c.clock.Clock = hostClock{}
	}
	c.log = o.NewLog(c.dep.Log.Level, c.dep.Log.Format)
	var err error
	if c.boot, err = host.BootID(); err != nil {
		return nil, err
	}
	if c.broker, err = url.Parse(c.cfg.Broker); err != nil || c.broker.Host == "" {
		return nil, fmt.Errorf("courier.broker: expected \"tls://host:port\", found %q", c.cfg.Broker)
	}
	if err := os.MkdirAll(c.cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("courier.state_dir: %w", err)
	}
	if c.cursor, err = loadCursor(c.cfg.StateDir); err != nil {
		c.startup = append(c.startup, Fault{"cursor", err.Error()})
		c.log.Error().Err(err).Msg("everything in the journals is sent again")
	}
	// A mistake there costs the tokens and not the reports.
	if c.tokens, err = newTokens(c.dep, c.clock.Boot); err != nil {
		c.startup = append(c.startup, Fault{"tokens", err.Error()})
		c.log.Error().Err(err).Msg("no program gets a token")
	}
	jo := journal.DefaultOptions(c.boot, c.clock.Boot)
	jo.SegmentBytes, jo.QuotaBytes, jo.RingBytes, jo.Log = ownSegment, ownQuota, ownRing, c.log
	// Now, since the walls that are raised before Run keep the courier even from its own executable.
	c.executable = (&proof{}).executable()
	c.commandLine = kernelFiles("/").commandLine()
	if o.Deployment != "" {
		text, err := os.ReadFile(o.Deployment)
		if err != nil {
			return nil, fmt.Errorf("the deployment: %w", err)
		}
		c.deployed = fingerprint(text)
	}
	if c.journal, err = journal.Open(journalDir(c.cfg.StateDir), jo); err != nil {
		return nil, err
	}
	return c, nil
}

// shutdownTimeout bounds how long an orderly end takes.
const shutdownTimeout = 3 * time.Second

// Progress counts the turns of the courier's loop, whether anybody listens or not. A courier whose count stands still is
// stuck.
func (c *Courier) Progress() uint64 { return c.turns.Load() }

// Run reports until ctx ends. It returns an error only if it cannot go on at all; then it should be started again.
func (c *Courier) Run(ctx context.Context) error {
	l := newLoop(c)
	var all sync.WaitGroup
	journalCtx, journalEnd := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() { _ = c.journal.Run(journalCtx) })
	err := l.run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = errors.Join(err, c.journal.Close(end))
	journalEnd()
	all.Wait()
	return err
}

// newLoop wires the loop with what runs around it.
func newLoop(c *Courier) *loop {
	now := c.clock.Boot()
	l := &loop{
		c: c, log: c.log, clock: c.clock,
		netEvents: make(chan netEvent), arrivals: make(chan arrival, maxArrivals), parcels: make(chan *parcel, maxInFlight),
		guardEvents: make(chan guardEvent), frames: make(chan contract.Frame, 64), waiting: map[uint32]pending{}, boundNoted: map[string]string{},
		jobs: make(chan job, 32), done: make(chan func()), asked: make(chan func()), saves: make(chan []byte, 1),
		bucket: newBucket(c.cfg.BandwidthKiBPS<<10, now), lost: map[string]uint64{}, stopped: make(chan struct{}),
		session: session{patience: c.pace.patience, pause: backoff{first: c.pace.proveFirst, most: c.pace.proveMost, random: rand.Float64}},
		link:    "never",
	}
	l.stateDue, l.shown = true, Unattested
	l.proof = &proof{
		agent: c.executable, firmware: c.cfg.EventLog, ima: c.cfg.IMALog, measured: cmp.Or(c.o.MeasuredLog, c.cfg.MeasuredLog, MeasuredLog),
		config: c.deployed, commandLine: c.commandLine, kernel: "/",
	}
	l.writer = writer{clock: c.clock, ids: map[string]uint32{}}
	l.streams = [3]*reading{
		c.newReading(evidencelog.Guard, c.dep.Paths.JournalDir),
		c.newReading(evidencelog.Courier, journalDir(c.cfg.StateDir)),
	}
	if s := c.dep.Steward; s != nil {
		l.streams[2] = c.newReading(evidencelog.Steward, journalDir(s.StateDir))
	}
	return l
}

func (c *Courier) newReading(log, dir string) *reading {
	r := &reading{stream: newStream(log, backoff{first: c.pace.resendFirst, most: c.pace.resendMost, random: rand.Float64}), dir: dir}
	if marks := c.cursor.Marks[log]; len(marks) > 0 {
		r.at = marks[0]
	}
	return r
}

// newLink prepares the connection to the broker once the robot's id is known.
func (l *loop) newLink(robot string) (*link, error) {
	cfg := l.c.cfg
	l.writer.robot = robot
	will, err := l.writer.write(TopicConnection, "", false, &Connection{ConnectionState: Broken})
	if err != nil {
		return nil, err
	}
	return &link{
		clock: l.clock, broker: l.c.broker, base: TopicBase(cfg.Prefix, robot), will: will,
		config: func(now time.Time) (*tls.Config, error) {
			id := l.identity.Load()
			if id == nil {
				return credentials(cfg, l.c.broker.Hostname(), nil, cfg.Certificate, now)
			}
			return credentials(cfg, l.c.broker.Hostname(), id.key, id.certificate, now)
		},
		who: func() (string, []string, bool) {
			id := l.identity.Load()
			recovery := id != nil && id.recovery != ""
			// Nothing is kept for a recovery: it may never come again, and what it needs is retained.
			return ClientID(robot, recovery), down(cfg.BoundKey != nil, recovery), recovery
		},
		left: make(chan struct{}, 1),
		pace: l.c.pace, pause: backoff{first: l.c.pace.retryFirst, most: l.c.pace.retryMost, random: rand.Float64},
		events: l.netEvents, arrived: l.arrivals, parcels: l.parcels,
	}, nil
}

// note appends to the courier's own journal.
func (l *loop) note(kind journal.Kind, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		l.log.Error().Err(err).Msg("a record could not be written")
		return
	}
	l.c.journal.Append(kind, l.clock.Boot(), b, false)
}
