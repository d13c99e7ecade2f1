package interlock

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// golden compares got with a file, or writes it under -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // documentation
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file) //nolint:gosec // a name of this test
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the code says (-file +code); run go test ./interlock -update\n%s", file, diff)
	}
}

func TestTriggerTableIsTotal(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)?$`)
	codes := map[string]Trigger{}
	for tr := range NumTriggers {
		info := tr.Info()
		t.Run(info.Code, func(t *testing.T) {
			if !code.MatchString(info.Code) {
				t.Errorf("code %q", info.Code)
			}
			if other, taken := codes[info.Code]; taken {
				t.Errorf("trigger %d has the code of %d", tr, other)
			}
			codes[info.Code] = tr
			if info.Title == "" || !strings.HasSuffix(info.Text, ".") || !strings.HasSuffix(info.Playbook, ".") {
				t.Errorf("title %q, text %q, playbook %q: expected all three, the last two with a full stop",
					info.Title, info.Text, info.Playbook)
			}
			if info.Class >= NumClasses {
				t.Errorf("class %d", info.Class)
			}
			if a := info.UnknownAs; a >= NumTriggers || triggerTable[a].UnknownAs != a {
				t.Errorf("unknown counts as %v, which does not answer for itself", a)
			}
			if got, ok := ParseTrigger(info.Code); !ok || got != tr {
				t.Errorf("ParseTrigger: got %v, %v", got, ok)
			}
		})
	}
	if tr, ok := ParseTrigger("pose.nonsense"); ok {
		t.Errorf("ParseTrigger found %v", tr)
	}
	if NumTriggers.String() != "unknown" || NumTriggers.Info().Code != "" {
		t.Error("a number outside the table has a row")
	}
}

func TestCausesHaveTexts(t *testing.T) {
	codes := map[string]bool{}
	for _, c := range causes() {
		if c.String() == "" || c.Text() == "" || codes[c.String()] {
			t.Errorf("cause %d: code %q, text %q", c, c, c.Text())
		}
		codes[c.String()] = true
	}
	if NumCauses.String() != "unknown" || NumCauses.Text() == "" {
		t.Error("a number outside the table has a row")
	}
	if gone := int(NumCauses) - len(causes()); gone != 9 {
		t.Errorf("%d numbers of causes are empty, expected those of the nine that nothing raised", gone)
	}
}

// causes are those that can be raised: numbers of others are empty.
func causes() (all []Cause) {
	for c := range NumCauses {
		if causeTable[c].code != "" {
			all = append(all, c)
		}
	}
	return all
}

func TestNumbersNeverChange(t *testing.T) {
	// Numbers are in stored latches and journals: lines of this file may only be added at the end of their part.
	var b strings.Builder
	for tr := range NumTriggers {
		b.WriteString(sprint("trigger %d %s\n", tr, tr))
	}
	for _, c := range causes() {
		b.WriteString(sprint("cause %d %s\n", c, c))
	}
	golden(t, "testdata/numbers.txt", b.String())
}

func TestTriggersDocumentIsGenerated(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Triggers\n\n" +
		"Written from the table in `triggers.go` by `go test ./interlock -update`; do not edit.\n\n" +
		"A trigger fires once its cause has been there for the start delay, restricts the robot by its constraint, and\n" +
		"ends as its clear condition says. A policy may change a rule within the bounds: constrain at least as much as\n" +
		"the loosest constraint, delay no longer, demand no less for clearing.\n\n" +
		"| no. | code | what has happened | constraint | start delay | clears | may reset | policy may say at least | unknown counts as | overridable | creeps out | hearsay |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	yes := map[bool]string{true: "yes", false: "no"}
	for tr := range NumTriggers {
		i := tr.Info()
		clear, roles := i.Default.Clear.String(), i.Default.Roles.String()
		if i.Default.Dwell > 0 {
			clear += " after " + i.Default.Dwell.String()
		}
		if !i.Default.Clear.Latches() {
			roles = "(" + roles + ")"
		}
		bounds := sprint("%v; delay up to %v; %v", i.Bounds.Loosest, i.Bounds.MaxStartDelay, i.Bounds.LeastClear)
		if i.Bounds.MayDisable {
			bounds += "; may be disabled"
		}
		b.WriteString(sprint("| %d | `%s` | %s | %s | %v | %s | %s | %s | `%s` | %s | %s | %s |\n",
			tr, i.Code, i.Text, i.Default.Constraint, i.Default.StartDelay, clear, roles, bounds, i.UnknownAs,
			yes[i.Overridable], yes[i.Creeps], yes[i.Hearsay]))
	}
	b.WriteString("\nRoles in brackets matter only where a policy or the flap guard makes the trigger latch. A hold by\n" +
		"a trigger that creeps out may become a creep out of a zone in which the robot must not stand (`refuge.go`). What rests\n" +
		"on hearsay demands no more than the policy's cap (" + DefaultPolicy().Cap.String() + " by default), and ends by itself unless the policy lets\n" +
		"hearsay latch.\n\n## What to do\n\n")
	for tr := range NumTriggers {
		b.WriteString(sprint("- `%s` (%s): %s\n", tr, tr.Info().Title, tr.Info().Playbook))
	}
	b.WriteString("\n## Causes\n\n")
	for _, c := range causes() {
		b.WriteString(sprint("- `%s`: %s\n", c, c.Text()))
	}
	golden(t, "TRIGGERS.md", b.String())
}

func TestTriggerSet(t *testing.T) {
	if got := every().Len(); got != int(NumTriggers) {
		t.Fatalf("every has %d members", got)
	}
	s := Set(PoseStale, OrderStop, NumTriggers, 200)
	if s.Len() != 2 || !s.Has(PoseStale) || !s.Has(OrderStop) || s.Has(NumTriggers) || s.Has(200) {
		t.Errorf("got %v", s)
	}
	if next, ok := s.Next(PoseStale + 1); !ok || next != OrderStop {
		t.Errorf("Next: got %v, %v", next, ok)
	}
	if _, ok := s.Next(OrderStop + 1); ok {
		t.Error("Next found a third member")
	}
	high := TriggerSet{0, 1 << 63}
	if next, ok := high.Next(0); !ok || next != 127 {
		t.Errorf("Next: got %v, %v", next, ok)
	}
	if _, ok := high.Next(128); ok {
		t.Error("Next found a member beyond the set")
	}
	s.Remove(PoseStale)
	s.Remove(NumTriggers)
	if s != Set(OrderStop) || s.Empty() || !s.Minus(s).Empty() || s.Union(Set(PoseStale)).Len() != 2 ||
		s.Intersect(Set(PoseStale)) != (TriggerSet{}) {
		t.Errorf("got %v", s)
	}
}

func TestRoles(t *testing.T) {
	for r := range NumRoles {
		if got, ok := ParseRole(r.String()); !ok || got != r {
			t.Errorf("ParseRole(%q): got %v, %v", r, got, ok)
		}
	}
	if _, ok := ParseRole("unknown"); ok {
		t.Error("ParseRole found a role that there is not")
	}
	s := Roles(RoleOperator, RoleService, NumRoles)
	if s.String() != "operator, service" || s.Has(NumRoles) || s.Has(RoleSecurity) {
		t.Errorf("got %v", s)
	}
}

func TestWorse(t *testing.T) {
	clear, unknown, present := OK(), Condition{Cause: CauseStale}, Fault(CauseJump, 3)
	odd := Condition{State: 9}
	for _, c := range []struct{ a, b, want Condition }{
		{clear, unknown, unknown},
		{unknown, clear, unknown},
		{unknown, present, present},
		{present, unknown, present},
		{present, Fault(CauseStale, 1), present},
		{clear, odd, odd},
	} {
		if got := Worse(c.a, c.b); got != c.want {
			t.Errorf("Worse(%v, %v): got %v", c.a, c.b, got)
		}
	}
}

func TestDefaultPolicyIsValid(t *testing.T) {
	p := DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestPolicyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(p *Policy)
		trigger Trigger
		field   Field
	}{
		"disabling without a reason": {func(p *Policy) { p.Rules[GateBypass].Enabled = false }, GateBypass, FieldReason},
		"disabling what may not be": {func(p *Policy) {
			p.Rules[OrderStop].Enabled, p.Rules[OrderStop].Reason = false, "test"
		}, OrderStop, FieldEnabled},
		"a reason without disabling":     {func(p *Policy) { p.Rules[GateBypass].Reason = "why" }, GateBypass, FieldReason},
		"an endless reason":              {func(p *Policy) { p.Rules[GateBypass].Reason = strings.Repeat("x", 513) }, GateBypass, FieldReason},
		"a constraint that is too loose": {func(p *Policy) { p.Rules[OrderStop].Constraint = hold() }, OrderStop, FieldConstraint},
		"a speed that is none":           {func(p *Policy) { p.Rules[PoseStale].Constraint.MaxSpeedMPS = -1 }, PoseStale, FieldConstraint},
		"limited without a speed": {func(p *Policy) {
			p.Rules[PoseCovariance].Constraint = Unrestricted()
			p.Rules[PoseCovariance].Constraint.Motion = MotionLimited
		}, PoseCovariance, FieldConstraint},
		"not in normal form":             {func(p *Policy) { p.Rules[PoseStale].Constraint.MaxSpeedMPS = 1 }, PoseStale, FieldConstraint},
		"a start delay that is too long": {func(p *Policy) { p.Rules[PoseStale].StartDelay = time.Hour }, PoseStale, FieldStartDelay},
		"a negative start delay":         {func(p *Policy) { p.Rules[PoseStale].StartDelay = -1 }, PoseStale, FieldStartDelay},
		"clearing too easily":            {func(p *Policy) { p.Rules[OrderStop].Clear = ClearOnDwell; p.Rules[OrderStop].Dwell = 1 }, OrderStop, FieldClear},
		"an unknown clear condition":     {func(p *Policy) { p.Rules[OrderStop].Clear = NumClearConditions }, OrderStop, FieldClear},
		"dwell of zero":                  {func(p *Policy) { p.Rules[PoseStale].Dwell = 0 }, PoseStale, FieldDwell},
		"negative dwell":                 {func(p *Policy) { p.Rules[OrderStop].Dwell = -1 }, OrderStop, FieldDwell},
		"nobody may reset":               {func(p *Policy) { p.Rules[OrderStop].Roles = 0 }, OrderStop, FieldRoles},
		"a role that there is not":       {func(p *Policy) { p.Rules[OrderStop].Roles = 1 << NumRoles }, OrderStop, FieldRoles},
		"category 0":                     {func(p *Policy) { p.StopCategory = NoStop }, NumTriggers, FieldStopCategory},
		"one trip":                       {func(p *Policy) { p.FlapTrips = 1 }, NumTriggers, FieldFlapTrips},
		"too many trips":                 {func(p *Policy) { p.FlapTrips = MaxFlapTrips + 1 }, NumTriggers, FieldFlapTrips},
		"no flap window":                 {func(p *Policy) { p.FlapWindow = 0 }, NumTriggers, FieldFlapWindow},
		"merge beyond the window":        {func(p *Policy) { p.FlapMerge = p.FlapWindow + 1 }, NumTriggers, FieldFlapMerge},
		"no gap":                         {func(p *Policy) { p.MaxGap = 0 }, NumTriggers, FieldMaxGap},
		"a gap that is too long":         {func(p *Policy) { p.MaxGap = time.Minute }, NumTriggers, FieldMaxGap},
		"no dock dwell":                  {func(p *Policy) { p.DockDwell = 0 }, NumTriggers, FieldDockDwell},
		"no second person's time":        {func(p *Policy) { p.SecondPerson = -1 }, NumTriggers, FieldSecondPerson},
	} {
		t.Run(name, func(t *testing.T) {
			p := DefaultPolicy()
			c.change(&p)
			err := p.Validate()
			if !hasPolicyError(err, c.trigger, c.field) {
				t.Errorf("got %v, want an error for %v, %s", err, c.trigger, c.field)
			}
			if _, err := New(p); err == nil {
				t.Error("New took the policy")
			}
			m, _ := New(DefaultPolicy())
			if err := m.Load(p); err == nil || m.Policy() != DefaultPolicy() {
				t.Error("Load took the policy")
			}
		})
	}
}

func TestZeroPolicyNamesEveryTrigger(t *testing.T) {
	var p Policy
	err := p.Validate()
	for tr := range NumTriggers {
		if !hasPolicyError(err, tr, FieldReason) {
			t.Errorf("%v is not named", tr)
		}
	}
}

// hasPolicyError looks for one error among the joined ones.
func hasPolicyError(err error, tr Trigger, f Field) bool {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the joined error itself
	if !ok {
		return false
	}
	for _, e := range joined.Unwrap() {
		if pe, ok := e.(*PolicyError); ok && pe.Trigger == tr && pe.Field == f && pe.Found != "" && pe.Want != "" { //nolint:errorlint // as above
			return true
		}
	}
	return false
}
