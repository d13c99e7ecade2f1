//go:build qualify

package host

// These tests spin in the guard's class for seconds. In make test they would take the processors from the robots of other
// tests, and those are held then.

import (
	"context"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProgramsOfOneClassDoNotStandStill: more real-time Go programs than processors collect garbage at once; SCHED_FIFO, the
// "off" run, has them spin for each other until the kernel kills all but one.
func TestProgramsOfOneClassDoNotStandStill(t *testing.T) {
	const fifo = 1
	for class, alive := range map[int]bool{roundRobin: true, fifo: false} {
		outs := make(chan string)
		programs := runtime.NumCPU() + 1
		for range programs {
			go func() { outs <- play(t, classEnv+"="+strconv.Itoa(class)) }()
		}
		through, refused := 0, false
		for range programs {
			switch said := <-outs; {
			case strings.Contains(said, "operation not permitted"):
				refused = true
			case said == "alive":
				through++
			default:
				t.Logf("class %d: %s", class, said)
			}
		}
		if refused {
			t.Skip("no right to real-time scheduling")
		}
		if got := through == programs; got != alive {
			t.Errorf("class %d: %d of %d programs came through; expected all: %t", class, through, programs, alive)
		}
	}
}

// TestABusyStartIsNotCounted: a start that computed for longer than a running guard may is no reason to be killed; without
// the sleep in between, the "off" run, the kernel does it.
func TestABusyStartIsNotCounted(t *testing.T) {
	for how, alive := range map[string]bool{"asleep": true, "awake": false} {
		said := play(t, startEnv+"="+how, "GODEBUG=asyncpreemptoff=1")
		if strings.Contains(said, "operation not permitted") {
			t.Skip("no right to real-time scheduling")
		}
		if got := said == "alive"; got != alive {
			t.Errorf("%s: said %q; expected it alive: %t", how, said, alive)
		}
	}
}

// TestWorkAsideOnABusyComputer: two real-time programs do work aside on a computer whose processors are all busy with ordinary
// work. Where the collector runs meanwhile, the "off" run, it spins for the work's thread, and the rest of the program waits.
func TestWorkAsideOnABusyComputer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range 6 * runtime.NumCPU() {
		c := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		c.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	}
	for _, how := range []string{"held", "off"} {
		outs := make(chan string)
		for range 2 {
			go func() { outs <- play(t, busyEnv+"="+how) }()
		}
		through, refused := 0, false
		for range 2 {
			said := <-outs
			refused = refused || strings.Contains(said, "operation not permitted")
			t.Logf("the collector %s: %s", how, said)
			if strings.HasPrefix(said, "late 0 times") {
				through++
			}
		}
		if refused {
			t.Skip("no right to real-time scheduling")
		}
		if (how == "held") != (through == 2) {
			t.Errorf("%d of 2 programs were never late by half a second; expected both where the collector is held off alone", through)
		}
	}
}
