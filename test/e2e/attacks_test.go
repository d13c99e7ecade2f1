package e2e

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
)

// strike is one attack of the table: on a robot that a planner drives under a guard, on a real bus.
type strike struct {
	name string
	kit  kit
	// want are the triggers one of which has to say so. Without any, nothing but the gate shows it: then the base's first
	// zero command counts as the detection.
	want []string
	// permitted is set for what a policy cannot switch off: off runs are made under the same one, and begin does what it permits.
	permitted bool
	// once is set for what leaves a bus behind on which nobody can go on: each run of it has a bus of its own.
	once bool
	// anew is set for what the guard forgives in ten seconds only: it starts again after each run, which is sooner.
	anew bool
	// watched is for how long its off runs are looked at, if that is longer than for the others.
	watched time.Duration
	// shards is over how many robots the runs are spread that take long each; 0 is one robot.
	shards int
	// short is set for what make test does as well: what no other test of it does.
	short []bus.Kind
	// begin attacks. It returns when that began, on CLOCK_BOOTTIME, and what ends it.
	begin func(t testing.TB, l *lane, off bool) (began time.Duration, end func())
}

// boottime is CLOCK_BOOTTIME, which the guard and the plant go by as well.
func boottime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // It cannot fail with a clock that exists.
	return time.Duration(ts.Nano())
}

const (
	// noticed is how long an attack may go on unseen before the test gives up; it is no bar, the table has the times.
	noticed = 30 * time.Second
	// watched is for how long an off run is looked at, unless the strike says more: twice as long as the attacks take to be seen
	// on an idle machine.
	watched = 2500 * time.Millisecond
)

// attackRest is rest as in the other tests, held for a shorter time: nobody drives on under an attack.
var attackRest = oracle.Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 250 * time.Millisecond}

// times is what one attack took, from its beginning, whether something kept the machine meanwhile, and how long all of it
// took with the way there and back.
type times struct {
	detect, rest, whole time.Duration
	starved             bool
}

// on makes the attack and waits until it has been detected and the robot stands. The next run begins with the way back.
func (s *strike) on(t testing.TB, l *lane) (took times) {
	t.Helper()
	l.open(t)
	began, end := s.begin(t, l, false)
	if len(s.want) > 0 {
		until(t, noticed, fmt.Sprintf("one of the triggers %q", s.want), func() bool {
			at, ok := l.fired(s.want)
			took.detect = max(0, at-began)
			return ok
		})
	}
	until(t, noticed, "a robot at rest", func() (ok bool) {
		truth := l.p.Truth(t).Since(began)
		d, err := oracle.TimeToRest(truth, began, attackRest)
		if took.rest = d; err == nil && len(s.want) == 0 {
			took.detect, err = oracle.TimeToZeroCommand(truth, began)
		}
		return err == nil
	})
	took.starved = machine.starved(began, began+max(took.detect, took.rest))
	end()
	l.back = func(t testing.TB) {
		if s.anew {
			l.restart(t)
		}
		l.recover(t)
	}
	return took
}

