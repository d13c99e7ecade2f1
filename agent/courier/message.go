package courier

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/evidencelog"
)

// Topics below <prefix>/v1/<manufacturer>/<serial>/.
const (
	// TopicConnection tells whether the robot is there; retained, and the broker's last will.
	TopicConnection = "connection"
	// TopicState is the robot's state.
	TopicState = "state"
	// TopicEvent carries the evidence stream.
	TopicEvent = "event"
	// TopicHello asks for a challenge.
	TopicHello = "attestation/hello"
	// TopicEvidence answers a challenge.
	TopicEvidence = "attestation/evidence"
	// TopicLog is the firmware's event log.
	TopicLog = "attestation/log"
	// TopicReceipt says what became of an order.
	TopicReceipt = "receipt"
	// TopicChallenge is the verifier's signed challenge.
	TopicChallenge = "attestation/challenge"
	// TopicResult is the verifier's signed result.
	TopicResult = "attestation/result"
	// TopicApproval is an approver's signed approval of a state, for a robot whose key is bound.
	TopicApproval = "attestation/approval"
	// TopicOrder is a signed order for the guard.
	TopicOrder = "order"
	// TopicAcknowledgement is the consumer's signed acknowledgement.
	TopicAcknowledgement = "acknowledgement"
)

// down are the topics that the courier listens to. In recovery it sends no records, so nobody acknowledges any.
func down(bound, recovery bool) []string {
	out := []string{TopicChallenge, TopicResult, TopicOrder}
	if bound {
		out = append(out, TopicApproval)
	}
	if !recovery {
		out = append(out, TopicAcknowledgement)
	}
	return out
}

// Quality is the MQTT quality of service that the courier asks for when it listens to a topic. The broker keeps what nobody sends
// anew for a robot that is away, such as orders. It need not keep what the robot asks for or brings about once more when it is
// back: a challenge, a result, the acknowledgement of what is then sent again. Kept, these would be old when they come, would come
// before an order, could fill the broker's queue so that it drops the order, and on brokers that replicate what they keep would
// cost more than all else of an attestation.
func Quality(topic string) byte {
	switch topic {
	case TopicChallenge, TopicResult, TopicAcknowledgement:
		return 0
	}
	return 1
}

// The states of a connection, in VDA 5050's words.
const (
	// Online means that the courier is connected.
	Online = "ONLINE"
	// Offline means that it has ended in order.
	Offline = "OFFLINE"
	// Broken is the last will: nobody knows.
	Broken = "CONNECTIONBROKEN"
)

// TopicBase is what stands before a robot's topics: "<prefix>/v1/<manufacturer>/<serial>/".
func TopicBase(prefix, robot string) string { return prefix + "/v1/" + robot + "/" }

// ClientID is the MQTT client identifier of a robot, or of its recovery: what waits for the one is not for the other.
func ClientID(robot string, recovery bool) string {
	name := "robowarden:"
	if recovery {
		name = "robowarden-recovery:"
	}
	return name + strings.Replace(robot, "/", ":", 1)
}

// Header is VDA 5050's, the first part of every message's data.
type Header struct {
	HeaderID     uint32 `json:"headerId"`
	Timestamp    string `json:"timestamp"`
	Version      string `json:"version"`
	Manufacturer string `json:"manufacturer"`
	SerialNumber string `json:"serialNumber"`
	// Attested is true while the guard holds an accepted attestation result, and Tier is what evidence is signed with.
	Attested bool   `json:"attested"`
	Tier     string `json:"tier"`
	// Recovery is true while the robot speaks by its recovery, since its own key does not sign.
	Recovery bool `json:"recovery,omitempty"`
}

func (h *Header) header() *Header { return h }

// headed is data with a header.
type headed interface{ header() *Header }

// Envelope is CloudEvents 1.0 in structured JSON.
type Envelope struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Time            string `json:"time"`
	TimeTrust       string `json:"timetrust"`
	DataContentType string `json:"datacontenttype"`
	Data            any    `json:"data"`
}

// Connection is the data of a connection message.
type Connection struct {
	Header
	ConnectionState string `json:"connectionState"`
}

