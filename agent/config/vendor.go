package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
	"github.com/robowarden/robowarden/hal/ros2/idl"
)

// Vendor holds a plan for each sensor that has fields of a vendor's type; nil for the others.
type Vendor struct {
	// Joints reads the positions of all joints that are named, then their velocities, then their efforts, as far as the
	// mapping has a path for them.
	Joints *idl.Plan
	// IMU reads the angular velocity's x, y and z, then the acceleration's, then the orientation's x, y, z and w.
	IMU *idl.Plan
	// Battery reads the charge, then what tells charging.
	Battery *idl.Plan
}

// Rules about vendors' types.
const (
	ruleDefinition  = "definition"
	ruleDigest      = "digest-mismatch"
	ruleUnknownType = "unknown-type"
	ruleFieldPath   = "field-path"
	ruleRawTopic    = "dds-topic"
)

// noJoint stands for an element that is no joint.
const noJoint = "-"

// Joints lists the joints that are named, in the order of a plan's values.
func (f *JointFields) Joints() []string {
	var out []string
	for _, name := range f.Names {
		if name != noJoint {
			out = append(out, name)
		}
	}
	return out
}

// StoredDefinition is the name of a definition's file among documents that are stored by their content.
func StoredDefinition(def Definition) string {
	return strings.TrimPrefix(def.Digest.String(), "sha256:") + filepath.Ext(def.File)
}

// topicName is the one name that a topic has here: what ROS calls it, or for a DDS topic that ROS does not know its name on
// the wire, which does not begin with a slash.
func topicName(s string) string {
	s = strings.TrimPrefix(s, rawPrefix)
	if rest, ok := strings.CutPrefix(s, "rt/"); ok && checkForm("topic", "/"+rest) == nil {
		return "/" + rest
	}
	return s
}

// spellTopics gives every topic that may be one of DDS alone its one name.
func (t *Topics) spellTopics() {
	for _, topic := range t.anyTopics() {
		*topic.name = topicName(*topic.name)
	}
}

// anyTopic is a topic that may be one of DDS alone.
type anyTopic struct {
	where *path
	name  *string
	// plain is true for a sensor with a type of ROS.
	plain bool
}

func (t *Topics) anyTopics() []anyTopic {
	var out []anyTopic
	if s := t.Joints; s != nil {
		out = append(out, anyTopic{at("joints", "topic"), &s.Topic, s.Fields == nil})
	}
	if s := t.IMU; s != nil {
		out = append(out, anyTopic{at("imu", "topic"), &s.Topic, s.Fields == nil})
	}
	if s := t.Battery; s != nil {
		out = append(out, anyTopic{at("battery", "topic"), &s.Topic, s.Fields == nil})
	}
	for i := range t.Monitored {
		out = append(out, anyTopic{at("monitored", i, "topic"), &t.Monitored[i].Topic, false})
	}
	for i := range t.Gates {
		out = append(out, anyTopic{at("gates", i, "topic"), &t.Gates[i].Topic, false})
	}
	return out
}

// vendorReader checks what a mapping says of vendors' types.
type vendorReader struct {
	*document
	cfg *Config
	set *idl.Set
}

