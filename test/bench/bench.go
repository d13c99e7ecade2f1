// Package bench measures how long a message takes through a node, beside other nodes that do the same job, in one run
// and in turns; it knows workers by their topics and process ids only, so that anything can be one of them.
//
// Every round visits every worker at every rate, starting with another worker each time, so that what disturbs the
// machine disturbs all alike. Ratios between two workers are taken within each round; the median of them counts.
package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/wire"
)

// Job is what workers do with a message.
type Job int

// Jobs.
const (
	// Gate takes a Twist and gives a Twist out.
	Gate Job = iota
	// Reply takes an Odometry, checks its position and gives a Header out.
	Reply
)

// String names the job.
func (j Job) String() string {
	if j == Reply {
		return "reply"
	}
	return "gate"
}

func (j Job) types() (in, out wire.Type) {
	if j == Reply {
		return wire.Odometry, wire.Header
	}
	return wire.Twist, wire.Twist
}

// MaxRate stands for as fast as it goes, with Config.InFlight messages under way at a time.
const MaxRate = 0

// Worker is one node to measure. If In and Out are the same topic there is no node between: that is the direct way.
type Worker struct {
	// Name stands in the table.
	Name string
	// PID is the process whose CPU time and memory are read; 0 for none.
	PID int
	// In is the topic that it reads, Out the one that it writes.
	In, Out string
}

// Config describes a run.
type Config struct {
	// Master is the URI of the ROS master.
	Master string
	// Job is what all the workers do.
	Job Job
	// Workers are visited in turn.
	Workers []Worker
	// Rates in hertz; MaxRate is one of them. Default: 100, 1000 and MaxRate.
	Rates []float64
	// Rounds is how often everything is visited; default 10.
	Rounds int
	// Visit is how long each worker is measured at each rate in each round; default 1s.
	Visit time.Duration
	// InFlight bounds the messages under way at MaxRate; default 32.
	InFlight int
	// Before, if not nil, is called before each round, to change what the workers live with.
	Before func(round int)
	// Log takes progress; default: nobody.
	Log func(format string, args ...any)
}

func (c *Config) complete() error {
	if len(c.Workers) == 0 {
		return errors.New("bench: no workers")
	}
	if len(c.Rates) == 0 {
		c.Rates = []float64{100, 1000, MaxRate}
	}
	if c.Rounds == 0 {
		c.Rounds = 10
	}
	if c.Visit == 0 {
		c.Visit = time.Second
	}
	if c.InFlight == 0 {
		c.InFlight = 32
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return nil
}

// maxIDs bounds the messages of one visit.
const maxIDs = 1 << 20

// lane is the driver's side of one worker.
type lane struct {
	worker Worker
	job    Job
	pub    *wire.Publisher
	frame  []byte
	// sent holds when each message of the visit went out, by its number; got how long it took, 0 for not yet.
	sent, got []atomic.Int64
	arrived   chan struct{}
	stray     atomic.Int64
}

// Run measures.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	n, err := wire.NewNode(wire.NodeConfig{Name: "/bench_driver", Master: cfg.Master})
	if err != nil {
		return nil, err
	}
	defer func() { _ = n.Close() }()
	lanes, err := connect(ctx, n, cfg)
	if err != nil {
		return nil, err
	}
	return rounds(ctx, cfg, func(worker int, rate float64) (Visit, error) { return lanes[worker].visit(ctx, rate, cfg) })
}

// rounds visits every worker at every rate in every round.
func rounds(ctx context.Context, cfg Config, visit func(worker int, rate float64) (Visit, error)) (*Report, error) {
	r := &Report{Job: cfg.Job, Rates: cfg.Rates, Visits: map[Key][]Visit{}}
	for _, w := range cfg.Workers {
		r.Workers = append(r.Workers, w.Name)
	}
	for round := range cfg.Rounds {
		cfg.Log("round %d of %d", round+1, cfg.Rounds)
		if cfg.Before != nil {
			cfg.Before(round)
		}
		for _, rate := range cfg.Rates {
			for i := range cfg.Workers {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				worker := (i + round) % len(cfg.Workers)
				name := cfg.Workers[worker].Name
				v, err := visit(worker, rate)
				if err != nil {
					return nil, fmt.Errorf("bench: %s at %s: %w", name, rateName(rate), err)
				}
				key := Key{name, rate}
				r.Visits[key] = append(r.Visits[key], v)
			}
		}
	}
	return r, nil
}

