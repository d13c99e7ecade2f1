package contract

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	uuid1 = "01234567-89ab-cdef-0123-456789abcdef"
	hex32 = "0123456789abcdef0123456789abcdef"
	hex64 = hex32 + hex32
)

// bodies has one possible body of each type.
func bodies() []Body {
	return []Body{
		&Hello{Role: Courier, Min: 1, Max: 1, Program: "robowarden 1.0"},
		&Welcome{Version: 1, Robot: "acme/7", BootID: uuid1, Nonce: hex32, Journal: "/j", Policy: "sha256:" + hex64},
		&Peers{Peers: []Peer{{ID: 1, Topic: "/cmd", Node: "/plant", Local: "127.0.0.1:1", Remote: "[::1]:2", Gated: true, Transport: TransportUDP}}, Recorders: []string{"/dev/video*"}},
		&Processes{LeaseMS: 3000, Processes: []Process{
			{ID: 1, Found: true, PID: 12, UID: 0, Unit: "plant.service", Cgroup: "/system.slice", Exe: "/usr/bin/plant", ExeSHA256: hex64},
			{ID: 2, Why: "another computer"},
		}},
		&Devices{LeaseMS: 1000, Why: "not-permitted", Total: 2, Open: []OpenDevice{{Path: "/dev/video0", PID: 12, UID: 1000, Unit: "camera.service", Exe: "/usr/bin/camera"}}},
		&Artifacts{LeaseMS: 3000, Artifacts: []Artifact{{Name: "grasp-model", SHA256: hex64}, {Name: "arm", Why: "no slot is active"}}},
		&Session{State: SessionAttesting, Detail: "challenge received", Connected: true, LeaseMS: 1},
		&Head{BootID: uuid1, Seq: 10, Digest: hex64, EvidenceSeq: 9, Evidence: hex64},
		&Checkpoint{Log: "guard", BootID: uuid1, Seq: 1, Digest: hex64, Evidence: hex64, KeyID: "SHA256:x", Signature: []byte{1}},
		&Acknowledged{Envelope: []byte("{}")},
		&Keys{Lists: [][]byte{[]byte("{}"), []byte("[]")}},
		&CounterRequest{Nonce: hex64, To: 7, Make: true},
		&Counter{Nonce: hex64, Attest: []byte{1}, Signature: []byte{2}, Key: []byte{3}, Detail: "stated"},
		&Receipt{Digest: hex64, Kind: "stop", Accepted: true, Applied: true, Text: "done", Triggers: map[string]string{"estop": "done"}, Signers: []string{"ann"}},
		&Failure{Code: FailureBusy, Text: "later"},
	}
}

// empty returns a new value of the body's type.
func empty(b Body) Body {
	switch b.(type) {
	case *Hello:
		return new(Hello)
	case *Welcome:
		return new(Welcome)
	case *Peers:
		return new(Peers)
	case *Processes:
		return new(Processes)
	case *Devices:
		return new(Devices)
	case *Session:
		return new(Session)
	case *Artifacts:
		return new(Artifacts)
	case *Head:
		return new(Head)
	case *Checkpoint:
		return new(Checkpoint)
	case *Acknowledged:
		return new(Acknowledged)
	case *Keys:
		return new(Keys)
	case *Receipt:
		return new(Receipt)
	case *CounterRequest:
		return new(CounterRequest)
	case *Counter:
		return new(Counter)
	}
	return new(Failure)
}

func TestEveryBodyComesBack(t *testing.T) {
	seen := map[byte]bool{}
	for _, b := range bodies() {
		f, err := New(7, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFrame(AppendFrame(nil, f))
		if err != nil {
			t.Fatal(err)
		}
		back := empty(b)
		if err := got.Into(back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b, back); d != "" {
			t.Errorf("frame %q: %s", f.Type, d)
		}
		if got.ID != 7 || seen[f.Type] {
			t.Errorf("frame %q: id %d, or a type used twice", f.Type, got.ID)
		}
		seen[f.Type] = true
	}
	for _, c := range []byte{FrameOrder, FrameStatus, FrameStatusRequest} {
		if seen[c] {
			t.Errorf("frame %q has a JSON body", c)
		}
	}
}

func TestParseFrameRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"nothing":              {nil, ErrShort},
		"no id":                {[]byte("S"), ErrShort},
		"half an id":           {[]byte("S\x01\x02\x03"), ErrShort},
		"unknown type":         {[]byte("X\x00\x00\x00\x00"), ErrType},
		"zero type":            {make([]byte, 5), ErrType},
		"status with a body":   {[]byte("S\x00\x00\x00\x00x"), ErrTooLarge},
		"session over its cap": {append([]byte("T\x00\x00\x00\x00"), make([]byte, MaxPacket)...), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseFrame(c.packet); !errors.Is(err, c.want) {
				t.Errorf("found %v, expected %v", err, c.want)
			}
		})
	}
	if f, err := ParseFrame([]byte("S\x04\x03\x02\x01")); err != nil || f.ID != 0x01020304 {
		t.Errorf("id %#x, %v: expected little-endian", f.ID, err)
	}
}

