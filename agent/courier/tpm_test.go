package courier

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/attest/counter"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// newTPM starts a software TPM and returns its socket.
func newTPM(t testing.TB) string {
	t.Helper()
	return startTPM(t).socket
}

// softTPM is a software TPM that can lose power.
type softTPM struct {
	t                 testing.TB
	path, dir, socket string
	cmd               *exec.Cmd
}

func startTPM(t testing.TB) *softTPM {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") != "" {
			t.Fatal("swtpm is not installed")
		}
		t.Skip("swtpm is not installed")
	}
	dir, err := os.MkdirTemp("", "tpm") // unix sockets' paths are short
	if err != nil {
		t.Fatal(err)
	}
	s := &softTPM{t: t, path: path, dir: dir, socket: filepath.Join(dir, "s")}
	s.on()
	t.Cleanup(func() { s.off(); _ = os.RemoveAll(dir) })
	return s
}

func (s *softTPM) on() {
	s.t.Helper()
	_ = os.Remove(s.socket)
	s.cmd = exec.Command(s.path, "socket", "--tpm2", "--tpmstate", "dir="+s.dir, "--server", "type=unixio,path="+s.socket, "--flags", "not-need-init,startup-clear")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	until(s.t, "swtpm listens", func() bool {
		c, err := net.Dial("unix", s.socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// off is a power cut.
func (s *softTPM) off() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() }

// redefine deletes the counter, and defines something else in its place if attributes are given.
func (s *softTPM) redefine(attributes *tpm2.TPMANV) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	chip := transport.FromReadWriteCloser(conn)
	defer func() { _ = chip.Close() }()
	index := tpm2.TPMHandle(counter.Index)
	if r, err := (tpm2.NVReadPublic{NVIndex: index}).Execute(chip); err == nil {
		if _, err := (tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: index, Name: r.NVName}}).Execute(chip); err != nil {
			s.t.Fatal(err)
		}
	}
	if attributes != nil {
		area := tpm2.TPMSNVPublic{NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, Attributes: *attributes, DataSize: counter.Size}
		if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(area)}).Execute(chip); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestKeyInTheTPM lets the TPM's device key open the TLS connection and sign, and its attestation key quote.
