package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"
)

// impatient are limits for tests that wait for them.
var impatient = Options{Timeout: 100 * time.Millisecond, EnrolmentTimeout: 100 * time.Millisecond}

// openAt opens with short limits until the test ends.
func openAt(tb testing.TB, path string, o Options) *TPM {
	tb.Helper()
	t, err := OpenWith(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.Close() })
	return t
}

func TestOpenRefusesByName(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for path, says := range map[string]string{
		filepath.Join(dir, "missing"): "no such file", file: "neither a device nor a unix socket", dir: "neither a device", dead: "connection refused",
		"/dev/null": "poll", "/dev/zero": "no whole response",
	} {
		started := time.Now()
		tpm, err := OpenWith(path, impatient)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), says) && path != "/dev/null" {
			t.Errorf("%s: %v, %v; expected %q", path, tpm, err, says)
		}
		if d := time.Since(started); d > 2*time.Second {
			t.Errorf("%s: took %v", path, d)
		}
	}
	if _, err := OpenWith(file, Options{Timeout: -1}); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("negative time limit: %v", err)
	}
}

func TestBadArgumentsReachNoTPM(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	m.off()
	nonce := digest("n")
	for name, err := range map[string]error{
		"no PCR": second(tpm.Quote(nonce, nil)), "PCR 24": second(tpm.Quote(nonce, []int{24})), "PCR -1": second(tpm.Quote(nonce, []int{-1})),
		"short nonce": second(tpm.Quote(nonce[:15], []int{1})), "long nonce": second(tpm.Quote(make([]byte, 35), []int{1})),
		"extend 24": tpm.Extend(24, [32]byte{}), "read -1": second(tpm.ReadPCRs([]int{-1})), "firmware's index": tpm.CreateCounter(nvCertificateECC),
		"index 0": second(tpm.ReadCounter(0)), "count 0": second(tpm.IncrementCounter(0)), "certify 0": second(tpm.CertifyCounter(0, nonce)),
		"certify without nonce": second(tpm.CertifyCounter(BootCounter, nil)), "device without nonce": second(tpm.CertifyDevice(nil)),
		"bad endorsement": second(tpm.ActivateCredential(Endorsement{}, Credential{})),
	} {
		if err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tpm.Quote(nonce, []int{1}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with the TPM off: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A TPM that does not answer, answers nonsense or answers too late: the caller is told in time, whatever it called.
func TestDeadTPMHangsNobody(t *testing.T) {
	m := newMachine(t)
	for name, do := range map[string]harm{
		"silent":           func(net.Conn, func(...byte) []byte) {},
		"hangs up":         func(c net.Conn, _ func(...byte) []byte) { c.Close() },
		"half a head":      func(c net.Conn, _ func(...byte) []byte) { c.Write([]byte{0x80, 1, 0}) },
		"half a response":  func(c net.Conn, pass func(...byte) []byte) { out := pass(); c.Write(out[:len(out)-1]) },
		"claims too much":  func(c net.Conn, _ func(...byte) []byte) { c.Write([]byte{0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}) },
		"claims too few":   func(c net.Conn, _ func(...byte) []byte) { c.Write([]byte{0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0}) },
		"always retry":     func(c net.Conn, _ func(...byte) []byte) { c.Write(response(rcRetry)) },
		"success, nothing": func(c net.Conn, _ func(...byte) []byte) { c.Write(response(0)) },
		"fails":            func(c net.Conn, _ func(...byte) []byte) { c.Write(response(uint32(tpm2.TPMRCFailure))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, m.socket)
			tpm := openAt(t, r.path, Options{})
			ek := must(tpm.Endorsement())(t)
			patient := tpm.options
			tpm.options = impatient
			r.set(func(uint32) harm { return do })
			for what, call := range map[string]func() error{
				"quote": func() error { return second(tpm.Quote(digest("n"), []int{0})) }, "sign": func() error { return second(tpm.Device().Sign(nil, digest("n"), nil)) },
				"extend": func() error { return tpm.Extend(16, [32]byte{}) }, "count": func() error { return second(tpm.IncrementCounter(BootCounter)) },
				"enrol":    func() error { return second(tpm.Endorsement()) },
				"activate": func() error { return second(tpm.ActivateCredential(ek, Credential{})) },
				"open":     func() error { return second(OpenWith(r.path, impatient)) },
			} {
				started := time.Now()
				err := call()
				if err == nil {
					t.Errorf("%s: no error", what)
				}
				if d := time.Since(started); d > impatient.Timeout+grace+2*time.Second { // two seconds for a busy machine
					t.Errorf("%s took %v: %v", what, d, err)
				}
				if strings.Contains(name, "silent") && !errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %v, expected %v", what, err, ErrUnavailable)
				}
			}
			r.set(nil)
			tpm.options = patient
			if _, err := tpm.Quote(digest("n"), []int{0}); err != nil {
				t.Errorf("after it has come back: %v", err)
			}
		})
	}
}

// The worker itself is stuck, as in a driver that ignores O_NONBLOCK: callers are let go, and closing does not wait.
func TestStuckWorkerHangsNobody(t *testing.T) {
	m := newMachine(t)
	tpm := openAt(t, m.socket, Options{})
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			started := time.Now()
			_, err := call(tpm, "stuck", impatient.Timeout, lasting, func(*conn) (int, error) { <-release; return 0, nil })
			if !errors.Is(err, ErrUnavailable) || time.Since(started) > 3*time.Second {
				t.Errorf("after %v: %v", time.Since(started), err)
			}
		})
	}
	wg.Wait()
	if err := tpm.Close(); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("close: %v", err)
	}
	close(release)
	<-tpm.stopped
	if _, err := tpm.Quote(digest("n"), []int{0}); !errors.Is(err, ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
	if err := tpm.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestStoppedTPMAnswersLater(t *testing.T) {
	m := newMachine(t)
	tpm := openAt(t, m.socket, Options{})
	tpm.options = impatient
	m.signal(syscall.SIGSTOP)
	if _, err := tpm.Quote(digest("n"), []int{0}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("stopped: %v", err)
	}
	m.signal(syscall.SIGCONT)
	patient := openAt(t, m.socket, Options{}) // it may first have to find out that the earlier caller has gone
	if _, err := patient.Quote(digest("n"), []int{0}); err != nil {
		t.Errorf("continued: %v", err)
	}
}

func TestBusyTPMIsAskedAgain(t *testing.T) {
	m := newMachine(t)
	r := newRelay(t, m.socket)
	tpm := openAt(t, r.path, Options{})
	for _, code := range []uint32{rcRetry, rcYielded, rcTesting, rcNVRate, rcNVUnavailable} {
		n := 0
		r.set(func(c uint32) harm {
			if n++; c == codeQuote && n%3 != 0 {
				return func(c net.Conn, _ func(...byte) []byte) { c.Write(response(code)) }
			}
			return nil
		})
		if _, err := tpm.Quote(digest("n"), []int{0}); err != nil {
			t.Errorf("%#x: %v", code, err)
		}
	}
}

// A lost connection: what changes nothing is done again, what lasts is never done twice, and the error says that it may
// have been done once.
func TestLostConnectionMidCommand(t *testing.T) {
	m := newMachine(t)
	r := newRelay(t, m.socket)
	tpm := openAt(t, r.path, Options{})
	lose := func(c net.Conn, pass func(...byte) []byte) { pass(); c.Close() }
	r.once(codeQuote, lose)
	if _, err := tpm.Quote(digest("n"), []int{0}); err != nil {
		t.Errorf("quote: %v", err)
	}
	r.once(codeSign, lose)
	if _, err := tpm.Device().Sign(nil, digest("n"), nil); err != nil {
		t.Errorf("sign: %v", err)
	}
	event := sha256.Sum256([]byte("event"))
	r.once(codeExtend, lose)
	if err := tpm.Extend(14, event); !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("extend: %v", err)
	}
	if got := must(tpm.ReadPCRs([]int{14}))(t)[14]; got != sha256.Sum256(append(make([]byte, 32), event[:]...)) {
		t.Errorf("PCR 14 is %x, expected the event once", got)
	}
	if err := tpm.CreateCounter(BootCounter); err != nil {
		t.Fatal(err)
	}
	before := must(tpm.ReadCounter(BootCounter))(t)
	r.once(codeIncrement, lose)
	if _, err := tpm.IncrementCounter(BootCounter); !errors.Is(err, ErrUncertain) {
		t.Errorf("increment: %v", err)
	}
	if after := must(tpm.ReadCounter(BootCounter))(t); after != before+1 {
		t.Errorf("counter went from %d to %d", before, after)
	}
}

