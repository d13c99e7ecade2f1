package guard

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// pendingPolicy keeps the zones of a policy before the present one in force until the robot stands: so what is tighter
// in the new policy holds at once, and what is looser waits, without anybody having to tell the two apart.
type pendingPolicy struct {
	fence   *geofence.Fence
	verdict geofence.Verdict
	// goal answers about goals by the zones before, nil without a gate for any.
	goal *geofence.Fence
}

// mostPending is how many policies wait for standstill at most, beside the one in force: each is asked about every pose.
const mostPending = 3

var (
	errFloors     = errors.New("the new policy has other floors; that needs a restart of the guard at rest")
	errCommanders = errors.New("the new policy demands another proof of those who command; that needs a restart of the guard at rest")
	errChannels   = errors.New("the new policy has other heartbeat channels; that needs a restart of the guard at rest")
	errHealth     = errors.New("the new policy demands something else of command channels (command_channels); that needs a restart of the guard at rest")
)

// Fits says whether Load would take the parameters now. Floors are known by their index to every source of a floor or a
// pose, and to the newest pose itself, so they have to stay as they are.
func (c *Core) Fits(p *Params) error {
	if !slices.Equal(p.HeartbeatNames, c.params.HeartbeatNames) || !slices.Equal(p.Heartbeats, c.params.Heartbeats) {
		return errChannels
	}
	if !slices.EqualFunc(p.Channels, c.params.Channels, sameProof) {
		return errCommanders
	}
	if !slices.Equal(p.Health, c.params.Health) || p.Follow != c.params.Follow || p.Fall != c.params.Fall {
		return errHealth
	}
	if !slices.Equal(floors(p.Set), floors(c.params.Set)) {
		return errFloors
	}
	if err := p.Overrides.Validate(); err != nil {
		return err
	}
	return p.Rules.Validate()
}

// sameProof says whether two channels' commanders have to prove themselves alike: what a topic carries is agreed when it
// is subscribed to.
func sameProof(a, b ChannelParams) bool { return a.Proven == b.Proven && a.Proof == b.Proof }

func floors(s *geofence.Set) []string {
	var ids []string
	for i := range s.Floors() {
		ids = append(ids, s.Floor(i))
	}
	return ids
}

// Load puts new zones and rules into force. What the robot's zones and latches remember is carried over: a zone loaded
// over the robot holds it, and nothing latched is lost. It is taken while others wait for standstill, too: what is tighter
// must never wait.
func (c *Core) Load(p *Params) error { return c.load(p, geofence.New(p.Set)) }

// load does it with a new fence of the same set.
func (c *Core) load(p *Params, next *geofence.Fence) error {
	if err := c.Fits(p); err != nil {
		return err
	}
	if err := c.machine.Load(p.Rules); err != nil {
		return err
	}
	if err := c.authority.overrides.Load(p.Overrides); err != nil {
		return err
	}
	c.authority.reloaded = true
	next.Carry(c.fence)
	c.keepLeases(c.params.Set, p.Set)
	c.keepZones()
	c.demands.ask(p)
	c.fence, c.params, c.loadedAt = next, p, c.now.Boot
	c.reweigh()
	c.policyFault = interlock.CauseNone
	c.grant = grant{zone: geofence.NoZone} // Its zone index belongs to the set before.
	return nil
}

// Ready is a policy with all that takes long done: it only has to change places with the one in force.
type Ready struct {
	params *Params
	fence  *geofence.Fence
}

// Prepare makes a policy ready. It allocates much and takes no lock, so it may be done aside, see host.Aside in hal/host.
func Prepare(p *Params) *Ready { return &Ready{p, geofence.New(p.Set)} }

// Load puts a policy into force that is ready, and notes it in the journal. document is what the record says: the policy's
// digest and revision. A decision is made by the policy before or by this one; none waits for more than the change.
func (g *Guard) Load(r *Ready, document []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.opt.Core.load(r.params, r.fence); err != nil {
		return err
	}
	g.append(RecordPolicy, document, true)
	g.remember(Resume{Start: g.resume.Start, Policy: bytes.Clone(document)})
	return nil
}

