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

// tally is what came.
type tally struct {
	mu                                       sync.Mutex
	received, first, last, disordered, wrong int64
	writers                                  map[string]bool
	digests                                  []byte
	newest                                   time.Duration
}

func hex(g wire.GUID) string { return fmt.Sprintf("%x%x", g.Prefix[:], g.Entity[:]) }

func (t *tally) take(out *out, k kind, each bool, s *rtps.Sample) {
	now := boot()
	n, content, err := k.read(s.Payload)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.wrong++
		out.line("wrong %v", err)
	}
	own := digest(content)
	t.digests = binary.LittleEndian.AppendUint64(t.digests, own)
	who := hex(s.Writer.GUID)
	t.writers[who] = true
	if t.received++; t.received == 1 {
		t.first = n
		out.line("first %d %d", n, now)
	} else if n <= t.last {
		t.disordered++
	}
	t.last = max(t.last, n)
	t.newest = now
	if each {
		out.line("sample %d %s %016x %d", n, who, own, now)
	}
}

func subscribe(ctx context.Context, out *out, p *rtps.Participant, o options) error {
	k, ok := kinds[o.typ]
	if !ok {
		return fmt.Errorf("ours: --type=%s: unknown", o.typ)
	}
	t := &tally{writers: map[string]bool{}}
	var mu sync.Mutex
	matched := 0
	r, err := p.NewReader(rtps.ReaderConfig{
		Topic: "rt" + o.topic, Type: k.name, Reliable: bool(o.reliable), TransientLocal: bool(o.latched), MaxSample: o.maxSample, MaxRateHz: 1 << 20,
		Handler: func(s *rtps.Sample) { t.take(out, k, bool(o.each), s) },
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
		t.mu.Lock()
		defer t.mu.Unlock()
		return o.count > 0 && t.received >= o.count || o.idle > 0 && t.received > 0 && (boot()-t.newest).Seconds() > o.idle
	}
	for ctx.Err() == nil && !over() {
		time.Sleep(2 * time.Millisecond)
	}
	r.Close()
	s := r.Stats()
	out.line("stats %+v", s)
	t.mu.Lock()
	defer t.mu.Unlock()
	missing := int64(0)
	if t.received > 0 {
		missing = t.last - t.first + 1 - (t.received - t.disordered)
	}
	h := fnv.New64a()
	h.Write(t.digests)
	out.line("done received=%d first=%d last=%d missing=%d disordered=%d wrong=%d writers=%d digest=%016x",
		t.received, t.first, t.last, missing, t.disordered, t.wrong, len(t.writers), h.Sum64())
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
