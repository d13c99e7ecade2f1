package interlock

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func nameList(names ...string) Names {
	n := Names{N: len(names)}
	copy(n.Name[:], names)
	return n
}

func inputTopic() PublisherConfig {
	return PublisherConfig{
		Subject: 3, Self: "/robowarden", Allowed: nameList("/planner", "/joy", "dds:10.0.0.7"), Shared: [MaxNames]bool{2: true},
		Max: 1, MaxAge: 2 * time.Second,
	}
}

func outputTopic() PublisherConfig {
	return PublisherConfig{Output: true, Self: "/robowarden", AskConsumer: true, MaxAge: 2 * time.Second}
}

// says is which of the six conditions are what: P present, C clear, U unknown, in the order of PublisherStatus.
func says(s PublisherStatus) string {
	var b strings.Builder
	for _, c := range []Condition{s.Unknown, s.Second, s.Bypass, s.Unregistered, s.Lost, s.Conflict} {
		b.WriteString(strings.ToUpper(c.State.String()[:1]))
	}
	return b.String()
}

func TestPublisherWatchJudgesAnInput(t *testing.T) {
	for name, c := range map[string]struct {
		report BusReport
		want   string
		cause  Cause
	}{
		"the planner alone":   {BusReport{Publishers: nameList("/planner"), Total: 1}, "CCCCCC", 0},
		"nobody":              {BusReport{}, "CCCCCC", 0},
		"a stranger":          {BusReport{Publishers: nameList("/evil"), Total: 1}, "PCCCCC", CauseNotListed},
		"a second":            {BusReport{Publishers: nameList("/joy", "/planner"), Total: 2}, "CPCCCC", 0},
		"the same twice":      {BusReport{Publishers: nameList("/planner", "/planner"), Total: 2}, "CPCCCC", 0},
		"our own name":        {BusReport{Publishers: nameList("/robowarden"), Total: 1}, "PCCCCC", CauseOwnName},
		"more than named":     {BusReport{Publishers: nameList("/planner"), Total: 40}, "PPCCCC", CauseTooMany},
		"fewer than named":    {BusReport{Publishers: nameList("/planner"), Total: 0}, "PCCCCC", CauseTooMany},
		"an impossible count": {BusReport{Publishers: Names{N: 99}, Total: 99}, "PPCCCC", CauseNotListed},
		"a negative count":    {BusReport{Publishers: Names{N: -1}, Total: -1}, "PCCCCC", CauseTooMany},
		"real peers agree": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/planner"), PeersTotal: 1,
		}, "CCCCCC", 0},
		"a shared name twice": {BusReport{Publishers: nameList("/joy", "dds:10.0.0.7", "dds:10.0.0.7"), Total: 3}, "CPCCCC", 0},
		"a real peer that the bus does not list": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/ghost"), PeersTotal: 1,
		}, "PCCCCC", CauseUnlistedPeer},
		"two real peers": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/joy", "/planner"), PeersTotal: 2,
		}, "CPCCCC", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewPublisherWatch(inputTopic())
			if err != nil {
				t.Fatal(err)
			}
			c.report.At, c.report.Known = time.Hour, true
			w.Report(time.Hour, &c.report)
			s := w.Status(time.Hour)
			if got := says(s); got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
			if s.Unknown.State == Present && (s.Unknown.Cause != c.cause || s.Unknown.Subject != 3) {
				t.Errorf("got %v of %d", s.Unknown.Cause, s.Unknown.Subject)
			}
		})
	}
}

