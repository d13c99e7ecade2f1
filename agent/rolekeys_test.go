package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// keysOf waits for key lists, and gives nil if heads come without them: a new head makes the guard tell everything.
func (s *roleSite) keysOf(c *contract.Conn) [][]byte {
	s.t.Helper()
	stop := time.AfterFunc(5*time.Second, func() { _ = c.Close() })
	defer stop.Stop()
	for heads := 0; heads < 2; {
		f, err := c.Receive()
		if err != nil {
			s.t.Fatal(err)
		}
		switch f.Type {
		case contract.FrameKeys:
			var k contract.Keys
			if err := f.Into(&k); err != nil {
				s.t.Fatal(err)
			}
			return k.Lists
		case contract.FrameHead:
			heads++
			s.mu.Lock()
			s.newest.Seq++
			s.mu.Unlock()
			s.peers.poke()
		}
	}
	return nil
}

func TestKeyListsAreTold(t *testing.T) {
	s := newRoleSite(t, func(s *roleSite) {
		s.lists = [][]byte{[]byte("first")}
		s.newest = contract.Head{BootID: testBoot, Seq: 1, Digest: strings.Repeat("0", 64), Evidence: strings.Repeat("0", 64)}
	})
	c := s.as(contract.Courier)
	if got := s.keysOf(c); len(got) != 1 || string(got[0]) != "first" {
		t.Fatalf("after the welcome: %q", got)
	}
	if got := s.keysOf(c); got != nil {
		t.Errorf("the same lists were told again: %q", got)
	}
	s.mu.Lock()
	s.lists = [][]byte{[]byte("first"), []byte("second")}
	s.mu.Unlock()
	s.peers.poke()
	if got := s.keysOf(c); len(got) != 2 || string(got[1]) != "second" {
		t.Errorf("after a new list: %q", got)
	}
	if got := s.keysOf(s.as(contract.Courier)); len(got) != 2 {
		t.Errorf("to a new connection: %q", got)
	}
}