func TestBodiesAreStrict(t *testing.T) {
	for name, c := range map[string]struct {
		frame byte
		body  string
		into  Body
	}{
		"nothing":                  {FrameSession, ``, &Session{}},
		"null":                     {FramePeers, `null`, &Peers{}},
		"an array":                 {FramePeers, `[]`, &Peers{}},
		"cut off":                  {FramePeers, `{"peers":[`, &Peers{}},
		"two documents":            {FramePeers, `{}{}`, &Peers{}},
		"something behind":         {FramePeers, `{} x`, &Peers{}},
		"a bracket behind":         {FramePeers, `{}]`, &Peers{}},
		"key twice":                {FramePeers, `{"peers":[],"peers":[]}`, &Peers{}},
		"key in capitals":          {FramePeers, `{"Peers":[]}`, &Peers{}},
		"no UTF-8":                 {FramePeers, "{\"peers\":[{\"id\":1,\"node\":\"/pl\xffant\"}]}", &Peers{}},
		"unknown key":              {FramePeers, `{"friends":[]}`, &Peers{}},
		"unknown key inside":       {FramePeers, `{"peers":[{"id":1,"remote":"1.2.3.4:5","nice":true}]}`, &Peers{}},
		"key twice inside":         {FramePeers, `{"peers":[{"id":1,"id":1,"remote":"1.2.3.4:5"}]}`, &Peers{}},
		"too deep":                 {FramePeers, `{"peers":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`, &Peers{}},
		"another transport":        {FramePeers, `{"peers":[{"id":1,"remote":"1.2.3.4:5","transport":"tcp"}]}`, &Peers{}},
		"peer id 0":                {FramePeers, `{"peers":[{"id":0,"remote":"1.2.3.4:5"}]}`, &Peers{}},
		"peer id twice":            {FramePeers, `{"peers":[{"id":1,"remote":"1.2.3.4:5"},{"id":1,"remote":"1.2.3.4:5"}]}`, &Peers{}},
		"peer without an address":  {FramePeers, `{"peers":[{"id":1}]}`, &Peers{}},
		"negative id":              {FramePeers, `{"peers":[{"id":-1,"remote":"1.2.3.4:5"}]}`, &Peers{}},
		"wrong role":               {FrameHello, `{"role":"guard","min_version":1,"max_version":1}`, &Hello{}},
		"versions the wrong way":   {FrameHello, `{"role":"courier","min_version":2,"max_version":1}`, &Hello{}},
		"no version":               {FrameHello, `{"role":"courier"}`, &Hello{}},
		"attested without a sign":  {FrameSession, `{"state":"attested","lease_ms":1000}`, &Session{}},
		"no state":                 {FrameSession, `{"lease_ms":1000}`, &Session{}},
		"no lease":                 {FrameSession, `{"state":"failed"}`, &Session{}},
		"lease of an hour":         {FrameSession, `{"state":"failed","lease_ms":3600000}`, &Session{}},
		"negative lease":           {FrameProcesses, `{"lease_ms":-1}`, &Processes{}},
		"lease beyond int64":       {FrameProcesses, `{"lease_ms":99999999999999999999}`, &Processes{}},
		"lease as a fraction":      {FrameProcesses, `{"lease_ms":1.5}`, &Processes{}},
		"found without a process":  {FrameProcesses, `{"lease_ms":1,"processes":[{"id":1,"found":true}]}`, &Processes{}},
		"not found with content":   {FrameProcesses, `{"lease_ms":1,"processes":[{"id":1,"unit":"plant.service"}]}`, &Processes{}},
		"an artifact twice":        {FrameArtifacts, `{"lease_ms":1,"artifacts":[{"name":"a"},{"name":"a"}]}`, &Artifacts{}},
		"an artifact without name": {FrameArtifacts, `{"lease_ms":1,"artifacts":[{"sha256":""}]}`, &Artifacts{}},
		"half an artifact digest":  {FrameArtifacts, `{"lease_ms":1,"artifacts":[{"name":"a","sha256":"ab"}]}`, &Artifacts{}},
		"artifacts without lease":  {FrameArtifacts, `{"artifacts":[]}`, &Artifacts{}},
		"negative user":            {FrameProcesses, `{"lease_ms":1,"processes":[{"id":1,"found":true,"pid":1,"uid":-1}]}`, &Processes{}},
		"digest in capitals":       {FrameProcesses, `{"lease_ms":1,"processes":[{"id":1,"found":true,"pid":1,"exe_sha256":"` + strings.ToUpper(hex64) + `"}]}`, &Processes{}},
		"short digest":             {FrameHead, `{"boot_id":"` + uuid1 + `","seq":1,"digest":"00","evidence":"` + hex64 + `"}`, &Head{}},
		"boot id in capitals":      {FrameHead, `{"boot_id":"` + strings.ToUpper(uuid1) + `","seq":1,"digest":"` + hex64 + `","evidence":"` + hex64 + `"}`, &Head{}},
		"evidence before the head": {FrameHead, `{"boot_id":"` + uuid1 + `","seq":1,"evidence_seq":2,"digest":"` + hex64 + `","evidence":"` + hex64 + `"}`, &Head{}},
		"checkpoint of a stranger": {FrameCheckpoint, `{"log":"courier","boot_id":"` + uuid1 + `","digest":"` + hex64 + `","evidence":"` + hex64 + `","signature":"AA=="}`, &Checkpoint{}},
		"checkpoint unsigned":      {FrameCheckpoint, `{"log":"guard","boot_id":"` + uuid1 + `","digest":"` + hex64 + `","evidence":"` + hex64 + `"}`, &Checkpoint{}},
		"acknowledgement of none":  {FrameAcknowledged, `{}`, &Acknowledged{}},
		"devices without a lease":  {FrameDevices, `{"complete":true}`, &Devices{}},
		"complete with a reason":   {FrameDevices, `{"lease_ms":1,"complete":true,"why":"x"}`, &Devices{}},
		"incomplete without one":   {FrameDevices, `{"lease_ms":1}`, &Devices{}},
		"fewer than are named":     {FrameDevices, `{"lease_ms":1,"complete":true,"open":[{"path":"/dev/video0","pid":1}]}`, &Devices{}},
		"open and nobody named":    {FrameDevices, `{"lease_ms":1,"complete":true,"total":1}`, &Devices{}},
		"a device of nobody":       {FrameDevices, `{"lease_ms":1,"complete":true,"total":1,"open":[{"path":"/dev/video0"}]}`, &Devices{}},
		"more than can be open":    {FrameDevices, `{"lease_ms":1,"complete":true,"total":99999999,"open":[{"path":"/dev/video0","pid":1}]}`, &Devices{}},
		"long text":                {FrameSession, `{"state":"failed","lease_ms":1,"detail":"` + strings.Repeat("x", MaxText+1) + `"}`, &Session{}},
		"another frame's body":     {FrameHead, `{}`, &Session{}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := (Frame{Type: c.frame, Body: []byte(c.body)}).Into(c.into); err == nil {
				t.Errorf("taken: %+v", c.into)
			}
		})
	}
}

