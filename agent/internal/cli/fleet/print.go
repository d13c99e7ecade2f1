package fleet

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/agent/steward"
)

// printer writes lines; the first failure ends the command in the end, so that a closed pipe is no success.
type printer struct {
	w    io.Writer
	json bool
	line []byte
	err  error
}

func (p *printer) print(text string, v any) {
	p.line = append(p.line[:0], text...)
	if p.json {
		raw, err := json.Marshal(v)
		if err != nil {
			p.err = err
			return
		}
		p.line = append(p.line[:0], raw...)
	}
	p.line = append(p.line, '\n')
	if _, err := p.w.Write(p.line); err != nil && p.err == nil {
		p.err = err
	}
}

// record prints what the payload says, which the chain covers; the courier's own words only where nobody can read it.
func (p *printer) record(robot string, r *fleet.Record) {
	rec := journal.Record{
		Seq: r.Seq, Boot: r.BootTime, Kind: journal.Kind(r.Kind), Payload: r.Payload, Segment: &journal.Segment{BootID: r.Boot},
	}
	line := journal.AppendLine(nil, &rec, describer(r))
	text := fmt.Sprintf("%s %s %s", robot, r.Log, line)
	if !r.Attested {
		text += " (unattested)"
	}
	p.print(text, struct {
		Type     string `json:"type"`
		Robot    string `json:"robot"`
		Log      string `json:"log"`
		BootID   string `json:"boot_id"`
		Seq      uint64 `json:"seq"`
		Kind     uint8  `json:"kind"`
		BootTime int64  `json:"boot_time_ns"`
		Digest   string `json:"digest"`
		Attested bool   `json:"attested"`
		Text     string `json:"text"`
		Payload  string `json:"payload"`
	}{
		"record", robot, r.Log, r.Boot.String(), r.Seq, r.Kind, int64(r.BootTime), r.Digest.String(), r.Attested, string(line),
		base64.StdEncoding.EncodeToString(r.Payload),
	})
}

// describer reads the payloads of a log.
func describer(r *fleet.Record) journal.Decoder {
	return func(kind journal.Kind, payload []byte) (name, text string, err error) {
		if r.Log == "guard" {
			switch uint8(kind) {
			case guard.RecordStart:
				return "start", string(payload), nil
			case guard.RecordDecision:
				text, err = guard.DescribeDecision(payload)
				return "decision", text, err
			case guard.RecordRung:
				text, err = guard.DescribeLadder(payload)
				return "rung", text, err
			case guard.RecordPosture:
				text, err = guard.DescribePosture(payload)
				return "posture", text, err
			case guard.RecordDemand:
				text, err = guard.DescribeJudgement(payload)
				return "demand", text, err
			case guard.RecordOrder:
				return "order", string(payload), nil
			case guard.RecordAuthority:
				text, err = guard.DescribeAuthority(payload)
				return "authority", text, err
			case guard.RecordPolicy:
				return "policy", string(payload), nil
			}
		}
		switch {
		case r.Log == "steward" && steward.KindName(kind) != "":
			return steward.KindName(kind), string(payload), nil
		case r.Log == "courier" && r.Kind == fleet.KindCheckpoint:
			return "checkpoint", string(payload), nil
		case r.Log == "courier" && r.Kind == fleet.KindLoss:
			return "loss", string(payload), nil
		case utf8.Valid(payload):
			return fmt.Sprintf("kind-%d", kind), string(payload), nil
		}
		return fmt.Sprintf("kind-%d", kind), fmt.Sprintf("%d bytes; the courier calls it: %s", len(payload), r.Claim), nil
	}
}

func (p *printer) alarm(a fleet.Alarm) {
	boot := ""
	if a.Boot != (fleet.BootID{}) {
		boot = a.Boot.String()
	}
	quoted := strconv.Quote(a.String()) // text from outside is in it
	p.print("ALARM "+quoted[1:len(quoted)-1], struct {
		Type     string     `json:"type"`
		Code     fleet.Code `json:"code"`
		Robot    string     `json:"robot,omitempty"`
		Log      string     `json:"log,omitempty"`
		BootID   string     `json:"boot_id,omitempty"`
		Seq      uint64     `json:"seq,omitempty"`
		Text     string     `json:"text"`
		Remedy   string     `json:"remedy"`
		Repeated int        `json:"repeated,omitempty"`
	}{"alarm", a.Code, a.Robot, a.Log, boot, a.Seq, a.Text, a.Remedy, a.Repeated})
}

func (p *printer) connection(robot, state string) {
	p.print(robot+" "+state, struct {
		Type  string `json:"type"`
		Robot string `json:"robot"`
		State string `json:"state"`
	}{"connection", robot, state})
}
