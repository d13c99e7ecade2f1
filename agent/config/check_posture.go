package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// ruleInfeasible names a step that could never be taken as it is written.
const ruleInfeasible = "infeasible"

// checkPosture checks the way down: each step can be taken, is proven by something, and there is time for all of them.
func (d *document) checkPosture(p *Profile) {
	if p.Posture == nil || !d.clean("posture") {
		return
	}
	steps := p.Posture.Steps
	balance := interlock.PostureBalance.String()
	if steps[0].Posture != balance {
		d.wrong(at("posture", "steps", 0, "posture"), ruleOrder, "balance first", steps[0].Posture, "it is where the way down begins")
		return
	}
	if s := steps[0]; s.Rung != "" || s.ShownBy != nil || len(s.Needs)+len(s.After) > 0 || s.LastResort || s.MinCharge > 0 || s.AckWithin > 0 {
		d.wrong(at("posture", "steps", 0), ruleExclusive, "posture and within alone", "more", "nobody commands the robot to balance")
	}
	rests := false
	for i := 1; i < len(steps); i++ {
		d.checkPostureStep(p, i)
		rests = rests || !steps[i].Powered
	}
	if !rests {
		d.wrong(at("posture", "steps"), ruleInfeasible, "a step without powered: true", "none", "the robot would use up battery and motors in each of them")
	}
	if p.Posture.Battery == nil && p.Posture.Heat == nil && steps[0].Within == 0 {
		d.wrong(at("posture"), "unused", "battery, heat, or within for balance", "none of them", "nothing would ever make the robot go down")
	}
	if k := p.Rest.Kind; (k == RestKneel || k == RestSit) && p.Posture.Index(k) < 0 {
		d.wrong(at("posture", "steps"), ruleOrder, "a step for "+k+", as rest.kind is", "none", "the ladder's stop and the way down end in one posture")
	}
	d.checkPostureTime(p)
}

func (d *document) checkPostureStep(p *Profile, i int) {
	s, where := &p.Posture.Steps[i], at("posture", "steps", i)
	if p.Posture.Index(s.Posture) != i {
		d.wrong(where.child("posture"), ruleDuplicate, "each posture once", s.Posture+" again", "")
	}
	if s.Within == 0 || s.ShownBy == nil {
		d.about(where.find(d.root), where, Problem{
			Rule: ruleMissing, Expected: "within and shown_by", Found: "not both", Hint: "a step without an end, or that nothing shows, would never give way to the next",
			Example: "within: 8s",
		})
		return
	}
	if s.AckWithin > s.Within {
		d.wrong(where.child("ack_within"), ruleOrder, "at most within ("+shortDuration(s.Within)+")", shortDuration(s.AckWithin), "")
	}
	off := s.Posture == interlock.PostureOff.String()
	if off && len(s.After) == 0 && !s.LastResort {
		d.wrong(where, "power-cut", "after: the postures in which the robot does not fall without power", "nothing",
			"a robot that stands by balance would fall; last_resort: true says that it may")
	}
	for k, name := range s.After {
		if j := p.Posture.Index(name); name != interlock.PostureLying.String() && (j < 1 || j >= i) {
			d.wrong(where.child("after").item(k), ruleInfeasible, "a step before this one", name, "the robot would never be there")
		}
	}
	if p.Fall == nil && (slices.Contains(s.Needs, "upright") || slices.Contains(s.After, interlock.PostureLying.String())) {
		d.wrong(where.child("needs"), ruleInfeasible, "a fall section, by which it is known whether the robot is upright", "none", "what nobody knows is never so")
	}
	if slices.Contains(s.Needs, "empty-hands") && len(p.Loads) == 0 {
		d.wrong(where.child("needs"), ruleInfeasible, "loads, of which facts say whether they are carried", "none", "the outline has a load that nobody could say is gone")
	}
	if s.MinCharge > 0 && p.Posture.Battery == nil {
		d.wrong(where.child("min_charge"), ruleInfeasible, "a battery section", "none", "the charge would not be known")
	}
	d.checkPostureRung(p, s, where)
	d.checkPostureProof(p, s, where.child("shown_by"))
}

// checkPostureRung checks the rung that a step goes by.
func (d *document) checkPostureRung(p *Profile, s *PostureStep, where *path) {
	if s.Rung == "" {
		return
	}
	if first := slices.IndexFunc(p.Posture.Steps, func(o PostureStep) bool { return o.Rung == s.Rung }); p.Posture.Steps[first].Posture != s.Posture {
		d.wrong(where.child("rung"), ruleDuplicate, "a rung of its own", "that of "+p.Posture.Steps[first].Posture, "one request cannot ask for two postures")
	}
	i := slices.IndexFunc(p.Ladder, func(r Rung) bool { return r.Name == s.Rung })
	if i < 0 {
		d.unknownName(where.child("rung"), s.Rung, names(p.Ladder, func(r Rung) string { return r.Name }), "the stop ladder")
		return
	}
	if k := p.Ladder[i].Kind; slices.Contains([]string{RungZeroVelocity, RungLock, RungDockService, RungWatchdog}, k) {
		d.wrong(where.child("rung"), ruleInfeasible, "a rung that takes the robot down, or takes its power", "a "+k+" rung", "no posture comes of it")
	}
}

