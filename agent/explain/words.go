package explain

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// meaning is a rule of the geofence in a sentence.
func meaning(r geofence.Reason) string {
	switch r {
	case geofence.ReasonNone:
		return "nothing restricts the robot here"
	case geofence.ReasonNotReady:
		return "the geofence has not judged any pose yet"
	case geofence.ReasonPoseFault:
		return "the pose or the measured speed cannot be believed, so the robot holds"
	case geofence.ReasonCommandNotFinite:
		return "the command is not a number"
	case geofence.ReasonProfileSpeed:
		return "the command is faster than the robot's profile allows"
	case geofence.ReasonPoseQuality:
		return "the pose is too uncertain for more than creep speed"
	case geofence.ReasonSpeedZone:
		return "part of the robot is in a zone with a speed limit"
	case geofence.ReasonSpeedAhead:
		return "a zone with a speed limit lies ahead, and the limit has to be reached when entering"
	case geofence.ReasonEdgeAhead:
		return "faster, the robot could not stop before the edge of a place where it must not be"
	case geofence.ReasonMargin:
		return "the robot is in the margin of an edge: creep speed at most, and no closer"
	case geofence.ReasonInside:
		return "part of the robot is where it must not be, so it holds"
	case geofence.ReasonEgress:
		return "the robot leaves by a grant, at creep speed"
	case geofence.ReasonEgressDirection:
		return "there is a grant to leave, but this motion does not lead out"
	case geofence.ReasonFloorDenied:
		return "no KEEP_IN zone of this floor applies, and the floor is not unbounded, so the robot holds"
	case geofence.ReasonMeasuredMotion:
		return "the motion that the robot has cannot stop before an edge any more"
	case geofence.ReasonNoManipulation:
		return "the robot is in a zone, or its margin, in which arms and hands rest"
	case geofence.ReasonPrivacy:
		return "the robot is in a zone, or its margin, in which cameras and microphones are closed"
	case geofence.ReasonDwell:
		return "the robot has been in a zone for longer than it may stay there"
	case geofence.ReasonDoorHeld:
		return "the robot has been in a door for longer than a door may be held"
	case geofence.ReasonPlaceUnknown:
		return "nobody knows where the robot is, so it may be in the zone"
	case geofence.ReasonContinue:
		return "the robot lost its lease inside, and may creep on for a while"
	case geofence.ReasonEvacuate:
		return "the robot lost its lease inside, and may creep out"
	case geofence.ReasonRefuge:
		return "the robot is held in a zone in which it must not stand, and may creep out"
	case geofence.ReasonPartInside:
		return "a part of the robot's body reaches into a zone that is closed to it"
	case geofence.ReasonPartMargin:
		return "a part of the robot's body is so close to a zone that it may be inside before it is at rest"
	case geofence.ReasonPartUnknown:
		return "joints are not known, and what they could reach meets the zone"
	case geofence.ReasonWarn:
		return "the robot is in a zone's warn ring; nothing is restricted yet"
	case geofence.ReasonDirection:
		return "the robot is in a zone with a direction of travel, or its margin, and this motion deviates from it"
	case geofence.ReasonDirectionAhead:
		return "a zone with a direction of travel lies ahead, and this motion would enter it in another direction"
	case geofence.ReasonView:
		return "a camera may see into a zone that it must not look into"
	case geofence.ReasonBudget:
		return "there is too much nearby to judge in time, so the robot holds"
	}
	return "an unknown rule"
}

func listOr(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

func roleWords(z *config.Zone) string {
	if len(z.Roles) > 0 {
		return "only robots with " + strings.Join(z.Roles, " or ")
	}
	return "all robots but those with " + strings.Join(z.ExceptRoles, " or ")
}

func shiftWords(z *config.Zone) string {
	if len(z.Shifts) > 0 {
		return "only in shift " + strings.Join(z.Shifts, " or ")
	}
	return "only outside shift " + strings.Join(z.OutsideShifts, " and ")
}

// WriteText writes the answer for people.
func (a *Answer) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "(%s)\n", a.Note)
	line("decision", "%s", strings.ToUpper(a.Decision))
	if a.Zone == "" {
		line("rule", "%s: %s", a.Rule, a.Meaning)
	} else {
		line("rule", "%s, zone %s: %s", a.Rule, a.Zone, a.Meaning)
	}
	if a.Reason != "" {
		line("reason", "%s", a.Reason)
	}
	if a.Faults != "" {
		line("faults", "%s", a.Faults)
	}
	line("speed", "%.2f m/s of %.2f m/s asked%s", a.AllowedMPS, a.AskedMPS, turning(a))
	for _, o := range a.Others {
		line("", "%s %s by zone %s: %s", o.Axis, o.State, o.Zone, o.Meaning)
	}
	if a.ZoneLimitMPS != nil {
		line("", "speed zones and the pose's quality allow %.2f m/s here", *a.ZoneLimitMPS)
	}
	q := &a.Asked
	line("robot", "%s at (%.3f, %.3f), facing %.0f° from x, floor %s; roles: %s", q.Profile, q.X, q.Y, q.Yaw*180/math.Pi, q.Floor,
		map[bool]string{true: listOr(q.Roles, "none"), false: "unknown, so every zone may bind"}[q.RolesKnown])
	at, _ := time.Parse(time.RFC3339, q.Time)
	line("time", "%s, %s, clock %s", at.Format("Monday"), q.Time, q.Clock)
	line("pose", "±%.3f m, so %.2f m are kept clear; the motion that it has needs %.2f m to stop", q.StdDevM, a.MarginM, a.RequiredM)
	line("policy", "%s revision %d", q.Policy, q.Revision)
	a.list(&b, "applied", func(z *Zone) bool { return z.Applies() })
	a.list(&b, "binding, did not decide", func(z *Zone) bool { return z.State == InReach || z.State == OutOfReach })
	a.list(&b, "did not bind", func(z *Zone) bool { return !z.Applies() && z.State != InReach && z.State != OutOfReach })
	_, err := io.WriteString(w, b.String())
	return err
}

func turning(a *Answer) string {
	if w := a.Asked.Command.YawRate; w != 0 {
		return fmt.Sprintf(", turning at %.2f rad/s of %.2f rad/s", w*a.Ratio, w)
	}
	return ""
}

func (a *Answer) list(b *strings.Builder, title string, which func(*Zone) bool) {
	wide, n := 0, 0
	for i := range a.Zones {
		if which(&a.Zones[i]) {
			wide, n = max(wide, len(a.Zones[i].ID)), n+1
		}
	}
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n", title)
	for i := range a.Zones {
		if z := &a.Zones[i]; which(z) {
			fmt.Fprintf(b, "  %-*s  %-11s  %s\n", wide, z.ID, z.Type, z.Why)
		}
	}
}
