package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
	"github.com/robowarden/robowarden/geofence"
)

const (
	ruleURDF    = "urdf"
	ruleCapsule = "capsule"
)

// readURDF reads the URDF that a profile names. It lies beside the profile, or, in the store by content that replays read,
// under its digest; the digest is what counts.
func (l *loader) readURDF(d *document, k *Kinematics) *urdf.Model {
	where := at("kinematics", "urdf")
	if k.URDF == "" || k.SHA256 == (Digest{}) {
		return nil // reported already
	}
	folder := filepath.Dir(d.file)
	raw, err := readFile(filepath.Join(folder, k.URDF))
	if err != nil {
		var again error
		if raw, again = readFile(filepath.Join(folder, hex.EncodeToString(k.SHA256[:])+".urdf")); again != nil {
			d.about(where.find(d.root), where, Problem{Rule: "unreadable-file", Expected: "a file that can be read", Found: reason(err), folder: resolve(folder, ".")})
			return nil
		}
	}
	if sum := Digest(sha256.Sum256(raw)); sum != k.SHA256 {
		d.about(at("kinematics", "sha256").find(d.root), at("kinematics", "sha256"), Problem{
			Rule: "pin-mismatch", Expected: "the digest of " + k.URDF + ", " + sum.String(), Found: k.SHA256.String(),
			Hint: "if the change to that file is meant, review it, put its digest here, and sign a policy for the changed profile", Example: `sha256: "` + sum.String() + `"`,
		})
		return nil
	}
	l.cfg.Raw.URDF, l.cfg.Digests.URDF = raw, k.SHA256
	m, err := urdf.Parse(raw)
	for _, err := range unjoin(err) {
		d.wrong(where, ruleURDF, "a URDF that the guard can use", k.URDF+", "+err.Error(), "")
	}
	return m
}

// checkKinematics reads the URDF and builds the geofence's chain from it.
func (l *loader) checkKinematics(d *document, p *Profile) {
	k := p.Kinematics
	if k == nil {
		return
	}
	if p.Joints == nil {
		d.wrong(at("kinematics"), ruleMissing, "joints in the profile", "none", "the body's parts are where the joints put them; list the joints")
		return
	}
	before := d.errors
	m := l.readURDF(d, k)
	if m == nil || d.errors > before || !d.clean("kinematics") || !d.clean("joints") {
		return
	}
	b := &bodyBuilder{d: d, p: p, m: m, out: &geofence.ChainSpec{
		Base: p.Body.BaseFrame, BaseLowM: k.BaseLowM, BaseHighM: k.BaseHighM, TiltRad: k.TiltRad,
		JointErrorRad: k.JointErrorRad, JointErrorM: k.JointErrorM, Reaction: k.Reaction, MaxAge: p.Joints.MaxAge,
	}}
	if k.BaseLink != "" {
		b.out.Base = k.BaseLink
	}
	b.joints()
	b.parts()
	b.cameras()
	b.contained(k)
	if d.errors > before {
		return
	}
	b.compile()
	if d.errors == before {
		k.Chain = b.out
	}
}

// bodyBuilder makes a chain of a URDF and a profile.
type bodyBuilder struct {
	d   *document
	p   *Profile
	m   *urdf.Model
	out *geofence.ChainSpec
}

// fault files a problem about a line of the URDF.
func (b *bodyBuilder) fault(line int, expected, found, hint string) {
	b.d.wrong(at("kinematics", "urdf"), ruleURDF, expected, fmt.Sprintf("%s, line %d: %s", b.p.Kinematics.URDF, line, found), hint)
}

func (b *bodyBuilder) joints() {
	for i := range b.m.Joints {
		j := &b.m.Joints[i]
		out := geofence.JointSpec{
			Name: j.Name, Parent: j.Parent, Child: j.Child, Kind: geofence.JointRevolute, Axis: j.Axis,
			Origin: geofence.Origin{XYZ: j.Origin.XYZ, RPY: j.Origin.RPY}, Scale: 1,
		}
		switch j.Type {
		case urdf.Fixed:
			out.Kind = geofence.JointFixed
		case urdf.Prismatic:
			out.Kind = geofence.JointPrismatic
		}
		if out.Kind != geofence.JointFixed {
			b.moving(j, &out)
		}
		b.out.Joints = append(b.out.Joints, out)
	}
}

