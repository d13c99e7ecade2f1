package verifier_test

import (
	"crypto/sha1" //nolint:gosec // For a log of the old format.
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// deviation is one change of a robot and what it must be called.
type deviation struct {
	name   string
	change func(*world)
	want   named
}

// content has an image, a file or a text of the start differ: what is measured, not what the log says beside it.
func content(at int, text string) func(*world) {
	return func(w *world) { w.boot[at].content = text }
}

func data(at int, text string) func(*world) {
	return func(w *world) { w.boot[at].data, w.boot[at].content = text, "" }
}

func insert(at int, m measurement) func(*world) {
	return func(w *world) { w.boot = slices.Insert(w.boot, at, m) }
}

func remove(at int) func(*world) {
	return func(w *world) { w.boot = slices.Delete(w.boot, at, at+1) }
}

func variables() []deviation {
	return []deviation{
		{"Secure Boot switched off", data(atSecureBoot, uefiVariable(efiGUID, "SecureBoot", "\x00")), named{"event-value", "secure-boot:SecureBoot", 7, uefiVariable(efiGUID, "SecureBoot", "\x01")}},
		{"another platform key", data(atPK, uefiVariable(efiGUID, "PK", "mine")), named{"event-value", "secure-boot:PK", 7, uefiVariable(efiGUID, "PK", "platform key")}},
		{"a key added to db", data(atDB, uefiVariable(otherGUID, "db", "maker's key, my key")), named{"event-value", "secure-boot:db", 7, uefiVariable(otherGUID, "db", "maker's key")}},
		{"dbx emptied", data(atDBX, uefiVariable(otherGUID, "dbx", "")), named{"event-value", "secure-boot:dbx", 7, ""}},
		{"another key vouched", data(atAuthority, uefiVariable(otherGUID, "db", "my key")), named{"event-value", "boot-authority:db", 7, ""}},
		{"the settings changed", data(atSetup, uefiVariable(otherGUID, "Setup", "debug menu on")), named{"event-value", "platform-config:Setup", 1, ""}},
		{"another boot order", func(w *world) {
			w.boot[atBootOrder] = measurement{1, 0x80000002, uefiVariable(efiGUID, "BootOrder", "\x02\x00\x01\x00"), "\x02\x00\x01\x00"}
		}, named{"event-value", "boot-order:BootOrder", 1, "\x01\x00\x02\x00"}},
		{"a boot entry for a stick", insert(atBootEntry+1, measurement{1, 0x80000002, uefiVariable(efiGUID, "Boot0002", "stick"), "stick"}), named{"event-unexpected", "boot-entry:Boot0002", 1, ""}},
		{"a boot entry changed", content(atBootEntry, "disk of mine"), named{"event-value", "boot-entry:Boot0001", 1, "disk"}},
	}
}

func programs() []deviation {
	return []deviation{
		{"the firmware of another version", data(atVersion, utf16le("board firmware 1.3\x00")), named{"event-value", "firmware", 0, utf16le("board firmware 1.4\x00")}},
		{"another option ROM", content(atOptionROM, "implant"), named{"event-value", "option-rom", 2, "network card's driver"}},
		{"one more option ROM", insert(atOptionROM+1, measurement{2, 0x80000004, image("second.rom"), "implant"}), named{"event-unexpected", "option-rom", 2, ""}},
		{"a card taken out", remove(atOptionROM), named{"event-missing", "option-rom", 2, "network card's driver"}},
		{"another boot loader", content(atLoader, "evil loader"), named{"event-value", "boot-application", 4, "boot loader 2.12"}},
		{"a program between loader and kernel", insert(atKernelImage, measurement{4, 0x80000003, image(`\shell.efi`), "shell"}), named{"event-unexpected", "boot-application", 4, ""}},
		{"a debug shell as loader's command", insert(atCommand+1, measurement{8, 0x0d, "grub_cmd: terminal_input serial\x00", "terminal_input serial"}), named{"event-unexpected", "loader", 8, ""}},
		{"another kernel, started by the firmware", content(atKernelImage, "kernel 6.1 with a back door"), named{"event-value", "boot-application", 4, "kernel 6.1"}},
		{"another kernel, read by the loader", content(atKernelFile, "kernel 5.10"), named{"event-value", "loader-file:vmlinuz", 9, "kernel 6.1"}},
		{"another initial file system", content(atInitrd, "initial file system with a shell"), named{"event-value", "initrd", 9, "initial file system"}},
		{"another command line", func(w *world) {
			w.boot[atCommandLine] = measurement{8, 0x0d, "kernel_cmdline: /vmlinuz init=/bin/sh\x00", "/vmlinuz init=/bin/sh"}
		}, named{"event-value", "command-line", 8, "/vmlinuz quiet"}},
		{"another partition table", data(atPartitions, "partition table with one more"), named{"event-value", "partition-table", 5, "partition table"}},
	}
}

// file has a file differ that is measured, and the robot report it truly.
func file(at int, text string, claim func(*evidence.Claims) *evidence.Measured) func(*world) {
	return func(w *world) {
		w.files[at].content = text
		if claim != nil {
			claim(&w.claims).SHA256 = hexSum(text)
		}
	}
}

func filesAndClaims() []deviation {
	return []deviation{
		{"another agent, reported truly", file(atAgent, "patched", func(c *evidence.Claims) *evidence.Measured { return &c.Agent }), named{"agent-digest", agentFile, 14, "agent"}},
		{"another agent that says it is the old one", func(w *world) {
			w.files[atAgent].content, w.claims.Agent.Label = "patched", evidence.SelfReported
		}, named{"agent-digest", agentFile, 14, "agent"}},
		{"another policy", file(atPolicy, "loose policy", func(c *evidence.Claims) *evidence.Measured { return &c.Policy }), named{"policy-digest", policyFile, 14, "policy"}},
		{"another deployment", file(atConfig, "other config", func(c *evidence.Claims) *evidence.Measured { return &c.Config }), named{"config-digest", configFile, 14, "config"}},
		{"another model file", file(atModel, "poisoned model", nil), named{"measured-file", modelFile, 14, "grasp model"}},
		{"a file that nobody knows", func(w *world) { w.files = append(w.files, artefact{"/tmp/implant", "implant"}) }, named{"measured-file", "/tmp/implant", 14, ""}},
		{"another profile", func(w *world) { w.claims.Profile.SHA256 = hexSum("wide profile") }, named{"profile-digest", "profile", -1, "profile"}},
		{"another topic mapping", func(w *world) { w.claims.Topics.SHA256 = hexSum("other topics") }, named{"topics-digest", "topics", -1, "topics"}},
		{"another kernel's release", func(w *world) { w.claims.Kernel = "6.1.0-9-amd64" }, named{"kernel-version", "kernel", -1, ""}},
		{"a debug port opened", func(w *world) { w.claims.Debug = []string{"kgdb", "serial-console"} }, named{"debug-open", "kgdb", -1, ""}},
		{"another model in its slot", func(w *world) {
			w.claims.Artifacts = []evidence.Artifact{w.claims.Artifacts[0], {Name: "grasp", SHA256: hexSum("poisoned"), SVN: 7}}
		}, named{"artifact-digest", "grasp", -1, "grasp"}},
		{"an old release of the arm's firmware", func(w *world) {
			w.claims.Artifacts = []evidence.Artifact{{Name: "arm", SHA256: hexSum("arm"), SVN: 6}, w.claims.Artifacts[1]}
		}, named{"artifact-svn", "arm", -1, ""}},
	}
}

// lies are logs that do not tell what was extended.
func lies() []deviation {
	return []deviation{
		{"a register extended that no event shows", func(w *world) { w.hidden[4] = "in secret" }, named{"unlogged", "PCR 4", 4, ""}},
		{"the agent's register extended that no file shows", func(w *world) { w.hidden[14] = "in secret" }, named{"unlogged", "PCR 14", 14, ""}},
		{"an empty register extended", func(w *world) { w.hidden[12] = "in secret" }, named{"unlogged", "PCR 12", 12, ""}},
		{"a known program extended that no event shows", func(w *world) { w.hidden[2] = "network card's driver" }, named{"unlogged-known", "PCR 2", 2, ""}},
		{"an event that was not extended", func(w *world) {
			w.shown, w.boot = w.boot, slices.Delete(slices.Clone(w.boot), atAuthority, atAuthority+1)
		}, named{"not-extended", "boot-authority:db", 7, ""}},
		{"a start that was not measured at all", func(w *world) {
			w.shown = w.boot
			w.boot = slices.DeleteFunc(slices.Clone(w.boot), func(m measurement) bool { return m.pcr == 9 })
		}, named{"not-extended", "loader-file:vmlinuz", 9, ""}},
		{"a revoked loader behind the name of a good one", func(w *world) {
			w.shown = slices.Clone(w.boot)
			w.boot[atLoader].content = "loader 2.02 with a hole"
			w.rules = func(r *verifier.References) { r.Reject = append(r.Reject, hexSum("loader 2.02 with a hole")) }
		}, named{"other-digest", "boot-application", 4, ""}},
		{"two events the other way round", func(w *world) {
			w.shown = slices.Clone(w.boot)
			w.boot[atPK], w.boot[atDB] = w.boot[atDB], w.boot[atPK]
		}, named{"other-order", "secure-boot:PK", 7, ""}},
		{"a file in the log that was not extended", func(w *world) { w.shownFiles, w.files = w.files, slices.Clone(w.files)[:3] }, named{"not-extended", modelFile, 14, ""}},
		{"another locality at the start than the log says", func(w *world) { w.locality = 3 }, named{"other-locality", "StartupLocality", 0, ""}},
		{"a log with SHA-1 alone", func(w *world) { w.logs = func(l map[string][]byte) { l["firmware"] = sha1Log(standardBoot()) } }, named{"eventlog-sha1", "firmware", -1, ""}},
		{"no firmware log", func(w *world) { w.logs = func(l map[string][]byte) { delete(l, "firmware") } }, named{"eventlog-missing", "firmware", -1, ""}},
		{"the loader of before, after its time", func(w *world) {
			w.boot[atLoader].content = "boot loader 2.06"
			w.rules = func(r *verifier.References) {
				i := slices.IndexFunc(r.Events, func(e verifier.EventRule) bool { return e.What == `\EFI\BOOT\BOOTX64.EFI` })
				r.Events[i].Leaving = []verifier.Leaving{{Value: hexSum("boot loader 2.06"), Until: noon}}
			}
		}, named{"event-value", "boot-application", 4, "boot loader 2.12"}},
	}
}

func sha1Log(events []measurement) []byte {
	var b []byte
	for _, e := range events {
		d := sha1.Sum([]byte(e.data)) //nolint:gosec // The old format's.
		b = append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, uint32(e.pcr)), e.kind), d[:]...)
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e.data))), e.data...)
	}
	return b
}

