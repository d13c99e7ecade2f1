package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
	"github.com/robowarden/robowarden/attest/verifier"
)

// code is a command's exit code.
func code(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return answer.No
}

// TestAFirstPolicyByLearning is the way of docs/attestation.md: nothing is known of this kind of robot at the start, and
// at the end it is accepted by values of its own. Until then it is refused.
func TestAFirstPolicyByLearning(t *testing.T) {
	s := newStand(t, nil)
	run := func(want int, args ...string) string {
		t.Helper()
		out, err := station(t.Context(), NewVerifier(), append(args, "--state-dir", s.dir)...)
		if code(err) != want {
			t.Fatalf("%v: ends with %v\n%s", args, err, out)
		}
		return out
	}
	result := func(n int) *order.AttestationResult {
		t.Helper()
		s.robot.hello()
		s.until("a result came", func() bool { return len(s.robot.got()) == n })
		e := must(order.ParseEnvelope(s.robot.got()[n-1]))(t)
		<-s.robot.answered
		return must(order.Decode(e.Payload))(t).AttestationResult
	}
	if _, err := station(t.Context(), NewVerifier(), "learn", robot, "--name", "new", "--state-dir", s.dir); err == nil || !strings.Contains(err.Error(), "has shown nothing yet") {
		t.Errorf("learned from nothing: %v", err)
	}
	run(0, "learn", "--begin", "--name", "new")
	run(0, "enrol", filepath.Join(s.a.dir, "robot.json"), "--references", "new", "--replace")
	if r := result(1); r.Verdict != order.VerdictRefused || len(r.Reasons) != 1 || r.Reasons[0] != "not-learned" {
		t.Fatalf("while learning: %+v", r)
	}
	file := filepath.Join(t.TempDir(), "new.yaml")
	if out := run(0, "learn", robot, "--name", "new", "--out", file); !strings.Contains(out, "14 registers") {
		t.Errorf("%s", out)
	}
	if _, err := station(t.Context(), NewVerifier(), "learn", robot, "--name", "new", "--out", file, "--state-dir", s.dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file is written over: %v", err)
	}
	run(0, "reference", file)
	if r := result(2); r.Verdict != order.VerdictAccepted || len(r.Reasons) != 0 {
		t.Fatalf("by its own values: %+v", r)
	}
	if _, err := station(t.Context(), NewVerifier(), "learn", "--begin", "--name", "new", "--state-dir", s.dir); err == nil || !strings.Contains(err.Error(), "in force") {
		t.Errorf("learning begins anew under a name in force: %v", err)
	}
	if out := run(0, "explain", robot); !strings.Contains(out, "nothing differs") || !strings.Contains(out, "ACCEPTED") {
		t.Errorf("%s", out)
	}
	if out := run(0, "diff", "new", robot); out != "no difference\n" {
		t.Errorf("%s", out)
	}
	if out := run(answer.No, "diff", "g1", "new"); !strings.Contains(out, "PCR 0\n  - anything: no firmware log here\n") {
		t.Errorf("%s", out)
	}

	approve(t, s, run)

	// The agent is patched, and says so.
	patched := s.robot.patch()
	result(3)
	var x verifier.Explanation
	text := run(answer.No, "explain", robot, "--output", "json")
	if err := json.Unmarshal([]byte(text), &x); err != nil || len(x.Findings) != 1 || x.Findings[0].Cause != "agent-digest" || x.Findings[0].Subject != agentPath ||
		x.Findings[0].PCR != 14 || len(x.Findings[0].Accepted) != 1 || x.Findings[0].Accepted[0] != sum("agent") || x.Findings[0].Found != patched {
		t.Errorf("%v\n%s", err, text)
	}
	out, err := station(t.Context(), NewVerifier(), "diff", "new", robot, "--state-dir", s.dir)
	if code(err) != answer.No || !strings.Contains(out, patched) {
		t.Errorf("%v\n%s", err, out)
	}
}

