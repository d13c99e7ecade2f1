package ros1

import "context"

// ServiceResult is the answer of a std_srvs/SetBool or std_srvs/Trigger service.
type ServiceResult struct {
	// Success is the provider's own word; the stop contract wants it confirmed by measurement.
	Success bool
	// Message is the provider's text, capped.
	Message string
}

// CallService calls a service once, with a serialised request, and returns the serialised response.
func (n *Node) CallService(ctx context.Context, name, typ, md5 string, request []byte) ([]byte, error) {
	return nil, errShape
}

// CallSetBool calls a std_srvs/SetBool service.
func (n *Node) CallSetBool(ctx context.Context, name string, v bool) (ServiceResult, error) {
	return ServiceResult{}, errShape
}

// CallTrigger calls a std_srvs/Trigger service.
func (n *Node) CallTrigger(ctx context.Context, name string) (ServiceResult, error) {
	return ServiceResult{}, errShape
}

// CallEmpty calls a std_srvs/Empty service.
func (n *Node) CallEmpty(ctx context.Context, name string) error { return errShape }