func (d *document) checkPostureProof(p *Profile, s *PostureStep, where *path) {
	proof := s.ShownBy
	if len(proof.Joints) == 0 && !proof.Acknowledged {
		d.wrong(where, ruleMissing, "joints, or acknowledged: true", "neither", "nothing would show the posture")
	}
	if proof.Acknowledged && len(proof.Joints) == 0 && s.AckWithin == 0 {
		d.wrong(where.child("acknowledged"), ruleInfeasible, "ack_within", "a request that is not answered", "nothing would show the posture")
	}
	for k, j := range proof.Joints {
		at := where.child("joints").item(k)
		n := -1
		if p.Joints != nil {
			n = slices.IndexFunc(p.Joints.List, func(o Joint) bool { return o.Name == j.Joint })
		}
		switch {
		case n < 0:
			var known []string
			if p.Joints != nil {
				known = names(p.Joints.List, func(o Joint) string { return o.Name })
			}
			d.unknownName(at.child("joint"), j.Joint, known, "the profile's joints")
		case j.Min >= j.Max:
			d.wrong(at.child("max"), ruleOrder, "more than min ("+trimFloat(j.Min)+")", trimFloat(j.Max), "")
		default:
			if o := &p.Joints.List[n]; o.Min != nil && j.Max < *o.Min || o.Max != nil && j.Min > *o.Max {
				d.wrong(at, ruleInfeasible, "a range that the joint can reach", trimFloat(j.Min)+" to "+trimFloat(j.Max), "it is beyond the joint's end stops")
			}
		}
	}
}

// checkPostureTime checks that a full battery and a cold motor leave the time, and that no step asks for more charge than is left
// when its turn comes.
func (d *document) checkPostureTime(p *Profile) {
	spec := p.PostureSpec()
	need := spec.Need()
	if b := p.Posture.Battery; b != nil {
		begin := b.EmptyRatio + float64(b.PerMinute*need.Minutes())
		if begin >= 1 {
			d.wrong(at("posture", "battery"), ruleInfeasible, "a battery that lasts longer than the way down ("+shortDuration(need.Round(time.Second))+")", "one that does not", "the robot could never stand")
		}
		left := time.Duration(0)
		for i := spec.N - 1; i > 0; i-- {
			s := &spec.Steps[i]
			left += s.Within + s.Proof.Dwell
			if most := b.EmptyRatio + float64(b.PerMinute*left.Minutes()); s.MinCharge > most {
				d.wrong(at("posture", "steps", i, "min_charge"), ruleInfeasible,
					fmt.Sprintf("at most %.3f, the charge that is left when its turn comes", most), trimFloat(s.MinCharge), "the step would be left out when it comes late")
			}
		}
	}
	const cool = 35 // °C, of motors that have just begun to work
	if h := p.Posture.Heat; h != nil && h.LimitC-float64(h.PerMinuteC*need.Minutes()) <= cool {
		d.wrong(at("posture", "heat"), ruleInfeasible, "motors that last longer than the way down ("+shortDuration(need.Round(time.Second))+")", "motors that do not", "the robot could never stand")
	}
}

// checkPostureMapped reports what the way down needs and the topic mapping does not have.
func (d *document) checkPostureMapped(p *Profile, t *Topics) {
	if p.Posture == nil {
		return
	}
	if p.Posture.Battery != nil && t.Battery == nil {
		d.wrong(at("posture", "battery"), "unmapped", "battery in the topic mapping", "a mapping without it", "its end could not be seen")
	}
	if p.Posture.Heat != nil && t.Heat == nil {
		d.wrong(at("posture", "heat"), "unmapped", "heat in the topic mapping", "a mapping without it", "the motors' heat could not be seen")
	}
	for i := 1; i < len(p.Posture.Steps); i++ {
		s := &p.Posture.Steps[i]
		if s.Rung == "" && s.Posture != "" && t.Services.Posture(s.Posture) == nil {
			d.wrong(at("posture", "steps", i), "unmapped", "services."+s.Posture+" in the topic mapping, or a rung", "neither", "this step could not be commanded")
		}
		if s.ShownBy != nil && len(s.ShownBy.Joints) > 0 && t.Joints == nil {
			d.wrong(at("posture", "steps", i, "shown_by"), "unmapped", "joints in the topic mapping", "a mapping without them", "the posture could not be seen")
		}
		if slices.Contains(s.Needs, "empty-hands") && !slices.ContainsFunc(t.Facts, func(f FactSource) bool { return f.Kind == "load" }) {
			d.wrong(at("posture", "steps", i, "needs"), ruleInfeasible, "a fact of kind load in the topic mapping", "none", "nobody would say that the hands are empty")
		}
	}
}