// State is the data of a state message.
type State struct {
	Header
	// Attestation is the state of the session, Until when an accepted result ends.
	Attestation string `json:"attestation"`
	Until       string `json:"attestedUntil,omitempty"`
	// Enforcement is "enforcing", "advisory", or "unknown" while the guard does not answer.
	Enforcement string `json:"enforcement"`
	// Oldest is, for each log, the first record that no acknowledgement covers.
	Oldest []Oldest `json:"oldestUnacknowledged"`
	// Guard is the guard's status as it gives it to its tools, null while it does not answer.
	Guard json.RawMessage `json:"guard"`
}

// Oldest names the first record of a log that no acknowledgement covers.
type Oldest struct {
	Log    string `json:"log"`
	BootID string `json:"bootId"`
	Seq    uint64 `json:"seq"`
}

// Event is the data of an event message: consecutive evidence records of one log and boot.
type Event struct {
	Header
	Log     string            `json:"log"`
	BootID  string            `json:"bootId"`
	Records []json.RawMessage `json:"records"`
}

// EventRecord is one of them.
type EventRecord struct {
	Seq        uint64 `json:"seq"`
	Kind       uint8  `json:"kind"`
	KindName   string `json:"kindName"`
	BootTimeNs int64  `json:"bootTimeNs"`
	// Prev and Digest are the evidence chain before and after the record. Prev is all zeros where it cannot be known.
	Prev    string `json:"prev"`
	Digest  string `json:"digest"`
	Payload []byte `json:"payload"`
	Text    string `json:"text"`
	// Decision is a guard's decision in words, for records that hold one.
	Decision *Decision `json:"decision,omitempty"`
}

// ReceiptMessage is the data of a receipt message.
type ReceiptMessage struct {
	Header
	BootID string `json:"bootId"`
	// Receipt is the guard's answer as bytes; the signature covers them.
	Receipt []byte `json:"receipt"`
	// Outcome is the same, for readers that do not check.
	Outcome contract.Receipt `json:"outcome"`
	KeyID   string           `json:"keyId"`
	// Signature is the device key's over [ReceiptMessage].
	Signature []byte `json:"signature"`
}

// ReceiptSigned is what the signature of a receipt covers: "robowarden/receipt/v1" 00, robot, 00, the boot id's 16 bytes,
// and the receipt's bytes.
func ReceiptSigned(robot string, boot [16]byte, receipt []byte) []byte {
	b := append([]byte("robowarden/receipt/v1\x00"), robot...)
	b = append(append(b, 0), boot[:]...)
	return append(b, receipt...)
}

// writer gives messages their envelopes.
type writer struct {
	clock    Clock
	robot    string
	tier     string
	recovery bool
	ids      map[string]uint32
}

// write encodes one message. id may be empty for a random one.
func (w *writer) write(topic, id string, attested bool, data headed) ([]byte, error) {
	now, trust := w.clock.Civil()
	if id == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // It never fails: crypto/rand ends the program instead.
		id = hex.EncodeToString(b[:])
	}
	manufacturer, serial, _ := strings.Cut(w.robot, "/")
	*data.header() = Header{
		HeaderID: w.ids[topic], Timestamp: stamp(now), Version: "1.0.0", Manufacturer: manufacturer, SerialNumber: serial,
		Attested: attested, Tier: w.tier, Recovery: w.recovery,
	}
	w.ids[topic]++
	out, err := json.Marshal(Envelope{
		SpecVersion: "1.0", ID: id, Source: "robowarden:" + w.robot, Time: stamp(now), TimeTrust: trust,
		Type: "io.robowarden." + strings.ReplaceAll(topic, "/", ".") + ".v1", DataContentType: "application/json", Data: data,
	})
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", topic, err)
	}
	return out, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// eventID names the records of an event message.
func eventID(log string, boot [16]byte, first, last uint64) string {
	id := fmt.Sprintf("%s/%s/%d", evidencelog.FormatBoot(boot), log, first)
	if last != first {
		id += fmt.Sprintf("-%d", last)
	}
	return id
}
