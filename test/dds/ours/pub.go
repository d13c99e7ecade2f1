package main

import (
	"context"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/hal/rtps"
)

func publish(ctx context.Context, out *out, p *rtps.Participant, o options) error {
	k, ok := kinds[o.typ]
	if !ok {
		return fmt.Errorf("ours: --type=%s: unknown", o.typ)
	}
	// A writer keeps depth times its cap in memory.
	longest, depth := 1<<10, rtps.MaxDepth
	if o.size > longest/2 {
		longest, depth = o.size+1<<10, 32
	}
	if o.depth > 0 {
		depth = o.depth
	}
	w, err := p.NewWriter(rtps.WriterConfig{
		Topic: "rt" + o.topic, Type: k.name, Reliable: bool(o.reliable), TransientLocal: bool(o.latched), Depth: depth, MaxSample: longest,
	})
	if err != nil {
		return err
	}
	out.line("ready %d", boot())
	matched := 0
	look := func() int {
		if n := w.Readers(); n != matched {
			matched = n
			out.line("matched %d %d", n, boot())
		}
		return matched
	}
	for ctx.Err() == nil && look() < o.wait {
		time.Sleep(time.Millisecond)
	}
	sleep(ctx, o.settle)
	period := time.Duration(float64(time.Second) / o.rate)
	var buf []byte
	sent := int64(0)
	for next := time.Now(); ctx.Err() == nil && (o.count == 0 || sent < o.count); next = next.Add(period) {
		time.Sleep(time.Until(next))
		buf = k.encode(buf, o.first+sent, o.size)
		if s, err := w.Write(uint64(sent), buf); err != nil || s.Superseded {
			out.line("refused %d %v", o.first+sent, err)
		}
		sent++
		look()
	}
	out.line("sent %d", sent)
	end := time.Now().Add(time.Duration(o.flush * float64(time.Second)))
	for ctx.Err() == nil && !w.Acked() && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
	}
	word := "unacknowledged"
	if w.Acked() {
		word = "acknowledged"
	}
	out.line("done %d %s", sent, word)
	for end := time.Now().Add(time.Duration(o.linger * float64(time.Second))); ctx.Err() == nil && time.Now().Before(end); {
		look()
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func sleep(ctx context.Context, seconds float64) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
}
