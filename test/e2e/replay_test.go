package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/replay"
	"github.com/robowarden/robowarden/test/internal/cpp"
)

// replayed ends the guard in order and replays its journal: every decision must come out again. It returns what was
// replayed.
func (g *guard) replayed(t testing.TB) replay.Result {
	t.Helper()
	r := g.replayedHere(t)
	if longTier() {
		// Every run of the long tier on the other architecture too; make test does one.
		g.sameOnARM64(t, r)
	}
	return r
}

// replayedHere is the same on this architecture alone, for journals of many minutes.
func (g *guard) replayedHere(t testing.TB) replay.Result {
	t.Helper()
	if exit := g.Stop(10 * time.Second); exit.Code != 0 {
		t.Errorf("the guard ended with %v:\n%s", exit, g.Output())
	}
	r, err := replay.Dir(g.site.path("journal"), replay.Documents(g.site.path("state/documents")))
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() {
		t.Errorf("replay: %d events, mismatches %+v", r.Events, r.Mismatches)
	}
	return r
}

// sameOnARM64 replays the journal there and compares the running digest, which every decision and command is in.
func (g *guard) sameOnARM64(t testing.TB, r replay.Result) {
	t.Helper()
	if got, want := g.replayedOnARM64(t), fmt.Sprintf("digest %016x", r.Digest); !strings.Contains(got, want) {
		t.Errorf("arm64 replays to %q, amd64 to %s", got, want)
	}
}

// longTier is true in make qualify.
func longTier() bool { return os.Getenv("ROBOWARDEN_TIER") == "qualify" }

var arm struct {
	sync.Once
	path string
	err  error
}

// replayedOnARM64 replays the journal with an arm64 program under an emulator and returns what it prints.
func (g *guard) replayedOnARM64(t testing.TB) string {
	t.Helper()
	emulator, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("qemu-aarch64-static is not installed: make setup")
	}
	arm.Do(func() {
		arm.path = filepath.Join(cpp.Root(), "build", "replaycheck-arm64")
		cmd := exec.Command("go", "build", "-o", arm.path, "./replaycheck")
		cmd.Dir = cpp.Root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s", out)
			arm.err = err
		}
	})
	if arm.err != nil {
		t.Fatal(arm.err)
	}
	out, err := exec.Command(emulator, arm.path, g.site.path("journal"), g.site.path("state/documents")).CombinedOutput()
	if err != nil {
		t.Errorf("replay on arm64: %v\n%s", err, out)
	}
	return string(out)
}