// approve signs states by what the robot has shown and by reference values, and not by anything else.
func approve(t *testing.T, s *stand, run func(want int, args ...string) string) {
	t.Helper()
	dir := t.TempDir()
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	file := write(t, dir, "approver.key", must(order.MarshalPrivateKey(key))(t), 0o600)
	by := tpm.Approver{Key: must(identity.ParseApprover(must(order.MarshalPublicKey(key.Public()))(t)))(t), Scope: "g1"}
	rest := []string{"--scope", "g1", "--key", file, "--reason", "release 1"}
	var shown string // the digest of the evidence
	signed := func(name string, args ...string) *identity.Approval {
		t.Helper()
		out := filepath.Join(dir, name)
		// What was not looked at is not signed: it says what to look at, and by which digest.
		text := run(answer.No, append(append([]string{"approve", "--out", out}, args...), rest...)...)
		if _, err := os.Stat(out); err == nil || !strings.Contains(text, "pcr 14 ") {
			t.Errorf("signed, or not shown: %s", text)
		}
		if text := run(0, append(append([]string{"approve", "--out", out, "--evidence", shown}, args...), rest...)...); !strings.Contains(text, "approved   for g1") {
			t.Errorf("%s", text)
		}
		return must(identity.OpenApproval(must(os.ReadFile(out))(t), by))(t)
	}
	now := must(s.robot.tpm.ReadPCRs([]int{0, 14}))(t)
	explained, _ := station(t.Context(), NewVerifier(), "explain", robot, "--state-dir", s.dir)
	_, after, _ := strings.Cut(explained, "\nevidence ")
	shown, _, _ = strings.Cut(after, "\n")
	if len(shown) != 64 {
		t.Fatalf("explain names no evidence: %s", explained)
	}
	if a := signed("a", robot, "--pcrs", "0,14"); a.State.PCRs[0] != now[0] || a.State.PCRs[14] != now[14] || a.Reason != "release 1" {
		t.Errorf("%+v", a)
	}
	if a := signed("b", robot, "--pcrs", "0,14", "--set", "14="+sum("next")); a.State.PCRs[0] != now[0] || fmt.Sprintf("%x", a.State.PCRs[14]) != sum("next") {
		t.Errorf("%+v", a)
	}
	for _, x := range []struct {
		code int
		args []string
	}{
		{answer.No, []string{robot, "--pcrs", "23", "--evidence", shown}},
		{answer.No, []string{robot, "--pcrs", "0,16", "--set", "16=" + sum("next"), "--evidence", shown}},
		{answer.No, []string{robot, "--pcrs", "14", "--evidence", sum("another")}},
		{answer.No, []string{"unitree/g1-0008", "--pcrs", "14"}},
		{answer.No, []string{"--references", "new", "--pcrs", "14"}}, // judged by its logs, so it has no one value
		{2, []string{"--pcrs", "14"}},
		{2, []string{robot}},
		{2, []string{robot, "--pcrs", "0", "--set", "14=" + sum("next")}},
		{2, []string{robot, "--pcrs", "14", "--set", "14=abc"}},
	} {
		out := filepath.Join(dir, "none")
		run(x.code, append(append([]string{"approve", "--out", out}, x.args...), rest...)...)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: signed", x.args)
		}
	}
}

// TestReferencesAreReadStrictly wants file, line and column of what is wrong.
func TestReferencesAreReadStrictly(t *testing.T) {
	good := fmt.Sprintf(references, sum("agent"), sum("policy"))
	good = strings.Replace(good, "pcrs:\n", "pcrs:\n  - pcr: 4\n    logs: true\n", 1)
	good = strings.Replace(good, "  - {pcr: 0, any: true, why: no firmware log here}\n", "", 1)
	for _, x := range []struct{ name, old, new, want string }{
		{"an unknown key", "tier: tpm", "tier: tpm\nteir: tpm", `x.yaml:3:1: unknown field "teir"`},
		{"an unknown key in a list", "logs: true", "log: true", `x.yaml:6:5: unknown field "log"`},
		{"a key twice", "tier: tpm", "tier: tpm\ntier: tpm", `x.yaml:3:1: `},
		{"a wrong value", "firmware_log: none", "firmware_log: maybe", `x.yaml:3:15: firmware_log: found "maybe"`},
		{"a wrong number", "pcr: 4", "pcr: 24", `x.yaml:5:10: pcrs[0].pcr: found 24`},
		{"a wrong type", "pcr: 4", "pcr: four", `x.yaml:5:10: `},
		{"a wrong digest", `policy: {allowed: ["` + sum("policy"), `policy: {allowed: ["abc`, `x.yaml:9:20: policy: allowed[0]`},
		{"an anchor", "name: g1", "name: &x g1", `x.yaml:1:7: found Anchor`},
		{"a merge", "policy: {", "policy: {<<: {}, ", `x.yaml:9:10: found MergeKey`},
		{"two documents", "tier: tpm", "tier: tpm\n---\nname: g2", `x.yaml holds 2 documents`},
		{"no rule", "kernel: {any: true, why: no updates are planned}\n", "", `x.yaml:1:1: kernel: expected allowed`},
		{"half a mapping", "policy: {", "policy: {{", `x.yaml:9:10: could not find`},
	} {
		text := strings.Replace(good, x.old, x.new, 1)
		if text == good {
			t.Fatalf("%s changes nothing", x.name)
		}
		if _, err := parseReferences("x.yaml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, expected %s", x.name, err, x.want)
		}
	}
	if _, err := parseReferences("x.yaml", []byte(good)); err != nil {
		t.Error(err)
	}
	if _, err := parseReferences("x.yaml", nil); err == nil {
		t.Error("nothing is read")
	}
}