// checkVendor reads the definitions of vendors' types and makes the plans by which sensors are read from them.
func (d *document) checkVendor(c *Config) {
	t := c.Topics
	for _, topic := range t.anyTopics() {
		name := *topic.name
		switch {
		case name == "" || strings.HasPrefix(name, "/"):
		case topic.plain:
			d.wrong(topic.where, ruleRawTopic, "an absolute name such as /odom, for a type of ROS", name, "give fields for a DDS topic of the vendor's")
		case name == "ros_discovery_info" || strings.HasPrefix(name, "rt/") || strings.HasPrefix(name, "rq/") || strings.HasPrefix(name, "rr/"):
			d.wrong(topic.where, ruleRawTopic, "a topic that ROS does not keep for itself", name, "rt/ is followed by a name that ROS can have")
		}
	}
	r := &vendorReader{d, c, idl.NewSet()}
	r.definitions()
	used := 0
	if s := t.Joints; s != nil && s.Fields != nil {
		d.checkElements(s.Fields)
		c.Vendor.Joints = r.plan("joints", s.Plain(), s.Fields.paths)
		used++
	}
	if s := t.IMU; s != nil && s.Fields != nil {
		r.checkQuaternion(s.Fields)
		c.Vendor.IMU = r.plan("imu", s.Plain(), s.Fields.paths)
		used++
	}
	if s := t.Battery; s != nil && s.Fields != nil {
		if d.has("battery", "fields", "charging") != d.has("battery", "fields", "charging_when") {
			d.wrong(at("battery", "fields"), ruleExclusive, "charging and charging_when together", "one of them", "a current may have either sign")
		}
		c.Vendor.Battery = r.plan("battery", s.Plain(), s.Fields.paths)
		used++
	}
	if used == 0 && len(t.Definitions) > 0 {
		d.warn(at("definitions"), "unused", "a sensor with fields", "none", "nothing is read by these definitions")
	}
}

// definitions reads the files.
func (r *vendorReader) definitions() {
	for i, def := range r.cfg.Topics.Definitions {
		where := at("definitions", i)
		if def.File == "" || def.Digest == (Digest{}) {
			continue // reported as it was read
		}
		isMsg := filepath.Ext(def.File) == ".msg"
		if isMsg != (def.Type != "") {
			r.about(where.find(r.root), where.child("type"), Problem{
				Rule: ruleExclusive, Expected: "type with a .msg, and not with an .idl", Found: def.File + map[bool]string{true: " without type", false: " with type"}[isMsg],
				Hint: "a .msg does not name its type, an .idl names all of its own", Example: "type: unitree_hg/MotorState",
			})
			continue
		}
		name, raw, err := r.open(def)
		switch {
		case err != nil:
			r.about(where.child("file").find(r.root), where.child("file"), Problem{
				Rule: "unreadable-file", Expected: "a file that can be read", Found: reason(err), folder: filepath.Dir(name),
			})
			continue
		case Digest(sha256.Sum256(raw)) != def.Digest:
			r.about(where.child("digest").find(r.root), where.child("digest"), Problem{
				Rule: ruleDigest, Expected: "the digest of " + def.File + " as it is, " + Digest(sha256.Sum256(raw)).String(), Found: def.Digest.String(),
				Hint: "if the change to that file is meant, review it and put its digest here", Example: `digest: "` + Digest(sha256.Sum256(raw)).String() + `"`,
			})
			continue
		}
		if r.cfg.Raw.Definitions == nil {
			r.cfg.Raw.Definitions = map[string][]byte{}
		}
		r.cfg.Raw.Definitions[StoredDefinition(def)] = raw
		if _, known := r.out.order[name]; !known {
			r.out.order[name] = len(r.out.order) + 1
			r.out.sources[name] = strictyaml.NewLines(string(raw))
		}
		if isMsg {
			err = r.set.AddMsg(def.Type, name, string(raw))
		} else {
			err = r.set.AddIDL(name, string(raw))
		}
		r.report(err, where.child("file"), ruleDefinition)
	}
}

// open reads a definition from beside the mapping: by its name, or where documents are stored by their content, by that.
func (r *vendorReader) open(def Definition) (name string, raw []byte, err error) {
	folder := filepath.Dir(r.file)
	name = filepath.Join(folder, def.File)
	raw, err = readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if stored, storedErr := readFile(filepath.Join(folder, StoredDefinition(def))); storedErr == nil {
			raw, err = stored, nil
		}
	}
	return name, raw, err
}

