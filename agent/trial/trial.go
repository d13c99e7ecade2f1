package trial

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Criteria that a release may name as what healthy means. Signs of sickness count whether they are named or not; a criterion
// that is named has to be proven as well. One that this program does not know is never proven.
const (
	// CrashLoop is proven once what runs the artifact is seen running. It needs a unit in the deployment.
	CrashLoop = "crash-loop"
	// WatchdogReset is proven by a trial without an unclean boot since health began to count.
	WatchdogReset = "watchdog-reset"
	// Drift is proven by statistics that are near those of the content before.
	Drift = "drift"
	// Trips is proven by an interlock that trips no more often than with the content before.
	Trips = "trips"
	// Attestation is proven by a verifier's word during the trial.
	Attestation = "attestation"
)

// Criteria lists every criterion that this program judges.
func Criteria() []string { return []string{Attestation, CrashLoop, Drift, Trips, WatchdogReset} }

// End says what becomes of content that has proven neither health nor sickness when its window ends.
type End string

// What a release may say of it.
const (
	// EndRollBack goes back to the content before. It is the default.
	EndRollBack End = "roll-back"
	// EndHold leaves it active and unproven, with what the policy restricts then, until a person decides.
	EndHold End = "hold"
)

// Terms are what the signed release says about the trial.
type Terms struct {
	// Settle is how long the robot must be seen healthy without a break, Window how long it may be observed until then; both
	// count while the robot is on only. A window shorter than the settling time is four times that.
	Settle, Window time.Duration
	// Criteria are what has to be proven.
	Criteria []string
	// AtEnd is what happens at the window's end; whatever is not [EndHold] is [EndRollBack].
	AtEnd End
}

// Limits of what is taken for sickness.
const (
	// CrashLimit is how many restarts within CrashSpan are a crash loop.
	CrashLimit = 3
	CrashSpan  = 10 * time.Minute
	// ResetLimit is how many unclean boots within one trial are a reset loop; the first one only makes health begin anew,
	// since people pull plugs.
	ResetLimit = 2
	// AttestationPatience is how long a failed attestation may last that had not failed before.
	AttestationPatience = time.Minute
	// longestStep bounds what one look adds to health: what was not looked at was not seen healthy.
	longestStep = 10 * time.Second
)

// Facts are what was observed since the look before.
type Facts struct {
	// Boot identifies the boot, Clock is its boot clock.
	Boot  string
	Clock time.Duration
	// Clean is true if the end of the boot before was an orderly one; it counts at the first look of a boot.
	Clean bool
	// Guard is true if the guard answered; nothing of what follows is known otherwise.
	Guard bool
	// Wrong says why the content is not what its record says, empty if it is.
	Wrong string
	// Trips counts the interlock's trips since the look before.
	Trips uint64
	// Watched is true if what runs the artifact is known and running, Restarts how often it began anew since the look before.
	Watched  bool
	Restarts int
	// Attested and Refused are the verifier's word: neither is "not known".
	Attested, Refused bool
	// Samples are the statistics' values now, in the order of [Metrics]; NaN for what is not known.
	Samples [NumMetrics]float64
}

// Service is what was counted while one content was active. It is on disk.
type Service struct {
	// SHA256 is the content's tree digest.
	SHA256 string `json:"sha256"`
	// ObservedNS is for how long the guard was seen with it, in nanoseconds, and Trips how often the interlock tripped then.
	ObservedNS int64  `json:"observed_ns"`
	Trips      uint64 `json:"trips"`
	// Attested is true once a verifier accepted the robot with it.
	Attested bool `json:"attested"`
	// Stats are its statistics.
	Stats [NumMetrics]Stat `json:"stats"`
}

// State is everything that a trial knows. It is on disk; its zero value knows nothing.
type State struct {
	// Now is the content under trial or in service, Before the one that it replaced, empty digest for none.
	Now    Service `json:"now"`
	Before Service `json:"before"`
	// Good is true once the trial of Now has ended well.
	Good bool `json:"good"`
	// Boot is the boot that was seen last and ClockNS its clock, Clean that its end was orderly.
	Boot    string `json:"boot"`
	ClockNS int64  `json:"clock_ns"`
	Clean   bool   `json:"clean"`
	// ElapsedNS is how much of the window is over, HealthyNS for how long without a break the robot has been healthy.
	ElapsedNS int64 `json:"elapsed_ns"`
	HealthyNS int64 `json:"healthy_ns"`
	// Boots and Resets count the boots during the trial, and those after an end that was not orderly.
	Boots  int `json:"boots"`
	Resets int `json:"resets"`
	// CrashesNS are the latest restarts of what runs the artifact, by elapsed time.
	CrashesNS []int64 `json:"crashes_ns,omitempty"`
	// RefusedNS is for how long the attestation has failed without a break.
	RefusedNS int64 `json:"refused_ns"`
	// Running is true once what runs the artifact was seen.
	Running bool `json:"running"`
	// Condemned says why the content must not stay, empty while it may; Held why it is unproven for good. Both stay until the
	// content changes or a person decides.
	Condemned string `json:"condemned,omitempty"`
	Held      string `json:"held,omitempty"`
	// Taken are contents that were taken back here, the newest last.
	Taken []Taken `json:"taken,omitempty"`
}