func TestPublisherWatchJudgesTheOutput(t *testing.T) {
	self := nameList("/robowarden")
	both := nameList("/evil", "/robowarden")
	for name, c := range map[string]struct {
		ask    bool
		report BusReport
		want   string
	}{
		"only the gate": {true, BusReport{Publishers: self, Total: 1, Registered: true, ConsumerKnown: true, Sources: self, SourcesTotal: 1}, "CCCCCC"},
		"a second publishes, the base does not listen": {true, BusReport{
			Publishers: both, Total: 2, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 1,
		}, "CPCCCC"},
		"the base listens to another": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: both, SourcesTotal: 2,
		}, "CCPCCC"},
		"the base listens to another alone": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: nameList("/evil"), SourcesTotal: 1,
		}, "CCPPCC"},
		"the base listens to more than it names": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 3,
		}, "CCPCCC"},
		"the base listens to two of our name": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: nameList("/robowarden", "/robowarden"), SourcesTotal: 2,
		}, "CCPCCC"},
		"the base listens to nobody": {true, BusReport{Publishers: self, Total: 1, Registered: true, ConsumerKnown: true}, "CCCPCC"},
		"the base does not answer":   {true, BusReport{Publishers: self, Total: 1, Registered: true}, "CCUCCC"},
		"unregistered by somebody":   {true, BusReport{ConsumerKnown: true, Sources: self, SourcesTotal: 1}, "CCCPCC"},
		"two of our name": {true, BusReport{
			Publishers: nameList("/robowarden", "/robowarden"), Total: 2, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 1,
		}, "CPCCCC"},
		"the base cannot be asked":                              {false, BusReport{Publishers: self, Total: 1, Registered: true}, "CCCCCC"},
		"the base cannot be asked, a second publishes":          {false, BusReport{Publishers: both, Total: 2, Registered: true}, "CPPCCC"},
		"the base cannot be asked, a stranger publishes alone":  {false, BusReport{Publishers: nameList("/evil"), Total: 1}, "CPPPCC"},
		"the base cannot be asked, more publish than are named": {false, BusReport{Publishers: self, Total: 2, Registered: true}, "CPPCCC"},
		"the base cannot be asked, somebody has our name": {false, BusReport{
			Publishers: nameList("/robowarden", "/robowarden"), Total: 2, Registered: true,
		}, "CPPCCC"},
		"the base cannot be asked, we are not there": {false, BusReport{Publishers: Names{}}, "CCCPCC"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := outputTopic()
			cfg.AskConsumer = c.ask
			w, err := NewPublisherWatch(cfg)
			if err != nil {
				t.Fatal(err)
			}
			c.report.At, c.report.Known = time.Hour, true
			w.Report(time.Hour, &c.report)
			if got := says(w.Status(time.Hour)); got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestSuccessorIsNoSecondPublisher: where a publisher that was killed stays listed until its lease ends, it and the one
// that takes its place are a conflict for a while, and two publishers when it lasts.
func TestSuccessorIsNoSecondPublisher(t *testing.T) {
	const window = 30 * time.Second
	const rivals = 7 * time.Second // when the bus says so in these reports
	one, two := nameList("/planner"), nameList("/planner", "/planner")
	type at struct {
		after time.Duration
		names Names
		want  string
	}
	for name, c := range map[string]struct {
		window time.Duration
		at     []at
	}{
		"both are heard": {window, []at{{0, two, "CCCCCP"}, {rivals, two, "CPCCCP"}, {rivals + 1, one, "CCCCCC"}}},
		"it leaves":      {window, []at{{0, one, "CCCCCC"}, {time.Second, two, "CCCCCP"}, {20 * time.Second, two, "CCCCCP"}, {21 * time.Second, one, "CCCCCC"}}},
		"it stays":       {window, []at{{0, two, "CCCCCP"}, {window - 1, two, "CCCCCP"}, {window, two, "CPCCCP"}, {window + time.Hour, two, "CPCCCP"}}},
		"one after the other": {window, []at{
			{0, two, "CCCCCP"}, {window - 1, one, "CCCCCC"}, {window, two, "CCCCCP"}, {2*window - 1, two, "CCCCCP"}, {2 * window, two, "CPCCCP"},
		}},
		"a third of another name":    {window, []at{{0, nameList("/joy", "/planner", "/planner"), "CPCCCP"}}},
		"a stranger beside":          {window, []at{{0, nameList("/evil", "/planner", "/planner"), "PPCCCP"}}},
		"two of a shared name":       {window, []at{{0, nameList("dds:10.0.0.7", "dds:10.0.0.7"), "CPCCCC"}}},
		"where names are known once": {0, []at{{0, two, "CPCCCC"}}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := inputTopic()
			cfg.Succession = c.window
			w, err := NewPublisherWatch(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range c.at {
				now := time.Hour + a.after
				w.Report(now, &BusReport{At: now, Known: true, Publishers: a.names, Total: a.names.N, Rivals: a.after == rivals || a.after == rivals+1})
				s := w.Status(now)
				if got := says(s); got != a.want {
					t.Fatalf("after %v: got %s, want %s", a.after, got, a.want)
				}
				if s.Conflict.State == Present && (s.Conflict.Cause != CauseNameTwice || s.Conflict.Subject != cfg.Subject) {
					t.Errorf("got %v of %d", s.Conflict.Cause, s.Conflict.Subject)
				}
				restored, _ := NewPublisherWatch(cfg)
				if err := restored.RestoreState(w.AppendState(nil)); err != nil || *restored != *w {
					t.Errorf("restored: %v", err)
				}
			}
		})
	}
}

// TestMorePublishersNeverLoosen: one more publisher, whoever it is, makes no condition better, at any time.
func TestMorePublishersNeverLoosen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := inputTopic()
		if output := rapid.Bool().Draw(t, "output"); output {
			cfg = outputTopic()
			cfg.AskConsumer = false
		} else {
			cfg.Max = rapid.IntRange(1, 3).Draw(t, "max")
			cfg.Succession = time.Duration(rapid.IntRange(0, 30).Draw(t, "succession")) * time.Second
		}
		fewer, _ := NewPublisherWatch(cfg)
		more, _ := NewPublisherWatch(cfg)
		name := rapid.SampledFrom([]string{"/planner", "/joy", "/evil", "/robowarden", "dds:10.0.0.7"})
		extra := name.Draw(t, "extra")
		now := time.Hour
		for range rapid.IntRange(1, 8).Draw(t, "reports") {
			names := rapid.SliceOfN(name, 0, 4).Draw(t, "names")
			registered := rapid.Bool().Draw(t, "registered")
			a := BusReport{At: now, Known: true, Publishers: nameList(names...), Total: len(names), Registered: registered}
			b := BusReport{At: now, Known: true, Publishers: nameList(append(names, extra)...), Total: len(names) + 1, Registered: registered}
			fewer.Report(now, &a)
			more.Report(now, &b)
			x, y := fewer.Status(now), more.Status(now)
			for _, c := range []struct{ was, is Condition }{
				{x.Unknown, y.Unknown}, {x.Second, y.Second}, {x.Bypass, y.Bypass}, {x.Lost, y.Lost}, {x.Conflict, y.Conflict},
			} {
				if Worse(c.is, c.was) != c.is {
					t.Fatalf("%q and %q more: %v became %v", names, extra, c.was, c.is)
				}
			}
			now += time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond
		}
	})
}

