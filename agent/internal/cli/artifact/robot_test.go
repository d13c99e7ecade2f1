package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/attest/artifact"
)

// site is a robot's computer: an artifact's source, its slots, and a guard that answers for its status.
type site struct {
	t        *testing.T
	src, dir string
	socket   string
	status   agent.Status
	moving   atomic.Bool
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, src: t.TempDir(), dir: t.TempDir()}
	short, err := os.MkdirTemp("", "rw") // Paths of sockets are short.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	s.socket = filepath.Join(short, "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 64))
			st := s.status
			st.AtRest = !s.moving.Load()
			raw, _ := json.Marshal(st)
			_, _ = c.Write(raw)
			_ = c.Close()
		}
	}()
	return s
}

// content writes the source and names it in the release in force.
func (s *site) content(text string, svn, floor uint64) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.src, "weights.bin"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	files, err := artifact.ListFolder(context.Background(), s.src, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.status.Release = &agent.ReleaseStatus{Version: fmt.Sprint("r", svn), SVN: svn, Floor: floor, Artifacts: []agent.ReleasedArtifact{{
		Name: "grasp", Version: "1", SHA256: fmt.Sprintf("%x", artifact.TreeDigest(files)), Size: uint64(len(text)), Files: 1, AtRest: true,
	}}}
}

func (s *site) run(args ...string) (int, string) {
	s.t.Helper()
	var out bytes.Buffer
	cmd := NewRobot()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--dir", s.dir, "--socket", s.socket))
	err := cmd.ExecuteContext(s.t.Context())
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0, out.String()
	case errors.As(err, &coded):
		return coded.ExitCode(), out.String() + err.Error()
	}
	return 1, out.String() + err.Error()
}

// want runs a command and checks exit code and text.
func (s *site) want(code int, text string, args ...string) {
	s.t.Helper()
	got, out := s.run(args...)
	if got != code || !strings.Contains(out, text) || strings.Contains(out, "\r") {
		s.t.Errorf("artifact %v: exit %d, expected %d with %q:\n%s", args, got, code, text, out)
	}
}

func (s *site) active() string {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "grasp", "active", "weights.bin"))
	return string(raw)
}