// TestWrittenReferencesAreReadAgain writes values of every kind, in YAML and JSON.
func TestWrittenReferencesAreReadAgain(t *testing.T) {
	d := func(s string) []string { return []string{sum(s)} }
	r := &verifier.References{
		Name: "all", Tier: order.TierTPM, FirmwareLog: verifier.FirmwareLogRequired, SecureBoot: verifier.SecureBootOn,
		PCRs: []verifier.PCRRule{{PCR: 0, Set: verifier.Set{Allowed: d("0")}}, {PCR: 4, Logs: true}, {PCR: 7, Logs: true}, {PCR: 10, Logs: true}, {PCR: 14, Logs: true}},
		IMA: &verifier.IMARule{
			Optional: true, Files: []verifier.FileRule{{Path: "/usr/bin/x y", Set: verifier.Set{Allowed: d("x")}}, {Path: "/var/log/x", Set: verifier.Set{Any: true, Why: "a log"}}},
			Others: &verifier.Set{Allowed: d("other")}, Violations: &verifier.Set{Any: true, Why: "logs: too"},
		},
		Events: []verifier.EventRule{
			{PCR: 4, Class: "boot-application", What: `\EFI\BOOT\BOOTAA64.EFI "quoted": # é`, Set: verifier.Set{
				Allowed: d("loader"), Leaving: []verifier.Leaving{{Value: sum("old loader"), Until: must(parseTime("2026-12-31T00:00:00Z"))(t)}},
			}},
			{PCR: 7, Class: "secure-boot", Name: "db", Optional: true, Set: verifier.Set{Any: true, Why: "true: no"}},
		},
		Files: []verifier.FileRule{{Path: "/opt/a b: c", Set: verifier.Set{Allowed: d("file")}}},
		Agent: verifier.Rule{Set: verifier.Set{Allowed: d("agent")}, File: agentPath}, Policy: verifier.Rule{Set: verifier.Set{Any: true, Why: "signed"}},
		Profile: verifier.Rule{Set: verifier.Set{Allowed: d("profile")}}, Topics: verifier.Rule{Set: verifier.Set{Allowed: d("topics")}},
		Kernel: verifier.Rule{Set: verifier.Set{Allowed: []string{"6.1.0", "123", "true"}}}, Config: verifier.Rule{Set: verifier.Set{Allowed: d("config")}},
		CommandLine: verifier.Rule{Set: verifier.Set{Allowed: d("quiet")}}, Artifacts: []verifier.ArtifactRule{{Name: "grasp", MinSVN: 3, Set: verifier.Set{Allowed: d("grasp")}}},
		Debug: &verifier.DebugRule{Allowed: []string{}}, Reject: d("bad"),
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	text := r.YAML("made\nfor a test")
	asJSON := must(json.Marshal(r))(t)
	for name, data := range map[string][]byte{"yaml": text, "json": asJSON} {
		back, err := parseReferences("x", data)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if again := must(json.Marshal(back))(t); string(again) != string(asJSON) {
			t.Errorf("%s:\n%s\nbecomes\n%s", name, asJSON, again)
		}
	}
	bare := *r
	bare.IMA = nil
	if got := verifier.Diff(r, &bare); len(got) != 5 {
		t.Errorf("without rules for the log of files: %v", got)
	}
	bare.IMA = &verifier.IMARule{}
	if back, err := parseReferences("x", bare.YAML("")); err != nil || back.IMA == nil {
		t.Errorf("an empty rule for the log of files: %v, %v", back, err)
	}
	l := verifier.Learning("new", order.TierTPM)
	if back, err := parseReferences("x", l.YAML("")); err != nil || !back.Learning || len(back.PCRs) != len(l.PCRs) {
		t.Errorf("%v %+v", err, back)
	}
}

func FuzzReferencesYAML(f *testing.F) {
	f.Add(fmt.Appendf(nil, references, sum("agent"), sum("policy")))
	f.Add([]byte(`{"name":"x","tier":"tpm","learning":true,"pcrs":[{"pcr":4}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseReferences("x", data)
		if err != nil {
			return
		}
		again := r.YAML("")
		back, err := parseReferences("x", again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if d := verifier.Diff(r, back); len(d) > 0 {
			t.Errorf("%v\n%s", d, again)
		}
	})
}

func TestShowALog(t *testing.T) {
	bad := write(t, t.TempDir(), "bad", []byte("no log"), 0o600)
	if _, err := station(t.Context(), NewVerifier(), "log", bad); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("error %v", err)
	}
	old := write(t, t.TempDir(), "old", []byte("\x04\x00\x00\x00\x05\x00\x00\x00"+strings.Repeat("\x01", 20)+"\x04\x00\x00\x00boot"), 0o600)
	out, err := station(t.Context(), NewVerifier(), "log", old)
	if err != nil || !strings.Contains(out, "proves nothing") || !strings.Contains(out, `action`) || !strings.Contains(out, `"boot"`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := station(t.Context(), NewVerifier(), "log", "--ima", old); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("error %v", err)
	}
	violation := "\x0a\x00\x00\x00" + strings.Repeat("\x00", 20) + "\x06\x00\x00\x00ima-ng\x13\x00\x00\x00" + "\x09\x00\x00\x00sha256:\x00d\x02\x00\x00\x00x\x00"
	ima := write(t, t.TempDir(), "ima", []byte(violation), 0o600)
	want := sha256.Sum256(append(make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)...))
	out, err = station(t.Context(), NewVerifier(), "log", "--ima", ima)
	if err != nil || !strings.Contains(out, "violation x\n") || !strings.HasSuffix(out, fmt.Sprintf("leads to PCR 10 %x\n", want)) {
		t.Errorf("%v\n%s", err, out)
	}
}