// Taken is content that this robot has taken back.
type Taken struct {
	SHA256  string `json:"sha256"`
	Release string `json:"release"`
	Why     string `json:"why"`
}

// maxTaken bounds what is remembered of contents taken back.
const maxTaken = 16

// Decision is what is to be done.
type Decision uint8

// The decisions.
const (
	// Keep means that the trial goes on, or that there is none.
	Keep Decision = iota
	// Commit means that the content has proven itself.
	Commit
	// RollBack means that the content must not stay.
	RollBack
	// Hold means that it is unproven for good.
	Hold
)

// String names the decision as history and status write it.
func (d Decision) String() string {
	return [...]string{"keep", "commit", "roll-back", "hold"}[min(d, Hold)]
}

// Verdict is a decision and its reason for people.
type Verdict struct {
	Decision Decision
	Why      string
	// Open are the criteria that are not proven yet.
	Open []string
	// Urgent is true if the state changed in a way that a power cut must not undo.
	Urgent bool
}

// Begin makes the content with a digest the one under trial, or in service if it is good already. Content that was active
// before becomes the measure. A content that is gone back to finds its own statistics again.
func (s *State) Begin(digest string, good bool) {
	switch digest {
	case s.Now.SHA256:
		if s.Good = good; good {
			s.Condemned, s.Held = "", "" // A person has decided.
		}
		return
	case s.Before.SHA256:
		s.Now, s.Before = s.Before, Service{}
	default:
		// Content that was taken back, or has proven nothing, is no measure for anything.
		if s.Now.SHA256 != "" && s.Good && s.Condemned == "" {
			s.Before = s.Now
		}
		s.Now = Service{SHA256: digest}
	}
	s.Good, s.Running, s.CrashesNS = good, false, nil
	s.ElapsedNS, s.HealthyNS, s.RefusedNS, s.Boots, s.Resets, s.Condemned, s.Held = 0, 0, 0, 0, 0, "", ""
}

// TakeBack notes that the content under trial was taken back.
func (s *State) TakeBack(release, why string) {
	s.Taken = slices.DeleteFunc(s.Taken, func(t Taken) bool { return t.SHA256 == s.Now.SHA256 })
	s.Taken = append(s.Taken, Taken{s.Now.SHA256, release, why})
	s.Taken = s.Taken[max(0, len(s.Taken)-maxTaken):]
}

// WasTaken returns why content was taken back here, false if it was not.
func (s *State) WasTaken(digest string) (Taken, bool) {
	for _, t := range s.Taken {
		if t.SHA256 == digest {
			return t, true
		}
	}
	return Taken{}, false
}

// Step takes what was observed and decides.
func (s *State) Step(f *Facts, terms *Terms) Verdict {
	dt, urgent := s.advance(f)
	s.count(f, dt)
	if s.Good {
		return Verdict{Urgent: urgent}
	}
	if s.Condemned == "" {
		if s.Condemned = s.sick(f); s.Condemned != "" {
			urgent = true
		}
	}
	switch {
	case s.Condemned != "":
		return Verdict{Decision: RollBack, Why: s.Condemned, Urgent: urgent}
	case s.Held != "":
		return Verdict{Decision: Hold, Why: s.Held, Open: s.Open(terms), Urgent: urgent}
	}
	return s.finish(terms, urgent)
}

// finish looks whether the trial has come to its end.
func (s *State) finish(terms *Terms, urgent bool) Verdict {
	open := s.Open(terms)
	window := terms.Window
	if window < terms.Settle {
		window = 4 * terms.Settle
	}
	switch {
	case terms.Settle > 0 && s.HealthyNS >= int64(terms.Settle) && len(open) == 0:
		return Verdict{Decision: Commit, Why: fmt.Sprintf("healthy for %v without a break", time.Duration(s.HealthyNS).Round(time.Second)), Urgent: true}
	case s.ElapsedNS < int64(window):
		return Verdict{Open: open, Urgent: urgent}
	}
	why := fmt.Sprintf("the window of %v ended without proof of health: healthy for %v of %v", window, time.Duration(s.HealthyNS).Round(time.Second), terms.Settle)
	if len(open) > 0 {
		why += "; not proven: " + strings.Join(open, ", ")
	}
	if terms.AtEnd == EndHold {
		s.Held = why
		return Verdict{Decision: Hold, Why: why, Open: open, Urgent: true}
	}
	s.Condemned = why
	return Verdict{Decision: RollBack, Why: why, Open: open, Urgent: true}
}