// TestExplainNamesEachDeviation changes one thing of a robot each, starts it with a software TPM, and wants its name alone.
func TestExplainNamesEachDeviation(t *testing.T) {
	c := newComputer(t)
	c.reset()
	c.start(standardWorld())
	references := c.learned()
	all := slices.Concat(variables(), programs(), filesAndClaims(), lies())
	distinct := map[string]bool{}
	for _, d := range all {
		distinct[d.name] = true
	}
	for _, name := range []string{"another kernel, started by the firmware", "another option ROM", "another boot order", "another model file", "another policy", "a debug port opened"} {
		if !distinct[name] {
			t.Errorf("no deviation is called %q", name)
		}
	}
	if len(distinct) != len(all) || len(all) < 30 {
		t.Errorf("%d deviations, %d of them distinct: expected 30 distinct ones at least", len(all), len(distinct))
	}
	right := 0
	for _, d := range all {
		w := standardWorld()
		d.change(w)
		c.reset()
		c.start(w)
		in := c.attest(w)
		in.References = fresh(t, references)
		if w.rules != nil {
			w.rules(in.References)
		}
		x := verifier.Explain(in)
		if err := d.want.check(x); err != nil {
			t.Errorf("%s: %v\n%s", d.name, err, x.Text())
			continue
		}
		if x.Verdict != order.VerdictRefused || x.Findings[0].Remedy == "" || x.Findings[0].Text == "" || x.Findings[0].Backing == "" {
			t.Errorf("%s: says too little: %+v", d.name, x)
			continue
		}
		right++
	}
	t.Logf("the named cause is right in %d of %d", right, len(all))
	// Nothing is changed: nothing is named.
	c.reset()
	c.start(standardWorld())
	in := c.attest(standardWorld())
	in.References = references
	if x := verifier.Explain(in); x.Verdict != order.VerdictAccepted || len(x.Findings) != 0 || len(x.Notes) != 0 {
		t.Errorf("an unchanged robot: %s", x.Text())
	}
}

