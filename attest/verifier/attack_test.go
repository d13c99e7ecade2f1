package verifier

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// lab has two machines that have started the same: what differs between them is the TPM alone.
type lab struct {
	tb         testing.TB
	own, clone *machine
	references *References
	standard   install
}

func newLab(tb testing.TB) *lab {
	tb.Helper()
	l := &lab{tb: tb, own: newMachine(tb), clone: newMachine(tb), references: references(tb), standard: standard()}
	l.own.boot(l.standard)
	l.clone.boot(l.standard)
	return l
}

// on is what an honest robot with an install on a machine gives the verifier, which has enrolled that machine. The change,
// if any, edits the claims before they are quoted.
func (l *lab) on(m *machine, i install, change func(*evidence.Claims)) Input {
	l.tb.Helper()
	c := challenge(l.tb)
	claims := i.claims(l.tb, c)
	if change != nil {
		change(claims)
	}
	return Input{
		Robot: m.enrolment(), References: l.references, Challenge: c, Logs: i.logs(),
		Evidence: build(l.tb, claims, c.PCRs, m.tpm.Device(), m.quote),
	}
}

func (l *lab) good(change func(*evidence.Claims)) Input { return l.on(l.own, l.standard, change) }

// fresh is a new machine with another install, and extensions that no log shows.
func (l *lab) fresh(i install, hidden ...int) *machine {
	m := newMachine(l.tb)
	m.boot(i)
	for _, pcr := range hidden {
		m.extend(pcr, sha256.Sum256([]byte("an implant")))
	}
	return m
}

// rewritten changes reference values.
func (l *lab) rewritten(change func(*References)) *References {
	l.tb.Helper()
	r := *l.references
	r.PCRs, r.Files = slices.Clone(r.PCRs), slices.Clone(r.Files)
	change(&r)
	if err := r.Validate(); err != nil {
		l.tb.Fatal(err)
	}
	return &r
}

// attack is one attack, or one fault, and every code that it must be refused with.
type attack struct {
	name string
	make func(*lab) Input
	want []Code
	// alone says that the first code is all that stands in the way: without that check the evidence is accepted.
	alone bool
}

// attacks lists them. Where a check comes first and ends the judgement, what is behind it is not asked.
func attacks() []attack {
	return slices.Concat(identityAttacks(), quoteAttacks(), logAttacks(), eventAttacks(), claimAttacks(), listAttacks(), backingAttacks(), stateAttacks(), imaAttacks())
}

func identityAttacks() []attack {
	return []attack{
		{"half a message", func(l *lab) Input {
			in := l.good(nil)
			in.Evidence = in.Evidence[:len(in.Evidence)/2]
			return in
		}, []Code{Malformed}, false},
		{"a cloned disk on another TPM", func(l *lab) Input {
			in := l.on(l.clone, l.standard, nil)
			in.Robot = l.own.enrolment()
			return in
		}, []Code{WrongDeviceKey}, false},
		{"another key under the robot's own quote", func(l *lab) Input {
			in := l.good(nil)
			in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), in.Challenge.PCRs, newKey(l.tb), l.own.quote)
			return in
		}, []Code{WrongDeviceKey}, true},
		{"another robot's evidence with the same keys", func(l *lab) Input {
			return l.good(func(c *evidence.Claims) { c.Robot = "unitree/g1-0008" })
		}, []Code{OtherRobot}, true},
		{"another boot", func(l *lab) Input {
			return l.good(func(c *evidence.Claims) { c.BootID = otherBoot })
		}, []Code{OtherBoot}, true},
		{"a nonce that was never given", func(l *lab) Input {
			in := l.good(nil)
			in.Challenge = nil
			return in
		}, []Code{StaleNonce}, true},
		{"an answer to an earlier challenge", func(l *lab) Input {
			in := l.good(nil)
			in.Challenge = challenge(l.tb)
			return in
		}, []Code{StaleNonce}, true},
		{"replayed evidence", func(l *lab) Input {
			in := l.good(nil)
			in.Challenge, in.Replayed = nil, true
			return in
		}, []Code{Replayed}, true},
		{"the quote left out", func(l *lab) Input {
			in := l.good(nil)
			claims := l.standard.claims(l.tb, in.Challenge)
			claims.Tier, claims.Agent.Label, claims.Policy.Label = order.TierSoftwareKey, evidence.SelfReported, evidence.SelfReported
			in.Evidence = build(l.tb, claims, nil, l.own.tpm.Device(), nil)
			return in
		}, []Code{WrongTier}, true},
		{"the recovery speaks for the robot", func(l *lab) Input {
			in := l.good(nil) // signed by the device key, which is the recovery's of a robot whose own key is bound
			in.Robot = l.own.enrolment()
			in.Robot.Identity.Key, in.Robot.Identity.Recovery = newKey(l.tb).Public(), l.own.tpm.Device().Public()
			return in
		}, []Code{Recovery}, true},
	}
}

