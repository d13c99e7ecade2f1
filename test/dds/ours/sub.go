package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// tally is what came, of one writer or of all.
type tally struct {
	received, first, last, disordered, wrong int64
}

func (t *tally) add(n int64, right bool) {
	if t.received++; t.received == 1 {
		t.first = n
	} else if n <= t.last {
		t.disordered++
	}
	t.last = max(t.last, n)
	if !right {
		t.wrong++
	}
}

func (t *tally) String() string {
	missing := int64(0)
	if t.received > 0 {
		missing = t.last - t.first + 1 - (t.received - t.disordered)
	}
	return fmt.Sprintf("received=%d first=%d last=%d missing=%d disordered=%d wrong=%d", t.received, t.first, t.last, missing, t.disordered, t.wrong)
}

// book is the tallies of a reader.
type book struct {
	mu      sync.Mutex
	all     tally
	writers map[string]*tally
	digests []byte
	newest  time.Duration
}

func hex(g wire.GUID) string { return fmt.Sprintf("%x%x", g.Prefix[:], g.Entity[:]) }

func (b *book) take(out *out, k kind, each bool, s *rtps.Sample) {
	now := boot()
	n, content, err := k.read(s.Payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		out.line("wrong %v", err)
	}
	own := digest(content)
	b.digests = binary.LittleEndian.AppendUint64(b.digests, own)
	who := hex(s.Writer.GUID)
	if b.all.add(n, err == nil); b.all.received == 1 {
		out.line("first %d %d", n, now)
	}
	if b.writers[who] == nil {
		b.writers[who] = &tally{}
		out.line("from %s", who)
	}
	b.writers[who].add(n, err == nil)
	b.newest = now
	if each {
		out.line("sample %d %s %016x %d", n, who, own, now)
	}
}

func subscribe(ctx context.Context, out *out, p *rtps.Participant, o options) error {
	k, ok := kinds[o.typ]
	if !ok {
		return fmt.Errorf("ours: --type=%s: unknown", o.typ)
	}
	b := &book{writers: map[string]*tally{}}
	var mu sync.Mutex
	matched := 0
	r, err := p.NewReader(rtps.ReaderConfig{
		Topic: "rt" + o.topic, Type: k.name, Reliable: bool(o.reliable), TransientLocal: bool(o.latched), MaxSample: o.maxSample, MaxRateHz: 1 << 20,
		Handler: func(s *rtps.Sample) { b.take(out, k, bool(o.each), s) },
		OnMatch: func(_ *rtps.RemoteWriter, on bool) {
			mu.Lock()
			defer mu.Unlock()
			if on {
				matched++
			} else {
				matched--
			}
			out.line("matched %d %d", matched, boot())
		},
	})
	if err != nil {
		return err
	}
	out.line("ready %d", boot())
	over := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return o.count > 0 && b.all.received >= o.count || o.idle > 0 && b.all.received > 0 && (boot()-b.newest).Seconds() > o.idle
	}
	for ctx.Err() == nil && !over() {
		time.Sleep(2 * time.Millisecond)
	}
	r.Close()
	s := r.Stats()
	out.line("stats %+v", s)
	b.mu.Lock()
	defer b.mu.Unlock()
	for who, t := range b.writers {
		out.line("writer %s %s", who, t)
	}
	h := fnv.New64a()
	h.Write(b.digests)
	out.line("done %s writers=%d digest=%016x", &b.all, len(b.writers), h.Sum64())
	return nil
}

// relay takes what comes on /cmd_vel_raw and writes it to /cmd_vel from the goroutine that read it.
func relay(ctx context.Context, out *out, p *rtps.Participant) error {
	const twist = "geometry_msgs::msg::dds_::Twist_"
	w, err := p.NewWriter(rtps.WriterConfig{Topic: "rt/cmd_vel", Type: twist, Reliable: true, Depth: 10})
	if err != nil {
		return err
	}
	n := uint64(0)
	_, err = p.NewReader(rtps.ReaderConfig{Topic: "rt/cmd_vel_raw", Type: twist, Reliable: true, Handler: func(s *rtps.Sample) {
		n++
		if _, err := w.Write(n, s.Payload); err != nil {
			out.line("refused %v", err)
		}
	}})
	if err != nil {
		return err
	}
	out.line("ready %d", boot())
	<-ctx.Done()
	return nil
}
