package agent

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/desk"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// newMasterSite is a running guard on ROS 1 with a master of the test's own.
func newMasterSite(t *testing.T) (*domainSite, string) {
	t.Helper()
	m, err := rostest.NewMaster("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	s := &domainSite{}
	s.testSite = newSiteOf(t, "diff-drive", func(_ string, raw []byte) []byte {
		return bytes.Replace(raw, []byte("http://127.0.0.1:11311"), []byte(strings.TrimSuffix(m.URI(), "/")), 1)
	})
	s.agent, err = s.start()
	s.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.agent.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.agent.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, m.URI()
}

// sit is a desk at the site's line, until the returned function ends it.
func (s *domainSite) sit(line desk.Line, key string) (d *desk.Desk, leave func()) {
	s.t.Helper()
	raw, err := hex.DecodeString(key)
	s.must(err)
	d = desk.New(siteRobot, "operator", raw)
	s.fill(&line)
	k, err := desk.Open(line, d, func(error) {})
	s.must(err)
	return d, s.while(k.Run)
}

// TestHostileAnswersAtARunningGuard repeats and forges heartbeat answers beside a rightful desk, on either bus: the channel
// goes on, and somebody is accused; that restricts the robot no more than a hold, and latches nothing.
func TestHostileAnswersAtARunningGuard(t *testing.T) {
	t.Parallel()
	for name, site := range deskSites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, line := site(t)
			raw, err := hex.DecodeString(strings.Repeat("ab", 32))
			s.must(err)
			d := desk.New(siteRobot, "operator", raw)
			d.Run(true)
			s.fill(&line)
			var twice, forged atomic.Bool
			var last []byte
			k, err := desk.OpenWith(line, d, func(error) {}, func(answer []byte) [][]byte {
				out := [][]byte{answer}
				if twice.Load() {
					out = append(out, answer)
				}
				if forged.Load() && last != nil {
					out = append(out, last[:len(last)-1])
				}
				last = bytes.Clone(answer)
				return out
			})
			s.must(err)
			s.while(k.Run)
			s.eventually("a channel that runs", func() bool { return s.phase() == "running" })
			if there, _ := s.trigger("channel.heartbeat-hostile"); there {
				t.Fatal("off: a rightful desk alone is accused")
			}
			for what, on := range map[string]*atomic.Bool{"answers that come twice": &twice, "answers of no form": &forged} {
				on.Store(true)
				s.eventually("an accusation of "+what, func() bool {
					there, latched := s.trigger("channel.heartbeat-hostile")
					if latched {
						t.Fatal("it latches")
					}
					return there && s.phase() == "running"
				})
				on.Store(false)
				s.eventually("its end", func() bool {
					there, _ := s.trigger("channel.heartbeat-hostile")
					return !there
				})
			}
		})
	}
}

// fill completes a line with the names of the examples.
func (s *domainSite) fill(line *desk.Line) {
	line.Node, line.Host, line.Guard, line.Log = "/operator", "127.0.0.1", "/robowarden", zerolog.Nop()
	line.Challenge, line.Response = "/robowarden/challenge", "/robowarden/response"
}

// while runs something until the returned function, or the test's end, ends it.
func (s *domainSite) while(run func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(end)
	return end
}

// deskSites are running guards on either bus, and the lines to them.
func deskSites() map[string]func(t *testing.T) (*domainSite, desk.Line) {
	return map[string]func(t *testing.T) (*domainSite, desk.Line){
		"ros1": func(t *testing.T) (*domainSite, desk.Line) {
			s, uri := newMasterSite(t)
			return s, desk.Line{MasterURI: uri}
		},
		"ros2": func(t *testing.T) (*domainSite, desk.Line) {
			s := newDomainSite(t)
			return s, desk.Line{ROS2: true, Domain: s.domain}
		},
	}
}

func (s *domainSite) phase() string {
	for _, c := range s.agent.guard.Status().Channels {
		return c.Phase
	}
	return ""
}

// TestDeskAtARunningGuard sits at the desk of a guard that runs, on either bus: checks in at stop, lets it run, asks for a
// stop, and is gone. A desk with another key never checks in, and is accused.
func TestDeskAtARunningGuard(t *testing.T) {
	t.Parallel()
	for name, site := range deskSites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, line := site(t)
			_, leave := s.sit(line, strings.Repeat("cd", 32))
			s.eventually("an accusation of the wrong key", func() bool {
				there, _ := s.trigger("channel.heartbeat-hostile")
				return there
			})
			if p := s.phase(); p != "away" {
				t.Errorf("off: with another key the channel is %s", p)
			}
			leave()

			d, leave := s.sit(line, strings.Repeat("ab", 32))
			s.eventually("a check-in at stop", func() bool { return s.phase() == "checked in" && d.State().Phase == desk.CheckedIn })
			d.Run(true)
			s.eventually("that the robot may run", func() bool { return s.phase() == "running" && d.State().Phase == desk.Running })
			d.Run(false)
			s.eventually("a stop", func() bool {
				there, _ := s.trigger("channel.stop-requested")
				return there && s.phase() == "stopped" && d.State().Phase == desk.Stopped
			})
			d.Run(true)
			s.eventually("that the channel runs again", func() bool { return s.phase() == "running" })
			if _, latched := s.trigger("channel.stop-requested"); !latched {
				t.Error("the stop ended without a signed reset")
			}
			leave()
			began := time.Now()
			s.eventually("the loss of a desk that was killed", func() bool {
				there, _ := s.trigger("channel.heartbeat-lost")
				return there && s.phase() == "away"
			})
			t.Logf("lost %v after the desk's end", time.Since(began).Round(10*time.Millisecond))
		})
	}
}
