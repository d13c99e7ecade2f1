package desk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/guard"
)

const robot = "robowarden-demo/demo-humanoid-01"

var (
	key  = bytes.Repeat([]byte{7}, 32)
	boot = [16]byte{1, 2, 3}
)

// TestAnswersAreTheGuards lets the guard's own check judge the answers, which it is not written from.
func TestAnswersAreTheGuards(t *testing.T) {
	g, err := guard.NewHeartbeat("operator", robot, boot, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		phase string
		run   bool
		stop  bool
	}{
		{"away", true, true},
		{"away", false, true},
		{"checked-in", true, false},
		{"checked-in", false, true},
		{"running", true, false},
		{"running", false, true},
		{"stopped", true, false},
		{"stopped", false, true},
	} {
		for name, k := range map[string][]byte{"the key": key, "off: another key": bytes.Repeat([]byte{8}, 32)} {
			d := New(robot, "operator", k)
			d.Run(x.run)
			value := [16]byte{9, 9}
			line, err := d.Answer(g.AppendChallenge(nil, value, x.phase))
			if err != nil {
				t.Fatal(err)
			}
			a, err := g.Check(line)
			if good := err == nil && a.Valid; good != (name == "the key") {
				t.Errorf("%s at %s: %s: %v", name, x.phase, line, err)
			}
			if a.Valid && (a.Stop != x.stop || a.Value != value) {
				t.Errorf("at %s asking run %t: %s", x.phase, x.run, line)
			}
		}
	}
}

// TestOtherChallengesAreNotAnswered holds challenges of other robots, endpoints and forms at the desk.
func TestOtherChallengesAreNotAnswered(t *testing.T) {
	good := "rw1 challenge " + robot + " " + strings.Repeat("0a", 16) + " operator " + strings.Repeat("0b", 16) + " running"
	for name, x := range map[string]struct {
		line string
		want error
	}{
		"good":             {good, nil},
		"with a line end":  {good + "\n", nil},
		"another robot":    {strings.Replace(good, "-01", "-02", 1), ErrOther},
		"another endpoint": {strings.Replace(good, "operator", "fleet", 1), ErrOther},
		"another version":  {strings.Replace(good, "rw1", "rw2", 1), ErrForm},
		"an answer":        {strings.Replace(good, "challenge", "answer", 1), ErrForm},
		"capitals":         {strings.Replace(good, "0b0b", "0B0B", 1), ErrForm},
		"a short one":      {strings.Replace(good, "0b0b", "0b", 1), ErrForm},
		"another phase":    {strings.Replace(good, "running", "ok", 1), ErrForm},
		"two spaces":       {strings.Replace(good, " operator", "  operator", 1), ErrForm},
		"nothing":          {"", ErrForm},
		"far too long":     {good + strings.Repeat(" ", 600), ErrForm},
	} {
		d := New(robot, "operator", key)
		a, err := d.Answer([]byte(x.line))
		if !errors.Is(err, x.want) || (err == nil) != (a != nil) {
			t.Errorf("%s: got %q, %v", name, a, err)
		}
	}
	d := New(robot, "operator", key)
	_, _ = d.Answer([]byte(good))
	if _, err := d.Answer([]byte(good)); !errors.Is(err, ErrAgain) {
		t.Errorf("the same again: %v", err)
	}
	if s := d.State(); s.Phase != Running || s.Answers != 1 {
		t.Errorf("%+v", s)
	}
}

func FuzzAnswer(f *testing.F) {
	g, _ := guard.NewHeartbeat("operator", robot, boot, key)
	f.Add(g.AppendChallenge(nil, [16]byte{3}, "running"))
	f.Add([]byte("rw1 challenge a b c d e"))
	f.Fuzz(func(t *testing.T, line []byte) {
		d := New(robot, "operator", key)
		a, err := d.Answer(line)
		if err == nil && (!bytes.HasPrefix(a, []byte("rw1 answer operator ")) || !bytes.Contains(line, []byte(robot))) {
			t.Errorf("%q was answered by %q", line, a)
		}
	})
}

// TestVectors compares answers with those that were made in another language, and lets the guard check these.
func TestVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "configs", "messages", "heartbeat.vectors.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var key []byte
	run, challenge, n := false, "", 0
	for line := range strings.SplitSeq(string(raw), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "key":
			if key, err = hex.DecodeString(rest); err != nil {
				t.Fatal(err)
			}
		case word == "asks":
			run = rest == "run"
		case strings.HasPrefix(rest, "challenge"):
			challenge = line
		case strings.HasPrefix(rest, "answer"):
			n++
			f := strings.Fields(challenge)
			d := New(f[2], f[4], key)
			d.Run(run)
			if got, err := d.Answer([]byte(challenge)); err != nil || string(got) != line {
				t.Errorf("%s\n got %s, %v\nwant %s", challenge, got, err, line)
			}
			b, _ := hex.DecodeString(f[3])
			g, err := guard.NewHeartbeat(f[4], f[2], [16]byte(b), key)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := g.Check([]byte(line)); err != nil || !a.Valid {
				t.Errorf("the guard: %s: %v", line, err)
			}
		}
	}
	if n < 5 {
		t.Errorf("found %d vectors, expected 5 or more", n)
	}
}