func quoteAttacks() []attack {
	// own quotes with the robot's TPM, spoil changes the quote afterwards.
	spoiled := func(l *lab, m *machine, spoil func(*evidence.Quote)) Input {
		in := l.good(nil)
		in.Robot = m.enrolment()
		in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), in.Challenge.PCRs, m.tpm.Device(), func(data []byte, pcrs []int) (evidence.Quote, error) {
			q, err := m.quote(data, pcrs)
			spoil(&q)
			return q, err
		})
		return in
	}
	return []attack{
		{"a foreign attestation key", func(l *lab) Input {
			in := l.good(nil)
			in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), in.Challenge.PCRs, l.own.tpm.Device(), l.clone.quote)
			return in
		}, []Code{WrongAK}, true},
		{"a changed statement", func(l *lab) Input {
			return spoiled(l, l.own, func(q *evidence.Quote) { q.Attest[len(q.Attest)-1] ^= 1 })
		}, []Code{WrongAK}, true},
		{"no signature of a TPM", func(l *lab) Input {
			return spoiled(l, l.own, func(q *evidence.Quote) { q.Signature = []byte("signed") })
		}, []Code{QuoteMalformed}, true},
		{"swapped claims", func(l *lab) Input {
			in := l.good(nil)
			claims := l.standard.claims(l.tb, in.Challenge)
			data := evidence.QualifyingData(claims.Nonce, encode(l.tb, claims))
			claims.Journal.Seq++
			in.Evidence = build(l.tb, claims, in.Challenge.PCRs, l.own.tpm.Device(), func(_ []byte, pcrs []int) (evidence.Quote, error) { return l.own.quote(data[:], pcrs) })
			return in
		}, []Code{ClaimsSwapped}, true},
		{"an old quote under a new nonce", func(l *lab) Input {
			in := l.good(nil)
			old := l.standard.claims(l.tb, challenge(l.tb))
			data := evidence.QualifyingData(old.Nonce, encode(l.tb, old))
			in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), in.Challenge.PCRs, l.own.tpm.Device(), func(_ []byte, pcrs []int) (evidence.Quote, error) {
				return l.own.quote(data[:], pcrs)
			})
			return in
		}, []Code{ClaimsSwapped}, true},
		{"an allowed value beside the quote of another", func(l *lab) Input {
			m := l.fresh(l.standard, 0)
			return spoiled(l, m, func(q *evidence.Quote) {
				good, err := l.own.quote(make([]byte, 32), []int{0})
				if err != nil {
					l.tb.Fatal(err)
				}
				q.PCRs[0] = good.PCRs[0]
			})
		}, []Code{PCRDigest}, true},
		{"a PCR left out", func(l *lab) Input {
			in := l.good(nil)
			in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), []int{0, 4, 7, 13}, l.own.tpm.Device(), l.own.quote)
			return in
		}, []Code{PCRMissing}, true},
		{"a PCR too many", func(l *lab) Input {
			in := l.good(nil)
			in.Evidence = build(l.tb, l.standard.claims(l.tb, in.Challenge), []int{0, 4, 5, 7, 13, 14}, l.own.tpm.Device(), l.own.quote)
			return in
		}, []Code{PCRUnasked}, true},
		{"values that are still learned", func(l *lab) Input {
			in := l.good(nil)
			in.References = Learning("g1", order.TierTPM)
			in.References.PCRs = []PCRRule{{PCR: 0}, {PCR: 4}, {PCR: 7}, {PCR: 13}, {PCR: 14}}
			return in
		}, []Code{NotLearned}, true},
		{"an extended PCR", func(l *lab) Input { return l.on(l.fresh(l.standard, 4), l.standard, nil) }, []Code{PCRMismatch}, true},
		{"an extended PCR of the agent", func(l *lab) Input { return l.on(l.fresh(l.standard, 14), l.standard, nil) }, []Code{PCRMismatch}, true},
		{"other firmware", func(l *lab) Input { return l.on(l.fresh(l.standard, 0), l.standard, nil) }, []Code{PCRValue}, true},
	}
}

