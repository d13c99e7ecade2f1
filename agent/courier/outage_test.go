package courier

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/contract"
)

// childDir tells the test binary that it is a courier to be killed; the rest comes in the environment as well.
const childDir = "ROBOWARDEN_TEST_COURIER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// child is a courier in a process of its own.
func child(dir string) {
	broker := os.Getenv("BROKER_DIR")
	c, err := New(Options{
		Config: &config.Deployment{
			Paths: config.Paths{Keys: filepath.Join(dir, "keys"), ControlSocket: filepath.Join(dir, "guard.sock"), JournalDir: filepath.Join(dir, "guard")},
			Courier: &config.Courier{
				Broker: "tls://" + os.Getenv("BROKER"), Prefix: "site", CA: filepath.Join(broker, "ca.pem"),
				Certificate: filepath.Join(broker, "robot.pem"), Key: os.Getenv("KEY"), TPM: os.Getenv("TPM"),
				StateDir: filepath.Join(dir, "courier"), BandwidthKiBPS: 1 << 20, StateEvery: time.Second,
			},
		},
		Version: "test", Clock: testClock{}, MeasuredLog: filepath.Join(dir, "measured"),
		NewLog: func(string, string) zerolog.Logger { return zerolog.New(os.Stderr).With().Timestamp().Logger() },
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c.pace = quick()
	ctx, stop := signalContext()
	fmt.Println("runs")
	err = c.Run(ctx)
	stop()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// spawn starts a courier that can be killed.
func (w *world) spawn() *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childDir+"="+w.dir, "BROKER="+w.broker.address(), "BROKER_DIR="+w.broker.dir, "KEY="+w.config.Courier.Key, "TPM="+w.config.Courier.TPM)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the courier said:\n%s", errs.Bytes())
		}
	})
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "runs\n" {
		w.t.Fatalf("the courier says %q", line)
	}
	return cmd
}

// settled waits until the consumer has all of the guard's records, each once and in order; the chain proves the latter.
func (w *world) settled(n int) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%d records", n), func() bool { return w.taken("guard") >= n })
	w.check()
	var last EventRecord
	until(w.t, "the cursor at the end", func() bool {
		key := "guard " + w.guard.welcome.BootID
		w.with(func() { last = w.records[key][len(w.records[key])-1] })
		c, err := loadCursor(w.config.Courier.StateDir)
		marks := c.Marks["guard"]
		return err == nil && len(marks) > 0 && marks[0].Seq == last.Seq
	})
	w.with(func() {
		seen := map[uint64]bool{}
		orders := 0
		for key, list := range w.records {
			if !strings.HasPrefix(key, "guard ") {
				continue
			}
			for _, r := range list {
				if seen[r.Seq] {
					w.t.Errorf("record %d twice", r.Seq)
				}
				seen[r.Seq] = true
				if r.KindName == "order" {
					orders++
				}
			}
		}
		if orders != n {
			w.t.Errorf("%d records of the guard, expected %d", orders, n)
		}
	})
}

func TestBrokerKilledWithItsStore(t *testing.T) {
	w := newWorld(t)
	w.run()
	total := 0
	more := func(n int) { w.guard.record(n); total += evidenceCount(n) }
	more(300)
	until(t, "some records", func() bool { return w.taken("guard") > 100 })
	for range 3 {
		w.broker.stop()
		more(600)
		w.broker.start()
		more(600)
		until(t, "some more records", func() bool { return w.taken("guard") > total-900 })
	}
	w.settled(total)
}

func TestBrokerStopped(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.guard.record(300)
	until(t, "some records", func() bool { return w.taken("guard") >= 100 })
	if err := w.broker.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.guard.record(3000)
	until(t, "the silence is noticed", func() bool { return w.noted(`"reason":"silent"`) || w.noted(`"reason":"timeout"`) })
	if err := w.broker.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.settled(evidenceCount(300) + evidenceCount(3000))
}

