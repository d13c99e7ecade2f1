package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/test/internal/broker"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// TestMain lets the test's own program be a sender: what is to be killed has to be a process.
func TestMain(m *testing.M) {
	for env, play := range map[string]func(context.Context, string) error{senderEnv: play, courierEnv: runCourier} {
		text := os.Getenv(env)
		if text == "" {
			continue
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := play(ctx, text)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const senderEnv = "ROBOWARDEN_TEST_SENDER"

func play(ctx context.Context, text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	return runSender(ctx, p)
}

// process is a sender that can be killed and started again.
type process struct {
	t    testing.TB
	spec proc.Spec
	p    *proc.Process
	peak int64 // resident memory in bytes
}

func (p *process) start() {
	p.t.Helper()
	p.p = proc.StartT(p.t, p.spec)
}

// kill ends the process without warning and starts it again.
func (p *process) kill() {
	p.t.Helper()
	p.measure()
	p.p.Kill()
	p.start()
}

// measure notes the process's memory.
func (p *process) measure() {
	if u, err := p.p.Usage(); err == nil {
		p.peak = max(p.peak, u.HWMBytes)
	}
}

// reference starts the small sender.
func reference(t testing.TB, r *robot, url string, change func(*plan)) *process {
	t.Helper()
	p := plan{
		Broker: url, CA: r.creds.CA, Certificate: r.creds.Certificate, Key: r.creds.Key, Journal: r.path("journal"), Cursor: r.path("cursor"),
	}
	if change != nil {
		change(&p)
	}
	text := must(json.Marshal(p))(t)
	s := &process{t: t, spec: proc.Spec{Name: "sender", Argv: []string{must(os.Executable())(t)}, Env: []string{senderEnv + "=" + string(text)}}}
	return s
}

func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("ROBOWARDEN_SEED"); s != "" {
		n = must(strconv.ParseUint(s, 10, 64))(t)
	}
	t.Logf("seed %d", n)
	return n
}

func qualify() bool { return os.Getenv("ROBOWARDEN_TIER") == "qualify" }

// startBroker starts a broker for the robot, its station, and the tests' own eyes.
func startBroker(t testing.TB) *broker.Broker {
	t.Helper()
	return broker.Start(t, broker.Options{Prefix: prefix, Robots: []string{robotID}, Stations: []string{"station"}, Admins: []string{"eye"}})
}

// outages breaks things at random until done, one at a time, and mends them.
func outages(t testing.TB, rng *rand.Rand, done func() bool, events map[string]func()) map[string]int {
	t.Helper()
	var names []string
	for name := range events {
		names = append(names, name)
	}
	count := map[string]int{}
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for i := 0; !done(); i++ {
		name := names[i%len(names)]
		events[name]()
		count[name]++
		pause(done, time.Duration(300+rng.IntN(700))*time.Millisecond)
	}
	return count
}

// pause lets things run for a while between two outages.
func pause(done func() bool, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !done(); {
		time.Sleep(10 * time.Millisecond)
	}
}

// brokerEvents are what may happen to a broker.
func brokerEvents(b *broker.Broker, rng *rand.Rand) map[string]func() {
	down := func() { time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond) } // how long it is away, not a wait for anything
	return map[string]func(){
		"broker stopped":                      func() { b.Stop(); down(); b.Restart() },
		"broker killed":                       func() { b.Kill(false); down(); b.Restart() },
		"broker killed with its store lost":   func() { b.Kill(true); down(); b.Restart() },
		"broker killed with its store lost 2": func() { b.Kill(true); b.Restart() },
		"broker held":                         func() { b.Pause(); time.Sleep(time.Second); down(); b.Resume() },
	}
}

// await polls for the end of a run.
func await(t testing.TB, what string, within time.Duration, ok func() bool) bool {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Logf("within %v: expected %s", within, what)
			return false
		}
	}
	return true
}

// arrived compares what the consumer was handed with the journal: every record of each boot,
// once, in order, nothing else.
func arrived(t testing.TB, s *station, log, dir string) {
	t.Helper()
	want, got := evidence(t, dir, log), s.records(log)
	// Each boot has a chain of its own, so its records have an order, and boots have none: a later one may come first.
	boots := map[[16]byte]int{}
	for _, e := range want {
		if _, known := boots[e.boot]; !known {
			boots[e.boot] = len(boots)
		}
	}
	slices.SortStableFunc(got, func(a, b entry) int { return boots[a.boot] - boots[b.boot] })
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("log %s: record %d of the journal is %d (%x), the consumer has %d (%x)", log, i, want[i].seq, want[i].digest[:4], got[i].seq, got[i].digest[:4])
		}
	}
	if len(want) != len(got) {
		t.Errorf("log %s: %d records in the journal, %d at the consumer", log, len(want), len(got))
	}
}