func TestPowerCut(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	nonce := digest("nonce")
	if err := tpm.Extend(14, sha256.Sum256([]byte("agent"))); err != nil {
		t.Fatal(err)
	}
	first := must(VerifyQuote(tpm.AK().Key(), must(tpm.Quote(nonce, []int{14}))(t), nonce))(t)
	m.off()
	if _, err := tpm.Quote(nonce, []int{14}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("switched off: %v", err)
	}
	m.on()
	second := must(VerifyQuote(tpm.AK().Key(), must(tpm.Quote(nonce, []int{14}))(t), nonce))(t)
	if second.ResetCount != first.ResetCount+1 || second.PCRs[14] != [32]byte{} {
		t.Errorf("before %+v, after %+v: expected one more reset, and PCR 14 at its start", first, second)
	}
	again := m.open()
	if !bytes.Equal(again.AKName(), tpm.AKName()) || !bytes.Equal(again.DevicePublic(), tpm.DevicePublic()) {
		t.Error("keys changed over the power cut")
	}
}

// Power cuts at random moments of random commands, many times: a call succeeds or is unavailable, and all is well after.
func TestPowerCutsMidCommand(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	m := newMachine(t)
	m.open() // so that the keys' seeds are in its state
	tpm := openAt(t, m.socket, Options{Timeout: 5 * time.Second, EnrolmentTimeout: 5 * time.Second})
	nonce := digest("nonce")
	var lost int
	var resets uint32
	for range 15 {
		done := make(chan error, 1)
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				q, err := tpm.Quote(nonce, []int{0, 14})
				if err == nil {
					_, err = VerifyQuote(tpm.AK().Key(), q, nonce)
				} else if errors.Is(err, ErrUnavailable) {
					lost++
					err = nil
				}
				if err == nil {
					if e := tpm.Extend(14, [32]byte{1}); e != nil && !errors.Is(e, ErrUnavailable) {
						err = e
					}
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
		time.Sleep(time.Duration(rng.IntN(int(8 * time.Millisecond)))) // the moment of the cut is what is drawn
		m.off()
		m.on()
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		info := must(VerifyQuote(tpm.AK().Key(), must(tpm.Quote(nonce, []int{0}))(t), nonce))(t)
		if info.ResetCount <= resets {
			t.Errorf("reset count %d after %d and a power cut", info.ResetCount, resets)
		}
		resets = info.ResetCount
	}
	t.Logf("%d resets, %d calls lost to them", resets, lost)
}

// A program that died with all three slots taken does not keep the next one out.
func TestSlotsOfTheDeadAreFreed(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	raw := m.raw()
	n := 0
	for ; n < 10; n++ {
		if _, err := (tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(signingTemplate(false, fmt.Sprint(n)))}).Execute(raw); err != nil {
			if !errors.Is(err, tpm2.TPMRCObjectMemory) {
				t.Fatal(err)
			}
			break
		}
	}
	for range 3 {
		if _, err := (tpm2.StartAuthSession{TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)}, SessionType: tpm2.TPMSEPolicy, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256}).Execute(raw); err != nil {
			t.Fatal(err)
		}
	}
	raw.link.Close()
	t.Logf("%d slots were taken", n)
	for range 5 {
		if _, err := tpm.Quote(digest("n"), []int{0}); err != nil {
			t.Fatal(err)
		}
	}
	if h := m.loaded(); len(h) != 0 {
		t.Errorf("still loaded: %x", h)
	}
}