// TestBrokerAcknowledgesAndForgets lets the broker take everything while no consumer is there, and then forget it.
func TestBrokerAcknowledgesAndForgets(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.guard.record(30)
	w.settled(evidenceCount(30))
	w.with(func() { w.deaf = true; w.drop = true })
	w.guard.record(300)
	time.Sleep(300 * time.Millisecond) // the broker takes them, the consumer lets them fall
	w.with(func() { w.deaf = false; w.drop = false })
	w.settled(evidenceCount(30) + evidenceCount(300))
}

// TestAcknowledgementsLost keeps the consumer deaf until everything was sent more than once.
func TestAcknowledgementsLost(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.with(func() { w.deaf = true })
	w.guard.record(300)
	until(t, "repetitions", func() (many bool) {
		w.with(func() { many = w.again > evidenceCount(300) })
		return many
	})
	w.with(func() { w.deaf = false })
	w.settled(evidenceCount(300))
	until(t, "an end of repetitions", func() bool {
		var before, after int
		w.with(func() { before = w.again })
		time.Sleep(1500 * time.Millisecond)
		w.with(func() { after = w.again })
		return before == after
	})
}

// TestCursorLost takes the courier's cursor away when the consumer has more than fits into the window: it goes on where the
// consumer is, and does not send everything again.
func TestCursorLost(t *testing.T) {
	w := newWorld(t)
	const many = 3 * openRecords
	stop := w.run()
	w.guard.record(many)
	w.settled(evidenceCount(many))
	stop()
	if err := os.Remove(filepath.Join(w.config.Courier.StateDir, cursorFile)); err != nil {
		t.Fatal(err)
	}
	var before int
	w.with(func() { before = w.again })
	w.run()
	w.guard.record(30)
	w.settled(evidenceCount(many) + evidenceCount(30))
	w.with(func() {
		if n := w.again - before; n > evidenceCount(many)*3/4 {
			t.Errorf("%d records came again: expected about a window", n)
		}
	})
}

func TestCourierKilledAtRandomMoments(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	var all sync.WaitGroup
	defer all.Wait()
	total := 0
	for range 12 {
		cmd := w.spawn()
		n := 100 + random.IntN(300)
		total += evidenceCount(n)
		all.Go(func() { w.guard.record(n) })
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		all.Wait()
	}
	w.run()
	w.settled(total)
}

// TestOnlyOrdersWaitForARobotThatIsAway: what the broker has kept for the courier when it comes back is its order, and nothing that
// it asks for anew, or that would stand before the order.
func TestOnlyOrdersWaitForARobotThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.guard.record(3)
	stop := w.run()
	until(t, "an attestation", func() bool { return w.attested() > 0 })
	stop()
	w.with(func() { w.silent = true })
	before := len(w.guard.got(contract.FrameOrder))
	stale, wanted := w.accept(w.people.verifier, w.guard.welcome.Nonce), w.stop()
	w.send(TopicResult, stale, nil)
	w.send(TopicChallenge, []byte("stale"), nil)
	w.send(TopicAcknowledgement, []byte("stale"), nil)
	w.send(TopicOrder, wanted, nil)
	until(t, "the broker has them", func() bool {
		return slices.ContainsFunc(w.station.messages(), func(a arrival) bool { return bytes.Equal(a.payload, wanted) })
	})
	w.run()
	until(t, "the order", func() bool { return len(w.guard.got(contract.FrameOrder)) > before })
	if got := w.guard.got(contract.FrameOrder)[before:]; len(got) != 1 || !bytes.Equal(got[0], wanted) {
		t.Errorf("the guard was given %d documents, expected the order alone", len(got))
	}
	if n := w.count(`"topic":"acknowledgement"`) + w.count(`"topic":"attestation/challenge"`); n != 0 {
		t.Errorf("%d stale messages came as well", n)
	}
	w.check()
}
