package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// driver is the program that sends and receives on DDS: neither side of what is compared measures itself.
type driver struct {
	*proc.Process
	commands *os.File
	folder   string
	visits   int
}

// RunOn measures workers of the job Gate on a DDS domain. The driver's SCHED_FIFO priority is driverFIFO, 0 for none.
func RunOn(ctx context.Context, t testing.TB, d *domain.Domain, driverFIFO int, cfg Config) (*Report, error) {
	t.Helper()
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.Job != Gate {
		return nil, errors.New("bench: on DDS there is the job gate only")
	}
	b, err := startDriver(ctx, t, d, driverFIFO, cfg.Workers)
	if err != nil {
		return nil, err
	}
	defer b.leave() // another run may have one of the same name
	return rounds(ctx, cfg, func(worker int, rate float64) (Visit, error) {
		return b.measure(ctx, cfg.Workers[worker], worker, rate, cfg.Visit)
	})
}

// startDriver starts the driver and waits until a message has come through every worker.
func startDriver(ctx context.Context, t testing.TB, d *domain.Domain, fifo int, workers []Worker) (*driver, error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = w.Close() })
	argv := []string{cpp.Binary(t, "bench_dds_driver"), strconv.Itoa(d.Number), d.Address()}
	for _, x := range workers {
		argv = append(argv, x.In, x.Out)
	}
	b := &driver{commands: w, folder: t.TempDir()}
	b.Process = d.Node(t, proc.Spec{Name: "driver", Argv: argv, Stdin: r, FIFO: fifo})
	_ = r.Close() // the driver has its own
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := b.WaitOutput(ctx, `(?m)^ready$`); err != nil {
		return nil, fmt.Errorf("bench: a worker does not listen: %w", err)
	}
	for lane, x := range workers {
		// The guard lets nothing through before it knows who commands.
		for {
			v, err := b.visit(ctx, lane, 100, 5)
			if err != nil {
				return nil, fmt.Errorf("bench: nothing comes through %s: %w", x.Name, err)
			}
			if v.Got() > 0 {
				break
			}
		}
	}
	return b, nil
}

// leave has the driver say farewell and ends it.
func (b *driver) leave() {
	_ = b.commands.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_, _ = b.Wait(ctx)
	b.Kill()
}

// measure visits a worker and reads what it used meanwhile.
func (b *driver) measure(ctx context.Context, w Worker, lane int, rate float64, span time.Duration) (Visit, error) {
	if rate == MaxRate {
		return Visit{}, errors.New("on DDS there are steady rates only")
	}
	before, err := proc.CPUOf(w.PID)
	if err != nil {
		return Visit{}, err
	}
	v, err := b.visit(ctx, lane, rate, max(1, int(rate*span.Seconds())))
	if err != nil {
		return v, err
	}
	after, err := proc.CPUOf(w.PID)
	if err != nil {
		return v, err
	}
	u, err := w.usage()
	if err != nil {
		return v, err
	}
	v.CPU, v.RSSBytes = after-before, u.RSSBytes
	if v.Got() == 0 {
		return v, fmt.Errorf("none of %d messages came back", v.Sent)
	}
	return v, nil
}

// visit has the driver send count messages at a rate.
func (b *driver) visit(ctx context.Context, lane int, rate float64, count int) (v Visit, err error) {
	b.visits++
	file := filepath.Join(b.folder, "visit")
	if _, err := fmt.Fprintf(b.commands, "visit %d %g %d %s\n", lane, rate, count, file); err != nil {
		return v, err
	}
	m, err := b.WaitOutput(ctx, fmt.Sprintf(`(?m)^visited %d sent=(\d+) stray=(\d+) took_ns=(\d+)$`, b.visits))
	if err != nil {
		return v, err
	}
	var n [3]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return v, err
		}
	}
	v.Sent, v.Stray, v.Took = int(n[0]), int(n[1]), time.Duration(n[2])
	raw, err := os.ReadFile(file)
	if err != nil {
		return v, err
	}
	if len(raw) != 16*v.Sent {
		return v, fmt.Errorf("%d bytes about %d messages: expected 16 for each", len(raw), v.Sent)
	}
	sent, took := make([]atomic.Int64, v.Sent), make([]atomic.Int64, v.Sent)
	for i := range sent {
		sent[i].Store(int64(binary.LittleEndian.Uint64(raw[16*i:])))
		took[i].Store(int64(binary.LittleEndian.Uint64(raw[16*i+8:])))
	}
	v.measure(sent, took)
	return v, nil
}
