package fleet

import (
	"context"
	"crypto"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/test/internal/broker"
)

// station is a consumer that may be restarted. It keeps what it was handed.
type station struct {
	t     testing.TB
	o     fleet.Options
	b     fleet.Broker
	mu    sync.Mutex
	got   map[string][]entry // by log
	bad   []fleet.Alarm
	state []string
	stop  func()
	done  map[fleet.BootID]uint64 // how far checkpoints vouch for the guard's log, by boot
}

// newStation makes a consumer that knows one robot and comes over the given address.
func newStation(t testing.TB, b *broker.Broker, r *robot, url string) *station {
	t.Helper()
	s := &station{t: t, got: map[string][]entry{}}
	s.o = fleet.DefaultOptions()
	s.o.Prefix, s.o.Dir, s.o.Key = prefix, t.TempDir(), r.consumer
	s.o.Devices = map[string]crypto.PublicKey{robotID: r.device.Public()}
	s.o.OnRecord = func(_ string, rec *fleet.Record) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got[rec.Log] = append(s.got[rec.Log], entry{rec.Boot, rec.Seq, rec.Kind, rec.BootTime, string(rec.Payload), rec.Prev, rec.Digest})
	}
	s.o.OnAlarm = func(a fleet.Alarm) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.bad = append(s.bad, a)
	}
	s.o.OnConnection = func(_, state string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.state = append(s.state, state)
	}
	s.b = fleet.Broker{URL: url, TLS: b.Authority.Client(t, "station").TLS, ClientID: "station", Log: zerolog.Nop()}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// start opens the consumer and lets it run.
func (s *station) start() {
	s.t.Helper()
	var c *fleet.Consumer
	o := s.o
	o.OnRecord = func(id string, rec *fleet.Record) {
		s.o.OnRecord(id, rec)
		s.note(c)
	}
	// A process that is just being started still holds the file's lock for a moment.
	if !await(s.t, "the consumer's file", 5*time.Second, func() (ok bool) {
		var err error
		c, err = fleet.Open(time.Now(), o)
		return err == nil
	}) {
		s.t.Fatal("the consumer cannot be opened")
	}
	s.note(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := fleet.Run(ctx, s.b, c); err != nil {
			s.t.Error(err)
		}
		if err := c.Close(); err != nil {
			s.t.Error(err)
		}
	}()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
}

func (s *station) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// count is how many records of a log have come.
func (s *station) count(log string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got[log])
}

func (s *station) records(log string) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]entry{}, s.got[log]...)
}

func (s *station) alarms() []fleet.Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]fleet.Alarm{}, s.bad...)
}

// told says whether an alarm with the code was told.
func (s *station) told(code fleet.Code) bool {
	for _, a := range s.alarms() {
		if a.Code == code {
			return true
		}
	}
	return false
}

// note keeps what the consumer knows. Only its own goroutine may ask it; whoever stopped it in order to ask, again and again,
// would keep it from hearing what it is asked about.
func (s *station) note(c *fleet.Consumer) {
	positions := c.Positions()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = map[fleet.BootID]uint64{}
	for _, p := range positions {
		if p.Log == "guard" {
			s.done[p.Boot] = p.Proven
		}
	}
}

// proven is how far checkpoints vouch for the guard's log of a boot.
func (s *station) proven(boot [16]byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[boot]
}

// settled waits until so many records of a log have come.
func (s *station) settled(t testing.TB, log string, n int) {
	t.Helper()
	if !await(t, "records of log "+log, 90*time.Second, func() bool { return s.count(log) >= n }) {
		t.Errorf("%d records of log %s: expected at least %d", s.count(log), log, n)
	}
}

// joined waits until the consumer has subscribed: the robot's retained connection comes first.
func (s *station) joined(t testing.TB) {
	t.Helper()
	if !await(t, "a consumer that has subscribed", 20*time.Second, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.state) > 0
	}) {
		t.Fatal("the consumer does not hear the robot's connection")
	}
}
