package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

const (
	// headPoll is how often the journal is looked at for evidence.
	headPoll = 200 * time.Millisecond
	// keepHead is how often the position in the chain is stored, so that the next run need not read the whole boot.
	keepHead = 10 * time.Second
	// quietHead is how long a head waits whose only news is that an earlier one was signed: else each signature would ask
	// for the next.
	quietHead = time.Minute
	// maxTold is how many heads are remembered that a checkpoint may be about.
	maxTold = 128
)

// headKeeper reads the guard's own journal behind its writer and knows how far the evidence is on disk. It is off the
// path: it reads files like any other program.
type headKeeper struct {
	dir     string
	boot    [16]byte
	durable func() uint64
	state   *stateDir
	log     zerolog.Logger

	mu sync.Mutex
	// newest is the last evidence that was read, next the one that waits to become durable, head the newest durable one.
	newest, next, head headMark
	// broken is true once records of this boot are gone that the chain needs.
	broken bool
	told   []contract.Head
	stored uint64
}

// headMark is a place in journal and chain.
type headMark struct {
	seq    uint64
	digest journal.Digest
	value  evidencelog.Digest
	// news is the last record up to here that is more than a checkpoint.
	news uint64
	at   time.Time
}

// run follows the journal until ctx ends.
func (h *headKeeper) run(ctx context.Context) error {
	var from []evidencelog.Position
	if p, err := h.load(); err == nil {
		from = append(from, p)
	}
	o := evidencelog.Options{
		Dir: h.dir, Log: evidencelog.Guard, From: from, Poll: headPoll,
		Damaged: func(err error) {
			h.log.Error().Err(err).Msg("the journal is damaged; its evidence chain cannot go on over it")
		},
	}
	var done sync.WaitGroup
	done.Go(func() { h.keep(ctx) })
	defer done.Wait()
	err := evidencelog.Follow(ctx, o, func(r *evidencelog.Record) error { h.take(r); return nil })
	if ctx.Err() != nil {
		return nil
	}
	// A robot must not stop because its reports do: it goes on without heads, and says so.
	h.log.Error().Err(err).Msg("the journal cannot be followed; heads are not told any more")
	h.fail()
	<-ctx.Done()
	return nil
}

func (h *headKeeper) fail() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = true
}

// take notes one evidence record.
func (h *headKeeper) take(r *evidencelog.Record) {
	if r.BootID != h.boot {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Restart && !h.broken {
		h.broken = true
		h.log.Error().Uint64("seq", r.Seq).Msg("records of this boot are gone before their evidence was read; heads are not told until the next boot")
	}
	m := headMark{seq: r.Seq, digest: r.Digest, value: r.Value, news: h.newest.news, at: time.Now()}
	if r.Kind != journal.Kind(guard.RecordCheckpoint) {
		m.news = r.Seq
	}
	h.newest = m
	h.settle()
}

// settle moves on to what has become durable.
func (h *headKeeper) settle() {
	durable := h.durable()
	if h.next.seq != 0 && h.next.seq <= durable {
		h.head = h.next
		h.next = headMark{}
	}
	switch {
	case h.newest.seq == h.head.seq:
	case h.newest.seq <= durable:
		h.head, h.next = h.newest, headMark{}
	case h.next.seq == 0:
		h.next = h.newest
	}
}

// current returns the newest durable head; false before there is one, or when none can be told.
func (h *headKeeper) current() (contract.Head, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle()
	if h.broken || h.head.seq == 0 {
		return contract.Head{}, false
	}
	if n := len(h.told); n > 0 && h.head.news <= h.told[n-1].Seq && time.Since(h.head.at) < quietHead {
		return h.told[n-1], true
	}
	m := h.head
	out := contract.Head{
		BootID: evidencelog.FormatBoot(h.boot), Seq: m.seq, Digest: hex.EncodeToString(m.digest[:]),
		EvidenceSeq: m.seq, Evidence: hex.EncodeToString(m.value[:]),
	}
	if n := len(h.told); n == 0 || h.told[n-1] != out {
		h.told = append(h.told[max(0, n+1-maxTold):], out)
	}
	return out, true
}

// errCheckpoint is why a checkpoint is not recorded.
var errCheckpoint = errors.New("expected a checkpoint over one of the last heads that the guard told")

// knows says whether the checkpoint is over a head that was told.
func (h *headKeeper) knows(c *contract.Checkpoint) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.told {
		if t.BootID == c.BootID && t.Seq == c.Seq && t.Digest == c.Digest && t.Evidence == c.Evidence {
			return nil
		}
	}
	return fmt.Errorf("%w, found seq %d", errCheckpoint, c.Seq)
}

// keep stores the position now and then, and at the end.
func (h *headKeeper) keep(ctx context.Context) {
	t := time.NewTicker(keepHead)
	defer t.Stop()
	for more := true; more; {
		select {
		case <-ctx.Done():
			more = false
		case <-t.C:
		}
		h.mu.Lock()
		h.settle()
		m, broken := h.head, h.broken
		h.mu.Unlock()
		if broken || m.seq == 0 || m.seq == h.stored {
			continue
		}
		if err := h.store(m); err != nil {
			h.log.Warn().Err(err).Msg("the evidence chain's position could not be stored")
			continue
		}
		h.stored = m.seq
	}
}

// The stored position is one line: boot id, sequence number, chain value, and the CRC-32C of what stands before it.
const headForm = "%s %d %x "

func (h *headKeeper) store(m headMark) error {
	line := fmt.Sprintf(headForm, evidencelog.FormatBoot(h.boot), m.seq, m.value[:])
	return h.state.replace(headNew, headFile, fmt.Appendf(nil, "%s%08x\n", line, checksum([]byte(line))))
}

func (h *headKeeper) load() (p evidencelog.Position, err error) {
	data, err := h.state.dir.ReadFile(headFile)
	if err != nil {
		return p, err
	}
	var boot, value string
	var sum uint32
	if _, err := fmt.Sscanf(string(data), "%s %d %s %x\n", &boot, &p.Seq, &value, &sum); err != nil {
		return p, fmt.Errorf("%s: %w", headFile, err)
	}
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != len(p.Digest) || checksum(fmt.Appendf(nil, headForm, boot, p.Seq, raw)) != sum {
		return p, fmt.Errorf("%s: damaged", headFile)
	}
	copy(p.Digest[:], raw)
	p.BootID, err = evidencelog.ParseBoot(boot)
	return p, err
}

// checksum is the CRC-32C of b: it finds damage, not forgery.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
