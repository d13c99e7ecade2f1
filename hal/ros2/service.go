package ros2

import (
	"context"

	"github.com/robowarden/robowarden/hal/bus"
)

// Types of services that a node calls.
const (
	TypeSetBool = "std_srvs/SetBool"
	TypeTrigger = "std_srvs/Trigger"
	TypeEmpty   = "std_srvs/Empty"
)

// PrepareService announces the client of a service, so that a later call need not wait for discovery. Calls without it
// work too, more slowly the first time.
func (n *Node) PrepareService(name, typ string) error { return errNotYet }

// CallSetBool calls a std_srvs/SetBool service.
func (n *Node) CallSetBool(ctx context.Context, name string, v bool) (bus.ServiceResult, error) {
	return bus.ServiceResult{}, errNotYet
}

// CallTrigger calls a std_srvs/Trigger service.
func (n *Node) CallTrigger(ctx context.Context, name string) (bus.ServiceResult, error) {
	return bus.ServiceResult{}, errNotYet
}

// CallEmpty calls a std_srvs/Empty service.
func (n *Node) CallEmpty(ctx context.Context, name string) error { return errNotYet }
