package policytest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// errName is a name that the documents do not have.
var errName = errors.New("unknown name")

// errAmbiguous is a name that the documents have for more than one thing.
var errAmbiguous = errors.New("ambiguous name")

// input lets happen what a case says.
func (r *run) input(in *Input) error {
	w := r.world
	switch {
	case in.Drive != nil:
		r.drives, r.vx, r.vy, r.w = true, in.Drive[0], in.Drive[1], in.Drive[2]
		r.command = in.Drive
	case in.Command != nil:
		r.drives, r.command = false, in.Command
	}
	if in.Channel != "" {
		i := slices.IndexFunc(r.cfg.Topics.Commands, func(c commandIn) bool { return c.Channel == in.Channel })
		if i < 0 {
			return fmt.Errorf("%w: channel %q is not in the topic mapping", errName, in.Channel)
		}
		r.channel = i
	}
	if in.Pose != nil {
		r.x, r.y, r.yaw = in.Pose[0], in.Pose[1], in.Pose[2]
	}
	if in.Floor != "" {
		if err := r.setFloor(in.Floor); err != nil {
			return err
		}
		w.Apply(guard.Event{Kind: guard.EventFloor, Floor: r.floor})
	}
	if in.StddevM > 0 {
		r.stddev = in.StddevM
	}
	if in.Battery != nil {
		w.Charge = *in.Battery
	}
	if in.Recording != nil {
		w.Recording = *in.Recording
	}
	if in.Attested != nil {
		w.Vouch(*in.Attested)
	}
	if in.Stranger != nil {
		w.Stranger = map[string]string{in.Stranger.Topic: in.Stranger.Name}
	}
	for _, step := range []func(*Input) error{r.silences, r.facts, r.joints, r.people, r.leases} {
		if err := step(in); err != nil {
			return err
		}
	}
	return nil
}

// suppliedInputs are the inputs that the simulated robot supplies, by their names in silence and resume.
var suppliedInputs = map[string]guard.InputSet{
	"joints": guard.InputJoints, "imu": guard.InputIMU, "battery": guard.InputBattery, "cameras": guard.InputCameras, "microphones": guard.InputMicrophones,
}

// silences ends inputs, or lets them go on.
func (r *run) silences(in *Input) error {
	for _, part := range []struct {
		names []string
		on    bool
	}{{in.Silence, false}, {in.Resume, true}} {
		for _, name := range part.names {
			if err := r.unambiguous(name); err != nil {
				return err
			}
			if err := r.silence(name, part.on); err != nil {
				return err
			}
		}
	}
	return nil
}

// unambiguous refuses a name of more than one input: a case that silences another one than it means passes, or fails, for
// a wrong reason.
func (r *run) unambiguous(name string) error {
	var means []string
	if _, ok := suppliedInputs[name]; ok || slices.Contains([]string{"pose", "odometry", "second pose", "bus", "journal"}, name) {
		means = append(means, "an input of the robot")
	}
	if r.source(name) >= 0 {
		means = append(means, "a source of facts of the topic mapping")
	}
	if _, err := r.endpoint(name); err == nil {
		means = append(means, "an endpoint of the policy's channels")
	}
	if len(means) > 1 {
		return fmt.Errorf("%w: silence or resume %q: expected the name of one input, found %s; rename the source or the endpoint",
			errAmbiguous, name, strings.Join(means, " and "))
	}
	return nil
}

// silence ends an input, or lets it go on.
func (r *run) silence(name string, on bool) error {
	if set, ok := suppliedInputs[name]; ok {
		r.world.Supply(set, on)
		return nil
	}
	switch name {
	case "pose", "odometry", "second pose":
		r.silent[name] = !on
		return nil
	case "bus":
		r.world.BusSilent = !on
		return nil
	case "journal":
		if r.world.Journal = guard.JournalFailing; on {
			r.world.Journal = guard.JournalOK
		}
		return nil
	}
	if i := r.source(name); i >= 0 {
		if on {
			return fmt.Errorf("%w: resume %q: a source of facts goes on when it says something; give its text in facts", errName, name)
		}
		r.world.Hush(i)
		return nil
	}
	bit, err := r.endpoint(name)
	if err != nil {
		return err
	}
	if r.world.Silent |= bit; on {
		r.world.Silent &^= bit
	}
	return nil
}

