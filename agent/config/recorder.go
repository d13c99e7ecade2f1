package config

import "time"

// Kinds of what a flight recording holds.
const (
	// RecordMotion is poses, odometry, joints, inertial measurements, battery, velocity commands, the bus and decisions.
	RecordMotion = "motion"
	// RecordPeople is orders, sessions of remote control, heartbeat answers, badges, doors and tasks.
	RecordPeople = "people"
	// RecordCameras is whether cameras and microphones are on, and who has them open. Pictures and sound never reach the guard.
	RecordCameras = "cameras"
)

// Recorder says what is kept of the inputs around each trip.
type Recorder struct {
	// Enabled false keeps nothing; then Reason says why.
	Enabled *bool `cfg:"enabled,optional" eg:"enabled: false"`
	// Reason is required to switch off.
	Reason string `cfg:"reason,optional" len:"8..256" eg:"reason: the fleet records everything itself"`
	// Before is how much is kept from before the trip; the default is 20 s.
	Before time.Duration `cfg:"before,optional" range:"[1s,2m]" default:"20s" eg:"before: 20s"`
	// After is how much is kept from after it; the default is 10 s.
	After time.Duration `cfg:"after,optional" range:"[1s,1m]" default:"10s" eg:"after: 10s"`
	// Kinds are what is kept, and for how long; absent, motion alone.
	Kinds []RecordedKind `cfg:"kinds,optional" len:"1..3" eg:"kinds: [{kind: motion, access: operations, files: 32, mib: 64, keep: 720h}]"`
}

// RecordedKind is one kind of inputs, kept in files of its own.
type RecordedKind struct {
	// Kind is what.
	Kind string `cfg:"kind" enum:"motion|people|cameras" eg:"kind: motion"`
	// Access names who may see it. It is the folder's name and stands in the file.
	Access string `cfg:"access" form:"id" eg:"access: operations"`
	// Files is how many are kept, MiB how much they take together; the oldest go first.
	Files int `cfg:"files" range:"[1,1024]" eg:"files: 32"`
	// MiB is how much they take together.
	MiB int `cfg:"mib" range:"[4,4096]" eg:"mib: 64"`
	// Keep is how long they are kept.
	Keep time.Duration `cfg:"keep" range:"[1h,8760h]" eg:"keep: 720h"`
}

// FlightRecorder is what is kept of the inputs around each trip, with the defaults of what the policy leaves out. No kind means
// nothing.
func (p *Policy) FlightRecorder() Recorder {
	out := Recorder{Before: 20 * time.Second, After: 10 * time.Second}
	if r := p.Recorder; r != nil {
		out = *r
	}
	if out.Enabled != nil && !*out.Enabled {
		out.Kinds = nil
	} else if len(out.Kinds) == 0 {
		out.Kinds = []RecordedKind{{Kind: RecordMotion, Access: "operations", Files: 32, MiB: 64, Keep: 720 * time.Hour}}
	}
	return out
}

// checkRecorder checks what the types cannot say.
func (d *document) checkRecorder(p *Policy) {
	r := p.Recorder
	if r == nil {
		return
	}
	where := at("recorder")
	for i := range r.Kinds {
		for j := range i {
			if r.Kinds[i].Kind == r.Kinds[j].Kind {
				d.wrong(at("recorder", "kinds", i, "kind"), ruleDuplicate, "each kind once", r.Kinds[i].Kind+" again", "")
			}
		}
	}
	switch off := r.Enabled != nil && !*r.Enabled; {
	case off && r.Reason == "":
		d.wrong(where.child("reason"), "missing", "a reason, since the flight recorder is switched off", "none", "")
	case off:
		d.warn(where.child("enabled"), "switched-off", "a flight recorder", "nothing is kept around trips: "+r.Reason, "")
	case r.Reason != "":
		d.wrong(where.child("reason"), ruleExclusive, "a reason only with enabled: false", "a recorder in force", "")
	}
}
