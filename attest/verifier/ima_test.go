package verifier

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the width of the kernel's template digests
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// kernelLog is a kernel that measures files: its log, written by the kernel's documentation and not by the parser, and PCR 10.
type kernelLog struct {
	m    *machine
	data []byte
}

// entry logs and extends one entry of ima-ng; log alone, or the extension alone, is what an attacker or a bad moment does.
func (k *kernelLog) entry(path, content string, log, extend bool) {
	k.raw("ima-ng", imaData(path, content), false, log, extend)
}

// imaData is what the kernel measures of a file.
func imaData(path, content string) []byte {
	le := binary.LittleEndian
	d := sha256.Sum256([]byte(content))
	field := append([]byte("sha256:\x00"), d[:]...)
	return append(append(append(le.AppendUint32(nil, uint32(len(field))), field...), le.AppendUint32(nil, uint32(len(path)+1))...), path+"\x00"...) //nolint:gosec // short
}

func (k *kernelLog) raw(template string, data []byte, violation, log, extend bool) {
	le := binary.LittleEndian
	by := sha256.Sum256(data)
	d := sha1.Sum(data) //nolint:gosec // as above
	if violation {
		by, d = [32]byte(bytes.Repeat([]byte{0xff}, 32)), [20]byte{}
	}
	if log {
		k.data = append(append(le.AppendUint32(k.data, 10), d[:]...), le.AppendUint32(nil, uint32(len(template)))...)
		k.data = append(append(append(k.data, template...), le.AppendUint32(nil, uint32(len(data)))...), data...) //nolint:gosec // short
	}
	if extend {
		k.m.extend(10, by)
	}
}

// long reads n files that may hold anything, with entries of 60 KiB.
func (k *kernelLog) long(n int) {
	data := append(imaData("/var/log/x", "x"), binary.LittleEndian.AppendUint32(nil, 60<<10)...)
	data = append(data, bytes.Repeat([]byte{'s'}, 60<<10)...)
	for range n {
		k.raw("ima-sig", data, false, true, true)
	}
}

func (k *kernelLog) read(path, content string) { k.entry(path, content, true, true) }

func imaReferences(tb testing.TB) *References {
	tb.Helper()
	r := references(tb)
	r.PCRs = slices.Insert(r.PCRs, 3, PCRRule{PCR: 10, Logs: true})
	r.IMA = &IMARule{Files: []FileRule{
		{Path: "/usr/bin/planner", Set: Set{Allowed: []string{sum("planner")}}},
		{Path: "/var/log/x", Set: Set{Any: true, Why: "a log"}},
	}}
	if err := r.Validate(); err != nil {
		tb.Fatal(err)
	}
	return r
}

// name has claims name the log from an offset on, as far as one evidence goes.
func (k *kernelLog) name(claims *evidence.Claims, from int) (pieces []evidence.LogPart) {
	for at := from; len(pieces) < evidence.MaxIMAParts; at += evidence.MaxLog {
		piece := k.data[at:min(len(k.data), at+evidence.MaxLog)]
		name := evidence.IMAPart(int64(at))
		claims.Logs = append(claims.Logs, evidence.Log{Name: name, SHA256: digest(piece)})
		pieces = append(pieces, evidence.LogPart{Name: name, SHA256: digest(piece), Log: piece})
		if len(piece) < evidence.MaxLog {
			break
		}
	}
	evidence.SortLogs(claims.Logs)
	return pieces
}

// imaService is a verifier that asks for the log of files, and a robot whose kernel keeps one.
type imaService struct {
	*service
	k   *kernelLog
	now time.Time
}

func newIMAService(tb testing.TB) *imaService {
	tb.Helper()
	s := &imaService{service: newService(tb), now: noon}
	s.k = &kernelLog{m: s.m}
	s.rules(imaReferences(tb))
	s.k.read(bootAggregate, "the PCRs of the firmware")
	s.k.read("/usr/bin/planner", "planner")
	return s
}

func (s *imaService) rules(r *References) {
	s.tb.Helper()
	if err := s.store.SaveReferences(r); err != nil {
		s.tb.Fatal(err)
	}
}

// others puts rules in force that let every other file be read, changed further unless change is nil.
func (s *imaService) others(change func(*References)) {
	s.tb.Helper()
	r := imaReferences(s.tb)
	r.IMA.Others = &Set{Any: true, Why: "a test"}
	if change != nil {
		change(r)
	}
	s.rules(r)
}