// raw is a connection past the package, as other programs have it.
func (m *machine) raw() *conn {
	m.tb.Helper()
	l, _, err := dial(m.socket, time.Now().Add(time.Minute))
	if err != nil {
		m.tb.Fatal(err)
	}
	m.tb.Cleanup(func() { l.Close() })
	return &conn{link: l, deadline: time.Now().Add(time.Minute)}
}

// loaded are the handles in the TPM's slots.
func (m *machine) loaded() []tpm2.TPMHandle {
	m.tb.Helper()
	raw := m.raw()
	defer raw.link.Close()
	var out []tpm2.TPMHandle
	for _, kind := range []uint32{0x80, 2, 3} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: kind << 24, PropertyCount: 64}.Execute(raw)
		if err != nil {
			m.tb.Fatal(err)
		}
		h, err := r.CapabilityData.Data.Handles()
		if err != nil {
			m.tb.Fatal(err)
		}
		out = append(out, h.Handle...)
	}
	return out
}

func TestManyCallers(t *testing.T) {
	m := newMachine(t)
	tpm := m.open()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			nonce := digest(fmt.Sprint(i))
			for range 5 {
				q, err := tpm.Quote(nonce, []int{0, 16})
				if err == nil {
					_, err = VerifyQuote(tpm.AK().Key(), q, nonce)
				}
				if err == nil {
					_, err = tpm.Device().Sign(nil, nonce, nil)
				}
				if err == nil {
					err = tpm.Extend(16, [32]byte(nonce))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if h := m.loaded(); len(h) != 0 {
		t.Errorf("still loaded: %x", h)
	}
}

// Somebody extends between the reading and the quoting: values and statement still belong together.
func TestQuoteWhileSomebodyExtends(t *testing.T) {
	m := newMachine(t)
	r := newRelay(t, m.socket)
	tpm := openAt(t, r.path, Options{})
	for want, interfering := range map[int]int{1: 0, quoteTries: quoteTries - 1, 0: quoteTries} {
		tried := 0
		r.set(func(code uint32) harm {
			if code != codeQuote {
				return nil
			}
			if tried++; tried > interfering {
				return nil
			}
			return func(c net.Conn, pass func(...byte) []byte) {
				pass(extendCommand(16, 1)...)
				c.Write(pass())
			}
		})
		q, err := tpm.Quote(digest("n"), []int{0, 16})
		if want == 0 {
			if err == nil || !strings.Contains(err.Error(), "changed during each of 4 tries") {
				t.Errorf("extended each time: %v", err)
			}
			continue
		}
		if err != nil || tried != want {
			t.Errorf("extended %d times: %v after %d quotes, expected %d", interfering, err, tried, want)
			continue
		}
		if _, err := VerifyQuote(tpm.AK().Key(), q, digest("n")); err != nil {
			t.Error(err)
		}
	}
}

func TestSoftwareTPMThatNobodyStarted(t *testing.T) {
	m := newMachine(t)
	m.off()
	m.flags = "not-need-init"
	m.on()
	if _, err := m.open().Quote(digest("n"), []int{0}); err != nil {
		t.Error(err)
	}
}

// The TPM behind the socket is exchanged: its keys are others, and that is told.
func TestExchangedTPMIsNoticed(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	r := newRelay(t, a.socket)
	tpm := openAt(t, r.path, Options{})
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(b.socket, r.path); err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Quote(digest("n"), []int{0}); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("quote: %v", err)
	}
	if _, err := tpm.Device().Sign(nil, digest("n"), nil); !errors.Is(err, ErrOtherTPM) {
		t.Errorf("sign: %v", err)
	}
}

// The kernel's driver gives a whole response at once, some time after the command was written: a packet socket does so too.
func TestDeviceLink(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	driver := os.NewFile(uintptr(pair[1]), "driver")
	defer driver.Close()
	l := &deviceLink{pair[0]}
	defer l.Close()
	answers := make(chan []byte)
	go func() {
		buf := make([]byte, maxResponse)
		for a := range answers {
			if _, err := driver.Read(buf); err != nil {
				return
			}
			if a != nil {
				driver.Write(a)
			}
		}
	}()
	defer close(answers)
	ask := func(a []byte, limit time.Duration) ([]byte, error) {
		answers <- a
		return l.exchange(response(0), time.Now().Add(limit))
	}
	good := append(response(0), "body"...)
	binary.BigEndian.PutUint32(good[2:], uint32(len(good)))
	if out, err := ask(good, time.Minute); err != nil || !bytes.Equal(out, good) {
		t.Errorf("%x, %v", out, err)
	}
	if _, err := ask(good[:12], time.Minute); err == nil || !strings.Contains(err.Error(), "no whole response") {
		t.Errorf("short: %v", err)
	}
	if _, err := ask(nil, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silent: %v", err)
	}
}

// A TPM on the bus may be tampered with: whatever it answers is an error or verifies, and never a panic.
func FuzzTPMResponses(f *testing.F) {
	f.Add([]byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}, uint8(0))
	f.Add([]byte{0x80, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0}, uint8(3))
	f.Add(bytes.Repeat([]byte{0xff}, 100), uint8(5))
	f.Fuzz(func(_ *testing.T, answer []byte, what uint8) {
		if len(answer) > maxResponse-headerBytes {
			return
		}
		c := &conn{link: &canned{slices.Clone(answer)}, deadline: time.Now().Add(time.Second)}
		tpm := &TPM{keys: map[keyKind]*loadable{}}
		switch what % 6 {
		case 0:
			_, _ = tpm.load(c, attestationKey)
		case 1:
			_, _ = readPCRs(c, []int{0, 1})
		case 2:
			_ = c.tidy()
		case 3:
			_, _ = readCertificate(c, nvCertificateRSA)
		case 4:
			_ = checkCounter(c, BootCounter)
			_, _ = readCounter(c, BootCounter)
		case 5:
			_, _ = quoteOnce(c, &loaded{handle: 0x80000000, public: &Public{name: make([]byte, nameBytes)}}, make([]byte, 32), []int{0})
		}
	})
}

// canned answers everything alike, as success.
type canned struct{ body []byte }

func (l *canned) exchange([]byte, time.Time) ([]byte, error) {
	out := append([]byte{0x80, 0x02, 0, 0, 0, 0, 0, 0, 0, 0}, l.body...)
	if len(l.body)%2 == 0 {
		out[1] = 1
	}
	binary.BigEndian.PutUint32(out[2:], uint32(len(out)))
	return out, nil
}

func (l *canned) Close() error { return nil }
