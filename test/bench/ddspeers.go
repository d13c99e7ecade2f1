package bench

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// CycloneRelay starts a relay as simple as it can be, in C on CycloneDDS: it reads reliably and writes reliably. FIFO, if
// not 0, is its SCHED_FIFO priority.
func CycloneRelay(t testing.TB, d *domain.Domain, name string, fifo int) Worker {
	t.Helper()
	in, out := Topics(Gate, "cyclone_"+strconv.Itoa(fifo))
	return worker(t, d, name, fifo, in, out, cpp.Binary(t, "ddsrelay"), number(d), d.Address(), "rt"+in, "rt"+out)
}

// Participant starts the product's participant with nothing around it, which does just what CycloneRelay does.
func Participant(t testing.TB, d *domain.Domain, name string, fifo int) Worker {
	t.Helper()
	in, out := Topics(Gate, "participant_"+strconv.Itoa(fifo))
	return worker(t, d, name, fifo, in, out, Program(t), "participant", number(d), d.Address(), in, out)
}

// Node starts the guard's node on DDS with nothing behind it: it reads commands as the guard does, clamps them, and writes
// them to two readers, as the guard does to the robot and the driver.
func Node(t testing.TB, d *domain.Domain, name string, fifo int) Worker {
	t.Helper()
	in, out := Topics(Gate, "node_"+strconv.Itoa(fifo))
	w := worker(t, d, name, fifo, in, out, Program(t), "node", number(d), d.Address(), in, out)
	CycloneReader(t, d, "twist", out)
	return w
}

// CycloneReader starts a reliable reader as simple as it can be, in C on CycloneDDS, of the kind odometry or twist.
func CycloneReader(t testing.TB, d *domain.Domain, kind, topic string) *proc.Process {
	t.Helper()
	return ready(t, d, proc.Spec{Name: "cyclone reader", Argv: []string{cpp.Binary(t, "bench_dds_reader"), number(d), d.Address(), kind, topic}})
}

// ParticipantReader starts the product's participant as a reliable reader of Odometry that decodes all of it.
func ParticipantReader(t testing.TB, d *domain.Domain, topic string) *proc.Process {
	t.Helper()
	return ready(t, d, proc.Spec{Name: "participant", Argv: []string{Program(t), "reader", number(d), d.Address(), topic}})
}

func number(d *domain.Domain) string { return strconv.Itoa(d.Number) }

func worker(t testing.TB, d *domain.Domain, name string, fifo int, in, out string, argv ...string) Worker {
	t.Helper()
	return Worker{Name: name, PID: ready(t, d, proc.Spec{Name: name, Argv: argv, FIFO: fifo}).PID(), In: in, Out: out}
}

// ready starts a program of the benchmark and waits until it is on the bus.
func ready(t testing.TB, d *domain.Domain, spec proc.Spec) *proc.Process {
	t.Helper()
	p := d.Node(t, spec)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := p.WaitOutput(ctx, `(?m)^ready$`); err != nil {
		t.Fatal(err)
	}
	return p
}