// TestFloodOnTheBus: a flood is told beside what is listed, which counts as without it, and ends with the first report that
// does not tell of it.
func TestFloodOnTheBus(t *testing.T) {
	for _, cfg := range []PublisherConfig{inputTopic(), outputTopic()} {
		calm, _ := NewPublisherWatch(cfg)
		w, _ := NewPublisherWatch(cfg)
		r := BusReport{At: time.Hour, Known: true, Publishers: nameList("/planner"), Total: 1}
		calm.Report(r.At, &r)
		r.Flooded = true
		w.Report(r.At, &r)
		want, got := calm.Status(r.At), w.Status(r.At)
		if want.Flooded != OK() || got.Flooded != Fault(CausePassedOver, cfg.Subject) {
			t.Errorf("off %+v, flooded %+v", want.Flooded, got.Flooded)
		}
		if got.Flooded = OK(); got != want {
			t.Errorf("amid a flood %+v, expected %+v", got, want)
		}
		r.At, r.Flooded = r.At+time.Second, false
		if w.Report(r.At, &r); w.Status(r.At).Flooded != OK() {
			t.Error("the flood stays after its end")
		}
		r.At, r.Known, r.Flooded = r.At+time.Second, false, true
		if w.Report(r.At, &r); w.Status(r.At).Flooded != OK() {
			t.Error("an unknown graph tells of a flood")
		}
	}
}

// TestSharedNamesAreBoundedByMax: publishers without names of their own are counted.
func TestSharedNamesAreBoundedByMax(t *testing.T) {
	cfg := inputTopic()
	cfg.Allowed, cfg.Shared = nameList("dds:10.0.0.7", "/planner"), [MaxNames]bool{0: true}
	cfg.Max, cfg.Succession = 2, time.Minute
	w, err := NewPublisherWatch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"CCCCCC", "CCCCCC", "CCCCCC", "CPCCCC"} {
		names := make([]string, i)
		for j := range names {
			names[j] = "dds:10.0.0.7"
		}
		now := time.Hour + time.Duration(i)
		w.Report(now, &BusReport{At: now, Known: true, Publishers: nameList(names...), Total: i})
		if got := says(w.Status(now)); got != want {
			t.Errorf("%d of them: got %s, want %s", i, got, want)
		}
	}
}