// evidence answers a challenge with the log as it is.
func (s *imaService) evidence(c *order.Challenge) (msg []byte, parts []evidence.LogPart) {
	s.tb.Helper()
	claims := s.i.claims(s.tb, c)
	s.seq++
	claims.Journal.Seq += s.seq
	if from, asked := evidence.IMAAsked(c.Logs); asked && s.k.data != nil {
		parts = slices.DeleteFunc(s.k.name(claims, int(from)), func(p evidence.LogPart) bool { return len(p.Log) == 0 })
	}
	return build(s.tb, claims, c.PCRs, s.m.tpm.Device(), s.m.quote), parts
}

// attest is one whole attestation; from is the offset that was asked for.
func (s *imaService) attest() (out *Outcome, from int64) {
	s.tb.Helper()
	s.now = s.now.Add(time.Minute)
	c := s.ask(s.now)
	from, asked := evidence.IMAAsked(c.Logs)
	if !asked {
		from = -1
	}
	msg, parts := s.evidence(c)
	for _, name := range c.Logs {
		if log, ok := s.i.logs()[name]; ok {
			parts = append(parts, evidence.LogPart{Name: name, SHA256: digest(log), Log: log})
		}
	}
	for i := range parts {
		if _, err := s.v.Log(s.now, robot, &parts[i]); err != nil {
			s.tb.Fatal(err)
		}
	}
	out, err := s.v.Evidence(s.now, robot, msg)
	if err != nil {
		s.tb.Fatal(err)
	}
	if len(parts) < 3 && len(msg) > 2048 {
		s.tb.Errorf("evidence has %d bytes", len(msg))
	}
	return out, from
}

// want wants a verdict with these codes, for a log that was asked for from an offset.
func (s *imaService) want(what string, from int64, want ...Code) *Outcome {
	s.tb.Helper()
	out, at := s.attest()
	if out.Appraisal == nil {
		s.tb.Fatalf("%s: waits for %v", what, out.Waiting)
	}
	if got := codes(out.Appraisal); !slices.Equal(got, want) || at != from || out.Result == nil {
		s.tb.Errorf("%s: %v for the log from %d, expected %v from %d\n%s", what, got, at, want, from, out.Appraisal.Text())
	}
	return out
}

// imaAttacks change what the kernel has read, or its log.
func imaAttacks() []attack {
	// on starts one install, and has another sent as what was measured.
	on := func(started, sent func(install) install, do func(k *kernelLog)) func(l *lab) Input {
		return func(l *lab) Input {
			m := l.fresh(started(l.standard))
			k := &kernelLog{m: m}
			k.read(bootAggregate, "the PCRs of the firmware")
			do(k)
			c := challenge(l.tb)
			c.PCRs = []int{0, 4, 7, 10, 13, 14}
			i := sent(l.standard)
			claims := i.claims(l.tb, c)
			pieces := k.name(claims, 0)
			in := Input{
				Robot: m.enrolment(), References: imaReferences(l.tb), Challenge: c, Logs: i.logs(),
				Evidence: build(l.tb, claims, c.PCRs, m.tpm.Device(), m.quote),
			}
			for _, p := range pieces {
				in.Logs[p.Name] = p.Log
			}
			return in
		}
	}
	same := func(i install) install { return i }
	with := func(do func(k *kernelLog)) func(l *lab) Input { return on(same, same, do) }
	return []attack{
		{"a made-up measured log about the register of the kernel's own", on(
			func(i install) install { i.files = nil; return i }, func(i install) install { i.pcr = 10; return i }, func(*kernelLog) {},
		), []Code{EventlogUnquoted}, true},
		{"a program that the kernel has read and nobody allows", with(func(k *kernelLog) { k.read("/usr/bin/planner", "a back door") }), []Code{IMAFile}, true},
		{"a program that the kernel has read and its log hides", with(func(k *kernelLog) { k.entry("/usr/bin/planner", "a back door", false, true) }), []Code{PCRMismatch}, true},
		{"the beginning of a long log", with(func(k *kernelLog) { k.long(53) }), []Code{EventlogPartial}, true},
	}
}

