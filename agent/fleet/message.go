package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/robowarden/robowarden/attest/order"
)

// Bounds of a message.
const (
	// MaxMessage is the largest message that is read, in bytes.
	MaxMessage = 4 << 20
	// MaxRecords is the largest number of records in one message.
	MaxRecords = 64
	maxDepth   = 16
	maxClaim   = 512
	maxLogName = 32
)

const (
	eventType      = "io.robowarden.event.v1"
	connectionType = "io.robowarden.connection.v1"
)

// envelope is a CloudEvents 1.0 message in its structured JSON form, as far as the interface uses it.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Time        string          `json:"time"`
	TimeTrust   string          `json:"timetrust"`
	ContentType string          `json:"datacontenttype"`
	Data        json.RawMessage `json:"data"`
}

// header is what every message of a robot begins with, in VDA 5050's words.
type header struct {
	Manufacturer string `json:"manufacturer"`
	SerialNumber string `json:"serialNumber"`
	Timestamp    string `json:"timestamp"`
	Version      string `json:"version"`
	Recovery     bool   `json:"recovery"`
}

// place names a log within a boot; the records of one message may share it.
type place struct {
	Log    *string `json:"log"`
	BootID *string `json:"bootId"`
}

// wireRecord is a record as the interface writes it.
type wireRecord struct {
	place
	Seq        *uint64 `json:"seq"`
	Kind       *uint8  `json:"kind"`
	KindName   string  `json:"kindName"`
	BootTimeNs *int64  `json:"bootTimeNs"`
	Prev       string  `json:"prev"`
	Digest     string  `json:"digest"`
	Payload    *string `json:"payload"`
	Text       string  `json:"text"`
}

// eventData is the content of an event message: one record, or several.
type eventData struct {
	header
	wireRecord
	Attested *bool             `json:"attested"`
	Tier     string            `json:"tier"`
	Records  []json.RawMessage `json:"records"`
}

// openMessage checks the outer form of a message and that it is about the robot that its topic names.
func openMessage(robot, kind string, payload []byte) (json.RawMessage, *Alarm) {
	malformed := func(format string, args ...any) *Alarm {
		return &Alarm{Code: Malformed, Robot: robot, Text: fmt.Sprintf(format, args...)}
	}
	if len(payload) > MaxMessage {
		return nil, &Alarm{Code: Oversize, Robot: robot, Text: fmt.Sprintf("a message of %d bytes: at most %d are read", len(payload), MaxMessage)}
	}
	if err := unambiguous(payload); err != nil {
		return nil, malformed("the message is no JSON that reads in one way only: %v", err)
	}
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, malformed("the message is no CloudEvent: %v", err)
	}
	switch {
	case e.SpecVersion != "1.0":
		return nil, malformed("specversion %q: expected 1.0", clip(e.SpecVersion))
	case e.ID == "":
		return nil, malformed("id: expected one, found none")
	case e.Type != kind:
		return nil, malformed("type %q: expected %s", clip(e.Type), kind)
	case e.ContentType != "application/json":
		return nil, malformed("datacontenttype %q: expected application/json", clip(e.ContentType))
	case e.TimeTrust != "trusted" && e.TimeTrust != "holdover" && e.TimeTrust != "untrusted":
		return nil, malformed("timetrust %q: expected trusted, holdover or untrusted", clip(e.TimeTrust))
	case e.Source != "robowarden:"+robot:
		return nil, &Alarm{Code: WrongRobot, Robot: robot, Text: fmt.Sprintf("source %q on the topic of %s", clip(e.Source), robot)}
	}
	if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
		return nil, malformed("time %q: expected RFC 3339", clip(e.Time))
	}
	var h header
	if err := json.Unmarshal(e.Data, &h); err != nil {
		return nil, malformed("data: %v", err)
	}
	if h.Recovery && kind != connectionType {
		return nil, &Alarm{Code: InRecovery, Robot: robot, Text: "the robot says that it speaks by its recovery, and sends " + kind}
	}
	if named := h.Manufacturer + "/" + h.SerialNumber; named != robot {
		return nil, &Alarm{Code: WrongRobot, Robot: robot, Text: fmt.Sprintf("header of %q on the topic of %s", clip(named), robot)}
	}
	return e.Data, nil
}

// readEvent returns the records of an event message, in its order.
func readEvent(robot string, payload []byte) ([]Record, *Alarm) {
	data, alarm := openMessage(robot, eventType, payload)
	if alarm != nil {
		return nil, alarm
	}
	var d eventData
	err := json.Unmarshal(data, &d)
	switch {
	case err != nil:
	case d.Attested == nil:
		err = errors.New("attested: expected true or false, found nothing")
	case d.Records != nil && d.Seq != nil:
		err = errors.New("expected either one record or a list of records, found both")
	case d.Records != nil && (len(d.Records) == 0 || len(d.Records) > MaxRecords):
		err = fmt.Errorf("records: expected 1 to %d, found %d", MaxRecords, len(d.Records))
	}
	if err != nil {
		return nil, &Alarm{Code: Malformed, Robot: robot, Text: "event: " + err.Error()}
	}
	list := make([]Record, 0, max(1, len(d.Records)))
	if d.Records == nil {
		r, err := d.record(place{}, *d.Attested)
		if err != nil {
			return nil, &Alarm{Code: Malformed, Robot: robot, Text: "event: " + err.Error()}
		}
		return append(list, r), nil
	}
	for i, raw := range d.Records {
		var w wireRecord
		err := json.Unmarshal(raw, &w)
		if err == nil {
			var r Record
			r, err = w.record(d.place, *d.Attested)
			list = append(list, r)
		}
		if err != nil {
			return nil, &Alarm{Code: Malformed, Robot: robot, Text: fmt.Sprintf("event: records[%d]: %v", i, err)}
		}
	}
	return list, nil
}

