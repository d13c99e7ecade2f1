package e2e

import (
	"context"
	"errors"
	"io"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// heapMessages is how many messages DESIGN.md's bar counts over.
const heapMessages = 1_000_000

// heapBar is DESIGN.md's, in objects a message.
const heapBar = 0.001

// tickPeriod is how often the guard records a tick.
const tickPeriod = 20 * time.Millisecond

// heapPatience bounds the count: a machine on which the peers send slower counts less and says so.
const heapPatience = 5 * time.Minute

// BenchmarkHeapObjects embeds the agent as a vendor does, in this process, lets a robot and a planner feed it four topics at
// 1 kHz, and counts what the whole process allocates, journal and all, over a million messages. Nothing else runs in the
// process meanwhile, and all its peers are processes of their own.
func BenchmarkHeapObjects(b *testing.B) {
	heapObjects(b, ros.StartMaster(b, ros.Options{}), "whole process")
}

// BenchmarkHeapObjectsOnDDS is BenchmarkHeapObjects on DDS, with peers on CycloneDDS.
func BenchmarkHeapObjectsOnDDS(b *testing.B) {
	heapObjects(b, domain.Here(b, bus.Cyclone), "DDS, whole process")
}

func heapObjects(b *testing.B, m bus.Bus, what string) {
	b.Helper()
	plant.Start(b, m, plant.Config{LockTopic: "/robowarden/lock", OdomHz: 1000, Extra: []string{"--joints-hz=1000", "--imu-hz=1000"}})
	s := newSite(b, m, siteConfig{lock: true, journalMiB: 1024, segmentMiB: 8})
	a, err := agent.New(agent.Options{
		Deployment: s.path("deployment.yaml"), Version: "bench", Realtime: errors.New("embedded in a benchmark"),
		NewLog: func(string, string) zerolog.Logger { return zerolog.New(io.Discard) },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	driver.StartDrive(b, m, driver.Drive{VX: 0.1, W: 0.1, Rate: 1000})
	for b.Loop() {
		// Connections and goroutines come up first; they are no messages. The rate tells how long a million takes.
		idle(b, 5*time.Second)
		began := head(b, s)
		idle(b, 5*time.Second)
		rate := float64(head(b, s)-began)/5 - 1/tickPeriod.Seconds()
		if rate < 100 {
			b.Fatalf("%.0f messages a second: the peers do not feed the guard", rate)
		}
		runtime.GC()
		first, objects := head(b, s), allocated()
		start := time.Now()
		idle(b, min(spanOr(heapPatience), time.Duration(1.06*float64(heapMessages)/rate*float64(time.Second))))
		objects = allocated() - objects
		took := time.Since(start)
		messages := float64(head(b, s)-first) - took.Seconds()/tickPeriod.Seconds()
		figure(b, "%s, journal on: %.0f messages in %v, %d heap objects, %.5f a message (bar %g)",
			what, messages, took.Round(time.Second), objects, float64(objects)/messages, heapBar)
		b.ReportMetric(float64(objects)/messages, "objects/message")
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// idle lets the guard work while this process does nothing else.
func idle(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	case <-time.After(d):
	}
}

// head is the number of the journal's last record: every message is one, and so is every tick.
func head(b *testing.B, s *site) uint64 {
	b.Helper()
	last, err := journal.Tail(s.path("journal"), 1)
	if err != nil || len(last) == 0 {
		b.Fatalf("the journal's end: %v", err)
	}
	return last[0].LastSeq()
}

// allocated counts the heap objects that this process ever made.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
