package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestMain plays the roles: the test's own binary is the program that is supervised.
func TestMain(m *testing.M) {
	if role := os.Getenv("SUPERVISE_TEST_DIR"); role != "" {
		os.Exit(play(role, os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// play notes its pid and then does what it was told.
func play(dir, name string, args []string) int {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	note(dir, name, "pid "+strconv.Itoa(os.Getpid()))
	switch args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		return code
	case "stubborn":
		select {}
	case "supervise":
		s := Supervisor{Program: os.Args[0], Roles: []Role{{"guard", []string{"guard", "serve"}, true}}, Pace: DefaultPace(), Log: zerolog.Nop()}
		if s.Run(context.Background()) != nil {
			return 1
		}
		return 0
	}
	<-terms
	note(dir, name, "term")
	return 0
}

func note(dir, name, line string) {
	f, err := os.OpenFile(filepath.Join(dir, "notes"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = fmt.Fprintf(f, "%s %s\n", name, line)
		_ = f.Close()
	}
}

type rig struct {
	t   *testing.T
	dir string
	log lockedBuffer
	sup Supervisor
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, roles ...Role) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	t.Setenv("SUPERVISE_TEST_DIR", r.dir)
	pace := Pace{First: 5 * time.Millisecond, Most: 20 * time.Millisecond, Well: time.Minute, Refusal: time.Minute, Settle: 5 * time.Second}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.sup = Supervisor{Program: self, Roles: roles, Pace: pace, Log: zerolog.New(&r.log)}
	return r
}

// notes are the lines that the roles wrote.
func (r *rig) notes() []string {
	data, _ := os.ReadFile(filepath.Join(r.dir, "notes"))
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// wait polls until ok, or fails.
func (r *rig) wait(what string, ok func(notes []string) bool) []string {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if n := r.notes(); ok(n) {
			return n
		}
	}
	r.t.Fatalf("%s: not within 20 s; notes %q, log %s", what, r.notes(), r.log.String())
	return nil
}

func starts(notes []string, name string) (pids []int) {
	for _, n := range notes {
		if pid, ok := strings.CutPrefix(n, name+" pid "); ok {
			p, _ := strconv.Atoi(pid)
			pids = append(pids, p)
		}
	}
	return pids
}

func (r *rig) run() (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.sup.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestAKilledRoleComesBackAndTheOthersGoOn(t *testing.T) {
	r := newRig(t, Role{"guard", []string{"guard", "serve"}, true}, Role{"courier", []string{"courier", "serve"}, false})
	stop := r.run()
	n := r.wait("both start", func(n []string) bool { return len(starts(n, "guard")) == 1 && len(starts(n, "courier")) == 1 })
	if err := syscall.Kill(starts(n, "courier")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n = r.wait("the courier is back", func(n []string) bool { return len(starts(n, "courier")) == 2 })
	if got := starts(n, "guard"); len(got) != 1 {
		t.Errorf("the guard was started %d times, want 1: nobody ended it", len(got))
	}
	if err := syscall.Kill(starts(n, "guard")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.wait("the guard is back", func(n []string) bool { return len(starts(n, "guard")) == 2 })
	if err := stop(); err != nil {
		t.Errorf("an orderly end: %v", err)
	}
	n = r.notes()
	if n[len(n)-1] != "guard term" {
		t.Errorf("the guard must end last, found %q", n)
	}
}

func TestAGuardThatRefusesEndsEverythingWithItsAnswer(t *testing.T) {
	for _, code := range []int{1, 2} {
		r := newRig(t, Role{"guard", []string{"guard", "exit", strconv.Itoa(code)}, true}, Role{"courier", []string{"courier", "serve"}, false})
		err := r.sup.Run(t.Context())
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.ExitCode() != code {
			t.Errorf("got %v, want a refusal with code %d", err, code)
		}
	}
}

func TestACourierThatCannotRunIsTriedAgainWithoutTouchingTheGuard(t *testing.T) {
	r := newRig(t, Role{"guard", []string{"guard", "serve"}, true}, Role{"courier", []string{"courier", "exit", "1"}, false})
	stop := r.run()
	n := r.wait("five tries", func(n []string) bool { return len(starts(n, "courier")) >= 5 })
	if got := starts(n, "guard"); len(got) != 1 {
		t.Errorf("the guard was started %d times, want 1", len(got))
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAStubbornRoleIsEndedAfterTheSettlingTime(t *testing.T) {
	r := newRig(t, Role{"guard", []string{"guard", "serve"}, true}, Role{"steward", []string{"steward", "stubborn"}, false})
	r.sup.Pace.Settle = 50 * time.Millisecond
	stop := r.run()
	r.wait("both start", func(n []string) bool { return len(starts(n, "steward")) == 1 && len(starts(n, "guard")) == 1 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatIsNotThereIsAnError(t *testing.T) {
	r := newRig(t, Role{"guard", []string{"guard", "serve"}, true})
	r.sup.Program = filepath.Join(r.dir, "absent")
	if err := r.sup.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "start guard") {
		t.Errorf("got %v, want an error that names the role", err)
	}
}

// TestRolesDieWithTheSupervisor kills a supervisor that has a process of its own: its guard is asked to settle.
func TestRolesDieWithTheSupervisor(t *testing.T) {
	r := newRig(t)
	p, err := os.StartProcess(r.sup.Program, []string{r.sup.Program, "supervisor", "supervise"}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.wait("the guard starts", func(n []string) bool { return len(starts(n, "guard")) == 1 })
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	r.wait("the guard is asked to end", func(n []string) bool { return n[len(n)-1] == "guard term" })
}
