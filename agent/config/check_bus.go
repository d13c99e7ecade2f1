package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// checkBus checks that the deployment says how to reach the bus that the profile names. The section of the other bus may
// stand beside it: the profile's bus is then the only word to change when a robot moves from one bus to the other. It is
// told, since whoever edits the section that does not count would wonder.
func (d *document) checkBus(p *Deployment, profile *Profile) {
	if profile == nil || profile.Bus == "" {
		if !d.has("ros") && !d.has("dds") {
			d.about(d.root, at("ros"), Problem{
				Rule: ruleMissing, Expected: "ros or dds: how to reach the bus that the profile names", Found: "neither",
				Example: `ros: {master_uri: "http://127.0.0.1:11311", host: 127.0.0.1, node: /robowarden}`,
			})
		}
		d.checkROS(p.ROS)
		d.checkDDS(p.DDS)
		return
	}
	for _, s := range []struct{ bus, key, example string }{
		{BusROS1, "ros", `ros: {master_uri: "http://127.0.0.1:11311", host: 127.0.0.1, node: /robowarden}`},
		{BusROS2, "dds", "dds: {domain: 0, host: 127.0.0.1, multicast: false, node: /robowarden}"},
	} {
		switch {
		case s.bus == profile.Bus && !d.has(s.key):
			d.about(d.root, at(s.key), Problem{
				Rule: ruleMissing, Expected: s.key + ": how to reach the bus, for a profile with bus: " + s.bus, Found: "nothing", Example: s.example,
			})
		case s.bus != profile.Bus && d.has(s.key):
			d.warn(at(s.key), "unused", "only what the profile's bus, "+profile.Bus+", needs", s.key+" as well",
				"it is ignored; it would count for a profile with bus: "+s.bus)
		}
	}
	if profile.Bus == BusROS1 {
		d.checkROS(p.ROS)
	} else {
		d.checkDDS(p.DDS)
	}
}

// checkROS warns about a graph that others can reach: ROS 1 believes everybody who can.
func (d *document) checkROS(r *ROS) {
	if r == nil {
		return
	}
	u, err := url.Parse(r.MasterURI)
	if err != nil || r.Host == "" || u.Host == "" {
		return
	}
	host, master := loopback(r.Host), loopback(u.Hostname())
	if host && !master {
		d.warn(at("ros", "host"), "unreachable", "an address that the master's computer can reach", r.Host,
			"nodes elsewhere cannot connect back to this one")
	}
	if !host || !master {
		d.warn(at("ros"), ruleOpenBus, "a bus on this computer alone, or a firewall around the robot's own computers", r.MasterURI+" and "+r.Host,
			"whoever reaches the master or a node can command it, stop it and forge its topics; let nobody else in")
	}
}

// The domains whose ports lie among those that Linux hands out by itself (net.ipv4.ip_local_port_range: 32768 to 60999).
const (
	firstEphemeralDomain = (32768-7400)/250 + 1
	lastEphemeralDomain  = (60999 - 7400) / 250
)

// checkDDS checks that others can be found, and warns about a domain that others can reach.
func (d *document) checkDDS(s *DDS) {
	if s == nil || s.Host == "" {
		return
	}
	host, err := netip.ParseAddr(s.Host)
	if err != nil {
		return // reported as it was read
	}
	if s.Multicast && host.Is6() {
		d.wrong(at("dds", "multicast"), ruleExclusive, "false with an IPv6 host", "true",
			"no standard names a group for IPv6, and vendors differ; list the computers under peers")
	}
	if !s.Multicast && !host.IsLoopback() && len(s.Peers) == 0 && d.clean("dds", "peers") {
		d.about(at("dds").find(d.root), at("dds", "peers"), Problem{
			Rule: ruleMissing, Expected: "peers, or multicast: true", Found: "neither",
			Hint: "nobody on " + s.Host + " could be found", Example: "peers: [192.168.123.161]",
		})
	}
	for i, peer := range s.Peers {
		if a, err := netip.ParseAddr(peer); err == nil && a.Is4() != host.Is4() {
			d.wrong(at("dds", "peers", i), "address-family", "an address of the same family as host, "+s.Host, peer,
				"one interface with one address is used; give that interface's address of the peers' family")
		}
	}
	d.checkComputers(s, host)
	if s.Domain >= firstEphemeralDomain && s.Domain <= lastEphemeralDomain {
		d.warn(at("dds", "domain"), "ephemeral-ports", fmt.Sprintf("0 to %d or %d to 232", firstEphemeralDomain-1, lastEphemeralDomain+1), strconv.Itoa(s.Domain),
			"this domain's ports are among those that Linux hands out by itself; any program may hold them at the next start")
	}
	if !host.IsLoopback() {
		d.warn(at("dds"), ruleOpenBus, "a domain on this computer alone, or a firewall around the robot's own computers", "host "+s.Host,
			"whoever reaches the domain can command the robot and speak in the name of any node; let nobody else in")
	}
}

