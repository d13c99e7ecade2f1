// Package policytune shows what a policy's thresholds cost and gain on recordings: it replays them with one threshold after the
// other changed, and counts false trips, seconds of restriction, and how late a real incident is answered. It suggests, and
// never edits a policy; it judges recordings by where they lie, not by what is in them.
package policytune

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/recording"
	"github.com/robowarden/robowarden/agent/replay"
)

// Incidents is the folder whose recordings have a real incident: a trip in them is right, and its delay counts. In all others a
// trip is a false one.
const Incidents = "incidents"

// maxTriggers bounds how many triggers' thresholds are tried: those that restrict the longest.
const maxTriggers = 6

// Question is what to tune by.
type Question struct {
	// Folder has recordings, those of incidents in a folder "incidents" of it.
	Folder string
	// Config has profile, topics (may be nil) and policy.
	Config *config.Config
	// Robot is the serial number where the policy lists several; AnyPublisher listens to publishers that the mapping does not list.
	Robot        string
	AnyPublisher bool
	// Progress is told how many replays are done of how many; it may be nil.
	Progress func(done, total int)
}

// Outcome is what one value leads to.
type Outcome struct {
	// Value is the threshold's, in the knob's unit.
	Value float64 `json:"value"`
	// Current marks the policy's own.
	Current bool `json:"current,omitempty"`
	// FalseTrips counts demands for a standstill while the robot moved, in recordings without an incident. HeldS and LimitedS are
	// for how long motion was held and limited in them, in seconds.
	FalseTrips int     `json:"false_trips"`
	HeldS      float64 `json:"held_s"`
	LimitedS   float64 `json:"limited_s"`
	// Cut counts commands that the gate would have slowed down or not passed, in the same recordings.
	Cut int `json:"commands_cut"`
	// Missed counts incidents without a trip. DelayS is by how much the first trip comes later than under the policy as it is, the
	// worst of all incidents that both notice; negative is earlier.
	Missed int     `json:"missed"`
	DelayS float64 `json:"delay_s"`
	// Refused says why the interlock does not take the value; then the rest is empty.
	Refused string `json:"refused,omitempty"`
}

// Knob is one threshold and what its values lead to.
type Knob struct {
	// Name is where it stands in the policy, Unit what its values are in.
	Name     string    `json:"name"`
	Unit     string    `json:"unit"`
	Outcomes []Outcome `json:"outcomes"`
	// Suggested is the value that costs fewest false trips without missing an incident or answering one more than SlackS later,
	// nil where none is better than the policy's. Why says it in words.
	Suggested *float64 `json:"suggested"`
	Why       string   `json:"why"`
}

// SlackS is how much later an incident may be answered under a value that is suggested.
const SlackS = 0.1

// Result is what a tuning found.
type Result struct {
	Policy     string   `json:"policy"`
	Revision   int64    `json:"revision"`
	Recordings []string `json:"recordings"`
	Incidents  []string `json:"incidents"`
	HoursS     float64  `json:"seconds"`
	Base       Outcome  `json:"as_it_is"`
	Knobs      []Knob   `json:"knobs"`
	Warnings   []string `json:"warnings,omitempty"`
}

// tuner is a tuning under way.
type tuner struct {
	q         *Question
	ctx       context.Context //nolint:containedctx // it lives as long as the call
	out       *Result
	first     map[string]float64 // under the policy as it is, when an incident is noticed; -1 never
	restrains map[string]float64 // trigger → seconds
	done      int
	total     int
}

// Run tunes.
func Run(ctx context.Context, q *Question) (*Result, error) {
	t := &tuner{q: q, ctx: ctx, first: map[string]float64{}, restrains: map[string]float64{}, total: 1}
	t.out = &Result{Policy: q.Config.Policy.ID, Revision: q.Config.Policy.Revision, Knobs: []Knob{}}
	if err := t.find(); err != nil {
		return nil, err
	}
	base, err := t.try(q.Config.Policy, true)
	if err != nil {
		return nil, err
	}
	base.Current = true
	t.out.Base = base
	knobs := t.knobs()
	for _, k := range knobs {
		t.total += len(k.values)
	}
	for _, k := range knobs {
		if err := t.turn(&k); err != nil {
			return nil, err
		}
	}
	return t.out, nil
}

// find sorts the recordings by where they lie.
func (t *tuner) find() error {
	entries, err := os.ReadDir(t.q.Folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(t.q.Folder, e.Name())
		if !e.IsDir() {
			if x := filepath.Ext(name); x == ".bag" || x == ".mcap" {
				t.out.Recordings = append(t.out.Recordings, name)
			}
			continue
		}
		files, err := recording.Files([]string{name})
		if err != nil {
			return err
		}
		if e.Name() == Incidents {
			t.out.Incidents = append(t.out.Incidents, files...)
		} else {
			t.out.Recordings = append(t.out.Recordings, files...)
		}
	}
	if len(t.out.Recordings)+len(t.out.Incidents) == 0 {
		return fmt.Errorf("%s: expected recordings (.bag or .mcap), found none", t.q.Folder)
	}
	if len(t.out.Incidents) == 0 {
		t.out.Warnings = append(t.out.Warnings,
			fmt.Sprintf("no recordings of incidents (%s): what a looser value misses cannot be seen, so nothing looser is suggested", filepath.Join(t.q.Folder, Incidents)))
	}
	return nil
}

