package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/hal/actuator"
)

// Function codes (MODBUS Application Protocol 1.1b3, section 6).
const (
	readCoils   = 0x01
	writeCoil   = 0x05
	errorBit    = 0x80
	coilOn      = 0xff00
	maxPDU      = 253
	mbapHeader  = 7
	rtuOverhead = 3 // unit and CRC
)

// writeRequest is the request that sets a coil.
func writeRequest(coil uint16, on bool) []byte {
	b := binary.BigEndian.AppendUint16([]byte{writeCoil}, coil)
	if on {
		return binary.BigEndian.AppendUint16(b, coilOn)
	}
	return binary.BigEndian.AppendUint16(b, 0)
}

// readRequest is the request that reads one coil.
func readRequest(coil uint16) []byte {
	b := binary.BigEndian.AppendUint16([]byte{readCoils}, coil)
	return binary.BigEndian.AppendUint16(b, 1)
}

// replyLen is the length of the reply's PDU by its first byte, 0 for a function that nobody asked for.
func replyLen(function byte) int {
	switch function {
	case readCoils:
		return 3
	case writeCoil:
		return 5
	case readCoils | errorBit, writeCoil | errorBit:
		return 2
	}
	return 0
}

var errReply = errors.New("the reply is none to what was asked")

// parseReply reads the reply to request and returns the coil as the device says it is.
func parseReply(request, reply []byte) (on bool, err error) {
	malformed := func(what string) error {
		return &actuator.Error{Fault: actuator.Malformed, Err: fmt.Errorf("%w: %s: found % x", errReply, what, reply[:min(len(reply), 8)])}
	}
	if len(reply) == 2 && reply[0] == request[0]|errorBit {
		return false, &actuator.Error{Fault: actuator.Refused, Err: fmt.Errorf("function %d: %s", request[0], exception(reply[1]))}
	}
	if len(reply) == 0 || reply[0] != request[0] || len(reply) != replyLen(reply[0]) {
		return false, malformed(fmt.Sprintf("expected function %d", request[0]))
	}
	if reply[0] == readCoils {
		if reply[1] != 1 || reply[2] > 1 {
			return false, malformed("expected one coil")
		}
		return reply[2] == 1, nil
	}
	if string(reply) != string(request) {
		return false, malformed("expected the request's echo")
	}
	return binary.BigEndian.Uint16(reply[3:]) == coilOn, nil
}

// exception names an exception code (section 7 of the same).
func exception(code byte) string {
	names := map[byte]string{
		1: "illegal function", 2: "illegal coil", 3: "illegal value", 4: "device failure", 5: "acknowledged, not done", 6: "device busy",
		10: "gateway path unavailable", 11: "gateway target does not answer",
	}
	if n, ok := names[code]; ok {
		return n
	}
	return fmt.Sprintf("exception %d", code)
}

// appendTCP wraps a PDU for TCP: transaction, protocol 0, length, unit.
func appendTCP(b []byte, transaction uint16, unit byte, pdu []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, transaction)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pdu)+1)) //nolint:gosec // at most maxPDU
	return append(append(b, unit), pdu...)
}

// parseHeader checks a header that came over TCP and returns the length of the PDU behind it.
func parseHeader(h []byte, transaction uint16, unit byte) (int, error) {
	n := int(binary.BigEndian.Uint16(h[4:])) - 1
	if binary.BigEndian.Uint16(h) != transaction || binary.BigEndian.Uint16(h[2:]) != 0 || h[6] != unit || n < 1 || n > maxPDU {
		return 0, &actuator.Error{Fault: actuator.Malformed, Err: fmt.Errorf("%w: expected transaction %d of unit %d, found % x", errReply, transaction, unit, h)}
	}
	return n, nil
}

// appendRTU wraps a PDU for a serial line: unit, PDU, CRC with the low byte first.
func appendRTU(b []byte, unit byte, pdu []byte) []byte {
	at := len(b)
	b = append(append(b, unit), pdu...)
	return binary.LittleEndian.AppendUint16(b, crc(b[at:]))
}

// parseRTU checks a whole serial frame and returns its PDU.
func parseRTU(f []byte, unit byte) ([]byte, error) {
	n := len(f) - 2
	if n < 2 || f[0] != unit || crc(f[:n]) != binary.LittleEndian.Uint16(f[n:]) {
		return nil, &actuator.Error{Fault: actuator.Malformed, Err: fmt.Errorf("%w: expected a frame of unit %d with its CRC, found % x", errReply, unit, f)}
	}
	return f[1:n], nil
}

// crc is the CRC-16 of serial Modbus: polynomial 0xA001 reflected, initial value 0xFFFF (MODBUS over Serial Line 1.02,
// section 6.2.2).
func crc(b []byte) uint16 {
	c := uint16(0xffff)
	for _, x := range b {
		c ^= uint16(x)
		for range 8 {
			odd := c&1 != 0
			c >>= 1
			if odd {
				c ^= 0xa001
			}
		}
	}
	return c
}
