package zones

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/explain"
	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/internal/cli/answer"
	"github.com/robowarden/robowarden/geofence"
)

// explainFlags is what explain is told.
type explainFlags struct {
	policy, profile, topics            string
	at, floor, time, speed, clock, out string
	stddev                             float64
	joints                             map[string]string
	task, operator                     string
	loads, leases                      []string
	who                                who
}

// NewExplain returns the command "explain".
func NewExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain --policy P --profile R --at x,y,z,yaw --floor F --time TIME",
		Short: "Say what the geofence would decide at a pose and a time, and why",
		Long: `Explain asks the geofence, the same code as on the robot, about one pose at one time: the decision and the rule that
decides, the zones that apply, the speed that would pass, and for each other zone why it did not. The policy need not be
signed: it is a what-if, and nothing is put into force.

Without --robot or --role nobody knows the robot's roles, and every zone may bind. Without --speed the robot stands and
asks to go straight ahead as fast as it can. With it, the robot moves and is commanded so.

Exit status: 0 motion is allowed, 1 motion is denied or a document is refused, 2 used wrongly.`,
		Example: `  robowarden-station explain --policy policy.yaml --profile profile.yaml --at 9.5,13,0,1.57 --floor ground \
    --time 2026-11-02T22:00 --robot hum-0007
  robowarden-station explain --policy policy.yaml --profile profile.yaml --at 9.5,12,0,0 --floor ground \
    --time 2026-11-02T22:00:00+01:00 --role delivery --speed 0.6,0,0.1 --output json`,
		Args: cli.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	s := cmd.Flags()
	s.StringVar(&f.policy, "policy", "", "the policy, plain YAML")
	s.StringVar(&f.profile, "profile", "", "the robot's profile")
	s.StringVar(&f.topics, "topics", "", "the topic mapping, for what stands in for an unknown covariance")
	s.StringVar(&f.at, "at", "", "the pose x,y,z,yaw, or x,y,yaw for z 0: metres and radians in the floor's map frame")
	s.StringVar(&f.floor, "floor", "", "the floor's id")
	s.StringVar(&f.time, "time", "", "the time, by the policy's clock (2026-11-02T22:00) or RFC 3339")
	s.StringVar(&f.speed, "speed", "", "how the robot moves and is commanded: vx,vy,w in m/s and rad/s, base frame")
	s.StringVar(&f.clock, "clock", "trusted", "how far the robot's clock is believed: trusted, holdover, untrusted")
	s.Float64Var(&f.stddev, "stddev", 0, "the pose's standard deviation in metres; default: the profile's min_stddev_m")
	s.StringToStringVar(&f.joints, "joints", nil, "joints' positions, name=value in rad or m; those not given are unknown, and all that they could reach counts")
	s.StringVar(&f.task, "task", "", "what the robot is doing, an id of the policy's tasks, or none; not given, nobody knows")
	s.StringVar(&f.operator, "operator", "", "on whose behalf, an id of the policy's operators, or none; not given, nobody knows")
	s.StringSliceVar(&f.loads, "load", nil, "what it carries, ids of the profile's loads, or none; not given, all of them")
	s.StringArrayVar(&f.leases, "lease", nil, "the answer to a request, ZONE=STATE[,SPEED[,FACT+FACT]]: GRANTED, REVOKED, ... , m/s (0.3), badge, door or task")
	s.StringVar(&f.out, "output", "text", "text for people, json for programs")
	f.who.flags(cmd)
	return cmd
}

func (f *explainFlags) run(cmd *cobra.Command) error {
	asJSON, err := wantJSON(f.out)
	if err != nil {
		return err
	}
	for _, need := range []struct{ flag, value string }{
		{"policy", f.policy}, {"profile", f.profile}, {"at", f.at}, {"floor", f.floor}, {"time", f.time},
	} {
		if need.value == "" {
			return answer.Usage("--%s is needed", need.flag)
		}
	}
	cfg, err := load(f.policy, f.profile, f.topics)
	if err != nil {
		return answer.Refused(cmd.ErrOrStderr(), err)
	}
	if cfg.Profile == nil {
		return answer.Usage("%s: expected a document of kind robot-profile", f.profile)
	}
	q := explain.Question{Policy: cfg.Policy, Profile: cfg.Profile, Topics: cfg.Topics, Floor: f.floor}
	note, err := f.question(&q)
	if err != nil {
		return err
	}
	if note != "" {
		cmd.PrintErrln(note)
	}
	a, err := explain.Ask(&q)
	if err != nil {
		return answer.With(answer.Misused, err)
	}
	if asJSON {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(a)
	} else {
		err = a.WriteText(cmd.OutOrStdout())
	}
	if err == nil && a.Decision == explain.Denied {
		return cli.ErrNo
	}
	return err
}