func logAttacks() []attack {
	// withLog has the robot name another log than its own.
	withLog := func(l *lab, name string, log []byte) Input {
		in := l.good(func(c *evidence.Claims) {
			for i := range c.Logs {
				if c.Logs[i].Name == name {
					c.Logs[i].SHA256 = digest(log)
				}
			}
		})
		in.Logs = maps.Clone(in.Logs)
		in.Logs[name] = log
		return in
	}
	return []attack{
		{"no firmware log", func(l *lab) Input {
			in := l.good(nil)
			in.Logs = maps.Clone(in.Logs)
			delete(in.Logs, evidence.LogFirmware)
			return in
		}, []Code{EventlogMissing}, true},
		{"claims that name no measured log", func(l *lab) Input {
			return l.good(func(c *evidence.Claims) { c.Logs = c.Logs[:1] })
		}, []Code{EventlogMissing, PCRMismatch}, false},
		{"a firmware log that is not the one named", func(l *lab) Input {
			in := l.good(nil)
			in.Logs = maps.Clone(in.Logs)
			in.Logs[evidence.LogFirmware] = firmwareLog(append(l.standard.events(), event{0, 3, []byte("a remark")}))
			return in
		}, []Code{EventlogMismatch}, true},
		{"a firmware log that is none", func(l *lab) Input { return withLog(l, evidence.LogFirmware, []byte("hello")) }, []Code{EventlogMalformed}, true},
		{"a measured log that is none", func(l *lab) Input {
			return withLog(l, evidence.LogMeasured, []byte("hello"))
		}, []Code{EventlogMalformed, PCRMismatch}, false},
		{"a measured log of a patched agent with the old digest in it", func(l *lab) Input {
			i := l.standard
			i.files = []eventlog.MeasuredFile{file(agentPath, "patched"), i.files[1]}
			in := l.on(l.fresh(i), l.standard, nil)
			return in
		}, []Code{PCRMismatch}, true},
		{"measured into a PCR that nobody looks at", func(l *lab) Input {
			i := l.standard
			i.pcr = 13
			return l.on(l.fresh(i), i, nil)
		}, []Code{EventlogUnquoted}, true},
		{"Secure Boot off", func(l *lab) Input {
			i := l.standard
			i.secureBoot = 0
			return l.on(l.fresh(i), i, nil)
		}, []Code{SecureBootOff}, true},
		{"Secure Boot off and a log that says on", func(l *lab) Input {
			i := l.standard
			i.secureBoot = 0
			return l.on(l.fresh(i), l.standard, nil)
		}, []Code{PCRMismatch}, true},
		{"another file measured", func(l *lab) Input {
			i := l.standard
			i.files = append(slices.Clone(i.files), file("/tmp/implant", "implant"))
			return l.on(l.fresh(i), i, nil)
		}, []Code{MeasuredFile}, true},
		{"a known file measured with another content", func(l *lab) Input {
			in := l.good(nil)
			in.References = l.rewritten(func(r *References) { r.Files[0].Set = Set{Allowed: []string{sum("another policy")}} })
			return in
		}, []Code{MeasuredFile}, true},
	}
}

// judged are reference values that look at the events of PCR 4 and 7 as well.
func (l *lab) judged() *References {
	return l.rewritten(func(r *References) {
		events := l.standard.events()
		for i, class := range map[int]string{1: "secure-boot", 2: "separator", 3: "action"} {
			rule := EventRule{PCR: int(events[i].pcr), Class: eventlog.Class(class), What: class, Set: Set{Allowed: []string{digest(events[i].data)}}}
			if i == 1 {
				rule.Name = "SecureBoot"
			}
			r.Events = append(r.Events, rule)
		}
	})
}

