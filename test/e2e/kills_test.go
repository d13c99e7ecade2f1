package e2e

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// kills is how many times courier, steward or both are killed.
func kills() int {
	if longTier() {
		return 102
	}
	return 9
}

// pair is courier and steward, each a process of its own as under systemd, so that nobody makes them wait before they
// start again.
type pair struct {
	w      *whole
	random *rand.Rand
	roles  map[string]*proc.Process
	killed map[string]int
}

func (k *pair) start(t testing.TB, role string) {
	t.Helper()
	k.roles[role] = proc.StartT(t, proc.Spec{Name: role, Argv: []string{binary(t), role, "--deployment", k.w.site.path("deployment.yaml")}})
}

// kill kills courier, steward or both at n random moments: some before they have said a word, some in the middle of an
// attestation, some long after it. The last time both go, so that a courier starts that finds things as they are now.
func (k *pair) kill(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		time.Sleep(time.Duration(k.random.IntN(2000)) * time.Millisecond) // The random moment.
		names := [][]string{{"courier"}, {"steward"}, {"courier", "steward"}}[k.random.IntN(3)]
		if i == n-1 {
			names = []string{"courier", "steward"}
		}
		for _, role := range names {
			if !k.roles[role].Running() {
				t.Errorf("the %s ended by itself", role)
			}
			k.roles[role].Kill()
			k.killed[role]++
		}
		for _, role := range names {
			k.start(t, role)
		}
	}
}

// TestRolesKilledAtRandomMoments kills courier and steward of a robot that reports, again and again: while it drives, while
// it is slowed down because a verifier has refused it, and while it is stopped. Nothing loosens and nothing stops, as the
// guard's journal and the plant tell, and everything that the journals hold reaches the consumer, once and in order.
func TestRolesKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	t.Run("ros", func(t *testing.T) {
		t.Parallel()
		rolesKilledAtRandomMoments(t, meet(t, bus.ROS))
	})
	for _, kind := range onDDS() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			rolesKilledAtRandomMoments(t, domain.Here(t, kind)) // The broker is on this computer's own network.
		})
	}
}

func rolesKilledAtRandomMoments(t *testing.T, m bus.Bus) {
	run := seed(t)
	p := plant.Start(t, m, plant.Config{LockTopic: "/robowarden/lock"})
	w := newWhole(t, m, siteConfig{lock: true})
	g := w.site.start(t)
	w.guard = g
	k := &pair{w: w, random: rand.New(rand.NewPCG(run, 1)), roles: map[string]*proc.Process{}, killed: map[string]int{}} //nolint:gosec // moments, not secrets
	k.start(t, "steward")
	k.start(t, "courier")
	g.ready(t)
	w.attested(t, p)

	driver.StartDrive(t, m, driver.Drive{VX: 0.6, W: 0.3})
	until(t, 10*time.Second, "a robot that drives", func() bool { s := p.Truth(t).Samples; return len(s) > 0 && s[len(s)-1].Speed() > 0.5 })
	k.kill(t, kills()/3)
	if s := p.Truth(t).Samples; s[len(s)-1].Speed() < 0.4 {
		t.Error("the robot is slow although only courier and steward were killed")
	}
	w.attested(t, p)

	w.verifier.Stop(5 * time.Second)
	if got := g.order(t, w.site.refusal(t, g)); !got.Applied {
		t.Fatalf("the verifier's refusal: %+v", got)
	}
	slow := g.await(t, "a robot that was slowed down", 10*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "limited" && s.Attestation.State == "failed" })
	time.Sleep(2 * time.Second) // The robot slows down; how fast it does is another test's matter.
	from := len(p.Truth(t).Samples)
	k.kill(t, kills()/3)
	for _, s := range p.Truth(t).Samples[from:] {
		if s.Speed() > slow.Axes.MaxSpeedMPS+0.05 {
			t.Fatalf("the robot goes at %.2f m/s: expected at most %.2f, since the verifier's refusal outlasts its carrier", s.Speed(), slow.Axes.MaxSpeedMPS)
		}
	}

	if got := g.order(t, w.site.stopOrder(t)); !got.Applied {
		t.Fatalf("stop: %+v", got)
	}
	g.await(t, "a stop", 10*time.Second, func(s agent.Status) bool { return s.Axes.Motion == "stop" && s.AtRest })
	from = len(p.Truth(t).Samples)
	w.verify(t)
	k.kill(t, kills()-2*(kills()/3))
	if moved := p.Truth(t).Samples[from:]; slices.ContainsFunc(moved, func(s oracle.Sample) bool { return s.Speed() > 0.02 }) {
		t.Error("the robot moved after a signed stop")
	}
	w.attested(t, p)
	w.arrived(t)
	if exit := g.Stop(20 * time.Second); exit.Code != 0 {
		t.Errorf("the guard ended with %v", exit)
	}
	t.Logf("figures: killed %v, %d decisions of the guard", k.killed, w.site.decisionsHold(t))
	for _, a := range w.told("alarm") {
		t.Errorf("the consumer shouts: %v", a)
	}
}