// load is what a run carries.
type load struct {
	records int
	// spread is the time over which they are written, so that outages meet records on their way; within bounds the run.
	spread, within time.Duration
}

func size() load {
	if qualify() {
		return load{200_000, 4 * time.Minute, 15 * time.Minute}
	}
	return load{20_000, 8 * time.Second, 90 * time.Second}
}

// older gives the robot records of an earlier boot, and opens this boot's journal.
func (r *robot) older(t testing.TB, n int) {
	t.Helper()
	r.journalIn(t, [16]byte{1, 2, 3})
	r.write(t, n)
	id, _ := bootID(t)
	r.journalIn(t, id)
}

// run carries records over outages and returns whether all came in time.
func run(t testing.TB, b *broker.Broker, r *robot, s *station, p *process, l load) bool {
	t.Helper()
	const chunks = 50
	rng := rand.New(rand.NewPCG(seed(t), 2))
	start := time.Now()
	stop := start.Add(l.within)
	var writing sync.WaitGroup
	var written atomic.Bool
	writing.Go(func() {
		defer written.Store(true)
		for range chunks {
			r.write(t, l.records/chunks)
			time.Sleep(l.spread / chunks) // the pace at which a robot makes records
		}
	})
	what := brokerEvents(b, rng)
	what["consumer restarted"], what["sender killed"], what["sender killed again"] = s.restart, p.kill, p.kill
	counts := outages(t, rng, written.Load, what)
	writing.Wait()
	total := len(evidence(t, r.path("journal"), "guard"))
	complete := await(t, "every record at the consumer", time.Until(stop), func() bool { return s.count("guard") >= total })
	p.measure()
	t.Logf("figures: %d of %d records in %v, peak memory of the sender %.1f MB, outages %v",
		s.count("guard"), total, time.Since(start).Round(time.Millisecond), float64(p.peak)/1e6, counts)
	return complete
}

// TestReferenceSenderOverOutages shows that the rig and the consumer carry what the specification promises.
func TestReferenceSenderOverOutages(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := newRobot(t, b)
	s := newStation(t, b, r, b.URL())
	r.older(t, 1000)
	p := reference(t, r, b.URL(), nil)
	p.start()
	if !run(t, b, r, s, p, load{5000, 6 * time.Second, 60 * time.Second}) {
		t.Error("not every record came")
	}
	arrived(t, s, "guard", r.path("journal"))
	quiet(t, s, fleet.CheckpointMissing) // it signs none
}

// quiet checks that nothing but what is expected was told.
func quiet(t testing.TB, s *station, expected ...fleet.Code) {
	t.Helper()
	for _, a := range s.alarms() {
		if !slices.Contains(expected, a.Code) {
			t.Errorf("alarm %v", a)
		}
	}
}

// maxCourierRSS bounds the courier's memory. The robot's three roles together have 48 MB; here it is linked into a test.
const maxCourierRSS = 64 << 20