func TestARobotsArtifact(t *testing.T) {
	s := newSite(t)
	install := []string{"install", "grasp", "--from", s.src}
	s.want(1, "no release is in force", install...)
	s.content("first", 1, 0)
	s.want(1, "does not name", "install", "arm", "--from", s.src)
	s.want(2, "expected an artifact's name", "commit", "../grasp")
	s.want(2, "--from is missing", "install", "grasp")
	s.want(0, "active in slot a", install...)
	s.want(0, "there is nothing to go back to", "commit", "grasp")
	first := s.status.Release.Artifacts[0].SHA256
	s.content("second", 2, 0)
	s.moving.Store(true)
	s.want(1, "the robot does not stand", install...)
	if s.active() != "first" {
		t.Fatalf("%q is active while the robot moves", s.active())
	}
	s.moving.Store(false)
	s.want(0, "active in slot b", install...)
	// What the release in force does not name is not gone back to: the guard would find it untrusted at once.
	s.want(1, "does not name its content", "rollback", "grasp")
	if s.active() != "second" {
		t.Fatalf("%q is active, which no release in force names", s.active())
	}
	s.status.Release.Artifacts[0].Fallbacks = []string{first}
	s.moving.Store(true)
	s.want(1, "the robot does not stand", "rollback", "grasp")
	s.moving.Store(false)
	s.want(0, "slot a is active again", "rollback", "grasp")
	if s.active() != "first" {
		t.Fatalf("%q is active after the rollback", s.active())
	}
	s.want(0, "* a  1, release r1, svn 1, 1 files, 5 bytes", "status", "--check")
	s.status.Content = []agent.ContentStatus{{Name: "grasp", SHA256: first, Kept: "watched"}, {Name: "other", Why: "process 7 has loaded a/w.bin"}}
	s.want(0, "protected: watched\nrunning: other: no digest: process 7 has loaded a/w.bin\n", "status")
	s.want(0, "rolled-back", "history", "grasp")
	s.want(1, "has taken this very content back", install...)
	// Somebody changes what is active, and what is installed.
	if err := os.WriteFile(filepath.Join(s.dir, "grasp", "active", "weights.bin"), []byte("evil!"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.want(1, "PROBLEM", "status", "--check")
	s.want(1, "its record says", "commit", "grasp")
	if err := os.WriteFile(filepath.Join(s.src, "weights.bin"), []byte("sec0nd"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.status.Release.Artifacts[0].SHA256 = strings.Repeat("0", 64)
	s.want(1, "have the digest", install...)
}

// TestWhoWaitsAndWhatWasHalted: a robot outside the ramp, and a release that was halted, install nothing and say why.
func TestWhoWaitsAndWhatWasHalted(t *testing.T) {
	s := newSite(t)
	s.content("first", 1, 0)
	install := []string{"install", "grasp", "--from", s.src}
	s.status.Release.RampPercent, s.status.Release.RampPlace, s.status.Release.Waits = 10, 42, true
	s.want(1, "is for 10 in 100 robots as yet: this one has place 42 and waits", install...)
	s.status.Release.Halted = "drops cups"
	s.want(1, "release r1 was halted: drops cups", install...)
	s.status.Release.Waits = false
	s.want(1, "release r1 was halted: drops cups", install...)
	if s.active() != "" {
		t.Error("installed all the same")
	}
	s.status.Release.Halted = ""
	s.want(0, "active in slot a", install...)
}

// TestTheFloorIsNamed shows who keeps it, and refuses where the TPM that keeps it is not there.
func TestTheFloorIsNamed(t *testing.T) {
	s := newSite(t)
	s.content("first", 1, 0)
	s.want(0, "active in slot a", "install", "grasp", "--from", s.src)
	s.want(0, "is good", "commit", "grasp")
	s.content("second", 3, 2)
	s.want(0, "active in slot b", "install", "grasp", "--from", s.src)
	s.want(0, "the stored floor waits until the other slot meets it", "commit", "grasp")
	s.want(0, "grasp: floor 1 (kept in software: whoever sets the disk back sets it back too); nothing below svn 2 becomes active", "status")
	s.content("third", 1, 0)
	s.want(1, "this robot went beyond, to 2", "install", "grasp", "--from", s.src)
	s.content("fourth", 3, 2)
	s.want(1, "the floor is in doubt", "install", "grasp", "--from", s.src, "--tpm", filepath.Join(s.dir, "no-tpm"))
	s.want(1, "PROBLEM: the floor is in doubt: the counter of floors does not answer", "status", "--tpm", filepath.Join(s.dir, "no-tpm"))
}

func TestThePolicyDemandsProvenance(t *testing.T) {
	s := newSite(t)
	s.content("first", 1, 0)
	s.status.Release.Artifacts[0].Builders = []string{"https://ci.example/builder"}
	s.want(1, "the policy demands the provenance", "install", "grasp", "--from", s.src)
	if s.active() != "" {
		t.Error("installed without")
	}
}

func TestAHookIsAskedFirst(t *testing.T) {
	s := newSite(t)
	s.content("first", 1, 0)
	hook := filepath.Join(t.TempDir(), "hook")
	script := "#!/bin/sh\necho \"$1 $2\" >> " + hook + ".log\n[ ! -e " + hook + ".fail ]\n"
	if err := os.WriteFile(hook, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if err := os.WriteFile(hook+".fail", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.want(1, "making slot", "install", "grasp", "--from", s.src, "--hook", hook)
	if s.active() != "" {
		t.Error("active although the boot loader refused")
	}
	if err := os.Remove(hook + ".fail"); err != nil {
		t.Fatal(err)
	}
	s.want(0, "is active", "install", "grasp", "--from", s.src, "--hook", hook)
	if raw, _ := os.ReadFile(hook + ".log"); !strings.HasSuffix(string(raw), "grasp a\n") {
		t.Errorf("the hook heard %q", raw)
	}
}

// TestTheBarIsForTerminals: what is no terminal gets no bar.
func TestTheBarIsForTerminals(t *testing.T) {
	if Progress(&bytes.Buffer{}) != nil {
		t.Error("a bar for a buffer")
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // empty
	if Progress(f) != nil {
		t.Error("a bar for a file")
	}
	var out bytes.Buffer
	draw := bar(&out)
	for i := range int64(101) {
		draw(i, 100)
	}
	if !strings.Contains(out.String(), "[###############...............]  50 %") || !strings.HasSuffix(out.String(), "\r") {
		t.Errorf("%q", out.String())
	}
}