// eventAttacks start a machine with other events than the reference values know; its log shows them truly.
func eventAttacks() []attack {
	with := func(change func([]event) []event, rules ...func(*References)) func(*lab) Input {
		return func(l *lab) Input {
			i := l.standard
			i.firmware = change(i.events())
			in := l.on(l.fresh(i), i, nil)
			in.References = l.judged()
			for _, change := range rules {
				change(in.References)
			}
			return in
		}
	}
	loader := func(e []event) []event { e[3].data = []byte("evil boot loader"); return e }
	return []attack{
		{"another boot loader", with(loader), []Code{EventValue}, true},
		{"an option ROM that no rule is about", with(func(e []event) []event {
			return append(e, event{4, 0x80000004, []byte("option ROM")})
		}), []Code{EventUnexpected}, true},
		{"a boot loader under the name of a class with any value in another PCR", with(func(e []event) []event {
			e[3].kind, e[3].data = 0x0a, []byte("evil")
			return e
		}, func(r *References) {
			r.PCRs = slices.Insert(r.PCRs, 1, PCRRule{PCR: 1, Logs: true})
			r.Events = append(r.Events, EventRule{PCR: 1, Class: eventlog.ClassPlatformConfig, Optional: true, Set: Set{Any: true, Why: "differs"}})
		}), []Code{EventUnexpected, EventMissing, PCRMissing}, false},
		{"no boot loader", with(func(e []event) []event { return e[:3] }), []Code{EventMissing}, true},
		{"the boot loader of before, too late", func(l *lab) Input {
			in := with(loader, func(r *References) {
				i := slices.IndexFunc(r.Events, func(r EventRule) bool { return r.PCR == 4 })
				r.Events[i].Leaving = []Leaving{{Value: sum("evil boot loader"), Until: noon}}
			})(l)
			in.Now = noon
			return in
		}, []Code{EventValue}, true},
		{"a log with SHA-1 alone", func(l *lab) Input {
			log := legacyLog(l.standard.events())
			in := l.good(func(c *evidence.Claims) {
				for i := range c.Logs {
					if c.Logs[i].Name == evidence.LogFirmware {
						c.Logs[i].SHA256 = digest(log)
					}
				}
			})
			in.Logs = maps.Clone(in.Logs)
			in.Logs[evidence.LogFirmware] = log
			return in
		}, []Code{EventlogSHA1}, true},
	}
}