// TestExplainNamesCounters changes what the TPM and the journal count.
func TestExplainNamesCounters(t *testing.T) {
	c := newComputer(t)
	c.reset()
	old := c.disk()
	c.start(standardWorld())
	references := c.learned()
	judge := func(w *world, s verifier.State) (*verifier.Explanation, verifier.State) {
		in := c.attest(w)
		in.References, in.State = references, s
		a, _ := verifier.Appraise(in)
		return verifier.Explain(in), a.Next
	}
	x, state := judge(standardWorld(), verifier.State{})
	if x.Verdict != order.VerdictAccepted {
		t.Fatal(x.Text())
	}
	other := standardWorld()
	other.bootID = "00000000-9a3e-4f0e-8f1b-1d2c3b4a5968"
	if x, _ := judge(other, state); (named{"boot-without-reset", "", -1, ""}).check(x) != nil {
		t.Errorf("another kernel without a reset: %v", names(x))
	}
	shorter := standardWorld()
	shorter.claims.Journal.Seq--
	if x, _ := judge(shorter, state); (named{"journal-went-back", "", -1, ""}).check(x) != nil {
		t.Errorf("a shorter journal: %v", names(x))
	}
	forked := standardWorld()
	forked.claims.Journal.Digest = hexSum("another journal")
	if x, _ := judge(forked, state); (named{"journal-forked", "", -1, ""}).check(x) != nil {
		t.Errorf("another journal: %v", names(x))
	}
	c.reset()
	c.start(standardWorld())
	if x, _ := judge(standardWorld(), state); (named{"reset-within-boot", "", -1, ""}).check(x) != nil {
		t.Errorf("a reset under a running kernel: %v", names(x))
	}
	// Two honest restarts.
	for i := range 2 {
		w := standardWorld()
		w.bootID = fmt.Sprintf("%08d-9a3e-4f0e-8f1b-1d2c3b4a5968", i)
		if x, state = judge(w, state); x.Verdict != order.VerdictAccepted {
			t.Errorf("an honest restart: %s", x.Text())
		}
		c.reset()
		c.start(w)
	}
	// The TPM's state of before is put back: its counter of resets with it.
	c.putBack(old)
	c.reset()
	c.start(standardWorld())
	last := standardWorld()
	last.bootID = "11111111-9a3e-4f0e-8f1b-1d2c3b4a5968"
	if x, _ := judge(last, state); (named{"reset-count-went-back", "", -1, ""}).check(x) != nil {
		t.Errorf("a TPM's state put back: %v", names(x))
	}
}