// keepZones lets the zones in force wait for standstill, unless the same ones wait already. If too many wait, the oldest
// are let go of, and nothing may move until the robot stands: then nobody has to remember what they forbade.
func (c *Core) keepZones() {
	same := func(p *pendingPolicy) bool { return p.fence.Set().Digest() == c.fence.Set().Digest() }
	if slices.ContainsFunc(c.pending, same) {
		return
	}
	c.pending = append(c.pending, &pendingPolicy{fence: c.fence, verdict: c.verdict, goal: c.demands.goal})
	if n := len(c.pending) - mostPending; n > 0 {
		c.pending, c.crowded = slices.Delete(c.pending, 0, n), true
	}
}

// stepPending asks the zones before as well, and lets go of them at standstill.
func (c *Core) stepPending(in *geofence.Inputs, standing bool) {
	if standing {
		c.pending, c.crowded = nil, false
	}
	for _, p := range c.pending {
		old := *in
		c.before(&old, p.fence.Set())
		p.fence.Step(c.now, &old, &p.verdict)
		tighten(&c.verdict, &p.verdict)
	}
	if c.crowded {
		forgotten := geofence.Restriction{On: true, Zone: geofence.NoZone, Reason: geofence.ReasonPlaceUnknown}
		tighten(&c.verdict, &geofence.Verdict{
			Place: geofence.PlaceUnknown, Hold: true, Manipulators: forgotten, Perception: forgotten, Remote: forgotten,
		})
	}
}

// before turns inputs for the policy in force into those for zones before it. Indices of roles, tasks and operators belong
// to the set in force; unknown ones bind everything.
func (c *Core) before(in *geofence.Inputs, zones *geofence.Set) {
	in.Roles = 0
	in.Task, in.Operator = geofence.Fact{}, geofence.Fact{}
	in.Egress = geofence.Egress{Zone: geofence.NoZone}
	renumber(&in.Leases, c.params.Set, zones)
	floor := in.Pose.Floor
	in.Pose.Floor = -1
	if i, ok := zones.FloorIndex(c.params.Set.Floor(floor)); ok {
		in.Pose.Floor = i
	}
}

// tighten joins what another verdict demands into v.
func tighten(v, o *geofence.Verdict) {
	v.Faults |= o.Faults
	v.Place = worsePlace(v.Place, o.Place)
	for _, r := range [...]struct{ of, by *geofence.Restriction }{
		{&v.Manipulators, &o.Manipulators},
		{&v.Perception, &o.Perception},
		{&v.Remote, &o.Remote},
		{&v.Dwell, &o.Dwell},
		{&v.DoorHeld, &o.DoorHeld},
		{&v.Lost, &o.Lost},
		{&v.Warn, &o.Warn},
	} {
		if !r.of.On && r.by.On {
			*r.of = *r.by
			r.of.Zone = geofence.NoZone // The index belongs to the set before.
		}
	}
	v.Parts.Place, v.Parts.View = worsePlace(v.Parts.Place, o.Parts.Place), worsePlace(v.Parts.View, o.Parts.View)
	v.Hold, v.Trip = v.Hold || o.Hold, v.Trip || o.Trip
	if o.SpeedLimited {
		if !v.SpeedLimited {
			v.MaxSpeedMPS = math.Inf(1)
		}
		v.SpeedLimited, v.MaxSpeedMPS = true, min(v.MaxSpeedMPS, o.MaxSpeedMPS)
	}
	v.RequiredM, v.MarginM = max(v.RequiredM, o.RequiredM), max(v.MarginM, o.MarginM)
}

// worsePlace joins two places; nobody knowing is the worst.
func worsePlace(a, b geofence.Place) geofence.Place {
	if a == geofence.PlaceUnknown || b == geofence.PlaceUnknown {
		return geofence.PlaceUnknown
	}
	return max(a, b)
}

// limitAll is the geofence's answer to a command under the policy in force and those before it that wait.
func (c *Core) limitAll(cmd geofence.Velocity) geofence.Limit {
	if c.decision.Refuge {
		return c.fence.LimitRefuge(c.now, cmd) // never while a policy waits, see conditions
	}
	l := c.fence.Limit(c.now, cmd)
	for _, p := range c.pending {
		if o := p.fence.Limit(c.now, cmd); !(o.Ratio >= l.Ratio) {
			l.Ratio, l.Reason, l.AllowedMPS = o.Ratio, o.Reason, o.AllowedMPS
		}
	}
	return l
}