func TestFilesOfTheKernelByOffset(t *testing.T) {
	s := newIMAService(t)
	end := func() int64 { return int64(len(s.k.data)) }
	s.want("all of it", 0)
	first := end()
	s.want("nothing new", first)
	s.k.read("/var/log/x", "whatever")
	s.want("a new entry", first)
	s.restart()
	second := end()
	s.want("another process of the verifier", second)

	// The kernel logs first and extends afterwards: what is not proven yet is left for the next time.
	s.k.entry("/opt/late", "late", true, false)
	s.want("an entry that is not extended yet", second)
	s.k.entry("/opt/late", "late", false, true)
	out := s.want("now it is", second, IMAFile)
	if text := out.Appraisal.Text(); !strings.Contains(text, "/opt/late") {
		t.Errorf("the file is not named: %s", text)
	}
	s.want("what was refused is not passed over the next time", second, IMAFile)
	r := imaReferences(t)
	r.IMA.Others = &Set{Allowed: []string{sum("late")}}
	s.rules(r)
	s.want("other rules judge from the start", 0)
	s.want("and go on", end())
	r.Reject = []string{sum("planner")}
	s.rules(r)
	s.want("what is rejected since", 0, Rejected)
	r.Reject = nil
	r.IMA.Files[0].Allowed, r.IMA.Files[0].Leaving = []string{sum("planner 2")}, []Leaving{{sum("planner"), s.now.Add(90 * time.Second)}}
	s.rules(r)
	s.want("a value that leaves", 0)
	s.now = s.now.Add(time.Minute)
	s.want("and has left", 0, IMAFile)
}

func TestWhatALogOfFilesShows(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *imaService)
		want []Code
		says string
	}{
		"nothing (off)":                   {func(*imaService) {}, nil, ""},
		"a changed program":               {func(s *imaService) { s.k.read("/usr/bin/planner", "planner with a back door") }, []Code{IMAFile}, "/usr/bin/planner"},
		"a new program":                   {func(s *imaService) { s.k.read("/tmp/miner", "miner") }, []Code{IMAFile}, "/tmp/miner"},
		"the log's own first entry again": {func(s *imaService) { s.k.read(bootAggregate, "another") }, []Code{IMAFile}, bootAggregate},
		"a file that was written meanwhile": {func(s *imaService) {
			s.k.raw("ima-ng", imaEmpty("/usr/bin/planner"), true, true, true)
		}, []Code{IMAFile}, "violation"},
		"a file that was written meanwhile, named as one that may hold anything": {func(s *imaService) {
			s.k.raw("ima-ng", imaEmpty("/usr/bin/planner"), true, false, true)
			s.k.raw("ima-ng", imaEmpty("/var/log/x"), true, true, false)
		}, []Code{IMAFile}, "violation"},
		"a file that was written meanwhile, beside others by their content": {func(s *imaService) {
			s.others(func(r *References) { r.IMA.Others = &Set{Allowed: []string{sum("x")}} })
			s.k.raw("ima-ng", imaEmpty("/var/log/x"), true, true, true)
		}, []Code{IMAFile}, "violation"},
		"a file that was written meanwhile, which may (off)": {func(s *imaService) {
			s.others(func(r *References) { r.IMA.Others, r.IMA.Violations = nil, &Set{Any: true, Why: "a test"} })
			s.k.raw("ima-ng", imaEmpty("/usr/bin/planner"), true, true, true)
		}, nil, "not checked: ima-violations"},
		"a file that was written meanwhile, where others may be anything (off)": {func(s *imaService) {
			s.others(nil)
			s.k.raw("ima-ng", imaEmpty("/usr/bin/planner"), true, true, true)
		}, nil, "not checked: ima-violations"},
		"another template":     {func(s *imaService) { s.k.raw("ima-buf", []byte("quiet"), false, true, true) }, []Code{IMAFile}, "ima-buf"},
		"an entry is left out": {func(s *imaService) { s.k.entry("/tmp/miner", "miner", false, true) }, []Code{PCRMismatch}, "10"},
		"a digest is changed": {func(s *imaService) {
			s.k.entry("/usr/bin/planner", "x", false, true)
			s.k.entry("/usr/bin/planner", "planner", true, false)
		}, []Code{PCRMismatch}, "10"},
		"the log is cut off":    {func(s *imaService) { s.k.data = s.k.data[:len(s.k.data)-1] }, []Code{EventlogMalformed}, "ima"},
		"the log is empty":      {func(s *imaService) { s.k.data = []byte{} }, []Code{PCRMismatch}, "10"},
		"the log is not sent":   {func(s *imaService) { s.k.data = nil }, []Code{EventlogMissing}, "ima"},
		"the old template":      {func(s *imaService) { s.k.raw("ima", make([]byte, 40), false, true, true) }, []Code{EventlogMalformed}, "ima-ng"},
		"bytes that are no log": {func(s *imaService) { s.k.data = append(s.k.data, "0123456789abcdefghijklmnopqrstuvwxyz"...) }, []Code{EventlogMalformed}, "entry 3"},
		"very many new programs": {func(s *imaService) {
			for i := range 40 {
				s.k.read(fmt.Sprintf("/tmp/%d", i), "x")
			}
		}, []Code{IMAFile}, "24 more"},
		"any other file may be read (off)": {func(s *imaService) {
			s.others(nil)
			s.k.read("/tmp/x", "x")
		}, nil, "ima-others"},
		"any other, and a program by another template's name": {func(s *imaService) {
			s.others(nil)
			s.k.raw("ima-ng", imaData("/usr/bin/planner", "a back door"), false, false, true)
			s.k.raw("ima-xx", imaData("/usr/bin/planner", "a back door"), false, true, false)
		}, []Code{IMAFile}, "/usr/bin/planner"},
		"any other, and what is rejected by another template's name": {func(s *imaService) {
			s.others(func(r *References) { r.IMA.Files, r.Reject = nil, []string{sum("a back door")} })
			s.k.raw("ima-buf", imaData("/tmp/x", "a back door"), false, true, true)
		}, []Code{Rejected}, "/tmp/x"},
		"any other, and data that names no file beside rules for files": {func(s *imaService) {
			s.others(nil)
			s.k.raw("ima-xx", []byte("data"), false, true, true)
		}, []Code{IMAFile}, "ima-xx"},
		"any other, and data that names no file beside what is rejected": {func(s *imaService) {
			s.others(func(r *References) { r.IMA.Files, r.Reject = nil, []string{sum("a back door")} })
			s.k.raw("ima-xx", []byte("data"), false, true, true)
		}, []Code{IMAFile}, "ima-xx"},
		"any other alone, and data that names no file (off)": {func(s *imaService) {
			s.others(func(r *References) { r.IMA.Files = nil })
			s.k.raw("ima-xx", []byte("data"), false, true, true)
		}, nil, "ima-others"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newIMAService(t)
			c.do(s)
			out := s.want(name, 0, c.want...)
			if text := out.Appraisal.Text(); !strings.Contains(text, c.says) {
				t.Errorf("expected %q in %s", c.says, text)
			}
		})
	}
}