// record checks the fields of one record. shared is where it lies if it does not say so itself.
func (w *wireRecord) record(shared place, attested bool) (Record, error) {
	if w.Log == nil {
		w.Log = shared.Log
	}
	if w.BootID == nil {
		w.BootID = shared.BootID
	}
	switch {
	case w.Log == nil || !isLogName(*w.Log):
		return Record{}, fmt.Errorf("log: expected 1 to %d of a-z and \"-\"", maxLogName)
	case w.BootID == nil:
		return Record{}, errors.New("bootId: expected a UUID, found nothing")
	case w.Seq == nil || *w.Seq == 0 || *w.Seq > order.MaxSequence:
		return Record{}, fmt.Errorf("seq: expected a number from 1 to %d", uint64(order.MaxSequence))
	case w.Kind == nil:
		return Record{}, errors.New("kind: expected a number, found nothing")
	case w.BootTimeNs == nil || *w.BootTimeNs < 0:
		return Record{}, errors.New("bootTimeNs: expected nanoseconds since the boot")
	case w.Payload == nil:
		return Record{}, errors.New("payload: expected base64, found nothing")
	}
	r := Record{Log: *w.Log, Seq: *w.Seq, Kind: *w.Kind, BootTime: time.Duration(*w.BootTimeNs), Attested: attested}
	var err error
	if r.Boot, err = ParseBootID(*w.BootID); err != nil {
		return Record{}, fmt.Errorf("bootId: %w", err)
	}
	if r.Prev, err = ParseDigest(w.Prev); err != nil {
		return Record{}, fmt.Errorf("prev: %w", err)
	}
	if r.Digest, err = ParseDigest(w.Digest); err != nil {
		return Record{}, fmt.Errorf("digest: %w", err)
	}
	if r.Payload, err = base64.StdEncoding.Strict().DecodeString(*w.Payload); err != nil {
		return Record{}, fmt.Errorf("payload: expected base64: %w", err)
	}
	r.Claim = clip(strings.TrimSpace(w.KindName + " " + w.Text))
	return r, nil
}

// readConnection returns the state that a connection message tells.
func readConnection(robot string, payload []byte) (string, *Alarm) {
	data, alarm := openMessage(robot, connectionType, payload)
	if alarm != nil {
		return "", alarm
	}
	var d struct {
		State    string `json:"connectionState"`
		Recovery bool   `json:"recovery"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return "", &Alarm{Code: Malformed, Robot: robot, Text: "connection: " + err.Error()}
	}
	switch d.State {
	case "ONLINE", "OFFLINE", "CONNECTIONBROKEN":
		if d.Recovery {
			return d.State + " in recovery: its own key does not sign", nil
		}
		return d.State, nil
	}
	return "", &Alarm{Code: Malformed, Robot: robot, Text: fmt.Sprintf("connectionState %q: expected ONLINE, OFFLINE or CONNECTIONBROKEN", clip(d.State))}
}

// readTopic splits <prefix>/v1/<manufacturer>/<serial>/<name>.
func readTopic(prefix, topic string) (robot, name string, ok bool) {
	rest, ok := strings.CutPrefix(topic, prefix+"/v1/")
	parts := strings.SplitN(rest, "/", 3)
	if !ok || len(parts) != 3 || !order.IsRobotID(parts[0]+"/"+parts[1]) {
		return "", "", false
	}
	return parts[0] + "/" + parts[1], parts[2], true
}

func isLogName(s string) bool {
	return s != "" && len(s) <= maxLogName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// clip shortens text from outside for messages.
func clip(s string) string {
	if len(s) <= maxClaim {
		return s
	}
	return strings.ToValidUTF8(s[:maxClaim], "") + "…"
}

// unambiguous refuses JSON that two readers may understand differently: keys that occur twice or differ in case only,
// bytes that are no UTF-8, text behind the document, and nesting without end.
func unambiguous(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("the text is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := uniqueKeys(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the document")
	}
	return nil
}

func uniqueKeys(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	var keys map[string]bool
	if delim == '{' {
		keys = make(map[string]bool, 16)
	}
	for d.More() {
		if keys != nil {
			k, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := k.(string) // the decoder takes nothing else for a key
			folded := strings.ToLower(name)
			if keys[folded] {
				return fmt.Errorf("key %q occurs twice", clip(name))
			}
			keys[folded] = true
		}
		if err := uniqueKeys(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}
