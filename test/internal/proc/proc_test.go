package proc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/need"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestOutputAndExitCode(t *testing.T) {
	p := StartT(t, Spec{Argv: []string{"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}})
	exit, err := p.Wait(within(t, 5*time.Second))
	if err != nil || exit.Code != 7 || exit.Signal != 0 {
		t.Fatalf("exit %v, %v; want exit 7", exit, err)
	}
	if got := p.Output(); !strings.Contains(got, "out\n") || !strings.Contains(got, "err\n") {
		t.Fatalf("output %q misses a stream", got)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("signal after the end: %v", err)
	}
}

func TestWaitOutputSeesLateLine(t *testing.T) {
	p := StartT(t, Spec{Argv: []string{"/bin/sh", "-c", "sleep 0.1; echo port 4711; exec sleep 60"}})
	m, err := p.WaitOutput(within(t, 5*time.Second), `port (\d+)`)
	if err != nil || m[1] != "4711" {
		t.Fatalf("match %q, %v", m, err)
	}
}

func TestWaitOutputNamesAnEarlyEnd(t *testing.T) {
	p := StartT(t, Spec{Name: "early", Argv: []string{"/bin/sh", "-c", "echo nothing of use"}})
	_, err := p.WaitOutput(within(t, 5*time.Second), `port`)
	if err == nil || !strings.Contains(err.Error(), "early ended (exit 0)") || !strings.Contains(err.Error(), "nothing of use") {
		t.Fatalf("error %v does not say that the program ended and what it wrote", err)
	}
}

func TestKillTakesChildrenToo(t *testing.T) {
	p := StartT(t, Spec{Argv: []string{"/bin/sh", "-c", "sleep 60 & echo child $!; wait"}})
	m, err := p.WaitOutput(within(t, 5*time.Second), `child (\d+)`)
	if err != nil {
		t.Fatal(err)
	}
	if exit := p.Kill(); exit.Signal != syscall.SIGKILL {
		t.Fatalf("exit %v, want SIGKILL", exit)
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		state, err := os.ReadFile("/proc/" + m[1] + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("child %s outlived its group", m[1])
}

func TestStopWakesAPausedProcess(t *testing.T) {
	p := StartT(t, Spec{Argv: []string{"/bin/sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done"}})
	if _, err := p.WaitOutput(within(t, 5*time.Second), `ready`); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if exit := p.Stop(5 * time.Second); exit.Code != 3 {
		t.Fatalf("exit %v, want the handler's exit 3", exit)
	}
}

func TestLimitOnDescriptors(t *testing.T) {
	p := StartT(t, Spec{Argv: []string{"/bin/sh", "-c", "ulimit -n; exec sleep 60"}, NoFile: 64})
	if _, err := p.WaitOutput(within(t, 5*time.Second), `^64\n`); err != nil {
		t.Fatal(err)
	}
	u, err := p.Usage()
	if err != nil || u.RSSBytes == 0 || u.Threads != 1 || u.Files == 0 {
		t.Fatalf("usage %+v, %v", u, err)
	}
}

func TestLongOutputKeepsBothEnds(t *testing.T) {
	c := newCapture()
	for _, s := range []string{"first ", strings.Repeat("x", headLimit+tailLimit), " last"} {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	got := c.String()
	if !strings.HasPrefix(got, "first ") || !strings.HasSuffix(got, " last") || !strings.Contains(got, "11 bytes left out") {
		t.Fatalf("kept %q … %q", got[:20], got[len(got)-60:])
	}
}

func TestOOMKillEndsOnlyTheVictim(t *testing.T) {
	need.Root(t)
	cg, err := NewCgroup("oom", 48<<20)
	if err != nil {
		need.Missing(t, "%v", err)
	}
	t.Cleanup(func() {
		if err := cg.Remove(); err != nil {
			t.Error(err)
		}
	})
	victim := StartT(t, Spec{Name: "victim", Argv: []string{"sleep", "60"}, Cgroup: cg})
	exit, err := cg.OOMKill(within(t, 10*time.Second), victim)
	if err != nil || exit.Signal != syscall.SIGKILL {
		t.Fatalf("exit %v, %v", exit, err)
	}
}

func TestFullDisk(t *testing.T) {
	d := NewDisk(t, 8<<20)
	f, err := os.OpenFile(filepath.Join(d.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	free, err := d.Fill()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 8192)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write on the full disk: %v, want ENOSPC", err)
	}
	if err := free(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("again")); err != nil {
		t.Fatalf("write after making room: %v", err)
	}
}

func TestBrokenDiskFailsOpenFiles(t *testing.T) {
	d := NewDisk(t, 8<<20)
	f, err := os.OpenFile(filepath.Join(d.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	if err := d.Break(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("after"); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("write through the open descriptor: %v, want EROFS", err)
	}
}