// checkComputers checks that each computer of several addresses is told apart from the others.
func (d *document) checkComputers(s *DDS, host netip.Addr) {
	seen := map[string]bool{}
	for i, list := range s.Computers {
		where := at("dds", "computers", i)
		if n := len(list); n < 2 || n > 4 {
			d.wrong(where, "list-length", "2 to 4 addresses", count(n, "address"), "a computer with one address need not be named")
		}
		for k, text := range list {
			a, err := netip.ParseAddr(text)
			switch {
			case err != nil: // reported as it was read
			case a.Is4() != host.Is4() || a.IsLoopback():
				d.wrong(where.item(k), "address-family", "an address of the same family as host, "+s.Host+", and no loopback", text, "")
			case seen[text]:
				d.wrong(where.item(k), ruleDuplicate, "each address once", text+" again", "an address belongs to one computer")
			}
			seen[text] = true
		}
	}
}

const (
	ruleOpenBus  = "open-bus"
	ruleWrongBus = "wrong-bus"
)

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkSelf reports the guard's own name where others are meant.
func (d *document) checkSelf(t *Topics, p *Deployment, profile *Profile) {
	var nodes []string
	for _, bus := range []string{BusROS1, BusROS2} {
		if node := p.Node(bus); node != "" && (profile == nil || profile.Bus == bus) {
			nodes = append(nodes, node)
		}
	}
	refuse := func(where *path, names []string) {
		for i, name := range names {
			if slices.Contains(nodes, name) {
				d.wrong(where.child("publishers").item(i), "self", "another node than the guard", name, "whoever takes the guard's name would be let through")
			}
		}
	}
	for i, c := range t.Commands {
		refuse(at("commands", i), c.Publishers)
	}
	for i, m := range t.Monitored {
		refuse(at("monitored", i), m.Publishers)
	}
	for i, g := range t.Gates {
		refuse(at("gates", i), g.Publishers)
		if slices.Contains(nodes, g.Consumer) {
			d.wrong(at("gates", i, "consumer"), "self", "another node than the guard", g.Consumer, "name the node that follows the commands")
		}
	}
	if slices.Contains(nodes, t.CommandOut.Consumer) {
		d.wrong(at("command_out", "consumer"), "self", "another node than the guard", t.CommandOut.Consumer, "name the node that drives the base")
	}
}

// rawPrefix begins the name of a DDS writer that belongs to no ROS node; its address follows.
const rawPrefix = "dds:"

// IsAddress says whether a publisher is named by its address, which any number of them may have.
func IsAddress(name string) bool { return strings.HasPrefix(name, rawPrefix) }

// checkNames reports names that the profile's bus does not have.
func (d *document) checkNames(t *Topics, bus string) {
	if bus != BusROS1 {
		return
	}
	for _, p := range t.named() {
		if IsAddress(p.name) {
			d.wrong(p.where, ruleWrongBus, "a node's name, for a profile with bus: ros1", p.name, "only a DDS writer can be without a node")
		}
	}
	for _, topic := range t.anyTopics() {
		if name := *topic.name; name != "" && !topic.plain && !strings.HasPrefix(name, "/") {
			d.wrong(topic.where, ruleWrongBus, "a topic of ROS, for a profile with bus: ros1", name, "only DDS has topics without a slash")
		}
	}
	for _, key := range []string{"joints", "imu", "battery"} {
		if d.has(key, "fields") {
			d.wrong(at(key, "fields"), ruleWrongBus, "no fields, for a profile with bus: ros1", "fields", "vendors' types are read on ROS 2 and DDS alone")
		}
	}
}

// namedPlace is where the mapping names somebody.
type namedPlace struct {
	where *path
	name  string
}

// named lists everybody whom the mapping names, with the place.
func (t *Topics) named() []namedPlace {
	var out []namedPlace
	add := func(where *path, names []string) {
		for i, name := range names {
			out = append(out, namedPlace{where.child("publishers").item(i), name})
		}
	}
	add(at("pose"), t.Pose.Publishers)
	for _, s := range t.slots() {
		if s.topic != nil {
			add(s.where, s.topic.Publishers)
		}
	}
	if t.TF != nil {
		add(at("tf"), t.TF.Publishers)
	}
	for key, list := range map[string][]Device{"cameras": t.Cameras, "microphones": t.Microphones} {
		for i, dev := range list {
			add(at(key, i), dev.Publishers)
		}
	}
	for i, c := range t.Commands {
		add(at("commands", i), c.Publishers)
	}
	for i, m := range t.Monitored {
		add(at("monitored", i), m.Publishers)
	}
	for i, g := range t.Gates {
		add(at("gates", i), g.Publishers)
		out = append(out, namedPlace{at("gates", i, "consumer"), g.Consumer})
	}
	for i, h := range t.Heartbeats {
		add(at("heartbeats", i), h.Publishers)
	}
	for i, p := range t.Processes {
		out = append(out, namedPlace{at("processes", i, "node"), p.Node})
	}
	out = append(out, namedPlace{at("command_out", "consumer"), t.CommandOut.Consumer})
	if t.Lock != nil {
		out = append(out, namedPlace{at("lock", "consumer"), t.Lock.Consumer})
	}
	return out
}