// advance moves the clocks on, and notices another boot.
func (s *State) advance(f *Facts) (dt time.Duration, urgent bool) {
	switch {
	case s.Boot == f.Boot:
		dt = max(0, f.Clock-time.Duration(s.ClockNS))
	case s.Boot != "":
		s.Boots++
		urgent = true
		if !f.Clean {
			s.Resets++
		}
		// Health is seen without a break or not at all, and a clean boot is one as well.
		s.HealthyNS, s.RefusedNS = 0, 0
		dt = min(f.Clock, longestStep)
	default:
		urgent = true
	}
	s.Boot, s.ClockNS = f.Boot, int64(f.Clock)
	s.ElapsedNS = addNS(s.ElapsedNS, dt)
	return dt, urgent
}

func addNS(n int64, d time.Duration) int64 {
	if n > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return n + int64(d)
}

// count adds what was observed to the content's own record.
func (s *State) count(f *Facts, dt time.Duration) {
	if s.Condemned != "" || s.Held != "" {
		return // A restricted robot says nothing about its artifact.
	}
	s.Now.Trips += f.Trips
	if !f.Guard || f.Wrong != "" {
		s.HealthyNS = 0
	} else {
		seen := min(dt, longestStep)
		s.Now.ObservedNS, s.HealthyNS = addNS(s.Now.ObservedNS, seen), addNS(s.HealthyNS, seen)
		for i := range s.Now.Stats {
			s.Now.Stats[i].take(f.Samples[i], seen)
		}
	}
	s.Running = s.Running || f.Watched
	for range min(f.Restarts, CrashLimit) {
		s.CrashesNS = append(s.CrashesNS, s.ElapsedNS)
		s.HealthyNS = 0
	}
	s.CrashesNS = s.CrashesNS[max(0, len(s.CrashesNS)-CrashLimit):]
	switch {
	case f.Refused:
		s.RefusedNS = addNS(s.RefusedNS, min(dt, longestStep))
		s.HealthyNS = 0
	case f.Attested:
		s.RefusedNS, s.Now.Attested = 0, true
	}
}

// sick says why the content must not stay, empty if nothing says so.
func (s *State) sick(f *Facts) string {
	switch {
	case f.Wrong != "":
		return "the active content is not what was installed: " + f.Wrong
	case s.Resets >= ResetLimit:
		return fmt.Sprintf("watchdog-reset: %d boots in the trial followed an end that was not orderly", s.Resets)
	case len(s.CrashesNS) >= CrashLimit && s.CrashesNS[len(s.CrashesNS)-1]-s.CrashesNS[0] <= int64(CrashSpan):
		return fmt.Sprintf("crash-loop: what runs the artifact began anew %d times within %v", CrashLimit, CrashSpan)
	case s.RefusedNS >= int64(AttestationPatience) && s.Before.Attested:
		return fmt.Sprintf("attestation: refused for %v, and accepted with the content before", time.Duration(s.RefusedNS).Round(time.Second))
	}
	if s.Before.SHA256 == "" {
		return ""
	}
	was, now := &s.Before, &s.Now
	if MoreTrips(now.Trips, time.Duration(now.ObservedNS), was.Trips, time.Duration(was.ObservedNS)) {
		return fmt.Sprintf("trips: the interlock tripped %d times in %v, with the content before %d times in %v", now.Trips,
			time.Duration(now.ObservedNS).Round(time.Second), was.Trips, time.Duration(was.ObservedNS).Round(time.Second))
	}
	for i := range now.Stats {
		if why := now.Stats[i].drifted(&was.Stats[i]); why != "" {
			return "drift: " + Metric(i).String() + " " + why
		}
	}
	return ""
}

// Open lists the criteria that are not proven yet.
func (s *State) Open(terms *Terms) []string {
	var out []string
	for _, c := range terms.Criteria {
		proven := false
		switch c {
		case CrashLoop:
			proven = s.Running && !s.crashed()
		case WatchdogReset:
			proven = true // An unclean boot makes health begin anew, and the second one condemns.
		case Attestation:
			proven = s.Now.Attested && s.RefusedNS == 0
		case Trips:
			proven = s.Before.SHA256 != "" && s.Before.ObservedNS >= int64(terms.Settle)
		case Drift:
			proven = s.Before.SHA256 != ""
			for i := range s.Now.Stats {
				proven = proven && s.Now.Stats[i].comparable(&s.Before.Stats[i])
			}
		}
		if !proven {
			out = append(out, c)
		}
	}
	return out
}

// crashed says whether there was a restart within the last span.
func (s *State) crashed() bool {
	n := len(s.CrashesNS)
	return n > 0 && s.ElapsedNS-s.CrashesNS[n-1] < int64(CrashSpan)
}
