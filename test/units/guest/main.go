// Command guest is what a test runs inside a robot computer with systemd: it installs the package, starts the units, does
// things to them, and writes to the console what became of it; it is never part of the product.
//
// Usage: guest run        all checks, then power off
// guest probe FILE        try to cross every wall of a unit, and write down what went through
// guest plant MASTER      a ROS node that publishes, with a master of its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where the test has put its files.
const (
	media   = "/media"
	project = "robowarden"
)

var roles = []string{"guard", "steward", "courier"}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "guest: expected run, probe or plant")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "run":
		run()
	case "probe":
		err = probe(os.Args[2])
	case "plant":
		err = plant()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// Marks on the console that the host looks for.
const (
	markOK   = "RW-OK"
	markFail = "RW-FAIL"
	markEnd  = "RW-END"
)

// say writes a line to the console.
func say(format string, args ...any) {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // a console
	fmt.Fprintf(f, "\n"+format+"\n", args...)
}

// run makes all checks in their order; each builds on the ones before.
func run() {
	begun := time.Now()
	for _, c := range checks {
		at := time.Now()
		detail, err := c.do()
		mark := markOK
		if err != nil {
			mark, detail = markFail, err.Error()
		}
		say("%s %s (%.1f s): %s", mark, c.name, time.Since(at).Seconds(), strings.ReplaceAll(strings.TrimSpace(detail), "\n", " | "))
		if err != nil {
			say("busy: %s", busiest(5*time.Second))
			for _, r := range roles {
				text, _ := command("journalctl", "--no-pager", "-n", "25", "-o", "cat", "-u", unit(r))
				say("log of %s: %s", r, text)
			}
			break
		}
	}
	say("%s after %.1f s", markEnd, time.Since(begun).Seconds())
	_, _ = command("systemctl", "poweroff", "--force", "--force")
}

// commandLimit is far more than any command needs: one that hangs must say which it is. On a host that is busy with something
// else the guard, which has real time, takes most of the emulated processors, and what systemd does waits for the rest.
const commandLimit = 5 * time.Minute

func command(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("still running after %v: %w", commandLimit, err)
	}
	if err != nil {
		return text, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

func unit(role string) string { return project + "-" + role + ".service" }

// property reads one property of a role's unit.
func property(role, name string) string { return properties(role, name)[name] }

// properties reads several at once: starting a command takes an emulated processor long.
func properties(role string, names ...string) map[string]string {
	text, _ := command("systemctl", "show", "-p", strings.Join(names, ","), unit(role))
	out := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		out[name] = value
	}
	return out
}

// eventually polls until the condition holds, for as long as patience lasts.
func eventually(what string, holds func() bool) error {
	for end := time.Now().Add(patience); ; {
		if holds() {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// busiest lists who used the processors most over a while, in per cent of one.
func busiest(over time.Duration) string {
	before := times()
	time.Sleep(over)
	type use struct {
		name    string
		percent int
	}
	var all []use
	for name, ticks := range times() {
		// A tick is 10 ms.
		if p := int((ticks - before[name]) * 1000 / uint64(over.Milliseconds())); p > 2 {
			all = append(all, use{name, p})
		}
	}
	slices.SortFunc(all, func(a, b use) int { return b.percent - a.percent })
	return fmt.Sprint(all[:min(len(all), 8)])
}

// times are all processes' times so far, in ticks.
func times() map[string]uint64 {
	out := map[string]uint64{}
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		b, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil || d.Name()[0] < '0' || d.Name()[0] > '9' {
			continue
		}
		line, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline")
		name := strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(rest) < 13 {
			continue
		}
		user, _ := strconv.ParseUint(rest[11], 10, 64)
		system, _ := strconv.ParseUint(rest[12], 10, 64)
		out[d.Name()+" "+name[:min(len(name), 40)]] = user + system
	}
	return out
}