// source is the number of a source of facts, -1 if the mapping has none of that name.
func (r *run) source(name string) int {
	return slices.IndexFunc(r.cfg.Topics.Facts, func(s config.FactSource) bool { return s.ID == name })
}

// facts lets sources say something from now on. A value that the mapping does not list is said all the same: it is unknown.
func (r *run) facts(in *Input) error {
	for _, name := range slices.Sorted(maps.Keys(in.Facts)) {
		i := r.source(name)
		if i < 0 {
			return fmt.Errorf("%w: %q is no source of facts of the topic mapping", errName, name)
		}
		r.world.Say(i, r.cfg.Topics.Facts[i].Index(in.Facts[name]))
	}
	return nil
}

// endpoint is the bit of a channel.
func (r *run) endpoint(name string) (uint32, error) {
	for i, c := range r.cfg.Policy.Channels {
		if c.Endpoint == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("%w: %q is no input and no endpoint of the policy's channels", errName, name)
}

func (r *run) joints(in *Input) error {
	for name, v := range in.Joints {
		i := -1
		if p := r.cfg.Profile.Joints; p != nil {
			i = slices.IndexFunc(p.List, func(j joint) bool { return j.Name == name })
		}
		if i < 0 {
			return fmt.Errorf("%w: joint %q is not in the profile", errName, name)
		}
		r.world.Joint(i, v)
	}
	return nil
}

// people order, reset and answer.
func (r *run) people(in *Input) error {
	for _, s := range []struct {
		name string
		on   bool
	}{{in.StopBy, true}, {in.RunBy, false}} {
		if s.name == "" {
			continue
		}
		bit, err := r.endpoint(s.name)
		if err != nil {
			return err
		}
		if r.world.Stopping |= bit; !s.on {
			r.world.Stopping &^= bit
		}
	}
	if in.Stop {
		r.world.Apply(guard.Event{Kind: guard.EventOrder, Order: guard.Order{Kind: guard.OrderStop, Category: 2, Zone: geofence.NoZone}})
	}
	if in.Clock != "" {
		i := slices.Index([]string{"untrusted", "holdover", "trusted"}, in.Clock)
		if i < 0 {
			return fmt.Errorf("clock: expected trusted, holdover or untrusted, found %q", in.Clock)
		}
		r.world.Trust = uint8(i) //nolint:gosec // at most 2
	}
	if len(in.Reset) == 0 {
		return nil
	}
	var roles []interlock.Role
	for _, name := range in.Reset {
		found := false
		for role := range interlock.NumRoles {
			if role.String() == name {
				roles, found = append(roles, role), true
			}
		}
		if !found {
			return fmt.Errorf("reset: expected roles such as operator or supervisor, found %q", name)
		}
	}
	r.world.Reset(roles...)
	return nil
}

// leases answers requests for zones.
func (r *run) leases(in *Input) error {
	for _, l := range []struct {
		of   *Lease
		kind guard.OrderKind
	}{{in.Lease, guard.OrderLease}, {in.Grant, guard.OrderGrant}} {
		if l.of == nil {
			continue
		}
		zone := slices.IndexFunc(r.cfg.Policy.Zones, func(z zone) bool { return z.ID == l.of.Zone })
		if zone < 0 {
			return fmt.Errorf("%w: zone %q is not in the policy", errName, l.of.Zone)
		}
		o := guard.Order{Kind: l.kind, Zone: zone, Expires: r.world.Now() + time.Duration(l.of.For), Lease: guard.LeaseOrder{State: geofence.Granted}}
		switch l.of.State {
		case "", "granted":
		case "revoked":
			o.Lease.State = geofence.Revoked
		default:
			return fmt.Errorf("lease: expected state granted or revoked, found %q", l.of.State)
		}
		for _, name := range l.of.Facts {
			fact, ok := geofence.ParseFact(name)
			if !ok {
				return fmt.Errorf("lease: unknown fact %q; expected one of badge, door, task", strings.TrimSpace(name))
			}
			o.Lease.Facts |= fact
		}
		r.world.Apply(guard.Event{Kind: guard.EventOrder, Order: o})
	}
	return nil
}