func claimAttacks() []attack {
	claim := func(change func(*evidence.Claims)) func(*lab) Input {
		return func(l *lab) Input { return l.good(change) }
	}
	patched := func(files ...string) func(*lab) (*machine, install) {
		return func(l *lab) (*machine, install) {
			i := l.standard
			i.files = nil
			for _, content := range files {
				i.files = append(i.files, file(agentPath, content))
			}
			i.files = append(i.files, l.standard.files[1])
			return l.fresh(i), i
		}
	}
	return []attack{
		{"a patched agent that reports its old digest", func(l *lab) Input {
			m, i := patched("patched")(l)
			return l.on(m, i, nil)
		}, []Code{AgentDigest, AgentMismatch}, false},
		{"a patched agent that reports itself", func(l *lab) Input {
			m, i := patched("patched")(l)
			return l.on(m, i, func(c *evidence.Claims) { c.Agent.SHA256 = sum("patched") })
		}, []Code{AgentDigest}, true},
		{"a patched agent that was started before the allowed one", func(l *lab) Input {
			m, i := patched("patched", "agent")(l)
			return l.on(m, i, nil)
		}, []Code{AgentDigest}, true},
		{"an allowed agent that says it is another allowed one", claim(func(c *evidence.Claims) {
			c.Agent = evidence.Measured{SHA256: sum("next agent")}
		}), []Code{AgentMismatch}, true},
		{"an agent that is not known", claim(func(c *evidence.Claims) { c.Agent = evidence.Measured{} }), []Code{AgentDigest, AgentMismatch}, false},
		{"another policy", claim(func(c *evidence.Claims) { c.Policy = evidence.Measured{SHA256: sum("another")} }), []Code{PolicyDigest}, true},
		{"no policy", claim(func(c *evidence.Claims) { c.Policy = evidence.Measured{} }), []Code{PolicyDigest}, true},
		{"another profile", claim(func(c *evidence.Claims) { c.Profile.SHA256 = sum("another") }), []Code{ProfileDigest}, true},
		{"another topic mapping", claim(func(c *evidence.Claims) { c.Topics.SHA256 = sum("another") }), []Code{TopicsDigest}, true},
		{"another kernel", claim(func(c *evidence.Claims) { c.Kernel = "6.1.0-1-arm64" }), []Code{KernelVersion}, true},
		{"a claim that must be backed and says it is not", claim(func(c *evidence.Claims) { c.Agent.Label = evidence.SelfReported }), []Code{NotMeasured}, true},
		{"a claim that says it is backed and is not", claim(func(c *evidence.Claims) { c.Topics.Label = evidence.PCRBacked }), []Code{FalseLabel}, true},
		{"an agent that was not measured", func(l *lab) Input {
			m, i := patched()(l)
			return l.on(m, i, func(c *evidence.Claims) { c.Agent.Label = evidence.SelfReported })
		}, []Code{NotMeasured}, true},
		{"a rejected agent", func(l *lab) Input {
			in := l.good(nil)
			in.References = l.rewritten(func(r *References) { r.Reject = []string{sum("agent")} })
			return in
		}, []Code{Rejected}, true},
		{"a rejected boot loader", func(l *lab) Input {
			in := l.good(nil)
			in.References = l.rewritten(func(r *References) { r.Reject = []string{sum("boot loader")} })
			return in
		}, []Code{Rejected}, true},
		{"a rejected state of PCR 13", func(l *lab) Input {
			in := l.good(nil)
			in.References = l.rewritten(func(r *References) { r.Reject = []string{strings.Repeat("0", 64)} })
			return in
		}, []Code{Rejected}, true},
	}
}

// listAttacks are about what robots may leave out of their claims.
func listAttacks() []attack {
	const deployment = "/etc/robowarden/deployment.yaml"
	full := func(c *evidence.Claims) {
		c.Config, c.CommandLine = evidence.Measured{SHA256: sum("config")}, evidence.Measured{SHA256: sum("quiet")}
		c.Artifacts = []evidence.Artifact{{Name: "grasp", SHA256: sum("grasp"), SVN: 4}}
		c.Debug = []string{"serial-console"}
	}
	with := func(change func(*evidence.Claims)) func(*lab) Input {
		return func(l *lab) Input {
			in := l.good(func(c *evidence.Claims) {
				full(c)
				change(c)
			})
			in.References = l.rewritten(func(r *References) {
				r.Config, r.CommandLine = only(sum("config")), only(sum("quiet"))
				r.Artifacts = []ArtifactRule{{Name: "grasp", MinSVN: 4, Set: Set{Allowed: []string{sum("grasp")}}}}
				r.Debug = &DebugRule{Allowed: []string{"serial-console"}}
			})
			return in
		}
	}
	// measured has a file measured, and an allowed digest reported that is not the file's.
	measured := func(path, old, reported string, rule func(*References) *Rule, claim func(*evidence.Claims) *evidence.Measured) func(*lab) Input {
		return func(l *lab) Input {
			i := l.standard
			i.files = append(slices.Clone(i.files), file(path, old))
			in := l.on(l.fresh(i), i, func(c *evidence.Claims) { *claim(c) = evidence.Measured{SHA256: sum(reported)} })
			in.References = l.rewritten(func(r *References) { *rule(r) = Rule{Set: Set{Allowed: []string{sum(old), sum(reported)}}, File: path} })
			return in
		}
	}
	return []attack{
		{"another deployment", with(func(c *evidence.Claims) { c.Config.SHA256 = sum("another") }), []Code{ConfigDigest}, true},
		{"no deployment", with(func(c *evidence.Claims) { c.Config = evidence.Measured{} }), []Code{ConfigDigest}, true},
		{"another command line", with(func(c *evidence.Claims) { c.CommandLine.SHA256 = sum("init=/bin/sh") }), []Code{CommandLine}, true},
		{"another model", with(func(c *evidence.Claims) { c.Artifacts[0].SHA256 = sum("another") }), []Code{ArtifactDigest}, true},
		{"a model that no rule is about", with(func(c *evidence.Claims) {
			c.Artifacts = append(c.Artifacts, evidence.Artifact{Name: "implant", SHA256: sum("implant")})
		}), []Code{ArtifactDigest}, true},
		{"an old release", with(func(c *evidence.Claims) { c.Artifacts[0].SVN = 3 }), []Code{ArtifactSVN}, true},
		{"no model", with(func(c *evidence.Claims) { c.Artifacts = nil }), []Code{ArtifactMissing}, true},
		{"an open debug port", with(func(c *evidence.Claims) { c.Debug = []string{"kgdb", "serial-console"} }), []Code{DebugOpen}, true},
		{"nobody has looked for debug ports", with(func(c *evidence.Claims) { c.Debug = nil }), []Code{DebugOpen}, true},
		{"an old deployment in force that reports the new one", measured(deployment, "old", "new",
			func(r *References) *Rule { return &r.Config }, func(c *evidence.Claims) *evidence.Measured { return &c.Config }), []Code{ConfigMismatch}, true},
		{"an old command line that reports the new one", measured("/proc/cmdline", "old", "new",
			func(r *References) *Rule { return &r.CommandLine }, func(c *evidence.Claims) *evidence.Measured { return &c.CommandLine }), []Code{CommandLineMismatch}, true},
	}
}