// imaEmpty is the data of a violation.
func imaEmpty(path string) []byte {
	le := binary.LittleEndian
	field := append([]byte("sha256:\x00"), make([]byte, 32)...)
	return append(append(append(le.AppendUint32(nil, uint32(len(field))), field...), le.AppendUint32(nil, uint32(len(path)+1))...), path+"\x00"...) //nolint:gosec // short
}

// TestNoLogOfFilesIsAChoice: a kernel without IMA passes only where the rules say so, and only if nothing was extended; that it names a
// log of nothing, or one that it has not extended, makes no difference.
func TestNoLogOfFilesIsAChoice(t *testing.T) {
	s := &imaService{service: newService(t), now: noon}
	s.k = &kernelLog{m: s.m}
	r := imaReferences(t)
	s.rules(r)
	unproven := kernelLog{m: s.m}
	unproven.entry(bootAggregate, "the PCRs of the firmware", true, false)
	logs := map[string][]byte{"none": nil, "of nothing": {}, "that proves nothing": unproven.data}
	for name, data := range logs {
		s.k.data = data
		s.want("demanded, a log "+name, 0, EventlogMissing)
	}
	r.IMA.Optional = true
	s.rules(r)
	for name, data := range logs {
		s.k.data = data
		if out := s.want("optional, a log "+name, 0); !slices.Contains(out.Appraisal.Notes, evidence.LogIMA) {
			t.Errorf("notes %v", out.Appraisal.Notes)
		}
	}
	s.k.data = nil
	s.k.entry("/tmp/x", "x", false, true)
	s.want("optional, and the kernel has extended", 0, EventlogMissing)
}

