package malicious

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// All is every attack that a program of the right user can run.
func All() []Attack {
	out := append(packets(), documents()...)
	out = append(out, forgeries()...)
	return append(out,
		Attack{"hello/version", "an old version with a hole", hellos(`{"role":"courier","min_version":7,"max_version":9,"program":"x"}`, "version")},
		Attack{"hello/versions-upside-down", "an old version with a hole", hellos(`{"role":"courier","min_version":1,"max_version":0,"program":"x"}`, "version", "malformed")},
		Attack{"hello/no-version", "an old version with a hole", hellos(`{"role":"courier","program":"x"}`, "version", "malformed")},
		Attack{"hello/role-guard", "the guard's own place", hellos(`{"role":"guard","min_version":4,"max_version":4,"program":"x"}`, "not-yours", "malformed")},
		Attack{"hello/no-role", "no rules at all", hellos(`{"min_version":4,"max_version":4,"program":"x"}`, "not-yours", "malformed")},
		Attack{"hello/silent", "a place for ever", silent},
		Attack{"load/flood", "a guard that is busy", flood},
		Attack{"load/deaf", "a guard that waits for a reader", deaf},
		Attack{"load/held-connections", "no place for anybody else", held},
		Attack{"load/thousands-of-connections", "a guard that runs out of descriptors", thousands},
		Attack{"load/documents", "a guard that runs out of memory", bulk},
	)
}

// hellos sends a bad hello as the first packet.
func hellos(body string, codes ...string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		l, err := dial(ctx, t.Socket)
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		if err := l.frame('H', 1, body); err != nil {
			return err
		}
		return l.ended(codes...)
	}
}

// silent connects and says nothing.
func silent(ctx context.Context, t Target) error {
	l, err := dial(ctx, t.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	_ = l.SetDeadline(time.Now().Add(2 * patience))
	return l.ended()
}

// flood sends as many frames as it can.
func flood(ctx context.Context, t Target) error {
	for range 5 {
		l, err := enter(ctx, t, "courier")
		if err != nil {
			return err
		}
		for range 5000 {
			if err = l.frame('T', 0, `{"state":"attesting","detail":"","connected":true,"lease_ms":1000}`); err != nil {
				break
			}
		}
		if err == nil {
			return errors.New("5000 frames at once were taken")
		}
		// The end may have overtaken the error frame.
		err = l.ended()
		_ = l.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// deaf asks for the status again and again and reads nothing.
func deaf(ctx context.Context, t Target) error {
	l, err := enter(ctx, t, "courier")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end) && ctx.Err() == nil; {
		if err := l.frame('S', 5, ""); err != nil {
			return nil //nolint:nilerr // ended, which is right as well
		}
		time.Sleep(8 * time.Millisecond) // Below the rate that ends a connection.
	}
	return nil
}

// held opens connections and keeps them.
func held(ctx context.Context, t Target) error {
	var open []link
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for range 300 {
		l, err := dial(ctx, t.Socket)
		if err != nil {
			break // nobody accepts any more, for now
		}
		open = append(open, l)
	}
	// The guard must get rid of them by itself.
	for end := time.Now().Add(4 * patience); time.Now().Before(end); {
		l, err := enter(ctx, t, "courier")
		if err == nil {
			return l.Close()
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
	return errors.New("nobody else found a place")
}

// thousands connects and goes, from several sides at once.
func thousands(ctx context.Context, t Target) error {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { Hammer(ctx, t.Socket, 600) })
	}
	all.Wait()
	l, err := enter(ctx, t, "courier")
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	return l.Close()
}

// Hammer connects n times, sends half a hello, a flood or nothing, and goes.
func Hammer(ctx context.Context, socket string, n int) {
	for i := range n {
		if ctx.Err() != nil {
			return
		}
		l, err := dial(ctx, socket)
		if err != nil {
			time.Sleep(time.Millisecond) // Full for the moment.
			continue
		}
		switch i % 3 {
		case 0:
			_ = l.frame('H', 1, `{"role":"cour`)
		case 1:
			_ = l.frame('H', 1, `{"role":"courier","min_version":4,"max_version":4,"program":"x"}`)
			for range 50 {
				if l.frame('T', 0, `{"state":"attesting","detail":"","connected":true,"lease_ms":1000}`) != nil {
					break
				}
			}
		}
		_ = l.Close()
	}
}

// bulk sends the largest documents that there are, one behind the other.
func bulk(ctx context.Context, t Target) error {
	for range 6 {
		l, err := enter(ctx, t, "courier")
		if err != nil {
			return err
		}
		for range 10 {
			f, err := memfd(6<<20, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
			if err != nil {
				return err
			}
			err = unixSend(l, packet('O', 0, ""), []int{int(f.Fd())})
			_ = f.Close()
			if err != nil {
				break
			}
		}
		_ = l.Close()
	}
	return nil
}

// Decoy is a socket that takes connections and closes them, so that an attack on nobody costs as much as one on the guard.
func Decoy(ctx context.Context, path string) error {
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				_ = c.SetDeadline(time.Now().Add(time.Second))
				buf := make([]byte, 64<<10)
				_, _ = c.Read(buf)
				_, _ = io.Discard.Write(buf)
				_ = c.Close()
			}()
		}
	}()
	return nil
}

// Outsider is what a program of a user without any right must meet: an end, whatever it sends.
func Outsider(ctx context.Context, socket string) error {
	for _, first := range [][]byte{packet('H', 1, `{"role":"courier","min_version":4,"max_version":4,"program":"x"}`), []byte("S"), []byte("O{}")} {
		l, err := dial(ctx, socket)
		if errors.Is(err, unix.EACCES) {
			continue // the file's mode says it already
		}
		if err != nil {
			return err
		}
		_, _ = l.Write(first)
		kind, body, err := l.read()
		_ = l.Close()
		if err == nil && kind != 'E' {
			return fmt.Errorf("told %q %s", kind, body)
		}
	}
	return nil
}
