package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// answerLine is an operator's desk written from the format's description, not from the code that checks it.
func answerLine(key []byte, robot, boot, endpoint, challenge, level string) string {
	m := hmac.New(sha256.New, key)
	fmt.Fprint(m, strings.Join([]string{"robowarden/heartbeat/v1", robot, boot, endpoint, challenge, level}, "\x00"))
	return fmt.Sprintf("rw1 answer %s %s %s %s", endpoint, challenge, level, hex.EncodeToString(m.Sum(nil)))
}

func TestHeartbeatAnswers(t *testing.T) {
	key, boot := []byte("0123456789abcdef0123456789abcdef"), [16]byte{0xb0, 0x07}
	bootHex := hex.EncodeToString(boot[:])
	value := [16]byte{1, 2, 3}
	valueHex := hex.EncodeToString(value[:])
	good := answerLine(key, "acme/7", bootHex, "desk", valueHex, "ok")
	tests := map[string]struct {
		line        string
		valid, stop bool
	}{
		"right":             {good, true, false},
		"right with stop":   {answerLine(key, "acme/7", bootHex, "desk", valueHex, "stop"), true, true},
		"newline at end":    {good + "\n", true, false},
		"wrong key":         {answerLine(key[1:], "acme/7", bootHex, "desk", valueHex, "ok"), false, false},
		"other robot":       {answerLine(key, "acme/8", bootHex, "desk", valueHex, "ok"), false, false},
		"boot before":       {answerLine(key, "acme/7", strings.Repeat("0", 32), "desk", valueHex, "ok"), false, false},
		"other endpoint":    {answerLine(key, "acme/7", bootHex, "fleet", valueHex, "ok"), false, false},
		"level raised":      {strings.Replace(answerLine(key, "acme/7", bootHex, "desk", valueHex, "stop"), " stop ", " ok ", 1), false, false},
		"level unknown":     {answerLine(key, "acme/7", bootHex, "desk", valueHex, "go"), false, false},
		"challenge swap":    {strings.Replace(good, valueHex, strings.Repeat("f", 32), 1), false, false},
		"empty":             {"", false, false},
		"two spaces":        {strings.Replace(good, " ok ", "  ok ", 1), false, false},
		"field too many":    {good + " x", false, false},
		"field too few":     {good[:strings.LastIndexByte(good, ' ')], false, false},
		"endless line":      {good + strings.Repeat(" ", maxAnswerLine), false, false},
		"mac not hex":       {good[:len(good)-1] + "g", false, false},
		"challenge not hex": {strings.Replace(good, valueHex, strings.Repeat("z", 32), 1), false, false},
	}
	h, err := NewHeartbeat("desk", "acme/7", boot, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		a, err := h.Check([]byte(tt.line))
		if a.Valid != tt.valid || (err == nil) != tt.valid || (tt.valid && (a.Stop != tt.stop || a.Value != value)) {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
}

func TestHeartbeatChallengeLine(t *testing.T) {
	h, err := NewHeartbeat("desk", "acme/7", [16]byte{0xab}, make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	got := string(h.AppendChallenge(nil, [16]byte{0xcd}, "hold"))
	want := "rw1 challenge acme/7 ab" + strings.Repeat("0", 30) + " desk cd" + strings.Repeat("0", 30) + " hold"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHeartbeatKeyTooShort(t *testing.T) {
	if _, err := NewHeartbeat("desk", "r", [16]byte{}, make([]byte, 15)); err == nil {
		t.Error("a key of 15 bytes was accepted")
	}
}

func TestHeartbeatCheckDoesNotAllocate(t *testing.T) {
	key := make([]byte, 32)
	h, err := NewHeartbeat("desk", "acme/7", [16]byte{}, key)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(answerLine(key, "acme/7", strings.Repeat("0", 32), "desk", strings.Repeat("0", 32), "ok"))
	if a, err := h.Check(line); !a.Valid {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = h.Check(line) }); n != 0 {
		t.Errorf("%v allocations per answer, want 0", n)
	}
}

func FuzzHeartbeatCheck(f *testing.F) {
	key := make([]byte, 32)
	f.Add([]byte(answerLine(key, "r", strings.Repeat("0", 32), "desk", strings.Repeat("0", 32), "ok")))
	f.Add([]byte("rw1 answer desk  ok "))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, err := NewHeartbeat("desk", "other", [16]byte{9}, key)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := h.Check(line); a.Valid || err == nil {
			t.Errorf("%q was accepted by a robot that it was not made for", line)
		}
	})
}
