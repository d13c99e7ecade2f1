package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/need"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
)

var built struct {
	sync.Once
	path string
	err  error
}

// Program builds the benchmark's own program once, static as the product is.
func Program(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		built.path = filepath.Join(cpp.Root(), "build", "bench_worker")
		cmd := exec.Command("go", "build", "-trimpath", "-o", built.path, "./bench/worker")
		cmd.Dir = cpp.Root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// SameJob starts the product's transport with nothing around it, which does what the peers do. FIFO, if not 0, is its
// SCHED_FIFO priority, as the guard has one.
func SameJob(t testing.TB, m *ros.Master, name string, fifo int) Worker {
	t.Helper()
	in, out := Topics(Gate, "same_job_"+strconv.Itoa(fifo))
	p := m.Node(t, proc.Spec{Name: name, Argv: []string{Program(t), "gate", in, out}, FIFO: fifo})
	return Worker{Name: name, PID: p.PID(), In: in, Out: out}
}

// SameJobForRobot is [SameJob] for two readers, as the guard has them: a robot, which is written to first, and the driver.
// robot starts one that listens to a topic. It has to be one as the guard's is: what it does with a command it does on a
// processor that the driver may be waiting for.
func SameJobForRobot(t testing.TB, m *ros.Master, name string, fifo int, robot func(topic string)) Worker {
	t.Helper()
	in, out := Topics(Gate, "robot_job_"+strconv.Itoa(fifo))
	robot(out)
	p := m.Node(t, proc.Spec{Name: name, Argv: []string{Program(t), "gate", in, out}, FIFO: fifo})
	return Worker{Name: name, PID: p.PID(), In: in, Out: out}
}

// BusyRelay starts a roscpp gate that reads a robot's odometry, joints and IMU besides, under SCHED_FIFO.
func BusyRelay(t testing.TB, m *ros.Master, name string, fifo int) Worker {
	t.Helper()
	in, out := Topics(Gate, "busy_relay")
	p := m.Node(t, proc.Spec{Name: name, Argv: []string{cpp.Binary(t, "bench_gate"), "busy", in, out, "__name:=bench_busy_relay"}, FIFO: fifo})
	return Worker{Name: name, PID: p.PID(), In: in, Out: out}
}

// Load keeps all processors and their caches busy until the benchmark ends, by stress-ng, or by a program of our own where that
// is not installed. It returns which of the two.
func Load(t testing.TB) string {
	t.Helper()
	if stress, err := exec.LookPath("stress-ng"); err == nil {
		proc.StartT(t, proc.Spec{Name: "stress-ng", Argv: []string{stress, "--cpu", "0", "--vm", "1", "--vm-bytes", "64m"}})
		return "stress-ng"
	}
	proc.StartT(t, proc.Spec{Name: "load", Argv: []string{Program(t), "load"}})
	return "a load of our own, without stress-ng"
}

// Realtime puts the driver, which is this process with all its threads, under SCHED_FIFO until the benchmark ends, so that
// what is measured is the workers and not the scheduling of who measures. Whatever is started afterwards inherits it.
func Realtime(t testing.TB, fifo int) {
	t.Helper()
	need.Root(t)
	set := func(args ...string) error {
		args = append(args, "--all-tasks", "--pid")
		if out, err := exec.Command("chrt", append(args, strconv.Itoa(fifo), strconv.Itoa(os.Getpid()))...).CombinedOutput(); err != nil {
			return fmt.Errorf("chrt: %w: %s", err, out)
		}
		return nil
	}
	if err := set("--fifo"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fifo = 0
		if err := set("--other"); err != nil {
			t.Error(err)
		}
	})
}