// try replays all recordings under a policy.
func (t *tuner) try(p *config.Policy, base bool) (Outcome, error) {
	var o Outcome
	o.DelayS = math.Inf(-1)
	for _, name := range t.out.Recordings {
		r, err := t.replay(name, p)
		if err != nil {
			return o, err
		}
		o.FalseTrips += r.Summary.Trips
		o.HeldS += r.Summary.HeldS
		o.LimitedS += r.Summary.LimitedS
		o.Cut += r.Timeline.Commands.Clipped + r.Timeline.Commands.Dropped
		if base {
			t.note(r)
		}
	}
	for _, name := range t.out.Incidents {
		r, err := t.replay(name, p)
		if err != nil {
			return o, err
		}
		at := -1.0
		if len(r.Timeline.Stops) > 0 {
			at = r.Timeline.Stops[0].AtS
		}
		if base {
			t.first[name] = at
			t.note(r)
		}
		switch was := t.first[name]; {
		case at < 0:
			o.Missed++
		case was >= 0:
			o.DelayS = max(o.DelayS, at-was)
		}
	}
	if math.IsInf(o.DelayS, 0) {
		o.DelayS = 0
	}
	t.done++
	if t.q.Progress != nil {
		t.q.Progress(t.done, t.total)
	}
	return o, nil
}

func (t *tuner) replay(name string, p *config.Policy) (*replay.Report, error) {
	cfg := *t.q.Config
	cfg.Policy = p
	r, err := replay.WhatIf(t.ctx, &replay.Question{Files: []string{name}, Config: &cfg, Robot: t.q.Robot, AnyPublisher: t.q.AnyPublisher})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if t.ctx.Err() != nil {
		return nil, t.ctx.Err()
	}
	return r, nil
}

// note gathers what the policy as it is led to.
func (t *tuner) note(r *replay.Report) {
	t.out.HoursS += r.DurationS
	for _, rule := range r.Summary.Rules {
		t.restrains[rule.Rule] += rule.RestrictedS
	}
	for _, w := range r.Warnings {
		if len(t.out.Warnings) < 32 {
			t.out.Warnings = append(t.out.Warnings, w)
		}
	}
	if r.Partial != "" {
		t.out.Warnings = append(t.out.Warnings, r.Partial)
	}
}

// turn tries a knob's values.
func (t *tuner) turn(k *knob) error {
	out := Knob{Name: k.name, Unit: k.unit}
	for _, v := range k.values {
		if v == k.now {
			o := t.out.Base
			o.Value = v
			out.Outcomes = append(out.Outcomes, o)
			t.done++
			continue
		}
		p := k.set(v)
		rules := p.Interlock()
		if err := rules.Validate(); err != nil {
			out.Outcomes = append(out.Outcomes, Outcome{Value: v, Refused: strings.ReplaceAll(err.Error(), "\n", "; ")})
			t.done++
			continue
		}
		o, err := t.try(p, false)
		if err != nil {
			return err
		}
		o.Value = v
		out.Outcomes = append(out.Outcomes, o)
	}
	t.suggest(&out, k)
	t.out.Knobs = append(t.out.Knobs, out)
	return nil
}

// suggest chooses. Without incidents a value that restricts less is never better than the policy's: what it misses is not known.
func (t *tuner) suggest(out *Knob, k *knob) {
	base := &t.out.Base
	better := func(a, b *Outcome) bool {
		if a.FalseTrips != b.FalseTrips {
			return a.FalseTrips < b.FalseTrips
		}
		return a.HeldS+a.LimitedS < b.HeldS+b.LimitedS-SlackS
	}
	best, same := base, true
	for i := range out.Outcomes {
		o := &out.Outcomes[i]
		if o.Refused != "" || o.Missed > base.Missed || o.DelayS > SlackS {
			continue
		}
		same = same && o.FalseTrips == base.FalseTrips && o.Cut == base.Cut && math.Abs(o.HeldS-base.HeldS) < SlackS && math.Abs(o.LimitedS-base.LimitedS) < SlackS && o.DelayS == 0
		// A robot that stands has no trips: who holds it longer has not done better.
		if better(o, best) && o.HeldS <= base.HeldS+SlackS {
			best = o
		}
	}
	switch {
	case best == base && same:
		out.Why = "these recordings do not tell: no value that answers incidents in time changes anything"
	case best == base:
		out.Why = "as it is: no other value has fewer false trips and answers every incident as soon"
	case len(t.out.Incidents) == 0 && k.looser(best.Value):
		out.Why = fmt.Sprintf("%g %s would have %d false trips instead of %d, but without recordings of incidents nobody knows what it misses",
			best.Value, k.unit, best.FalseTrips, base.FalseTrips)
	default:
		v := best.Value
		out.Suggested = &v
		out.Why = fmt.Sprintf("%d false trips instead of %d, restricted %.1f s instead of %.1f s; incidents answered at most %.2f s later, %d of %d missed",
			best.FalseTrips, base.FalseTrips, best.HeldS+best.LimitedS, base.HeldS+base.LimitedS, max(0, best.DelayS), best.Missed, len(t.out.Incidents))
	}
}

// clone copies what knobs change.
func clone(p *config.Policy) *config.Policy {
	out := *p
	out.Zones, out.Triggers, out.CommandChannels = slices.Clone(p.Zones), slices.Clone(p.Triggers), slices.Clone(p.CommandChannels)
	return &out
}
