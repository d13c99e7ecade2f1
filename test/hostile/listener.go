package hostile

import (
	"context"
	"net"
	"sync"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// listener is a bare TCP server that runs a script on each connection.
type listener struct {
	l      net.Listener
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	count  int
}

func newListener(ctx context.Context, script func(context.Context, *wire.Conn)) (*listener, error) {
	return newListenerAt(ctx, "127.0.0.1:0", script)
}

func newListenerAt(ctx context.Context, addr string, script func(context.Context, *wire.Conn)) (*listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &listener{l: l, cancel: cancel}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.count++
			s.mu.Unlock()
			s.wg.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				script(ctx, &wire.Conn{Conn: c})
				_ = c.Close()
			})
		}
	})
	return s, nil
}

func (s *listener) port() int {
	return s.l.Addr().(*net.TCPAddr).Port //nolint:errcheck // a TCP listener's address is of this type
}

func (s *listener) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// close ends all connections and waits for their scripts.
func (s *listener) close() {
	s.cancel()
	_ = s.l.Close()
	s.wg.Wait()
}
