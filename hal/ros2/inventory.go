package ros2

import (
	"strings"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/rtps"
)

// Inventory lists what discovery has shown so far of others' topics and services; call it once the node has run for
// Limits.SettleTime or longer. A writer or reader whose participant lists no node for it appears by its address, as in
// publishers of the topic mapping.
func (n *Node) Inventory() *bus.Inventory {
	v := &bus.Inventory{}
	n.part.VisitEndpoints(func(e *rtps.Endpoint) {
		if service, ok := serviceOf(e.Topic); ok {
			// The one who reads requests offers the service.
			if !e.Writer {
				typ, _ := strings.CutSuffix(readableType(e.Type), "_Request")
				v.Service(service, typ)
			}
			return
		}
		if e.Topic == discoveryTopic || strings.HasPrefix(e.Topic, prefixReply) {
			return
		}
		t := v.Topic(rosTopic(e.Topic))
		if t == nil {
			return
		}
		t.Type = readableType(e.Type)
		if e.Writer {
			v.Publisher(t, n.nameOf(e))
		} else {
			v.Subscriber(t, n.nameOf(e))
		}
	})
	return v
}

// serviceOf is the service whose request topic this is.
func serviceOf(dds string) (string, bool) {
	rest, ok := strings.CutPrefix(dds, prefixRequest)
	if !ok || !strings.HasPrefix(rest, "/") {
		return "", false
	}
	return strings.CutSuffix(rest, "Request")
}

// readableType is a type as documents write it: package/Type where ROS made the name, or as it is on the wire.
func readableType(dds string) string {
	parts := strings.Split(dds, "::")
	if len(parts) == 4 && parts[2] == "dds_" {
		if name, ok := strings.CutSuffix(parts[3], "_"); ok {
			return parts[0] + "/" + name
		}
	}
	return dds
}