func TestLearnWantsVerifiedEvidence(t *testing.T) {
	c := newComputer(t)
	c.reset()
	c.start(standardWorld())
	if _, err := verifier.Learn(c.attest(standardWorld()), "g1"); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		input func() verifier.Input
		says  string
	}{
		"no challenge": {func() verifier.Input { in := c.attest(standardWorld()); in.Challenge = nil; return in }, "no challenge"},
		"another challenge": {func() verifier.Input {
			in := c.attest(standardWorld())
			in.Challenge = c.attest(standardWorld()).Challenge
			return in
		}, "stale-nonce"},
		"another robot's key": {func() verifier.Input {
			in := c.attest(standardWorld())
			in.Robot.Identity.Key = newKey(t).Public()
			return in
		}, "wrong-device-key"},
		"a changed message": {func() verifier.Input {
			in := c.attest(standardWorld())
			in.Evidence[len(in.Evidence)-1] ^= 1
			return in
		}, "wrong-device-key"},
		"half a message": {func() verifier.Input { in := c.attest(standardWorld()); in.Evidence = in.Evidence[:50]; return in }, "nothing is learned"},
		"a log that does not lead to the registers": {func() verifier.Input {
			w := standardWorld()
			w.shown = slices.Clone(w.boot)
			w.shown[atLoader].content = "a good loader"
			return c.attest(w)
		}, "pcr-mismatch:4"},
		"another log than is named": {func() verifier.Input {
			in := c.attest(standardWorld())
			in.Logs["measured"] = measuredLog(nil)
			return in
		}, "pcr-mismatch:14"},
		"an agent that was replaced while the robot was up": {func() verifier.Input {
			w := standardWorld()
			w.files = append(w.files, artefact{agentFile, "new agent"})
			c.reset()
			c.start(w)
			defer func() { c.reset(); c.start(standardWorld()) }()
			return c.attest(w)
		}, "restart the robot first"},
		"a false label": {func() verifier.Input {
			w := standardWorld()
			w.claims.Topics.Label = evidence.PCRBacked
			return c.attest(w)
		}, "false-label:topics"},
	} {
		if r, err := verifier.Learn(x.input(), "g1"); !errors.Is(err, verifier.ErrNotVerified) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: learned %v, error %v", name, r != nil, err)
		}
	}
}

