// Package notify tells the service manager (systemd) that a role is ready and that its loop makes progress; it never
// says so on a clock's word alone, and it does nothing where there is no service manager.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Progress is a loop that counts what it has really done. For the guard: ticks that were applied.
type Progress interface {
	// Progress returns the count; it may stand still and never goes back.
	Progress() uint64
}

// Notifier speaks to the service manager of this process.
type Notifier struct {
	send     func(state string) (bool, error)
	interval time.Duration
	tick     func(time.Duration) (<-chan time.Time, func())
}

// New reads from the environment whether there is a service manager and how often it wants a sign of life. A process that
// is not run by one gets a Notifier that does nothing.
func New() (*Notifier, error) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("service manager's watchdog: %w", err)
	}
	return &Notifier{
		send:     func(state string) (bool, error) { return daemon.SdNotify(false, state) },
		interval: interval,
		tick: func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		},
	}, nil
}

// Interval is the service manager's patience, 0 if it wants no sign of life.
func (n *Notifier) Interval() time.Duration { return n.interval }

// Ready says that the role has started.
func (n *Notifier) Ready(status string) error { return n.tell(daemon.SdNotifyReady, line(status)) }

// Status shows one line to people.
func (n *Notifier) Status(status string) error { return n.tell(line(status)) }

// Stopping says that the role ends in order.
func (n *Notifier) Stopping() error { return n.tell(daemon.SdNotifyStopping) }

func line(status string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status)
}

func (n *Notifier) tell(lines ...string) error {
	if _, err := n.send(strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return nil
}

// looks is how often within the service manager's patience progress is looked at.
const looks = 4

// Watch passes signs of life on for as long as every loop makes progress between two looks, until ctx ends. If one of them
// stands still, nothing is said, and the service manager starts the role anew. A service manager that cannot be told is
// returned as an error: it would kill the role anyway, and so the reason is known.
func (n *Notifier) Watch(ctx context.Context, loops ...Progress) error {
	if n.interval <= 0 {
		<-ctx.Done()
		return nil
	}
	if len(loops) == 0 {
		return errors.New("watchdog: expected at least one loop to watch, found none")
	}
	seen := make([]uint64, len(loops))
	for i, l := range loops {
		seen[i] = l.Progress()
	}
	moved := make([]bool, len(loops))
	ticks, stop := n.tick(n.interval / looks)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
		if !advanced(loops, seen, moved) {
			continue
		}
		clear(moved)
		if err := n.tell(daemon.SdNotifyWatchdog); err != nil {
			return err
		}
	}
}

// advanced notes which loops have moved since the last sign of life and says whether all have.
func advanced(loops []Progress, seen []uint64, moved []bool) bool {
	all := true
	for i, l := range loops {
		if now := l.Progress(); now != seen[i] {
			seen[i], moved[i] = now, true
		}
		all = all && moved[i]
	}
	return all
}
