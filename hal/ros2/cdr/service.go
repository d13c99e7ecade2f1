package cdr

import (
	"encoding/binary"

	"github.com/robowarden/robowarden/hal/bus"
)

// MaxServiceText is the longest text of a service's answer that is passed on; a longer one is refused.
const MaxServiceText = 64 << 10

// RequestID pairs a request with its response in the way of rmw_cyclonedds, which puts it in front of both payloads'
// data. rmw_fastrtps pairs them in the inline QoS of the submessage instead; its payloads have no such header. The
// functions here write and expect one exactly if they are given a RequestID.
type RequestID struct {
	// Client is the client's own number, little endian: with rmw_cyclonedds the last eight bytes of its GUID.
	Client [8]byte
	// Seq counts the client's requests.
	Seq int64
}

// openReply opens a response and takes its header into id, unless that is nil.
func openReply(payload []byte, id *RequestID) cursor {
	c := open(payload)
	if id != nil {
		binary.LittleEndian.PutUint64(id.Client[:], c.u64()) // a number on the wire, so that it turns with the byte order
		id.Seq = int64(c.u64())
	}
	return c
}

// ParseReplyID reads the header in front of a response's data.
func ParseReplyID(payload []byte) (id RequestID, err error) {
	c := openReply(payload, &id)
	return id, c.err
}

// AppendSetBool appends the payload of a std_srvs/SetBool request.
func AppendSetBool(b []byte, id *RequestID, v bool) []byte {
	w := beginRequest(b, id)
	w.flag(v)
	return w.done()
}

// AppendEmpty appends the payload of a request without fields (std_srvs/Trigger, std_srvs/Empty). ROS 2 gives an empty
// structure one byte, since IDL has none without a member.
func AppendEmpty(b []byte, id *RequestID) []byte {
	w := beginRequest(b, id)
	w.u8(0)
	return w.done()
}

// ParseResult reads the response of std_srvs/SetBool or std_srvs/Trigger. The message is returned as it came, at most
// MaxServiceText bytes.
func ParseResult(payload []byte, id *RequestID) (bus.ServiceResult, error) {
	c := openReply(payload, id)
	success, text := c.flag(), c.str()
	if err := c.end(); err != nil {
		return bus.ServiceResult{}, err
	}
	if len(text) > MaxServiceText {
		return bus.ServiceResult{}, ErrText
	}
	return bus.ServiceResult{Success: success, Message: string(text)}, nil
}

// ParseEmpty reads the response of std_srvs/Empty: one byte that says nothing.
func ParseEmpty(payload []byte, id *RequestID) error {
	c := openReply(payload, id)
	c.u8()
	return c.end()
}
