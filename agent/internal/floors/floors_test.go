package floors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/internal/floors"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// child is what this program is in [TestKilledBetweenCounterAndFile] when it is one that commits: folder and TPM.
const child = "ROBOWARDEN_FLOORS_CHILD"

func TestMain(m *testing.M) {
	if dir, socket, ok := strings.Cut(os.Getenv(child), "|"); ok {
		s, done, err := open(dir, socket)
		if err == nil {
			_, err = s.Commit(context.Background())
			done()
		}
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// open opens the slots of "grasp" with the TPM's counter.
func open(dir, socket string) (*slots.Store, func(), error) {
	d, err := slots.OpenDir(dir)
	if err != nil {
		return nil, nil, err
	}
	c, err := floors.Open(socket, 0)
	if err != nil {
		return nil, nil, err
	}
	s, err := slots.Open("grasp", d, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return s.With(c), func() { _ = d.Close() }, nil
}

// softwareTPM starts a software TPM of the test's own; off ends it, power cut or not.
func softwareTPM(t *testing.T) (socket string, off func()) {
	t.Helper()
	path, err := exec.LookPath("swtpm")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("REQUIRE_ALL=1, but no swtpm here: run test/setup/install.sh")
		}
		t.Skip("no swtpm here: run test/setup/install.sh")
	}
	dir, err := os.MkdirTemp("", "tpm") // A socket's path is short.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	cmd := exec.Command(path, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear") //nolint:noctx,gosec // it ends with the test
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	off = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(off)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return socket, off
		}
		if time.Now().After(end) {
			t.Fatal("swtpm does not listen")
		}
	}
}

// install brings content into the free slot.
func install(t *testing.T, dir, socket, text string, svn, floor uint64) error {
	t.Helper()
	src := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(src, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := artifact.HashFile(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := slots.OpenFolder(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close() //nolint:errcheck // it was read
	s, done, err := open(dir, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	digest := artifact.TreeDigest([]artifact.File{f})
	return s.Install(t.Context(), &slots.Install{Source: source, Release: &order.Release{
		Version: text, SVN: svn, RollbackFloor: floor,
		Artifacts: []order.Artifact{{Name: "grasp", Version: text, SHA256: fmt.Sprintf("%x", digest), Size: uint64(len(text)), Files: 1}},
	}})
}

// TestKilledBetweenCounterAndFile kills a program that commits at moments that chance chooses, with a real TPM and a real disk: the
// floor is never in doubt afterwards, what is active stands, and the next commit ends what was begun.
func TestKilledBetweenCounterAndFile(t *testing.T) {
	const floor, kills = 8, 12
	socket, _ := softwareTPM(t)
	between, r := 0, rand.New(rand.NewPCG(1, 2))
	whole := 30 * time.Millisecond
	for n := range kills {
		dir := filepath.Join(t.TempDir(), "grasp")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		counter, err := floors.Open(socket, 0)
		if err != nil {
			t.Fatal(err)
		}
		was, _, err := counter.Floor("grasp")
		if err != nil {
			t.Fatal(err)
		}
		top := was + floor
		for i, text := range []string{"old", "new"} {
			if err := install(t, dir, socket, text, top+uint64(i), top); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		cmd := exec.Command(os.Args[0]) //nolint:noctx,gosec // itself, killed below
		cmd.Env = append(os.Environ(), child+"="+dir+"|"+socket)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if n > 0 { // The first one shows how long it takes.
			time.Sleep(time.Duration(r.Int64N(int64(whole)))) // The moment of the kill, not a wait for an effect.
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		if n == 0 {
			whole = time.Since(began)
		}
		s, done, err := open(dir, socket)
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.Status()
		if err != nil || st.Floor < was || st.Floor > top {
			t.Fatalf("kill %d: %+v, %v: expected a floor from %d to %d", n, st, err, was, top)
		}
		if err := s.Stands(); err != nil {
			t.Fatalf("kill %d: %v", n, err)
		}
		if st.Floor > was && st.Floor < top {
			between++
		}
		if _, err := s.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err = s.Status(); err != nil || st.Floor != top || st.FloorIn != slots.InCounter {
			t.Fatalf("kill %d, gone on: %+v, %v", n, st, err)
		}
		done()
	}
	t.Logf("%d kills within %v each, %d with the counter on its way", kills-1, whole, between)
}

// TestTooHigh: a floor that no counter counts to is one of its own kind, not a TPM that somebody changed.
func TestTooHigh(t *testing.T) {
	c, err := floors.Open(filepath.Join(t.TempDir(), "none"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Raise("grasp", tpm.MaxFloor+1); !errors.Is(err, slots.ErrHeight) || errors.Is(err, slots.ErrSilent) {
		t.Errorf("%v", err)
	}
	if err := c.Raise("grasp", tpm.MaxFloor); errors.Is(err, slots.ErrHeight) || !errors.Is(err, slots.ErrSilent) {
		t.Errorf("%v", err)
	}
}

// TestAnotherTPM: who takes the disk to another computer, or the TPM out of this one, is told so, and installs nothing.
func TestAnotherTPM(t *testing.T) {
	socket, off := softwareTPM(t)
	dir := filepath.Join(t.TempDir(), "grasp")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := install(t, dir, socket, "old", 3, 3); err != nil {
		t.Fatal(err)
	}
	s, done, err := open(dir, socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	done()
	if err := install(t, dir, socket, "below", 2, 0); err == nil || !strings.Contains(err.Error(), "went beyond, to 3") {
		t.Errorf("below the floor: %v", err)
	}
	other, _ := softwareTPM(t)
	if err := install(t, dir, other, "new", 4, 3); !errors.Is(err, slots.ErrFloor) || !strings.Contains(err.Error(), "the TPM's counter is gone") {
		t.Errorf("with another TPM: %v", err)
	}
	off()
	if err := install(t, dir, socket, "new", 4, 3); !errors.Is(err, slots.ErrSilent) {
		t.Errorf("without its TPM: %v", err)
	}
	if c, err := floors.Open("", 0); c != nil || err != nil {
		t.Errorf("no path: %v, %v", c, err)
	}
}
