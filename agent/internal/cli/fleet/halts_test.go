package fleet

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/steward"
)

// said is one record of a robot's log.
type said struct {
	log     string
	kind    uint8
	payload any
}

func trialOf(release, artifact, what, text string) said {
	return said{"steward", uint8(steward.RecordTrial), steward.Trial{Artifact: artifact, Release: release, What: what, Text: text}}
}

func halted(release string) said {
	return said{"guard", guard.RecordOrder, agent.Receipt{Kind: "halt", Accepted: true, Applied: true, Text: agent.HaltedText(release)}}
}

// keep writes a robot's file as a consumer does, torn at its end as a consumer that writes leaves it.
func keep(t *testing.T, dir, robot string, records ...said) {
	t.Helper()
	out := []byte("RWFLEET1")
	le := binary.LittleEndian
	for i, r := range records {
		raw, err := json.Marshal(r.payload)
		if err != nil {
			t.Fatal(err)
		}
		body := append([]byte{2, byte(len(r.log))}, r.log...)
		body = append(body, make([]byte, 16)...)
		body = append(le.AppendUint64(body, uint64(i)), r.kind)
		body = append(body, make([]byte, 8+32+32+8)...)
		body = append(body, raw...)
		out = le.AppendUint32(out, uint32(len(body)))
		out = le.AppendUint32(out, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
		out = append(out, body...)
	}
	out = append(out, 77, 0, 0)
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(robot, "/", "%")+".evidence"), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

func runHalts(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&b)
	cmd.SetArgs(append([]string{"halts"}, args...))
	err := cmd.ExecuteContext(t.Context())
	var c interface{ ExitCode() int }
	switch {
	case errors.As(err, &c):
		code = c.ExitCode()
	case err != nil:
		code = 1
	}
	if err != nil {
		b.WriteString(err.Error())
	}
	return code, b.String()
}

// TestHaltsAreProposed lets two robots prove a release and one take another back.
func TestHaltsAreProposed(t *testing.T) {
	dir, drafts := t.TempDir(), t.TempDir()
	if code, out := runHalts(t, "--store", dir); code != 0 || !strings.Contains(out, "no robot has reported a trial") {
		t.Error(code, out)
	}
	keep(t, dir, "acme/a", trialOf("r1", "grasp", "began", ""), trialOf("r1", "grasp", "committed", "healthy"), trialOf("r2", "grasp", "began", ""))
	keep(t, dir, "acme/b", trialOf("r1", "grasp", "began", ""), trialOf("r1", "grasp", "committed", "healthy"))
	if code, out := runHalts(t, "--store", dir); code != 0 || strings.Contains(out, "PROPOSED") {
		t.Error("the off run:", code, out)
	}
	sick := []said{trialOf("r2", "grasp", "began", ""), trialOf("r2", "grasp", "condemned", "drift\x1b"), trialOf("r2", "arm", "held", "x"), trialOf("r2", "grasp", "stuck", "y")}
	keep(t, dir, "acme/b", append(sick, trialOf("../../etc/x", "grasp", "condemned", ""))...)
	code, out := runHalts(t, "--store", dir)
	want := `sign halt --release r2 --audience 'acme/a' --audience 'acme/b' --reason 'taken back by acme/b' --key KEY`
	if code != 1 || !strings.Contains(out, want) || strings.Contains(out, "\x1b") || strings.Contains(out, "etc") || !strings.Contains(out, "3 on trial or past it, 1 sick") {
		t.Error(code, out)
	}
	if code, out := runHalts(t, "--store", dir, "--sick", "2"); code != 0 {
		t.Error("two are asked for:", code, out)
	}
	code, out = runHalts(t, "--store", dir, "--draft", drafts, "--audience", "group:ward-3", "--output", "json")
	var all []rollout
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &all); err != nil || code != 1 || len(all) != 2 || !all[1].Proposed || all[0].Proposed {
		t.Fatal(code, err, out)
	}
	raw, err := os.ReadFile(filepath.Join(drafts, "halt-r2.yaml"))
	if err != nil || !strings.Contains(string(raw), `audience: ["group:ward-3"]`) || !strings.Contains(string(raw), `body: {version: "r2"}`) {
		t.Errorf("%s, %v", raw, err)
	}
	// What a person has edited stays.
	if err := os.WriteFile(filepath.Join(drafts, "halt-r2.yaml"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := runHalts(t, "--store", dir, "--draft", drafts); code != 1 {
		t.Error(code, out)
	}
	if raw, _ := os.ReadFile(filepath.Join(drafts, "halt-r2.yaml")); string(raw) != "mine" {
		t.Errorf("written over: %s", raw)
	}
	// Once every robot has seen it, nothing is proposed.
	keep(t, dir, "acme/b", append(sick, halted("r2"))...)
	if code, out := runHalts(t, "--store", dir); code != 1 || !strings.Contains(out, "halted on 1") {
		t.Error(code, out)
	}
	keep(t, dir, "acme/a", halted("r2"))
	if code, out := runHalts(t, "--store", dir); code != 0 || !strings.Contains(out, "halted on 2") {
		t.Error(code, out)
	}
	for _, args := range [][]string{{"--output", "xml"}, {"--sick", "0"}, {"more"}} {
		if code, out := runHalts(t, append(args, "--store", dir)...); code != 2 {
			t.Error(args, code, out)
		}
	}
	if code, out := runHalts(t, "--store", filepath.Join(dir, "gone")); code != 1 || !strings.Contains(out, "gone") {
		t.Error(code, out)
	}
}