// TestCourierOverOutages carries evidence over every outage there is: all of it arrives, once, in order, proven by
// checkpoints, and the courier does not grow.
func TestCourierOverOutages(t *testing.T) {
	t.Parallel()
	l := size()
	b := startBroker(t)
	r := newRobot(t, b)
	s := newStation(t, b, r, b.URL())
	r.older(t, l.records/10)
	d := openDesk(t, r)
	p := startCourier(t, r, b.URL())
	p.start()
	if !run(t, b, r, s, p, l) {
		t.Error("not every record came")
	}
	arrived(t, s, "guard", r.path("journal"))
	quiet(t, s)
	if p.peak > maxCourierRSS {
		t.Errorf("peak memory %d bytes: expected at most %d", p.peak, maxCourierRSS)
	}
	list := evidence(t, r.path("journal"), "guard")
	last := list[len(list)-1].seq
	if !await(t, "the acknowledgement at the guard", 20*time.Second, func() bool { return d.acknowledgedUpTo() == last }) {
		t.Errorf("the guard was told that %d is acknowledged: expected %d", d.acknowledgedUpTo(), last)
	}
	if !await(t, "a checkpoint over everything", 20*time.Second, func() bool { return s.proven(list[len(list)-1].boot) >= last }) {
		t.Errorf("proven up to %d: expected %d", s.proven(list[len(list)-1].boot), last)
	}
	if s.restart(); s.proven(list[len(list)-1].boot) < last {
		t.Errorf("after a restart proven up to %d: expected %d", s.proven(list[len(list)-1].boot), last)
	}
	// The courier's own log goes on while it runs. Nobody attests this robot, so only safety events go out, and what lies
	// before them: everything up to the newest checkpoint has to come, in the order in which it is there.
	const checkpoint = 16
	own := 0
	for i, e := range evidence(t, r.path("courier/journal"), "courier") {
		if e.kind == checkpoint {
			own = i + 1
		}
	}
	s.settled(t, "courier", own)
	p.p.Stop(5 * time.Second)
	list, got := evidence(t, r.path("courier/journal"), "courier"), s.records("courier")
	if len(got) > len(list) || !slices.Equal(list[:len(got)], got) {
		t.Errorf("the courier's own log: %d records came that are not the first of its %d", len(got), len(list))
	}
	t.Logf("figures: %d of %d records of the courier's own log", len(got), len(list))
}

// TestOffSenderThatTrustsTheBroker must fail: a PUBACK is no acknowledgement.
func TestOffSenderThatTrustsTheBroker(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := newRobot(t, b)
	s := newStation(t, b, r, b.URL())
	s.stop() // what is acknowledged by the broker alone lies in its store
	id, _ := bootID(t)
	r.journalIn(t, id)
	r.write(t, 500)
	p := reference(t, r, b.URL(), func(p *plan) { p.TrustBroker = true })
	p.start()
	if !await(t, "everything at the broker", 20*time.Second, func() bool {
		raw, err := os.ReadFile(r.path("cursor"))
		return err == nil && string(raw) == "500"
	}) {
		t.Fatal("the broker did not take the records")
	}
	b.Kill(true)
	b.Restart()
	s.o.Patience = 2 * time.Second
	s.start()
	r.write(t, 10) // the loss shows as soon as anything follows
	if !await(t, "an alarm for the gap", 20*time.Second, func() bool { return s.told(fleet.Gap) }) {
		t.Error("a sender that trusts the broker was not found out")
	}
	if n := s.count("guard"); n != 0 {
		t.Errorf("%d records taken over a gap", n)
	}
	p.measure()
}

// TestOffSenderThatSkips must fail: one record in a hundred is left out.
func TestOffSenderThatSkips(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	r := newRobot(t, b)
	s := newStation(t, b, r, b.URL())
	s.stop()
	s.o.Patience = time.Second
	s.start()
	id, _ := bootID(t)
	r.journalIn(t, id)
	r.write(t, 300)
	reference(t, r, b.URL(), func(p *plan) { p.SkipEvery = 100 }).start()
	if !await(t, "an alarm for the gap", 20*time.Second, func() bool { return s.told(fleet.Gap) }) {
		t.Error("a record that is missing was not told")
	}
	if n := s.count("guard"); n >= 100 {
		t.Errorf("%d records taken over a gap", n)
	}
}

// TestMisbehavingNetwork puts a broker of an attacker's between sender and broker.
func TestMisbehavingNetwork(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]broker.Faults{
		"drops": {Drop: 0.02}, "duplicates": {Duplicate: 0.3}, "reorders": {Reorder: 0.3}, "forgets": {Forget: 0.05},
		"everything": {Drop: 0.01, Duplicate: 0.1, Reorder: 0.1, Forget: 0.02, Delay: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			r := newRobot(t, b)
			proxy := broker.StartProxy(t, b, seed(t))
			proxy.Up(f)
			proxy.Down(f)
			s := newStation(t, b, r, b.URL())
			id, _ := bootID(t)
			r.journalIn(t, id)
			r.write(t, 3000)
			reference(t, r, proxy.URL(), nil).start()
			complete := await(t, "every record at the consumer", 60*time.Second, func() bool { return s.count("guard") >= 3000 })
			t.Logf("%+v", proxy.Counts())
			if !complete {
				t.Errorf("%d records came", s.count("guard"))
			}
			arrived(t, s, "guard", r.path("journal"))
			for _, a := range s.alarms() {
				t.Errorf("alarm %v", a)
			}
		})
	}
}
