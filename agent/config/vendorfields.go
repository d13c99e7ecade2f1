package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/hal/msg"
)

// paths are the paths of all joints, in the order of the plan.
func (f *JointFields) paths(fields *path) []pattern {
	stars := []string{}
	for i, n := range numbered(len(f.Names)) {
		if f.Names[i] != noJoint {
			stars = append(stars, n)
		}
	}
	return []pattern{
		{fields.child("position"), f.Position, stars}, {fields.child("velocity"), f.Velocity, stars}, {fields.child("effort"), f.Effort, stars},
	}
}

// paths are the paths of the inertial unit, in the order of the plan.
func (f *IMUFields) paths(fields *path) []pattern {
	return []pattern{
		{fields.child("gyro"), f.Gyro, axes(f.Gyro, numbered(3))},
		{fields.child("accel"), f.Accel, axes(f.Accel, numbered(3))},
		{fields.child("quaternion"), f.Quaternion, axes(f.Quaternion, f.order())},
	}
}

// axes are what the star at the end of a path stands for: elements in the given order, or fields by their names.
func axes(text string, elements []string) []string {
	if strings.HasSuffix(text, ".*") {
		return []string{"x", "y", "z", "w"}[:len(elements)]
	}
	return elements
}

// order is which elements of the quaternion are x, y, z and w.
func (f *IMUFields) order() []string {
	if f.QuaternionOrder == "wxyz" {
		return []string{"1", "2", "3", "0"}
	}
	return numbered(4)
}

// paths are the paths of the battery, in the order of the plan.
func (f *BatteryFields) paths(fields *path) []pattern {
	return []pattern{{fields.child("charge"), f.Charge, nil}, {fields.child("charging"), f.Charging, nil}}
}

// checkElements checks the names of the elements.
func (d *document) checkElements(f *JointFields) {
	where := at("joints", "fields", "names")
	if n := len(f.Joints()); n > msg.MaxJoints || n == 0 && len(f.Names) > 0 {
		d.wrong(where, "list-length", fmt.Sprintf("1 to %d joints", msg.MaxJoints), count(n, "joint"), noJoint+" stands for an element that is none")
	}
	first := map[string]bool{}
	for i, name := range f.Names {
		if first[name] && name != noJoint && name != "" {
			d.wrong(where.item(i), ruleDuplicate, "each name once", name+" again", "one joint has one element")
		}
		first[name] = true
	}
}

// checkQuaternion checks that the order of a quaternion's elements is said where nothing else tells it.
func (d *document) checkQuaternion(f *IMUFields) {
	where := at("imu", "fields")
	elements, ordered := strings.HasSuffix(f.Quaternion, "[*]"), d.has("imu", "fields", "quaternion_order")
	switch {
	case elements && !ordered:
		d.about(where.child("quaternion").find(d.root), where.child("quaternion_order"), Problem{
			Rule: ruleMissing, Expected: "quaternion_order: wxyz or xyzw", Found: "nothing", Hint: "vendors differ; a wrong order is a wrong attitude", Example: "quaternion_order: wxyz",
		})
	case ordered && !elements:
		d.wrong(where.child("quaternion_order"), ruleExclusive, "an order for a quaternion that is an array", f.QuaternionOrder, "delete the key: the fields have names")
	}
}

// checkJointNames holds the names of a vendor's joints against the profile's.
func (d *document) checkJointNames(p *Profile, t *Topics) {
	if t.Joints == nil || t.Joints.Fields == nil {
		return
	}
	var known []string
	if p.Joints != nil {
		known = names(p.Joints.List, func(j Joint) string { return j.Name })
	}
	fields := t.Joints.Fields
	for i, name := range fields.Names {
		if name != noJoint && name != "" && !slices.Contains(known, name) {
			d.unknownName(at("joints", "fields", "names", i), name, known, "the profile's joints")
		}
	}
	for _, name := range known {
		if !slices.Contains(fields.Names, name) && name != "" {
			d.warn(at("joints", "fields", "names"), "unmapped", "an element for each of the profile's joints", "none for "+name, "its state stays unknown")
		}
	}
}