func TestNewRefusesWhatTheOtherEndWould(t *testing.T) {
	many := Processes{LeaseMS: 1}
	for i := range MaxPeers + 1 {
		many.Processes = append(many.Processes, Process{ID: uint32(i + 1)})
	}
	for name, b := range map[string]Body{
		"too many processes": many,
		"broken UTF-8":       Session{State: SessionFailed, LeaseMS: 1, Detail: "\xff"},
		"no role":            Hello{Min: 1, Max: 1},
		"no boot id":         Welcome{Version: 1, Nonce: hex32},
		"large envelope":     Acknowledged{Envelope: make([]byte, MaxEnvelope+1)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(0, b); err == nil {
				t.Error("made")
			}
		})
	}
}

// TestFramesComeBack: whatever a packet holds, parsing and writing it gives the same packet.
func TestFramesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packet := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "packet")
		if rapid.Bool().Draw(t, "known") && len(packet) > 0 {
			packet[0] = rapid.SampledFrom([]byte("HWORPQVTDCSsAE")).Draw(t, "type")
		}
		f, err := ParseFrame(packet)
		if err == nil && !bytes.Equal(AppendFrame(nil, f), packet) {
			t.Fatalf("%x became %x", packet, AppendFrame(nil, f))
		}
	})
}

func FuzzFrame(f *testing.F) {
	for _, b := range bodies() {
		frame, err := New(1, b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(AppendFrame(nil, frame))
	}
	f.Add([]byte("S\x01\x00\x00\x00"))
	f.Add([]byte("O\x01\x00\x00\x00{}"))
	f.Add([]byte("P\x01\x00\x00\x00{\"lease_ms\":1,\"lease_ms\":2}"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		frame, err := ParseFrame(packet)
		if err != nil {
			return
		}
		for _, b := range bodies() {
			if b.frame() != frame.Type {
				continue
			}
			got := empty(b)
			if frame.Into(got) != nil {
				return
			}
			// What was taken can be said again, and means the same.
			again, err := New(frame.ID, got)
			if err != nil {
				t.Fatalf("taken but not to be written: %v", err)
			}
			back := empty(b)
			if err := again.Into(back); err != nil {
				t.Fatalf("%s: %v", again.Body, err)
			}
			second, err := New(frame.ID, back)
			if err != nil || !bytes.Equal(again.Body, second.Body) {
				t.Fatalf("%s became %s, %v", again.Body, second.Body, err)
			}
		}
	})
}