// moving finds a joint, or the one that it mimics, among the profile's.
func (b *bodyBuilder) moving(j *urdf.Joint, out *geofence.JointSpec) {
	name := j.Name
	if j.Mimic != nil {
		name, out.Scale, out.Offset = j.Mimic.Joint, j.Mimic.Multiplier, j.Mimic.Offset
	}
	n := slices.IndexFunc(b.p.Joints.List, func(o Joint) bool { return o.Name == name })
	if n < 0 {
		b.fault(j.Line, "each moving joint in joints.list", fmt.Sprintf("%q is not there", name), "the guard has to know its limits and its place in joint states")
		return
	}
	o := &b.p.Joints.List[n]
	out.Number, out.MaxVelocity, out.Min, out.Max = n, o.MaxVelocity, math.Inf(-1), math.Inf(1)
	if o.Min != nil && o.Max != nil {
		out.Min, out.Max = *o.Min, *o.Max
	}
	switch {
	case o.Continuous && j.Type != urdf.Continuous:
		b.fault(j.Line, "the same end stops as in joints.list", fmt.Sprintf("%q is %s, and continuous there", name, j.Type), "")
	case j.Mimic == nil && j.Type != urdf.Continuous && (out.Min < j.Lower-limitToleranceRad || out.Max > j.Upper+limitToleranceRad):
		b.d.warn(at("joints", "list", n), "limits", fmt.Sprintf("no more than the URDF's limits, %s to %s", trimFloat(j.Lower), trimFloat(j.Upper)),
			trimFloat(out.Min)+" to "+trimFloat(out.Max), "a position between the two counts as sound although the joint cannot have it")
	}
}

// limitToleranceRad is how far the profile's limits may go beyond the URDF's without a word.
const limitToleranceRad = 0.02

// parts gives each link of a group its capsules.
func (b *bodyBuilder) parts() {
	k := b.p.Kinematics
	done := map[string]bool{}
	for i, g := range k.Parts {
		b.out.Groups = append(b.out.Groups, geofence.GroupSpec{Name: g.Name, Links: g.Links})
		for n, name := range g.Links {
			if !done[name] {
				done[name] = true
				b.link(at("kinematics", "parts", i, "links", n), name)
			}
		}
	}
	for i, c := range k.Capsules {
		switch link := b.find(c.Link); {
		case link == nil:
			b.noLink(at("kinematics", "capsules", i, "link"), c.Link)
		case !done[c.Link]:
			b.d.warn(at("kinematics", "capsules", i), "unused", "a link that a group of parts names", c.Link, "")
		}
	}
}

func (b *bodyBuilder) find(name string) *urdf.Link {
	for i := range b.m.Links {
		if b.m.Links[i].Name == name {
			return &b.m.Links[i]
		}
	}
	return nil
}

func (b *bodyBuilder) noLink(where *path, name string) {
	hint := ""
	if c := closest(name, names(b.m.Links, func(l urdf.Link) string { return l.Name })); c != "" {
		hint = "did you mean " + c + "?"
	}
	b.d.wrong(where, ruleUnknownName, "a link of the URDF", name, hint)
}

// link adds a link's own capsules, or those of its shapes.
func (b *bodyBuilder) link(where *path, name string) {
	link := b.find(name)
	if link == nil {
		b.noLink(where, name)
		return
	}
	given := false
	for _, c := range b.p.Kinematics.Capsules {
		if c.Link == name {
			b.out.Parts = append(b.out.Parts, geofence.PartSpec{Link: name, From: three(c.From), To: three(c.To), RadiusM: c.RadiusM})
			given = true
		}
	}
	if given {
		return
	}
	for i := range link.Collisions {
		c := &link.Collisions[i]
		if c.Shape == urdf.Mesh {
			b.fault(c.Line, "capsules for the link "+name+", whose shape is a mesh", shorten(c.File),
				"add one under kinematics.capsules that contains it; robowarden opens no mesh on a robot")
			continue
		}
		p, _ := capsuleOf(c)
		p.Link = name
		b.out.Parts = append(b.out.Parts, p)
	}
	if len(link.Collisions) == 0 {
		b.fault(link.Line, "a collision shape, or capsules, for the link "+name, "it has none", "add one under kinematics.capsules")
	}
}

func three(v []float64) (out [3]float64) {
	copy(out[:], v)
	return out
}

func (b *bodyBuilder) cameras() {
	for i, c := range b.p.Kinematics.Cameras {
		if b.find(c.Link) == nil {
			b.noLink(at("kinematics", "cameras", i, "link"), c.Link)
		}
		b.out.Cameras = append(b.out.Cameras, geofence.CameraSpec{
			Name: c.Name, Link: c.Link, Axis: three(c.Axis), HalfAngleRad: c.HalfAngleRad, RangeM: c.RangeM,
		})
	}
}

// compile asks the geofence itself.
func (b *bodyBuilder) compile() {
	robot := plainRobot()
	robot.Chain = b.out
	_, err := geofence.Compile(geofence.Spec{Floors: []geofence.FloorSpec{{ID: "any", WithoutKeepIn: geofence.Allow}}}, robot)
	for _, err := range unjoin(err) {
		where := at("kinematics")
		var se *geofence.SpecError
		if errors.As(err, &se) && se.Index >= 0 {
			switch se.Section {
			case "groups":
				where = at("kinematics", "parts", se.Index)
			case "cameras":
				where = at("kinematics", "cameras", se.Index)
			}
		}
		b.d.wrong(where, "geometry", "a body that the geofence can judge", err.Error(), "")
	}
}