// TestExplainNamesTheFile: which file, what would be accepted, and that a register proves it.
func TestExplainNamesTheFile(t *testing.T) {
	s := newIMAService(t)
	s.k.read("/usr/bin/planner", "another")
	s.now = s.now.Add(time.Minute)
	c := s.ask(s.now)
	msg, parts := s.evidence(c)
	e, err := evidence.Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Robot: s.m.enrolment(), References: imaReferences(t), Evidence: msg, Challenge: c, Now: s.now, Logs: s.i.logs()}
	for _, p := range parts {
		in.Logs[p.Name] = p.Log
	}
	x := Explain(in)
	if len(x.Findings) != 1 || len(e.Claims.IMAParts()) != 1 {
		t.Fatalf("%+v", x)
	}
	f := x.Findings[0]
	if f.Cause != Cause(IMAFile) || f.Subject != "/usr/bin/planner" || f.PCR != 10 || f.Found != sum("another") || f.Backing != "pcr-backed" || !slices.Equal(f.Accepted, []string{sum("planner")}) {
		t.Errorf("%+v", f)
	}
	in.Logs[parts[0].Name] = []byte("another")
	if x = Explain(in); len(x.Findings) == 0 || x.Findings[0].Cause != Cause(EventlogMismatch) {
		t.Errorf("another log: %+v", x)
	}
}

func TestRulesForTheLogOfFilesAreStrict(t *testing.T) {
	for name, edit := range map[string]func(*References){
		"no register": func(r *References) { r.PCRs = slices.Delete(r.PCRs, 3, 4) },
		"a measured log that only PCR 10 could prove": func(r *References) { r.PCRs = slices.DeleteFunc(r.PCRs, func(p PCRRule) bool { return p.PCR == 14 }) },
		"any register":                func(r *References) { r.PCRs[3] = PCRRule{PCR: 10, Set: Set{Any: true, Why: "x"}} },
		"a path twice":                func(r *References) { r.IMA.Files = append(r.IMA.Files, r.IMA.Files[0]) },
		"a relative path":             func(r *References) { r.IMA.Files[0].Path = "bin/x" },
		"no values":                   func(r *References) { r.IMA.Files[0].Set = Set{} },
		"violations by their content": func(r *References) { r.IMA.Violations = &Set{Allowed: []string{sum("x")}} },
		"violations without a reason": func(r *References) { r.IMA.Violations = &Set{Any: true} },
		"others of none":              func(r *References) { r.IMA.Others = &Set{} },
		"without a TPM": func(r *References) {
			r.Tier, r.FirmwareLog, r.SecureBoot, r.PCRs, r.Files, r.Agent.File = order.TierSoftwareKey, "", "", nil, nil, ""
		},
	} {
		r := imaReferences(t)
		edit(r)
		if err := r.Validate(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// FuzzIMA feeds logs of files that the robot itself would have sent: nothing panics, and no log passes but one whose every entry is
// allowed and that leads to the register.
func FuzzIMA(f *testing.F) {
	k := &kernelLog{}
	k.entry(bootAggregate, "x", true, false)
	k.entry("/usr/bin/planner", "planner", true, false)
	good := slices.Clone(k.data)
	f.Add(good, int64(0))
	k.entry("/tmp/miner", "miner", true, false)
	f.Add(k.data, int64(0))
	f.Add(good[:30], int64(7))
	rule := imaReferences(f)
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		var quoted [32]byte
		e := &evidence.Evidence{Claims: evidence.Claims{BootID: bootID, Logs: []evidence.Log{{Name: evidence.IMAPart(from), SHA256: digest(data)}}}}
		for _, b := range data { // a register that depends on the log and is not what it leads to
			quoted[0] ^= b
		}
		e.Quote = &evidence.Quote{PCRs: map[int][32]byte{10: quoted}}
		a := &appraisal{Input: Input{References: rule, Logs: map[string][]byte{evidence.IMAPart(from): data}, Now: noon}, e: e}
		a.TPM = new(tpm.Info)
		a.checkIMA()
		if len(a.Reasons) == 0 && hex.EncodeToString(quoted[:]) != strings.Repeat("0", 64) {
			t.Errorf("a log of %d bytes leads to a register that it does not lead to", len(data))
		}
	})
}
