package config

import (
	"cmp"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// form is a shape of text.
type form struct {
	name string
	// pattern is what the text must match; the JSON Schemas carry it too.
	pattern string
	// meaning tells people.
	meaning string
	hint    string
	rule    string
	// regexp is the pattern, compiled when it is needed first: few documents need them all, and counted ones are large.
	regexp func() *regexp.Regexp
}

const (
	ruleJointGate = "joint-command-gate"
	noJointGate   = "only velocity commands are gated; joint commands close a balance loop, and a guard in that loop would make the robot fall, so the agent does no more than watch who publishes them (monitored)"
)

// pathForm is a path into a message, and pathHint how to write one.
const (
	pathForm = `[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,8}\])*`
	pathHint = "fields are parted by dots, an element's number stands in brackets"
)

// forms lists the shapes of text that fields name.
var forms = compileForms([]form{
	{"gate", `^velocity$`, "velocity", noJointGate, ruleJointGate, nil},
	{"id", `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, "a name of at most 64 letters, digits, dots, dashes and underscores", "start with a letter or digit; no spaces", "", nil},
	{"serial", `^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`, "a serial number of at most 64 letters, digits, dots, dashes, colons and underscores", "", "", nil},
	{"name", `^[A-Za-z][A-Za-z0-9_/.-]{0,127}$`, "a name as the bus carries it", "", "", nil},
	{"frame", `^[A-Za-z][A-Za-z0-9_/]{0,63}$`, "a frame's name without a leading slash", "tf2 frames have no leading slash", "", nil},
	{"topic", `^(/[A-Za-z_][A-Za-z0-9_]*){1,16}$`, "an absolute name such as /odom", "start with a slash; names relative to a node can change their meaning", "", nil},
	{
		"anytopic", `^((rt)?(/[A-Za-z_][A-Za-z0-9_]*){1,16}|dds:[A-Za-z_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+){0,15})$`,
		"an absolute name such as /odom, or a DDS topic: rt/lowstate, or dds: and a name that is none of ROS",
		"start with a slash; names relative to a node can change their meaning", "", nil,
	},
	{"node", `^(/[A-Za-z_][A-Za-z0-9_]*){1,16}$`, "a node's absolute name such as /move_base", "start with a slash, as rosnode list or ros2 node list shows it", "", nil},
	{
		"publisher", `^((/[A-Za-z_][A-Za-z0-9_]*){1,16}|dds:[0-9a-f][0-9a-f.:]{1,44})$`,
		"a node's absolute name such as /move_base, or dds: and the address of a DDS writer without a node",
		"start with a slash, as rosnode list or ros2 node list shows it", "", nil,
	},
	{"ip", `^[0-9a-f:][0-9a-f.:]{1,44}$`, "an IP address such as 192.168.123.164", "no name, no port, small letters", "", nil},
	{"unit", `^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,240}\.(service|scope)$`, "a systemd unit such as plant.service", "with its ending .service or .scope, as systemctl status shows it", "", nil},
	{"date", `^(19[7-9]|[2-9][0-9]{2})[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`, "a date such as 2026-12-25", "year, month and day, with leading zeros", "", nil},
	{"md5", `^[0-9a-f]{32}$`, "the 32 lower-case hexadecimal digits of an md5sum", "rosmsg md5 prints them", "", nil},
	{"sha256", `^[0-9a-f]{64}$`, "the 64 lower-case hexadecimal digits of a SHA-256", "sha256sum prints them", "", nil},
	{"rostype", `^[A-Za-z][A-Za-z0-9_]*/(msg/)?[A-Z][A-Za-z0-9_]*$`, "a message type such as nav_msgs/Odometry", "", "", nil},
	{
		"vendortype", `^[A-Za-z][A-Za-z0-9_]*(/(msg/)?[A-Z][A-Za-z0-9_]*|(::[A-Za-z_][A-Za-z0-9_]*){1,15})$`,
		"a message type such as sensor_msgs/Imu, or as DDS names it, such as unitree_hg::msg::dds_::LowState_", "", "", nil,
	},
	{
		"commandtype", `^[A-Za-z][A-Za-z0-9_]*(/((msg|action)/)?[A-Z][A-Za-z0-9_]*|(::[A-Za-z_][A-Za-z0-9_]*){1,15})$`,
		"a message type such as trajectory_msgs/JointTrajectory, an action's such as nav2_msgs/NavigateToPose, or as DDS names it, such as unitree_hg::msg::dds_::LowCmd_", "", "", nil,
	},
	{"definition", `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.(idl|msg)$`, "the name of a file beside this one that ends in .idl or .msg", "no folder: it lies where this document lies", "", nil},
	{"joint", `^([A-Za-z][A-Za-z0-9_/.-]{0,127}|-)$`, "a joint's name, or - for an element that is no joint", "", "", nil},
	{"number", `^` + pathForm + `$`, "the path of a number such as bms_state.soc", pathHint, "", nil},
	{"elements", `^` + pathForm + `\[\*\](\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,8}\])*$`, "a path with the star for an element's number, such as motor_state[*].q", pathHint, "", nil},
	{"vector", `^` + pathForm + `(\[\*\]|\.\*)$`, "a path that ends in a star, such as imu_state.gyroscope[*] or imu.gyro.*", pathHint, "", nil},
	{"http", `^http://[^/?#@]+:[0-9]{1,5}/?$`, "an address such as http://127.0.0.1:11311", "host and port, nothing more", "", nil},
	{"tls", `^tls://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:[1-9][0-9]{0,4}$`, "an address such as tls://broker.example:8883", "host and port, nothing more; there is no unencrypted way", "", nil},
	{"scope", `^([A-Za-z0-9._-]{1,64}|[A-Za-z0-9._:-]{1,64}/[A-Za-z0-9._:-]{1,64})$`, "a class of robots such as g1, or a robot such as unitree/g1-0007", "as the invitation and the approvals have it", "", nil},
	{"levels", `^[A-Za-z0-9_.-]{1,64}(/[A-Za-z0-9_.-]{1,64}){0,7}$`, "one to eight levels of an MQTT topic such as hospital/robots", "no wildcards, no slash at either end", "", nil},
	{"host", `^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`, "a host name or address", "", "", nil},
	{
		"ipport", `^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-f:.]{2,45}\]):[1-9][0-9]{0,4}$`, "an IP address and port such as 192.168.123.50:502",
		"no name: the guard asks no name server", "", nil,
	},
	{"devicepath", `^/dev/[A-Za-z0-9_][A-Za-z0-9_.:+/-]{0,127}$`, "a device's path such as /dev/gpiochip0", "it begins with /dev/", "", nil},
	{"interface", `^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`, "a network interface such as can0", "ip link shows them", "", nil},
	{"candata", `^([0-9a-f]{2}){1,8}$`, "1 to 8 bytes in hexadecimal such as 00ff", "two small digits a byte, in quotes, without 0x", "", nil},
	{"file", `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`, "a name in the same folder, without a slash", "what the guard reads lies beside the document that names it", "", nil},
	{"path", `^[^\x00-\x1f]+$`, "a file's path", "", "", nil},
	{"device", `^/dev(/[A-Za-z0-9_.:*?-]{1,64}){1,4}$`, "a device file such as /dev/video0 or /dev/snd/pcmC*c", "absolute, below /dev; * and ? stand for characters of one name", "", nil},
	{"text", `^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$`, "text on one line", "", "", nil},
})