func TestPublisherWatchForgetsOldReports(t *testing.T) {
	w, err := NewPublisherWatch(inputTopic())
	if err != nil {
		t.Fatal(err)
	}
	good := BusReport{Known: true, Publishers: nameList("/planner"), Total: 1}
	now := time.Hour
	if got := says(w.Status(now)); got != "UUUUUU" {
		t.Fatalf("before any report: got %s", got)
	}
	none := BusReport{At: now}
	w.Report(now, &none)
	future := good
	future.At = now + 1
	w.Report(now, &future)
	if got := says(w.Status(now)); got != "UUUUUU" {
		t.Fatalf("without a real report: got %s", got)
	}
	good.At = now
	w.Report(now, &good)
	older := BusReport{Known: true, At: now - 1, Publishers: nameList("/evil"), Total: 1}
	w.Report(now, &older)
	s := w.Status(now + 2*time.Second)
	if got := says(s); got != "CCCCCC" || s.Next != now+2*time.Second {
		t.Fatalf("got %s", got)
	}
	w.Report(now+2*time.Second, &none)
	if got := says(w.Status(now + 2*time.Second + 1)); got != "UUUUPU" {
		t.Errorf("after the deadline: got %s", got)
	}
	if got := says(w.Status(now - 1)); got != "UUUUPU" {
		t.Errorf("with the clock behind: got %s", got)
	}
	restored, _ := NewPublisherWatch(inputTopic())
	if err := restored.RestoreState(w.AppendState(nil)); err != nil || *restored != *w {
		t.Errorf("restored: %v", err)
	}
}

func TestPublisherWatchRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(in, out *PublisherConfig){
		"MaxAge":          func(in, _ *PublisherConfig) { in.MaxAge = 0 },
		"Succession":      func(in, _ *PublisherConfig) { in.Succession = -1 },
		"Succession ":     func(_, out *PublisherConfig) { out.Succession = maxDuration + 1 },
		"Self":            func(in, _ *PublisherConfig) { in.Self = "" },
		"Subject":         func(in, _ *PublisherConfig) { in.Subject = 0 },
		"Allowed.N":       func(in, _ *PublisherConfig) { in.Allowed.N = MaxNames + 1 },
		"Allowed":         func(in, _ *PublisherConfig) { in.Allowed = Names{} },
		"Allowed.Name[0]": func(in, _ *PublisherConfig) { in.Allowed.Name[0] = "/robowarden" },
		"Allowed ":        func(_, out *PublisherConfig) { out.Allowed = nameList("/x") },
		"Subject ":        func(_, out *PublisherConfig) { out.Subject = 1 },
	} {
		in, out := inputTopic(), outputTopic()
		change(&in, &out)
		cfg := in
		if strings.HasSuffix(field, " ") {
			cfg = out
		}
		if _, err := NewPublisherWatch(cfg); !hasConfigError(err, strings.TrimSpace(field)) {
			t.Errorf("%q: got %v", field, err)
		}
	}
	largest := inputTopic()
	largest.Subject, largest.Succession, largest.Allowed = MaxChannels, maxDuration, Names{N: MaxNames}
	for i := range largest.Allowed.Name {
		largest.Allowed.Name[i] = "/node" + string(rune('a'+i))
	}
	if _, err := NewPublisherWatch(largest); err != nil {
		t.Errorf("the largest of everything: %v", err)
	}
	for most, want := range map[int]bool{-1: false, 0: false, 1: true, 2: true} {
		cfg := inputTopic()
		cfg.Allowed, cfg.Max = nameList("/planner", "/other"), most
		if _, err := NewPublisherWatch(cfg); (err == nil) != want || !want && !hasConfigError(err, "Allowed") {
			t.Errorf("at most %d at once: got %v", most, err)
		}
	}
}

func TestPublisherWatchDoesNotAllocate(t *testing.T) {
	w, _ := NewPublisherWatch(inputTopic())
	r := BusReport{At: time.Hour, Known: true, Publishers: nameList("/planner", "/evil"), Total: 2}
	if got := testing.AllocsPerRun(100, func() {
		w.Report(time.Hour, &r)
		w.Status(time.Hour)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