// offRun does the same with the detector off, or what is permitted, and says whether it was detected all the same, and whether
// something kept the machine meanwhile.
func (s *strike) offRun(t testing.TB, l *lane) (caught, starved bool) {
	t.Helper()
	l.open(t)
	began, end := s.begin(t, l, true)
	for boottime() < began+max(watched, s.watched) && !caught {
		if len(s.want) > 0 {
			_, caught = l.fired(s.want)
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
	if len(s.want) == 0 {
		// A planner that the machine held up drives on; one that was stopped does not.
		caught = !l.drivesOn(t)
	}
	starved = machine.starved(began, boottime())
	end()
	l.back = l.recover
	return caught, starved
}

// offTries is how often an off run is made again that was detected while something kept the machine: what is late then is late
// without an attack.
const offTries = 6

// codes names the active triggers.
func codes(st agent.Status) (out []string) {
	for _, tr := range st.Triggers {
		out = append(out, tr.Code)
	}
	return out
}

// fired is when the first of the triggers fired that are active now, on CLOCK_BOOTTIME. None was active before the attack: open
// has seen to it.
func (l *lane) fired(want []string) (at time.Duration, ok bool) {
	st, up := l.g.status()
	for _, tr := range st.Triggers {
		if up && slices.Contains(want, tr.Code) {
			since := time.Duration((st.BootS - tr.SinceS) * float64(time.Second))
			if !ok || since < at {
				at, ok = since, true
			}
		}
	}
	return at, ok
}

// attackRuns is how often each attack is made: ROBOWARDEN_ATTACKS, or 100 in make qualify and once in make test.
func attackRuns() (on, off int) {
	if n, err := strconv.Atoi(os.Getenv("ROBOWARDEN_ATTACKS")); err == nil && n > 0 {
		return n, max(n/10, 1)
	}
	if longTier() {
		return 100, 10
	}
	return 1, 0
}

// attackRow is a line of the table.
type attackRow struct {
	order     int
	bus, name string
	times     []times
	// off is how many off runs were made, caught how many of them were detected all the same.
	off, caught int
}

// attackTable collects the rows of strikes that run at the same time, one robot's part of a row after the other.
type attackTable struct {
	mu   sync.Mutex
	rows []attackRow
}

func (a *attackTable) add(r attackRow) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.rows {
		if x := &a.rows[i]; x.order == r.order && x.bus == r.bus {
			x.times, x.off, x.caught = append(x.times, r.times...), x.off+r.off, x.caught+r.caught
			return
		}
	}
	a.rows = append(a.rows, r)
}

// print writes the table line by line for make qualify's report. Runs during which the machine kept somebody waiting are
// counted among the others, and said.
func (a *attackTable) print(t *testing.T) {
	t.Helper()
	slices.SortFunc(a.rows, func(x, y attackRow) int { return 100*(x.order-y.order) + strings.Compare(x.bus, y.bus) })
	t.Log("table: | attack | bus | runs | detected after ms, p50 | p99 | max | at rest after ms, p50 | p99 | max | off runs detected | runs on a starved machine | seconds a run |")
	t.Log("table: |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, r := range a.rows {
		if len(r.times) == 0 {
			continue // its test has failed
		}
		var whole time.Duration
		starved := 0
		for _, x := range r.times {
			if whole += x.whole; x.starved {
				starved++
			}
		}
		detect := quantiles(r.times, func(x times) time.Duration { return x.detect })
		stand := quantiles(r.times, func(x times) time.Duration { return x.rest })
		t.Logf("table: | %s | %s | %d | %s | %s | %d of %d | %d | %.1f |", r.name, r.bus, len(r.times), detect, stand, r.caught, r.off, starved,
			whole.Seconds()/float64(len(r.times)))
	}
}

// quantiles is p50, p99 and the maximum in milliseconds.
func quantiles(all []times, of func(times) time.Duration) string {
	d := make([]time.Duration, len(all))
	for i, x := range all {
		d[i] = of(x)
	}
	slices.Sort(d)
	at := func(q float64) float64 { return d[max(int(math.Ceil(q*float64(len(d)))), 1)-1].Seconds() * 1e3 } // the nearest rank
	return fmt.Sprintf("%.1f | %.1f | %.1f", at(0.5), at(0.99), at(1))
}

// TestAttacks attacks driving robots under the real guard on real buses, again and again: each attack has to be detected and
// the robot has to come to rest; with the detector off, or by what is permitted, it must not. How long both took is logged
// as a table, and judged nowhere. make test does once what no other test of it does.
func TestAttacks(t *testing.T) {
	t.Parallel()
	run := seed(t)
	load := machine.watch()
	var table attackTable
	t.Run("on", func(t *testing.T) {
		for _, j := range attackJobs() {
			t.Run(j.name(), func(t *testing.T) {
				t.Parallel()
				j.run(t, run, &table)
			})
		}
	})
	t.Logf("figures: %s", load())
	table.print(t)
}

// attackJob is what one robot after the other goes through: some runs of some strikes, or off runs of one.
type attackJob struct {
	kind  bus.Kind
	group []strike
	// shard tells the jobs of one strike apart.
	shard, on, off int
}

func (j attackJob) name() string {
	n := string(j.kind) + " " + j.group[0].name
	if j.off > 0 {
		return n + ", off"
	}
	if j.shard > 0 {
		return fmt.Sprintf("%s, %d", n, j.shard+1)
	}
	return n
}

// attackJobs are all jobs, those first that take longest.
func attackJobs() (all []attackJob) {
	on, off := attackRuns()
	for _, kind := range append([]bus.Kind{bus.ROS}, onDDS(bus.Cyclone)...) {
		for _, group := range groups(strikes(kind), kind) {
			shards := min(max(group[0].shards, 1), on)
			for i := range shards {
				all = append(all, attackJob{kind: kind, group: group, shard: i, on: (on + i) / shards})
			}
			for i := range min(off, len(group)) {
				all = append(all, attackJob{kind: kind, group: group[i : i+1], off: off})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y attackJob) int { return y.group[0].shards - x.group[0].shards })
	return all
}

// groups are the strikes that one robot after the other takes: in make qualify each has a lane of its own, so that more of
// them go on at a time, and in make test those of one kit share one.
func groups(all []strike, kind bus.Kind) (out [][]strike) {
	byKit := map[kit]int{}
	for i := range all {
		s := all[i]
		if !longTier() && os.Getenv("ROBOWARDEN_ATTACKS") == "" {
			if !slices.Contains(s.short, kind) {
				continue
			}
			if n, ok := byKit[s.kit]; ok && !s.once {
				out[n] = append(out[n], s)
				continue
			}
			byKit[s.kit] = len(out)
		}
		out = append(out, []strike{s})
	}
	return out
}

// run makes each strike of the job as often as it takes, at moments that the seed, the bus and the strike decide.
func (j attackJob) run(t *testing.T, seed uint64, table *attackTable) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(j.name()))            // never fails
	r := rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // not a secret
	var l *lane
	for i := range j.group {
		s := &j.group[i]
		row := attackRow{order: strikeOrder(s.name), bus: string(j.kind), name: s.name}
		k := s.kit
		k.off = j.off > 0 && !s.permitted
		again := func() *lane {
			if l == nil || s.once {
				l = newLane(t, meet(t, j.kind), k, r)
				l.long = j.off > 0
			}
			return l
		}
		t.Run(s.name, func(sub *testing.T) {
			for range j.on {
				start := boottime()
				took := s.on(sub, again())
				if s.once {
					l.close()
				}
				took.whole = boottime() - start
				row.times = append(row.times, took)
			}
			for range j.off {
				caught, starved := true, true
				for try := 0; try < offTries && caught && starved; try++ {
					caught, starved = s.offRun(sub, again())
					if s.once {
						l.close()
					}
				}
				if row.off++; caught {
					row.caught++
					sub.Errorf("an off run was detected (by one of %q, or by the gate; on a starved machine: %t)", s.want, starved)
				}
			}
		})
		if n := len(row.times); n > 0 {
			t.Logf("%s: detected after %v, at rest after %v", s.name, row.times[n-1].detect, row.times[n-1].rest)
		}
		table.add(row)
	}
	if l != nil && j.off == 0 && !j.group[len(j.group)-1].once {
		l.g.Stop(time.Minute) // a busy computer takes its time
		l.g.replayedHere(t)
	}
}