// refusal is a verifier's signed refusal of the robot's evidence, bound to this run of the guard.
func (s *site) refusal(t testing.TB, g *guard) []byte {
	t.Helper()
	st, ok := g.status()
	if !ok {
		t.Fatal("no status")
	}
	// As a verifier dates its results: a robot whose clock is not disciplined takes them at once.
	issued := time.Now().UTC().Truncate(time.Second).Add(-5 * time.Minute)
	return must(order.Sign(&order.Order{
		Kind: order.KindAttestationResult, ID: order.NewID(), Audience: []string{robotID}, NotBefore: issued, NotAfter: issued.Add(time.Hour),
		Reason: "refusal of a test", Binding: order.Binding{BootID: st.BootID, Nonce: st.Nonce},
		AttestationResult: &order.AttestationResult{
			Verdict: "refused", Tier: "tpm", EvidenceSHA256: strings.Repeat("ab", 32), Reasons: []string{"agent-unknown"},
		},
	}, s.verifier))(t)
}

// decisionsHold judges the guard's journal and returns how many decisions there were.
func (s *site) decisionsHold(t testing.TB) int {
	t.Helper()
	out := must(exec.CommandContext(t.Context(), binary(t), "journal", "cat", s.path("journal")).Output())(t)
	decisions, faults := judgeDecisions(string(out))
	for _, f := range faults {
		t.Error(f)
	}
	return decisions
}

// limitOf reads the speed that a decision's line allows.
var limitOf = regexp.MustCompile(`motion limited \(([0-9.]+) m/s\)`)

// The restrictions that signed documents put into force one after the other, as journals are judged by.
const (
	nothingHolds = "no restriction"
	refusalHolds = "a verifier's refusal"
	stopHolds    = "a stop"
)

// judgeDecisions reads what `robowarden journal cat` prints: after the refusal no decision is looser than its limit, after
// the stop none is looser than a stop, and nothing is ever decided because a role is gone.
func judgeDecisions(journal string) (decisions int, faults []string) {
	phase, last := nothingHolds, ""
	for line := range strings.Lines(journal) {
		switch {
		case strings.Contains(line, " order ") && strings.Contains(line, `"kind":"stop"`) && strings.Contains(line, `"applied":true`):
			phase = stopHolds
		case strings.Contains(line, " order ") && strings.Contains(line, "attestation refused") && phase == nothingHolds:
			phase = refusalHolds
		case strings.Contains(line, " decision "):
			decisions++
			last = line
			if strings.Contains(line, "the courier says that attestation failed") || strings.Contains(line, "publisher.unproven") {
				faults = append(faults, "restricted because a role was killed: "+line)
			}
		default:
			continue
		}
		// What tightens acts first and is recorded afterwards, so the decision that a document brought stands before it.
		if last != "" && looser(last, phase) {
			faults = append(faults, fmt.Sprintf("looser than %s allows: %s", phase, last))
		}
	}
	if phase != stopHolds || decisions == 0 {
		faults = append(faults, fmt.Sprintf("the journal tells of %d decisions and ends with %s in force: expected a refusal and then a stop", decisions, phase))
	}
	return decisions, faults
}

// looser says whether a decision allows more than what is in force. An axis that a line does not name is free.
func looser(decision, phase string) bool {
	stops := strings.Contains(decision, "motion stop")
	switch {
	case phase == nothingHolds:
		return false
	case phase == stopHolds:
		return !stops
	case !strings.Contains(decision, "remote view-only") && !strings.Contains(decision, "remote blocked"):
		return true
	case stops || strings.Contains(decision, "motion hold"):
		return false
	}
	limit := limitOf.FindStringSubmatch(decision)
	if limit == nil {
		return true
	}
	speed, err := strconv.ParseFloat(limit[1], 64)
	return err != nil || speed > 0.3
}