// backingAttacks measure policy, profile and topic mapping as well, and report other allowed documents.
func backingAttacks() []attack {
	var out []attack
	for _, c := range []struct {
		name  string
		code  Code
		rule  func(*References) *Rule
		claim func(*evidence.Claims) *evidence.Measured
	}{
		{"policy", PolicyMismatch, func(r *References) *Rule { return &r.Policy }, func(c *evidence.Claims) *evidence.Measured { return &c.Policy }},
		{"profile", ProfileMismatch, func(r *References) *Rule { return &r.Profile }, func(c *evidence.Claims) *evidence.Measured { return &c.Profile }},
		{"topics", TopicsMismatch, func(r *References) *Rule { return &r.Topics }, func(c *evidence.Claims) *evidence.Measured { return &c.Topics }},
	} {
		out = append(out, attack{"an old " + c.name + " in force that reports the new one", func(l *lab) Input {
			path := "/etc/robowarden/" + c.name + ".document"
			i := l.standard
			i.files = append(slices.Clone(i.files), file(path, "old "+c.name))
			in := l.on(l.fresh(i), i, func(claims *evidence.Claims) { *c.claim(claims) = evidence.Measured{SHA256: sum("new " + c.name)} })
			in.References = l.rewritten(func(r *References) {
				*c.rule(r) = Rule{Set: Set{Allowed: []string{sum("old " + c.name), sum("new " + c.name)}}, File: path}
			})
			return in
		}, []Code{c.code}, true})
	}
	return out
}

func stateAttacks() []attack {
	// after has the verifier remember something, given the state that the same evidence leaves.
	after := func(change func(*State)) func(*lab) Input {
		return func(l *lab) Input {
			in := l.good(nil)
			a, _ := Appraise(in)
			in.State = a.Next
			change(&in.State)
			return in
		}
	}
	return []attack{
		{"a TPM whose state was put back", after(func(s *State) { s.ResetCount++; s.BootID = otherBoot }), []Code{ResetCountWentBack}, true},
		{"a TPM that was reset under a running kernel", after(func(s *State) { s.ResetCount-- }), []Code{ResetWithinBoot}, true},
		{"a kernel that was started without a reset", after(func(s *State) { s.BootID = otherBoot }), []Code{BootWithoutReset}, true},
		{"fewer restarts", after(func(s *State) { s.RestartCount++ }), []Code{RestartCountWentBack}, true},
		{"an earlier moment", after(func(s *State) { s.ClockMS += 60_000 }), []Code{ClockWentBack}, true},
		{"a shorter journal", after(func(s *State) { s.JournalSeq++ }), []Code{JournalWentBack}, true},
		{"another journal", after(func(s *State) { s.JournalDigest = sum("another") }), []Code{JournalForked}, true},
	}
}

func encode(tb testing.TB, c *evidence.Claims) []byte {
	tb.Helper()
	out, err := c.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