// connect makes a lane for each worker and waits until a message has come through each of them.
func connect(ctx context.Context, n *wire.Node, cfg Config) ([]*lane, error) {
	in, out := cfg.Job.types()
	var lanes []*lane
	for _, w := range cfg.Workers {
		l := &lane{
			worker: w, job: cfg.Job, arrived: make(chan struct{}, maxIDs),
			sent: make([]atomic.Int64, maxIDs), got: make([]atomic.Int64, maxIDs),
		}
		l.frame = frameOf(cfg.Job)
		var err error
		typ := out
		if w.In == w.Out {
			typ = in
		}
		if l.pub, err = n.Advertise(ctx, wire.PublisherConfig{Topic: w.In, Type: in}); err != nil {
			return nil, err
		}
		if _, err := n.Subscribe(ctx, w.Out, typ, func(m wire.Message) { l.receive(m) }); err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, l := range lanes {
		if err := l.pub.WaitPeers(ctx, 1); err != nil {
			return nil, fmt.Errorf("bench: %s does not listen: %w", l.worker.Name, err)
		}
		// Some nodes advertise only when they have something to say, and lose the first messages.
		for len(l.arrived) == 0 {
			l.send(1)
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("bench: nothing comes through %s: %w", l.worker.Name, ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return lanes, nil
}

// A command's number is hidden in its speed: a whole number of steps above base, small enough that no sane limit clips
// it, and exact in a float64.
const (
	idBase = 0.0625
	idStep = 1.0 / (1 << 30)
)

// frameOf is a message of the job with its length in front.
func frameOf(job Job) []byte {
	if job == Reply {
		return wire.Frame(wire.PlanarOdometry(wire.HeaderMsg{Frame: "map"}, 1, 1, 0, 0, 0).Append(nil))
	}
	return wire.Frame(wire.TwistMsg{Linear: [3]float64{idBase}}.Append(nil))
}

// send sends the message with the number.
func (l *lane) send(id int) {
	if l.job == Reply {
		binary.LittleEndian.PutUint32(l.frame[4:], uint32(id))
	} else {
		binary.LittleEndian.PutUint64(l.frame[4:], math.Float64bits(idBase+float64(id)*idStep))
	}
	l.sent[id].Store(now())
	l.pub.SendRaw(l.frame)
}

// receive notes how long a message took.
func (l *lane) receive(m wire.Message) {
	at := now()
	id := 0
	switch {
	case len(m.Body) < 16:
	case l.job == Reply:
		id = int(binary.LittleEndian.Uint32(m.Body))
	default:
		steps := (math.Float64frombits(binary.LittleEndian.Uint64(m.Body)) - idBase) / idStep
		if steps >= 1 && steps < maxIDs && steps == math.Trunc(steps) {
			id = int(steps)
		}
	}
	if id < 1 || id >= maxIDs || l.sent[id].Load() == 0 {
		l.stray.Add(1)
		return
	}
	l.got[id].Store(at - l.sent[id].Load())
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

var start = time.Now()

// now is monotonic nanoseconds; never 0.
func now() int64 { return int64(time.Since(start)) + 1 }

// visit measures one worker at one rate.
func (l *lane) visit(ctx context.Context, rate float64, cfg Config) (Visit, error) {
	for i := range l.sent {
		if l.sent[i].Load() == 0 && i > 0 {
			break
		}
		l.sent[i].Store(0)
		l.got[i].Store(0)
	}
	for len(l.arrived) > 0 {
		<-l.arrived
	}
	l.stray.Store(0)
	before, err := l.usage()
	if err != nil {
		return Visit{}, err
	}
	begin := time.Now()
	var sent int
	if rate == MaxRate {
		sent = l.flood(ctx, cfg)
	} else {
		sent = l.pace(ctx, rate, cfg.Visit)
	}
	took := time.Since(begin)
	l.settle(ctx, sent)
	after, err := l.usage()
	if err != nil {
		return Visit{}, err
	}
	v := Visit{Sent: sent, Stray: int(l.stray.Load()), Took: took, CPU: after.CPU - before.CPU, RSSBytes: after.RSSBytes}
	v.measure(l.sent[1:sent+1], l.got[1:sent+1])
	if len(v.latencies) == 0 {
		return v, fmt.Errorf("none of %d messages came back", sent)
	}
	return v, nil
}

func (l *lane) usage() (proc.Usage, error) { return l.worker.usage() }

func (w Worker) usage() (proc.Usage, error) {
	if w.PID == 0 {
		return proc.UsageOf(os.Getpid())
	}
	return proc.UsageOf(w.PID)
}

// pace sends at a rate.
func (l *lane) pace(ctx context.Context, rate float64, d time.Duration) int {
	// The runtime's timers come in steps of a millisecond, which would make pairs of messages out of 1 kHz.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var begin unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &begin); err != nil {
		return 0
	}
	n := min(int(rate*d.Seconds()), maxIDs-1)
	for i := range n {
		due := unix.NsecToTimespec(begin.Nano() + int64(float64(i)/rate*1e9))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &due, nil) == unix.EINTR {
		}
		if ctx.Err() != nil {
			return i
		}
		l.send(i + 1)
	}
	return n
}

// flood keeps a number of messages under way.
func (l *lane) flood(ctx context.Context, cfg Config) int {
	begin := time.Now()
	id, under := 0, 0
	stuck := time.NewTimer(time.Hour)
	defer stuck.Stop()
	for time.Since(begin) < cfg.Visit && id < maxIDs-1 && ctx.Err() == nil {
		for under < cfg.InFlight && id < maxIDs-1 {
			id++
			under++
			l.send(id)
		}
		stuck.Reset(200 * time.Millisecond)
		select {
		case <-l.arrived:
			under--
		case <-stuck.C:
			under = 0 // they are lost
		}
	}
	return id
}

// patience is how long a worker may be silent before what it still owes counts as lost.
const patience = 2 * time.Second

// settle waits until the last message of the visit is back: those of a connection come in order, so that what is missing then was
// passed over. A worker that is silent for too long has lost it.
func (l *lane) settle(ctx context.Context, sent int) {
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for sent > 0 && l.got[sent].Load() == 0 {
		select {
		case <-l.arrived:
			quiet.Reset(patience)
		case <-quiet.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
