package verifier

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// softEnrolment is a robot without a TPM.
func softEnrolment(tb testing.TB) *Enrolment {
	tb.Helper()
	return &Enrolment{Identity: &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: newKey(tb).Public()}, References: "soft"}
}

func softReferences() *References {
	anything := Rule{Set: Set{Any: true, Why: "a test"}}
	return &References{
		Name: "soft", Tier: order.TierSoftwareKey, Agent: Rule{Set: Set{Allowed: []string{sum("agent")}}},
		Policy: anything, Profile: anything, Topics: anything, Kernel: anything,
	}
}

func openStore(tb testing.TB) *DirStore {
	tb.Helper()
	d, err := OpenDir(filepath.Join(tb.TempDir(), "verifier"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := d.SaveReferences(softReferences()); err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestStore(t *testing.T) {
	d := openStore(t)
	if _, err := d.Robot(robot); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("before enrolment: %v", err)
	}
	if _, err := d.State(robot); !errors.Is(err, ErrNoState) {
		t.Errorf("before enrolment: %v", err)
	}
	e := softEnrolment(t)
	if err := d.Enrol(e, false); err != nil {
		t.Fatal(err)
	}
	got, err := d.Robot(robot)
	if err != nil || got.Identity.Robot != robot || got.References != "soft" {
		t.Fatal(got, err)
	}
	if err := d.Enrol(softEnrolment(t), false); err == nil {
		t.Error("enrolled twice without being asked to replace")
	}
	want := State{ResetCount: 7, BootID: bootID, Codes: []string{"pcr-4"}, Results: 3}
	if err := d.SaveState(robot, want); err != nil {
		t.Fatal(err)
	}
	if s, err := d.State(robot); err != nil || !cmp.Equal(s, want) {
		t.Error(s, err)
	}
	if err := d.Enrol(softEnrolment(t), true); err != nil {
		t.Fatal(err)
	}
	if s, err := d.State(robot); err != nil || s.ResetCount != 0 {
		t.Errorf("a robot that was enrolled anew: %+v, %v", s, err)
	}
	if log, err := d.Log(robot, evidence.LogFirmware); log != nil || err != nil {
		t.Error(log, err)
	}
	if err := d.SaveLog(robot, evidence.LogFirmware, []byte("log")); err != nil {
		t.Fatal(err)
	}
	if log, err := d.Log(robot, evidence.LogFirmware); string(log) != "log" || err != nil {
		t.Error(log, err)
	}
	left, err := filepath.Glob(filepath.Join(d.dir, "*", ".new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	info, err := os.Stat(filepath.Join(d.dir, dirStates, "unitree+g1-0007.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestWhatAStoreDoesNotTake(t *testing.T) {
	d := openStore(t)
	for name, robot := range map[string]string{"no robot": "", "a path": "../../etc", "two slashes": "a/b/c", "a plus": "a+b/c"} {
		if err := d.SaveState(robot, State{}); err == nil {
			t.Errorf("%s: stored", name)
		}
		if _, err := d.Robot(robot); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if err := d.SaveLog(robot, "../x", nil); err == nil {
		t.Error("a log with a path for a name")
	}
	if err := d.SaveLog(robot, evidence.LogFirmware, make([]byte, evidence.MaxLog+1)); err == nil {
		t.Error("a log that is too large")
	}
	if _, err := d.References("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reference values that are not there: %v", err)
	}
	if _, err := d.References("../soft"); err == nil {
		t.Error("reference values by a path")
	}
	wrong := softEnrolment(t)
	wrong.References = "nobody"
	if err := d.Enrol(wrong, false); err == nil {
		t.Error("enrolled with reference values that are not there")
	}
	wrong = softEnrolment(t)
	wrong.Identity.Tier, wrong.Identity.AK = order.TierTPM, []byte("no public area")
	if err := d.Enrol(wrong, false); err == nil {
		t.Error("enrolled with an attestation key that is none")
	}
	// Files that were put in another's place.
	if err := d.Enrol(softEnrolment(t), false); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(d.dir, dirRobots, "unitree+g1-0007.json"), filepath.Join(d.dir, dirRobots, "unitree+g1-0008.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Robot("unitree/g1-0008"); err == nil {
		t.Error("one robot's enrolment counts for another")
	}
	if err := os.Rename(filepath.Join(d.dir, dirReferences, "soft.json"), filepath.Join(d.dir, dirReferences, "hard.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.References("hard"); err == nil {
		t.Error("reference values count under another name")
	}
}

// TestAnEnrolledRobotOfAnotherTierIsRefused tries a TPM's robot with a software key's reference values.
func TestTiersMustAgree(t *testing.T) {
	d := openStore(t)
	m := newMachine(t)
	e := m.enrolment()
	e.References = "soft"
	if err := d.Enrol(e, false); err == nil || !strings.Contains(err.Error(), "tier") {
		t.Error(err)
	}
	// A device key is no attestation key: it signs whatever it is given.
	e = m.enrolment()
	e.Identity.AK = m.tpm.DevicePublic()
	if err := e.Validate(); err == nil || !strings.Contains(err.Error(), "restricted") {
		t.Error(err)
	}
}

// TestWritesAreWhole cuts a write short at its last step: the old document is still there.
func TestWritesAreWhole(t *testing.T) {
	d := openStore(t)
	if err := d.SaveState(robot, State{ResetCount: 1}); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves behind: a file that was begun.
	if err := os.WriteFile(filepath.Join(d.dir, dirStates, ".new-123"), []byte(`{"reset_`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := d.State(robot); err != nil || s.ResetCount != 1 {
		t.Error(s, err)
	}
}

func TestAnyStateSurvives(t *testing.T) {
	d := openStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		want := State{
			ResetCount: rapid.Uint32().Draw(rt, "resets"), RestartCount: rapid.Uint32().Draw(rt, "restarts"), ClockMS: rapid.Uint64().Draw(rt, "clock"),
			BootID: rapid.String().Draw(rt, "boot"), JournalSeq: rapid.Uint64().Draw(rt, "seq"), Codes: rapid.SliceOfN(rapid.String(), 0, 4).Draw(rt, "codes"),
		}
		if err := d.SaveState(robot, want); err != nil {
			rt.Fatal(err)
		}
		if got, err := d.State(robot); err != nil || !cmp.Equal(got, want, cmpopts.EquateEmpty()) {
			rt.Fatal(err, cmp.Diff(want, got))
		}
	})
}

func format(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func TestTheDocumentedCodes(t *testing.T) {
	rows := strings.Join(regexp.MustCompile("(?m)^\\| `.*$").FindAllString(format(t), -1), "\n")
	for _, c := range Codes() {
		if !strings.Contains(rows, "`"+string(c)+"`") {
			t.Errorf("FORMAT.md does not explain %s", c)
		}
	}
}

func TestTheDocumentedExample(t *testing.T) {
	_, rest, _ := strings.Cut(format(t), "```\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("FORMAT.md has no example")
	}
	r, err := ParseReferences([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseReferences(data)
	if err != nil || !cmp.Equal(r, back) {
		t.Error(err, cmp.Diff(r, back))
	}
}

func TestReferencesThatAllowByOmission(t *testing.T) {
	for name, change := range map[string]func(*References){
		"no name":                    func(r *References) { r.Name = "" },
		"no tier":                    func(r *References) { r.Tier = "" },
		"no firmware log":            func(r *References) { r.FirmwareLog = "" },
		"no secure boot":             func(r *References) { r.SecureBoot = "" },
		"secure boot without a log":  func(r *References) { r.FirmwareLog = FirmwareLogNone },
		"secure boot without PCR 7":  func(r *References) { r.PCRs[2] = PCRRule{PCR: 7, Set: Set{Any: true, Why: "x"}} },
		"no PCRs":                    func(r *References) { r.PCRs = nil },
		"a PCR without a rule":       func(r *References) { r.PCRs[1] = PCRRule{PCR: 4} },
		"a PCR with two rules":       func(r *References) { r.PCRs[1] = PCRRule{PCR: 4, Logs: true, Set: Set{Any: true, Why: "x"}} },
		"PCR 24":                     func(r *References) { r.PCRs[4].PCR = 24 },
		"PCRs that fall":             func(r *References) { r.PCRs[1].PCR = 0 },
		"no agent":                   func(r *References) { r.Agent = Rule{} },
		"any agent without a why":    func(r *References) { r.Agent.Set = Set{Any: true} },
		"any and some agents":        func(r *References) { r.Agent.Any, r.Agent.Why = true, "x" },
		"a why without any":          func(r *References) { r.Agent.Why = "x" },
		"an agent twice":             func(r *References) { r.Agent.Allowed = []string{sum("a"), sum("a")} },
		"an agent that is no digest": func(r *References) { r.Agent.Allowed = []string{"v1.0"} },
		"an agent in capitals":       func(r *References) { r.Agent.Allowed = []string{strings.ToUpper(sum("a"))} },
		"too many agents":            func(r *References) { r.Agent.Allowed = make([]string, maxAllowed+1) },
		"a relative path":            func(r *References) { r.Agent.File = "robowarden" },
		"a path twice":               func(r *References) { r.Policy.File = r.Agent.File },
		"a path with two rules":      func(r *References) { r.Files[0].Path = r.Agent.File },
		"a file without a rule":      func(r *References) { r.Files[0].Set = Set{} },
		"no kernel":                  func(r *References) { r.Kernel = Rule{} },
		"a kernel on two lines":      func(r *References) { r.Kernel.Allowed = []string{"6.1\n"} },
		"a kernel's file":            func(r *References) { r.Kernel.File = "/boot/vmlinuz" },
		"rejected that is no digest": func(r *References) { r.Reject = []string{"x"} },
		"a software key with PCRs":   func(r *References) { r.Tier = order.TierSoftwareKey },
	} {
		r := references(t)
		change(r)
		if r.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{
		"an unknown key": `{"name":"x","tpm":1}`,
		"a key twice":    `{"name":"x","name":"y"}`,
		"nothing":        "",
		"too long":       strings.Repeat(" ", MaxReferences+1),
	} {
		if _, err := ParseReferences([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestASoftwareKeyIsNeverMore shows what a robot without a TPM gets: its own tier, and no word of a TPM.
func TestASoftwareKeyIsNeverMore(t *testing.T) {
	key := newKey(t)
	e := softEnrolment(t)
	e.Identity.Key = key.Public()
	c := challenge(t)
	claims := standard().claims(t, c)
	claims.Tier, claims.Agent.Label, claims.Policy.Label, claims.Logs = order.TierSoftwareKey, evidence.SelfReported, evidence.SelfReported, nil
	in := Input{Robot: e, References: softReferences(), Challenge: c, Evidence: build(t, claims, nil, key, nil)}
	a, got := Appraise(in)
	if a.Verdict != order.VerdictAccepted || got.Claims.Tier != order.TierSoftwareKey || a.TPM != nil {
		t.Fatal(a.Text())
	}
	claims.Agent.SHA256 = sum("patched")
	in.Evidence = build(t, claims, nil, key, nil)
	if a, _ := Appraise(in); !a.Has(AgentDigest) {
		t.Error(a.Text())
	}
}

// TestALogIsHashedOnce: what has not been replaced is not read again, and what has been is.
func TestALogIsHashedOnce(t *testing.T) {
	d := openStore(t)
	want := func(what, content string) {
		t.Helper()
		sum := ""
		if content != "" {
			sum = digest([]byte(content))
		}
		if got, err := d.LogDigest(robot, evidence.LogFirmware); err != nil || got != sum {
			t.Errorf("%s: %q, %v; expected %q", what, got, err, sum)
		}
	}
	save := func(content string) {
		t.Helper()
		if err := d.SaveLog(robot, evidence.LogFirmware, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	want("none", "")
	save("one")
	want("one", "one")
	path, err := d.logFile(robot, evidence.LogFirmware)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte("two"), 0o600), os.Chtimes(path, time.Time{}, info.ModTime())); err != nil {
		t.Fatal(err)
	}
	want("the same file, by all that a look at it shows", "one")
	save("two")
	want("replaced by one of the same length", "two")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("removed", "")
	if _, err := d.LogDigest(robot, "../x"); err == nil {
		t.Error("a name that is none")
	}
}

// TestWhatAPowerCutLeavesOfLogs: logs are not written durably, so a power cut may leave none, nothing in them, a part, or another's
// bytes. Each is asked for again, and the robot is accepted; what was known of its TPM is as durable as before.
func TestWhatAPowerCutLeavesOfLogs(t *testing.T) {
	for name, tear := range map[string]func([]byte) []byte{
		"nothing": func([]byte) []byte { return []byte{} },
		"a part":  func(b []byte) []byte { return b[:len(b)/2] },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
		"no file": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			c := s.ask(noon)
			s.sendLogs(noon, c)
			if out, err := s.v.Evidence(noon, robot, s.answer(c)); err != nil || out.Result == nil {
				t.Fatal(out, err)
			}
			path, err := s.store.logFile(robot, evidence.LogFirmware)
			if err != nil {
				t.Fatal(err)
			}
			if rest := tear(s.i.logs()[evidence.LogFirmware]); rest == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, rest, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.store, err = OpenDir(s.dir); err != nil {
				t.Fatal(err)
			}
			s.restart()
			later := noon.Add(time.Minute)
			c = s.ask(later)
			if len(c.Logs) != 1 || c.Logs[0] != evidence.LogFirmware {
				t.Fatalf("asks for the logs %v, expected the torn one", c.Logs)
			}
			s.sendLogs(later, c)
			out, err := s.v.Evidence(later, robot, s.answer(c))
			if err != nil || out.Appraisal.Verdict != order.VerdictAccepted {
				t.Fatal(out, err)
			}
			if state, err := s.store.State(robot); err != nil || state.Results != 2 {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
}