// TestLearnWithoutALog pins the registers of a board whose firmware writes no log, and those that an operator names.
func TestLearnWithoutALog(t *testing.T) {
	c := newComputer(t)
	c.reset()
	c.start(standardWorld())
	for name, logs := range map[string]func(map[string][]byte){
		"none": func(l map[string][]byte) { delete(l, "firmware") }, "sha1": func(l map[string][]byte) { l["firmware"] = sha1Log(standardBoot()) },
	} {
		w := standardWorld()
		w.logs = logs
		in := c.attest(w)
		r, err := verifier.Learn(in, "board")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.FirmwareLog != name || len(r.Events) != 0 || r.PCRs[4].Logs || len(r.PCRs[4].Allowed) != 1 || !r.PCRs[13].Logs {
			t.Errorf("%s: learned %+v", name, r)
		}
		// Another kernel is noticed all the same, by its register.
		w.boot[atKernelImage].content = "another"
		c.reset()
		c.start(w)
		in = c.attest(w)
		in.References = r
		if x := verifier.Explain(in); (named{"pcr-value", "4", 4, ""}).check(x) != nil {
			t.Errorf("%s: %v", name, names(x))
		}
		c.reset()
		c.start(standardWorld())
	}
	w := standardWorld()
	w.shown = w.boot
	w.hidden[9] = "what the processor's own firmware extends"
	c.reset()
	c.start(w)
	if _, err := verifier.Learn(c.attest(w), "board"); !errors.Is(err, verifier.ErrNotVerified) || !strings.Contains(err.Error(), "pcr-mismatch:9") {
		t.Errorf("learned from a register that the log does not explain: %v", err)
	}
	if r, err := verifier.Learn(c.attest(w), "board", 9); err != nil || r.PCRs[9].Logs || len(r.PCRs[9].Allowed) != 1 {
		t.Errorf("a pinned register: %v", err)
	}
}

// TestMergeAndVary makes one set of values for two robots and two versions.
func TestMergeAndVary(t *testing.T) {
	c := newComputer(t)
	c.reset()
	c.start(standardWorld())
	first := c.learned()
	w := standardWorld()
	w.boot[atBootEntry].content = "the other robot's disk"
	w.boot[atLoader].content = "boot loader 2.14"
	w.boot = slices.Insert(w.boot, atOptionROM+1, measurement{2, 0x80000004, image("second.rom"), "second card"})
	c.reset()
	c.start(w)
	second, err := verifier.Learn(c.attest(w), "g1")
	if err != nil {
		t.Fatal(err)
	}
	if d := verifier.Diff(first, second); len(d) != 3 {
		t.Errorf("differences %v", d)
	}
	both := fresh(t, first)
	if err := both.Merge(second); err != nil {
		t.Fatal(err)
	}
	in := c.attest(w)
	in.References = both
	if x := verifier.Explain(in); x.Verdict != order.VerdictAccepted {
		t.Errorf("the second: %s", x.Text())
	}
	in.References = first
	if x := verifier.Explain(in); len(x.Findings) != 3 {
		t.Errorf("the second by the first's values: %v", names(x))
	}
	varied := fresh(t, both)
	if n, err := varied.Vary([]eventlog.Class{"boot-entry"}, "names the disk"); err != nil || n != 1 {
		t.Errorf("%d rules vary, error %v", n, err)
	}
	w.boot[atBootEntry].content = "a third robot's disk"
	c.reset()
	c.start(w)
	in = c.attest(w)
	in.References = varied
	if x := verifier.Explain(in); x.Verdict != order.VerdictAccepted {
		t.Errorf("a third: %s", x.Text())
	}
	in.References = both
	if x := verifier.Explain(in); (named{"event-value", "boot-entry:Boot0001", 1, "disk"}).check(x) != nil {
		t.Errorf("a third by values of two: %v", names(x))
	}
	if err := both.Merge(verifier.Learning("g1", order.TierSoftwareKey)); err == nil {
		t.Error("tiers are merged")
	}
}