func TestKeyInTheTPM(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.TPM, w.config.Courier.Key = newTPM(t), ""
	chip, err := tpm.Open(w.config.Courier.TPM)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = chip.Close() }()
	w.broker.ca.issue("robot", "acme:r1", chip.Device().Public(), longest)
	w.pcrs = []int{0, 7, 14}
	w.guard.record(30)
	w.run()
	w.settled(evidenceCount(30))
	var h Hello
	if !w.last(TopicHello, &h) || h.AKName != hex.EncodeToString(chip.AKName()) || h.Header.Tier != "tpm" {
		t.Errorf("hello %+v", h)
	}
	w.with(func() {
		e := w.evidence[0]
		if err := e.Verify(chip.Device().Public()); err != nil {
			t.Error(err)
		}
		if e.Claims.Tier != order.TierTPM || e.Quote == nil || len(e.Quote.PCRs) != 3 {
			t.Fatalf("%+v", e.Claims)
		}
		if e.Claims.CommandLine.SHA256 == "" || e.Claims.Debug == nil {
			t.Errorf("the command line's digest is %q, open debug interfaces %v: expected both to be told", e.Claims.CommandLine.SHA256, e.Claims.Debug)
		}
		ak, err := tpm.ParsePublic(chip.AKPublic())
		if err != nil {
			t.Fatal(err)
		}
		nonce := e.Claims.Nonce
		data := e.QualifyingData(nonce)
		if _, err := tpm.VerifyQuote(ak.Key(), tpm.Quote(*e.Quote), data[:]); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(filepath.Join(w.config.Courier.StateDir, softwareKey)); err == nil {
		t.Error("a software key was made beside the TPM's")
	}
	w.check()
}

// TestCounterForTheGuard asks as a guard does, through what can become of a counter: none, made, counted, the TPM away, deleted,
// and memory in its place.
func TestCounterForTheGuard(t *testing.T) {
	w := newWorld(t)
	chip := startTPM(t)
	w.config.Courier.TPM, w.config.Courier.Key = chip.socket, ""
	w.run()
	until(t, "the guard's connection", func() bool { w.guard.mu.Lock(); defer w.guard.mu.Unlock(); return len(w.guard.conns) > 0 })
	asked := 0
	ask := func(to uint64, anew bool) (a contract.Counter, value uint64) {
		t.Helper()
		asked++
		nonce := fmt.Sprintf("%064x", asked)
		w.guard.send(&contract.CounterRequest{Nonce: nonce, To: to, Make: anew})
		until(t, "an answer", func() bool {
			for _, b := range w.guard.got(contract.FrameCounter) {
				if a = (contract.Counter{}); json.Unmarshal(b, &a) == nil && a.Nonce == nonce {
					return true
				}
			}
			return false
		})
		if a.Fault == "" {
			raw, _ := hex.DecodeString(nonce)
			key, err := counter.ParseKey(a.Key)
			if err == nil {
				value, err = counter.Verify(key, counter.Index, a.Attest, a.Signature, raw)
			}
			if err != nil {
				t.Error(err)
			}
		}
		return a, value
	}
	fault := func(what, want string, to uint64) {
		t.Helper()
		if a, _ := ask(to, false); a.Fault != want {
			t.Errorf("%s: %q (%s), expected %q", what, a.Fault, a.Detail, want)
		}
	}
	var last time.Time
	until(t, "the device key", func() bool {
		if time.Since(last) > time.Second { // A guard asks again: before the welcome is taken, a question is lost.
			asked, last = asked+1, time.Now()
			w.guard.send(&contract.CounterRequest{Nonce: fmt.Sprintf("%064x", asked)})
		}
		return slices.ContainsFunc(w.guard.got(contract.FrameCounter), func(b []byte) bool {
			var a contract.Counter
			return json.Unmarshal(b, &a) == nil && a.Fault == contract.CounterMissing
		})
	})
	fault("none to count", contract.CounterMissing, 1)
	_, first := ask(0, true)
	for range 2 { // asked again after a lost answer
		if _, v := ask(first+1, false); v != first+1 {
			t.Errorf("counted to %d, expected %d", v, first+1)
		}
	}
	if _, v := ask(first+9, false); v != first+2 {
		t.Errorf("counted to %d, expected one step to %d", v, first+2)
	}
	chip.off()
	fault("the TPM is away", contract.CounterUnavailable, 0)
	chip.on()
	if _, v := ask(0, false); v != first+2 {
		t.Errorf("%d after the power cut, expected %d", v, first+2)
	}
	chip.redefine(nil)
	fault("deleted", contract.CounterMissing, first+3)
	chip.redefine(&tpm2.TPMANV{AuthRead: true, AuthWrite: true, NoDA: true})
	fault("memory in its place", contract.CounterReplaced, first+3)
	until(t, "the journal has it", func() bool { return w.noted("counter-replaced") })
	w.config.Courier.TPM = ""
	if a := stateCounter(nil, &contract.CounterRequest{}); a.Fault != contract.CounterNoTPM {
		t.Errorf("without a TPM: %+v", a)
	}
}

// TestNoTPMWhereOneShouldBe: a robot whose TPM is gone never falls back to a weaker key.
func TestNoTPMWhereOneShouldBe(t *testing.T) {
	w := newWorld(t)
	w.config.Courier.TPM = filepath.Join(w.dir, "no-tpm")
	w.guard.record(30)
	w.run()
	until(t, "the claim of failure", func() bool { return w.claimed().State == "failed" })
	until(t, "the connection", func() bool { return w.on(TopicConnection) > 0 })
	w.silentSo()
	if w.on(TopicHello) > 0 || !w.noted("device key") {
		t.Error("a hello without a key")
	}
}