// compileForms makes the patterns ready to be compiled; a test compiles them all.
func compileForms(forms []form) []form {
	for i := range forms {
		forms[i].regexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(forms[i].pattern) })
	}
	return forms
}

// formNamed returns the form with that name; no name is plain text, the last form.
func formNamed(name string) (form, bool) {
	for _, f := range forms {
		if f.name == name {
			return f, true
		}
	}
	return forms[len(forms)-1], name == ""
}

// checkForm says what is wrong with a text of that form, nil if nothing is.
func checkForm(name, s string) *Problem {
	f, _ := formNamed(name)
	ok := len(s) <= 4096 && f.regexp().MatchString(s)
	if ok && (name == "http" || name == "tls") {
		u, err := url.Parse(s)
		port := 0
		if err == nil {
			port, _ = strconv.Atoi(u.Port())
		}
		ok = err == nil && u.Hostname() != "" && port >= 1 && port <= 65535
	}
	if ok && name == "ip" {
		ok = isHostAddress(s)
	}
	if raw, found := strings.CutPrefix(s, rawPrefix); ok && found && name == "publisher" {
		ok = isHostAddress(raw)
	}
	if ok {
		return nil
	}
	return &Problem{Rule: cmp.Or(f.rule, "text-form"), Hint: f.hint}
}

// isHostAddress says whether s is one computer's address in the one spelling that addresses are compared in.
func isHostAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.String() == s && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast()
}

// sharedSpelling returns a ROS type as both generations of ROS spell it: "nav_msgs/msg/Odometry" is nav_msgs/Odometry.
func sharedSpelling(typ, kin string) string {
	for k := range strings.SplitSeq(kin, "|") {
		if pkg, name, found := strings.Cut(typ, "/"+k+"/"); found && k != "" {
			return pkg + "/" + name
		}
	}
	return typ
}

// describe tells people what a key's value has to be.
func (d *decoder) describe(f *field, t reflect.Type) string {
	switch {
	case t == pointType:
		return "a point [x, y] in metres"
	case t == daysType:
		return "a list of days (mon, tue, wed, thu, fri, sat, sun, holiday)"
	case t == digestType:
		return "a digest: \"sha256:\" and 64 small hexadecimal digits"
	case t == timeOfDayType:
		return "a time of day such as \"06:00\", in quotes"
	case t == timeType:
		return "a time such as \"2026-11-01T00:00:00Z\", in quotes"
	case t == timezoneType:
		return "an IANA time zone such as Europe/Berlin"
	case t == durationType:
		return "a duration with its unit" + bounds(f)
	case t.Kind() == reflect.Pointer:
		return d.describe(f, t.Elem())
	case t.Kind() == reflect.Slice && t.Elem() == pointType:
		return "a list of points [x, y] in metres"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return "a list of groups (" + required(d.fields[t.Elem()]) + ")"
	case t.Kind() == reflect.Slice:
		return "a list, each " + d.describe(f, t.Elem())
	case t.Kind() == reflect.Struct:
		return "a group of keys (" + required(d.fields[t]) + ")"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number" + bounds(f)
	case t.Kind() == reflect.String:
		return describeText(f)
	}
	return "a whole number" + bounds(f)
}

func describeText(f *field) string {
	if len(f.enum) == 1 {
		return f.enum[0]
	}
	if len(f.enum) > 1 {
		return "one of " + strings.Join(f.enum, ", ")
	}
	fm, _ := formNamed(f.form)
	if f.typ.Kind() == reflect.String && f.maximum > 0 {
		return fm.meaning + " of " + strconv.Itoa(f.minimum) + " to " + strconv.Itoa(f.maximum) + " characters"
	}
	return fm.meaning
}

func bounds(f *field) string {
	s := ""
	if unit, _ := unitOf(f.name); unit != "" {
		s = " in " + unit
	}
	if f.limits != nil {
		s += ", " + f.limits.String()
	}
	return s
}
