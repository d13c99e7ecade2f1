package interlock

import (
	"strings"
	"testing"
	"time"
)

func nameList(names ...string) Names {
	n := Names{N: len(names)}
	copy(n.Name[:], names)
	return n
}

func inputTopic() PublisherConfig {
	return PublisherConfig{Subject: 3, Self: "/robowarden", Allowed: nameList("/planner", "/joy"), Max: 1, MaxAge: 2 * time.Second}
}

func outputTopic() PublisherConfig {
	return PublisherConfig{Output: true, Self: "/robowarden", AskConsumer: true, MaxAge: 2 * time.Second}
}

// says is which of the five conditions are what: P present, C clear, U unknown, in the order of PublisherStatus.
func says(s PublisherStatus) string {
	var b strings.Builder
	for _, c := range []Condition{s.Unknown, s.Second, s.Bypass, s.Unregistered, s.Lost} {
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
		"the planner alone":   {BusReport{Publishers: nameList("/planner"), Total: 1}, "CCCCC", 0},
		"nobody":              {BusReport{}, "CCCCC", 0},
		"a stranger":          {BusReport{Publishers: nameList("/evil"), Total: 1}, "PCCCC", CauseNotListed},
		"a second":            {BusReport{Publishers: nameList("/joy", "/planner"), Total: 2}, "CPCCC", 0},
		"the same twice":      {BusReport{Publishers: nameList("/planner", "/planner"), Total: 2}, "CPCCC", 0},
		"our own name":        {BusReport{Publishers: nameList("/robowarden"), Total: 1}, "PCCCC", CauseOwnName},
		"more than named":     {BusReport{Publishers: nameList("/planner"), Total: 40}, "PPCCC", CauseTooMany},
		"fewer than named":    {BusReport{Publishers: nameList("/planner"), Total: 0}, "PCCCC", CauseTooMany},
		"an impossible count": {BusReport{Publishers: Names{N: 99}, Total: 99}, "PPCCC", CauseNotListed},
		"a negative count":    {BusReport{Publishers: Names{N: -1}, Total: -1}, "PCCCC", CauseTooMany},
		"real peers agree": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/planner"), PeersTotal: 1,
		}, "CCCCC", 0},
		"a real peer that the bus does not list": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/ghost"), PeersTotal: 1,
		}, "PCCCC", CauseUnlistedPeer},
		"two real peers": {BusReport{
			Publishers: nameList("/planner"), Total: 1,
			PeersKnown: true, Peers: nameList("/joy", "/planner"), PeersTotal: 2,
		}, "CPCCC", 0},
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
		"only the gate": {true, BusReport{Publishers: self, Total: 1, Registered: true, ConsumerKnown: true, Sources: self, SourcesTotal: 1}, "CCCCC"},
		"a second publishes, the base does not listen": {true, BusReport{
			Publishers: both, Total: 2, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 1,
		}, "CPCCC"},
		"the base listens to another": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: both, SourcesTotal: 2,
		}, "CCPCC"},
		"the base listens to another alone": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: nameList("/evil"), SourcesTotal: 1,
		}, "CCPPC"},
		"the base listens to more than it names": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 3,
		}, "CCPCC"},
		"the base listens to two of our name": {true, BusReport{
			Publishers: self, Total: 1, Registered: true,
			ConsumerKnown: true, Sources: nameList("/robowarden", "/robowarden"), SourcesTotal: 2,
		}, "CCPCC"},
		"the base listens to nobody": {true, BusReport{Publishers: self, Total: 1, Registered: true, ConsumerKnown: true}, "CCCPC"},
		"the base does not answer":   {true, BusReport{Publishers: self, Total: 1, Registered: true}, "CCUCC"},
		"unregistered by somebody":   {true, BusReport{ConsumerKnown: true, Sources: self, SourcesTotal: 1}, "CCCPC"},
		"two of our name": {true, BusReport{
			Publishers: nameList("/robowarden", "/robowarden"), Total: 2, Registered: true,
			ConsumerKnown: true, Sources: self, SourcesTotal: 1,
		}, "CPCCC"},
		"the base cannot be asked":                     {false, BusReport{Publishers: self, Total: 1, Registered: true}, "CCCCC"},
		"the base cannot be asked, a second publishes": {false, BusReport{Publishers: both, Total: 2, Registered: true}, "CPPCC"},
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

func TestPublisherWatchForgetsOldReports(t *testing.T) {
	w, err := NewPublisherWatch(inputTopic())
	if err != nil {
		t.Fatal(err)
	}
	good := BusReport{Known: true, Publishers: nameList("/planner"), Total: 1}
	now := time.Hour
	if got := says(w.Status(now)); got != "UUUUU" {
		t.Fatalf("before any report: got %s", got)
	}
	none := BusReport{At: now}
	w.Report(now, &none)
	future := good
	future.At = now + 1
	w.Report(now, &future)
	if got := says(w.Status(now)); got != "UUUUU" {
		t.Fatalf("without a real report: got %s", got)
	}
	good.At = now
	w.Report(now, &good)
	older := BusReport{Known: true, At: now - 1, Publishers: nameList("/evil"), Total: 1}
	w.Report(now, &older)
	s := w.Status(now + 2*time.Second)
	if got := says(s); got != "CCCCC" || s.Next != now+2*time.Second {
		t.Fatalf("got %s", got)
	}
	w.Report(now+2*time.Second, &none)
	if got := says(w.Status(now + 2*time.Second + 1)); got != "UUUUP" {
		t.Errorf("after the deadline: got %s", got)
	}
	if got := says(w.Status(now - 1)); got != "UUUUP" {
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