// deskFault lets the operator's desk misbehave until the end.
func (l *lane) deskFault(t testing.TB, fault string) (time.Duration, func()) {
	began := boottime()
	l.op.Fault(t, fault)
	return began, func() { l.op.Fault(t, "clear") }
}

// deskStrikes are those on the operator's heartbeat, the same on every bus.
func deskStrikes() []strike {
	fault := func(name string, want ...string) strike {
		return strike{
			name: "heartbeat " + name, kit: kit{desk: true}, want: want, anew: slices.Contains(want, "channel.heartbeat-hostile"),
			begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) { return l.deskFault(t, name) },
		}
	}
	late, hostile := "channel.heartbeat-late", "channel.heartbeat-hostile"
	both := []bus.Kind{bus.ROS, bus.Cyclone}
	delayed := strike{
		name: "heartbeat delayed 1", kit: kit{desk: true}, want: []string{late}, permitted: true, short: both,
		begin: func(t testing.TB, l *lane, off bool) (time.Duration, func()) {
			if off {
				return l.deskFault(t, "delayed 0.1")
			}
			return l.deskFault(t, "delayed 1")
		},
	}
	frozen, twice := fault("frozen", late, hostile), fault("duplicated", hostile)
	frozen.short, twice.short = both, both
	return []strike{
		delayed, frozen, twice, fault("wrong_key", late, hostile), fault("wrong_boot", late, hostile), fault("silent", late),
		{
			name: "desk killed", kit: kit{desk: true}, want: []string{late}, shards: 2,
			begin: func(_ testing.TB, l *lane, _ bool) (time.Duration, func()) {
				began := boottime()
				l.op.Kill()
				return began, func() { l.startDesk() }
			},
		},
	}
}

// provenStrikes are those on commands that have to prove who sent them, the same on every bus.
func provenStrikes() (all []strike) {
	for _, f := range [][2]string{
		{"replay", "last command replayed, before a reboot"}, {"wrong_key", "commands by a wrong key"}, {"flip", "commands with a bit flipped"},
	} {
		fault := f[0]
		all = append(all, strike{
			name: f[1], kit: kit{proven: true}, want: []string{"channel.command-unproven"},
			begin: func(t testing.TB, l *lane, _ bool) (time.Duration, func()) {
				began := boottime()
				l.commander.Fault(t, fault)
				return began, func() { l.commander.Fault(t, "clear") }
			},
		})
	}
	return append(all, strike{
		name: "session past its grant", kit: kit{proven: true, session: true}, permitted: true, short: []bus.Kind{bus.ROS}, shards: 2,
		begin: sessionPastItsGrant,
	})
}

// plannerKilled is the end of a commander that the task needs, and its return under the same name.
func plannerKilled() strike {
	return strike{
		// Until the lease of the one that was killed is over there are two of that name: 20 s with Fast DDS.
		name: "planner killed and restarted", kit: kit{needed: true}, want: []string{"channel.lost"}, shards: 4,
		begin: func(_ testing.TB, l *lane, _ bool) (time.Duration, func()) {
			began := boottime()
			l.planner.Kill()
			return began, func() { l.startPlanner(l.t) }
		},
	}
}

// strikes are the attacks on the kind of bus.
func strikes(kind bus.Kind) []strike {
	own := ddsStrikes()
	if kind == bus.ROS {
		own = rosStrikes()
	}
	return slices.Concat(own, provenStrikes(), deskStrikes(), []strike{plannerKilled()})
}

// strikeOrder is the row of an attack in the table.
func strikeOrder(name string) int {
	all := append(strikes(bus.ROS), strikes(bus.Fast)...)
	return slices.IndexFunc(all, func(s strike) bool { return s.name == name })
}

// startDesk starts the operator's desk.
func (l *lane) startDesk() {
	l.op = driver.StartOperator(l.t, l.b, driver.OperatorConfig{Robot: robotID, Endpoint: "operator", Key: l.s.heartbeat})
}
