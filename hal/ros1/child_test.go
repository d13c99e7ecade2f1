package ros1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// runChild is what a test binary does that was started as a subprocess.
func runChild(job string) int {
	if job != "emfile" {
		return 2
	}
	if err := emfileChild(); err != nil {
		fmt.Println("ERROR", err)
		return 1
	}
	return 0
}

// emfileChild runs a node that has six file descriptors to spare, until its input ends.
func emfileChild() error {
	master, err := rostest.NewMaster("127.0.0.1")
	if err != nil {
		return err
	}
	defer master.Close()
	var ev events
	n, err := New(testConfig(master.URI(), &ev))
	if err != nil {
		return err
	}
	p, err := n.Advertise(bus.Publication{Topic: "/agent/stop", Type: bus.TypeBool, Latch: true})
	if err != nil {
		return err
	}
	if _, err := p.PublishBool(1, true); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(context.Background()) }()
	for len(master.Publishers("/agent/stop")) == 0 {
		time.Sleep(time.Millisecond)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	limit := unix.Rlimit{Cur: uint64(len(fds) + 6), Max: uint64(len(fds) + 6)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	fmt.Println("READY", n.URI(), net.JoinHostPort("127.0.0.1", fmt.Sprint(n.data.port())))
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Println("FAILED", ev.count(bus.AcceptFailed))
	n.Close()
	return <-done
}

// TestAcceptLoopSurvivesEMFILE: file descriptors run out under a flood; after it new subscribers are served.
func TestAcceptLoopSurvivesEMFILE(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), "ROS1_TEST_CHILD=emfile")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := func(word string) []string {
		for lines.Scan() {
			if f := strings.Fields(lines.Text()); len(f) > 1 && f[0] == word {
				return f[1:]
			}
		}
		t.Fatalf("the subprocess ended without %s", word)
		return nil
	}
	ready := next("READY")
	var flood []net.Conn
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		for _, addr := range []string{ready[1], strings.TrimSuffix(strings.TrimPrefix(ready[0], "http://"), "/")} {
			if c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond); err == nil {
				flood = append(flood, c)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	for _, c := range flood {
		c.Close()
	}
	eventually(t, "a new subscriber is served after the flood", func() bool {
		s, err := rostest.Subscribe(ready[0], "/late", "/agent/stop", bus.TypeBool, "*")
		if err != nil {
			return false
		}
		defer s.Close()
		body, err := s.Message()
		return err == nil && body[0] == 1
	})
	stdin.Close()
	if f := next("FAILED"); f[0] == "0" {
		t.Error("no accept failed; the test shows nothing")
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