// TestEvidenceIsSmall measures evidence of a software TPM with every claim.
func TestEvidenceIsSmall(t *testing.T) {
	const limit = 2 << 10
	c := newComputer(t)
	c.reset()
	c.start(standardWorld())
	in := c.attest(standardWorld())
	t.Logf("%d bytes with 14 PCRs, 2 artifacts and every other claim", len(in.Evidence))
	w := standardWorld()
	w.claims.Artifacts = nil
	for i := range 8 {
		w.claims.Artifacts = append(w.claims.Artifacts, evidence.Artifact{Name: "manipulator-" + string(rune('a'+i)), SHA256: hexSum("x"), SVN: 1000})
	}
	w.claims.Debug = []string{"debugfs", "kgdb", "ptrace", "serial-console"}
	full := c.attest(w)
	t.Logf("%d bytes with 8 artifacts and 4 debug interfaces", len(full.Evidence))
	if len(in.Evidence) > limit || len(full.Evidence) > limit {
		t.Errorf("more than %d bytes", limit)
	}
}

// TestValuesOfRealLogs writes down what real machines' logs show, in values that can be written and read.
func TestValuesOfRealLogs(t *testing.T) {
	logs, err := filepath.Glob("../../../shared/vectors/eventlogs/*/*")
	if err != nil || len(logs) == 0 {
		t.Skipf("no test vectors here: %v", err)
	}
	read := 0
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l, err := eventlog.Parse(data)
		if err != nil {
			continue
		}
		expected, err := eventlog.Expect(l)
		if err != nil {
			t.Fatal(err)
		}
		read++
		q := &evidence.Quote{Attest: []byte("a"), Signature: []byte("s"), PCRs: map[int][32]byte{}}
		for n := range 10 {
			q.PCRs[n] = expected[n]
		}
		e := &evidence.Evidence{Claims: standardWorld().claims, Quote: q}
		r, err := verifier.Observe(e, map[string][]byte{"firmware": data}, "real")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if back, err := verifier.ParseReferences(encoded(t, r)); err != nil || len(verifier.Diff(r, back)) > 0 {
			t.Errorf("%s: %v", path, err)
		}
		t.Logf("%s: %d events, %d rules, %d bytes of YAML", filepath.Base(path), len(l.Events), len(r.Events), len(r.YAML("")))
	}
	if read < 5 {
		t.Errorf("%d logs were read", read)
	}
}

func encoded(t testing.TB, r *verifier.References) []byte {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzObserve feeds firmware logs: what is learned from any of them can be written and read, and allows it.
func FuzzObserve(f *testing.F) {
	f.Add(firmwareLog(standardBoot(), 0))
	f.Add(firmwareLog(standardBoot(), 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := eventlog.Parse(data)
		if err != nil {
			return
		}
		expected, err := eventlog.Expect(l)
		if err != nil {
			return
		}
		e := &evidence.Evidence{Claims: standardWorld().claims, Quote: &evidence.Quote{PCRs: expected}}
		r, err := verifier.Observe(e, map[string][]byte{"firmware": data}, "any")
		if err != nil {
			return // More than reference values may hold.
		}
		if back, err := verifier.ParseReferences(encoded(t, r)); err != nil || len(verifier.Diff(r, back)) > 0 {
			t.Errorf("%v", err)
		}
	})
}