// positions reads the joints, which the profile must have.
func (f *explainFlags) positions(p *config.Profile) (map[string]float64, error) {
	out := map[string]float64{}
	for name, text := range f.joints {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, answer.Usage("--joints: expected name=number, found %s=%s", name, text)
		}
		if p.Joints == nil || !slices.ContainsFunc(p.Joints.List, func(j config.Joint) bool { return j.Name == name }) {
			return nil, answer.Usage("--joints: the profile has no joint %q", name)
		}
		out[name] = v
	}
	return out, nil
}

// question reads the flags into a question.
func (f *explainFlags) question(q *explain.Question) (note string, err error) {
	pose, err := numbers("at", f.at, "9.5,13,0,1.57", "x,y,z,yaw", "x,y,yaw")
	if err != nil {
		return "", err
	}
	q.X, q.Y, q.Yaw = pose[0], pose[1], pose[len(pose)-1]
	if len(pose) == 4 {
		q.Z = pose[2]
	}
	if f.speed != "" {
		v, err := numbers("speed", f.speed, "0.6,0,0.1", "vx,vy,w")
		if err != nil {
			return "", err
		}
		q.Speed = &geofence.Velocity{VX: v[0], VY: v[1], YawRate: v[2]}
	}
	if !(f.stddev >= 0 && f.stddev <= 1000) {
		return "", answer.Usage("--stddev: expected metres, 0 or more, found %v", f.stddev)
	}
	q.StdDevM = f.stddev
	if q.Joints, err = f.positions(q.Profile); err != nil {
		return "", err
	}
	var known bool
	for _, trust := range []geofence.ClockTrust{geofence.ClockTrusted, geofence.ClockHoldover, geofence.ClockUntrusted} {
		if f.clock == trust.String() {
			q.Trust, known = trust, true
		}
	}
	if !known {
		return "", answer.Usage("--clock: expected trusted, holdover or untrusted, found %q", f.clock)
	}
	if q.At, note, err = moment("time", f.time, q.Policy.Timezone.Location); err != nil {
		return "", err
	}
	if year := q.At.Year(); year < 2000 || year > 2200 {
		return "", answer.Usage("--time: expected a year from 2000 to 2200, found %s", q.At.Format(time.RFC3339))
	}
	q.Task, q.Operator = f.task, f.operator
	q.LoadsKnown = len(f.loads) > 0
	if len(f.loads) != 1 || f.loads[0] != config.FactNone {
		q.Loads = f.loads
	}
	for _, text := range f.leases {
		l, err := lease(text)
		if err != nil {
			return "", err
		}
		q.Leases = append(q.Leases, l)
	}
	q.Roles, q.RolesKnown, err = f.who.resolve(q.Policy)
	return note, err
}

// leaseSpeed is a lease's speed in m/s where none is given.
const leaseSpeed = 0.3

// lease reads ZONE=STATE[,SPEED[,FACT+FACT]].
func lease(text string) (explain.Lease, error) {
	var none explain.Lease
	wrong := func(found string) error {
		return answer.Usage("--lease: expected zone=STATE[,speed[,fact+fact]], such as lab-door=GRANTED,0.4,badge+door; found %q in %q", found, text)
	}
	zone, rest, ok := strings.Cut(text, "=")
	parts := strings.Split(rest, ",")
	if !ok || zone == "" || len(parts) > 3 {
		return none, wrong(text)
	}
	l := explain.Lease{Zone: zone, MaxSpeedMPS: leaseSpeed}
	for s := geofence.Requested; s <= geofence.Expired; s++ {
		if s.String() == parts[0] {
			l.State = s
		}
	}
	if l.State == geofence.NoLease {
		return none, wrong(parts[0])
	}
	if len(parts) > 1 {
		v, err := strconv.ParseFloat(parts[1], 64)
		if err != nil || !(v > 0 && v <= 50) {
			return none, wrong(parts[1])
		}
		l.MaxSpeedMPS = v
	}
	if len(parts) > 2 {
		for name := range strings.SplitSeq(parts[2], "+") {
			fact, ok := geofence.ParseFact(name)
			if !ok {
				return none, wrong(name)
			}
			l.Facts |= fact
		}
	}
	return l, nil
}
