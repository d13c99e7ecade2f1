package wire

import "errors"

// Fault names what is wrong with a datagram or a parameter list. It is an error without memory of its own, so that a
// flood of malformed datagrams costs no allocation.
type Fault uint8

// The faults, in the order in which a datagram is looked at.
const (
	FaultNone          Fault = iota
	FaultHeader              // no RTPS header, or shorter than its 20 octets
	FaultVersion             // a major protocol version other than 2
	FaultCut                 // a submessage or an element of it is longer than what is left
	FaultSequence            // a sequence number below 1 or above MaxSeqNum
	FaultSet                 // a set of numbers with more than 256 bits or a base that cannot be
	FaultRange               // a HEARTBEAT that ends before it begins, fragments that the sample does not have
	FaultFlags               // flags that exclude each other
	FaultInlineOffset        // octetsToInlineQos points into the header or behind the submessage
	FaultPayload             // a payload too short for its encapsulation header
	FaultTime                // INFO_TS without a time
	FaultSentinel            // a parameter list without an end
	FaultLength              // a parameter's length is no multiple of four or too short for its type
	FaultEncapsulation       // a representation other than the one expected here
	FaultUnderstand          // a parameter that must be understood and is not known
	FaultString              // a string that is not terminated, holds a NUL, or is longer than the cap
	FaultList                // a list longer than the cap
	FaultValue               // a value that its type does not have
	FaultTwice               // an identity that is given twice
	FaultMissing             // an identity that is not given
	FaultForeign             // an identity that contradicts another one of the same data
	FaultTag                 // a domain tag: the participant is in a domain of its own
	faults
)

var faultText = [faults]string{
	FaultNone:          "no fault",
	FaultHeader:        "no RTPS header",
	FaultVersion:       "protocol version is not 2.x",
	FaultCut:           "cut off: an element is longer than what is left of the datagram",
	FaultSequence:      "sequence number is below 1 or above 2^62",
	FaultSet:           "set of numbers has more than 256 bits or a base that cannot be",
	FaultRange:         "range of samples or fragments contradicts itself",
	FaultFlags:         "flags exclude each other",
	FaultInlineOffset:  "octetsToInlineQos points outside of the submessage's body",
	FaultPayload:       "payload is shorter than its encapsulation header",
	FaultTime:          "INFO_TS has no time",
	FaultSentinel:      "parameter list has no sentinel",
	FaultLength:        "parameter's length is no multiple of four or too short for its type",
	FaultEncapsulation: "encapsulation is not the expected one",
	FaultUnderstand:    "parameter must be understood, but is unknown here",
	FaultString:        "string is not terminated, holds a NUL, or is too long",
	FaultList:          "list is too long",
	FaultValue:         "value is not one of its type",
	FaultTwice:         "identity is given twice",
	FaultMissing:       "identity is missing",
	FaultForeign:       "identities contradict each other",
	FaultTag:           "participant has a domain tag, so it is in a domain of its own",
}

// Error is the fault in words.
func (f Fault) Error() string {
	if f >= faults {
		return "unknown fault"
	}
	return faultText[f]
}

// Incompatible tells whether err means that the sender follows rules that this package does not know, rather than that
// it breaks those that it knows: such data is passed over, but is nothing to suspect anybody for.
func Incompatible(err error) bool {
	var f Fault
	return errors.As(err, &f) && (f == FaultUnderstand || f == FaultTag)
}
