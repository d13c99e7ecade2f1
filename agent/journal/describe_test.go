package journal

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAppendLine(t *testing.T) {
	seg := &Segment{BootID: testBoot}
	decode := func(kind Kind, p []byte) (string, string, error) {
		if kind != 3 {
			return "", "", errors.New("unknown kind")
		}
		return "verdict", "zone " + string(p), nil
	}
	recovered := func(r Recovered) []byte { return r.append(nil) }
	for _, tt := range []struct {
		name   string
		rec    Record
		decode Decoder
		want   string
	}{
		{"no decoder", Record{Seq: 7, Kind: 3, Boot: 1500 * time.Millisecond, Payload: []byte{1, 2}, Segment: seg}, nil, "7 b0070100 1.500000s kind-3 2 bytes 0102"},
		{"decoder", Record{Seq: 7, Kind: 3, Urgent: true, Payload: []byte("ward")}, decode, "7 0.000000s! verdict zone ward"},
		{"decoder refuses", Record{Seq: 7, Kind: 4, Payload: []byte{1}}, decode, "7 0.000000s kind-4 1 bytes 01 (unknown kind)"},
		{"long payload", Record{Kind: 4, Payload: make([]byte, 33)}, nil, "0 0.000000s kind-4 33 bytes " + strings.Repeat("00", 32) + "…"},
		{"terminal tricks", Record{Kind: 3, Payload: []byte("a\x1b[2Jb\n\u202ec\xff")}, decode, `0 0.000000s verdict zone a\x1b[2Jb\n\u202ec\ufffd`},
		{"after damage", Record{Seq: 9, Kind: 4, Unlinked: true}, nil, "9 0.000000s kind-4 0 bytes  (after damage: what is missing before it is unknown)"},
		{"gap", Record{Seq: 9, Kind: KindGap, Payload: Gap{3, time.Second, 2 * time.Second}.append(nil)}, decode, "9 0.000000s gap 3 records lost, 9 to 11, between 1.000000s and 2.000000s"},
		{"malformed gap", Record{Seq: 9, Kind: KindGap}, nil, "9 0.000000s gap 0 bytes  (gap: expected 24 bytes, found 0)"},
		{"close", Record{Seq: 9, Kind: KindClose, Payload: make([]byte, 8)}, nil, "9 0.000000s close closed in order, 0 records lost in the session"},
		{"malformed close", Record{Seq: 9, Kind: KindClose}, nil, "9 0.000000s close 0 bytes  (close: expected 8 bytes, found 0)"},
		{"torn", Record{Kind: KindRecovered, Payload: recovered(Recovered{Cause: CauseTorn, Segment: 2, Offset: 9, Bytes: 1})}, nil, "0 0.000000s recovered torn tail dropped: segment 2 byte 9, 1 bytes, sha256 " + strings.Repeat("00", 32)},
		{"damaged", Record{Kind: KindRecovered, Payload: recovered(Recovered{Cause: CauseDamaged, Segment: 2, Offset: 9, Bytes: 1})}, nil, "0 0.000000s recovered damaged rest set aside: segment 2 byte 9, 1 bytes, sha256 " + strings.Repeat("00", 32) + ", kept in 0000000000000002-9-00000000.damaged"},
		{"missing", Record{Kind: KindRecovered, Payload: recovered(Recovered{Cause: CauseMissing, Segment: 2, Offset: 9})}, nil, "0 0.000000s recovered old segments missing: 2 to 9"},
		{"no successor", Record{Kind: KindRecovered, Payload: recovered(Recovered{Cause: CauseSuccessor, Segment: 2})}, nil, "0 0.000000s recovered sealed segment without successor: segment 2"},
		{"unknown cause", Record{Kind: KindRecovered, Payload: recovered(Recovered{Cause: 77})}, nil, "0 0.000000s recovered cause 77: segment 0 byte 0, 0 bytes, sha256 " + strings.Repeat("00", 32)},
		{"malformed recovered", Record{Kind: KindRecovered}, nil, "0 0.000000s recovered 0 bytes  (recovered: expected 65 to 577 bytes, found 0)"},
		{"unknown own kind", Record{Kind: 0xff}, nil, "0 0.000000s kind-255 0 bytes "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendLine(nil, &tt.rec, tt.decode)); got != tt.want {
				t.Errorf("expected %q\nfound    %q", tt.want, got)
			}
		})
	}
}

func TestHexDump(t *testing.T) {
	if got := HexDump([]byte("abc")); !strings.Contains(got, "61 62 63") || !strings.Contains(got, "|abc|") {
		t.Errorf("%q", got)
	}
}

func TestErrorTexts(t *testing.T) {
	for c := CodeTorn; c <= CodeFile; c++ {
		if strings.HasPrefix(c.String(), "code ") {
			t.Errorf("code %d has no text", c)
		}
	}
	if Code(200).String() != "code 200" || Code(0).String() != "code 0" {
		t.Error("an unknown code must show its number")
	}
	cause := errors.New("disk on fire")
	err := &Error{Code: CodeFile, File: "a.seg", Offset: 3, Seq: 9, Detail: "reading", Err: cause}
	if want := "a.seg: byte 3 (record 9): file cannot be used: reading: disk on fire"; err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("%q", err.Error())
	}
}

func TestReportAsJSON(t *testing.T) {
	s := newSample(t)
	edit(s, 3, func(b []byte) []byte { return b[:len(b)-1] })
	rep, err := verify(s.fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK       bool   `json:"ok"`
		Head     string `json:"head"`
		LastSeq  uint64 `json:"last_seq"`
		Problems []struct {
			Code, File, Detail string
			Offset             int64
			Seq                uint64
		} `json:"problems"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.LastSeq != samples || got.Head != hex.EncodeToString(rep.Head[:]) || len(got.Problems) != 1 ||
		got.Problems[0].Code != CodeTorn.String() || got.Problems[0].Seq != samples+1 || got.Problems[0].File != s.path {
		t.Fatalf("%s", b)
	}
	if b, err := json.Marshal(&Error{Code: CodeFile, Err: errors.New("on fire")}); err != nil || !strings.Contains(string(b), `"detail":"on fire"`) {
		t.Fatalf("%s %v", b, err)
	}
}