// TestJournalsJudgeFindsWhatIsLooser is the off case of the judge.
func TestJournalsJudgeFindsWhatIsLooser(t *testing.T) {
	const (
		head    = "17 2026-11-28T15:39:37Z "
		free    = head + "decision normal: free; attestation.missing clear (fine)\n"
		refusal = head + `order {"kind":"attestation-result","accepted":true,"applied":true,"text":"attestation refused: [agent-unknown]"}` + "\n"
		slow    = head + "decision limited: motion limited (0.3 m/s), remote view-only; attestation.failed present (the verifier refused the evidence)\n"
		stop    = head + `order {"kind":"stop","accepted":true,"applied":true}` + "\n"
		stands  = head + "decision stop safely: motion stop, manipulators disabled, remote view-only; order.stop present (ordered)\n"
		good    = free + slow + refusal + slow + stands + stop + stands
	)
	if n, faults := judgeDecisions(good); n != 5 || len(faults) > 0 {
		t.Errorf("off: %d decisions, %v", n, faults)
	}
	for name, journal := range map[string]string{
		"free after the refusal":           free + slow + refusal + free + stands + stop + stands,
		"faster after the refusal":         free + slow + refusal + strings.Replace(slow, "0.3", "0.5", 1) + stands + stop,
		"remote after the refusal":         free + slow + refusal + strings.Replace(slow, ", remote view-only", "", 1) + stands + stop,
		"the refusal counts for nothing":   free + refusal + stands + stop,
		"free after the stop":              good + free,
		"slow after the stop":              good + slow,
		"the stop counts for nothing":      free + slow + refusal + slow + stop,
		"restricted without a signature":   strings.Replace(slow, "the verifier refused the evidence", "the courier says that attestation failed", 1) + good,
		"restricted for want of a steward": strings.Replace(good, "attestation.missing", "publisher.unproven", 1),
		"no stop":                          free + slow + refusal + slow,
		"nothing":                          "",
		"a stop that was not applied":      free + slow + refusal + slow + strings.Replace(stop, `"applied":true`, `"applied":false`, 1),
	} {
		if _, faults := judgeDecisions(journal); len(faults) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
	}
}

// arrived waits until everything that lies in the journals now is at the consumer, and compares: each once, in order.
func (w *whole) arrived(t testing.TB) {
	t.Helper()
	want := map[string][]string{}
	for log, dir := range map[string]string{"guard": "journal", "courier": "courier/journal", "steward": "steward/journal"} {
		want[log] = evidence(t, log, w.site.path(dir))
	}
	var got map[string][]string
	until(t, 3*time.Minute, "all evidence at the consumer", func() bool {
		got = map[string][]string{}
		for _, r := range w.told("record") {
			log := fmt.Sprint(r["log"])
			got[log] = append(got[log], fmt.Sprintf("%v %.0f %v", r["boot_id"], r["seq"], r["digest"]))
		}
		for log := range want {
			if len(got[log]) < len(want[log]) {
				return false
			}
		}
		return true
	})
	for log := range want {
		if !slices.Equal(want[log], got[log][:len(want[log])]) {
			t.Errorf("the %s's log: what came is not what its journal holds", log)
		}
		t.Logf("figures: %d records of the %s's log arrived once and in order", len(want[log]), log)
	}
}

// evidence is what has to arrive of a log, computed from its journal.
func evidence(t testing.TB, log, dir string) (out []string) {
	t.Helper()
	r := must(journal.OpenDir(dir))(t)
	defer func() { _ = r.Close() }()
	chains := map[[16]byte][32]byte{}
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if log == "guard" && (rec.Kind == 2 || rec.Kind == 3 || rec.Kind == 8) {
			continue
		}
		boot := rec.Segment.BootID
		if _, known := chains[boot]; !known {
			chains[boot] = evidencelog.Origin(log, boot)
		}
		now := evidencelog.Next(chains[boot], rec.Kind, rec.Seq, rec.Boot, rec.Payload)
		chains[boot] = now
		out = append(out, fmt.Sprintf("%s %d %s", evidencelog.FormatBoot(boot), rec.Seq, hex.EncodeToString(now[:])))
	}
	return out
}