// report files what package idl complains of: at its own place in a definition, or at the place that made it look.
func (r *vendorReader) report(err error, where *path, rule string) {
	var e *idl.Error
	if !errors.As(err, &e) {
		return
	}
	for _, p := range e.Problems {
		if _, known := r.out.sources[p.File]; known && p.Line > 0 {
			r.errors++
			r.soil(where)
			r.out.add(Problem{
				File: p.File, Line: p.Line, Column: p.Column, Rule: ruleDefinition, Severity: SeverityError,
				Expected: printable(p.Expected), Found: shorten(printable(p.Found)), Hint: printable(p.Hint), width: 1,
			})
			continue
		}
		r.wrong(where, rule, p.Expected, p.Found, p.Hint)
	}
}

// pattern is a path with a star, and what the star stands for. A path without is a pattern without.
type pattern struct {
	where *path
	text  string
	stars []string
}

func (p pattern) paths() []string {
	if p.stars == nil {
		return []string{p.text}
	}
	out := make([]string, len(p.stars))
	for i, s := range p.stars {
		out[i] = strings.Replace(p.text, "*", s, 1)
	}
	return out
}

// plan makes the plan of one sensor, nil if something is wrong.
func (r *vendorReader) plan(key string, t *Topic, patterns func(fields *path) []pattern) *idl.Plan {
	where := at(key)
	if r.has(key, "frame") {
		r.wrong(where.child("frame"), ruleExclusive, "no frame beside fields", t.Frame, "a vendor's type says no frame; what it measures is taken to be in the base's")
	}
	if t.Type == "" {
		if r.clean(key, "type") {
			r.about(where.find(r.root), where.child("type"), Problem{
				Rule: ruleMissing, Expected: "type: the vendor's type that has the fields", Found: "nothing", Example: "type: unitree_hg/LowState",
			})
		}
		return nil
	}
	if !r.clean("definitions") {
		return nil // what cannot be read there cannot be found here
	}
	st, err := r.set.Type(t.Type)
	if err != nil {
		r.report(err, where.child("type"), ruleUnknownType)
		return nil
	}
	var all []string
	good := r.clean(key, "fields")
	for _, p := range patterns(where.child("fields")) {
		if p.text != "" {
			good = r.try(st, p) && good
			all = append(all, p.paths()...)
		}
	}
	if !good || len(all) == 0 {
		return nil
	}
	plan, err := idl.Compile(st, all)
	if err != nil {
		r.report(err, where.child("fields"), ruleFieldPath)
	}
	return plan
}

// try walks all paths of a pattern, and reports the first step of the first one that the type does not have.
func (r *vendorReader) try(st *idl.Struct, p pattern) bool {
	paths := p.paths()
	if len(paths) == 0 {
		return true
	}
	if _, err := idl.Compile(st, paths); err == nil {
		return true
	}
	for i, text := range paths {
		_, err := idl.Compile(st, []string{text})
		var e *idl.Error
		if !errors.As(err, &e) {
			continue
		}
		first, offset := e.Problems[0], 0
		if first.Column > 0 {
			offset = first.Column - 1
		}
		if p.stars != nil {
			offset = p.offset(offset, len(p.stars[i]))
		}
		r.at(p.where, offset, Problem{Rule: ruleFieldPath, Expected: first.Expected, Found: first.Found, Hint: first.Hint})
		return false
	}
	return true
}

// offset is where something of a path stands in its pattern, whose star became a text of the given length.
func (p pattern) offset(i, length int) int {
	star := strings.IndexByte(p.text, '*')
	switch {
	case star < 0 || i <= star:
		return i
	case i < star+length:
		return star
	}
	return i - length + 1
}

// at files an error about what stands offset characters into a text.
func (r *vendorReader) at(where *path, offset int, p Problem) {
	n := where.find(r.root)
	if n == nil || n.Kind != strictyaml.Scalar {
		r.about(n, where, p)
		return
	}
	p.Path = where.String()
	r.soil(where)
	if n.Style != strictyaml.Plain {
		offset++ // the quote
	}
	from := min(int(n.Off)+offset, int(n.End)-1)
	r.add(from, from+1, p)
}

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}
