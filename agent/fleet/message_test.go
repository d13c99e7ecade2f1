package fleet

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
)

// TestFormFaults breaks the form of a message in one place each.
func TestFormFaults(t *testing.T) {
	r := newSource("guard", testBoot(1)).write(4, 1, "a")
	field := func(key string, v any) []byte {
		data := wire(&r)
		if v == nil {
			delete(data, key)
		} else {
			data[key] = v
		}
		return cloud(t, eventType, data)
	}
	outer := func(key string, v any) []byte {
		var all map[string]any
		if err := json.Unmarshal(event(t, r), &all); err != nil {
			t.Fatal(err)
		}
		all[key] = v
		out, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	good := string(event(t, r))
	faults := map[string]struct {
		message []byte
		want    Code
	}{
		"off: nothing is wrong":    {[]byte(good), ""},
		"unknown key":              {field("news", 1), ""},
		"in recovery":              {field("recovery", true), InRecovery},
		"off: not in recovery":     {field("recovery", false), ""},
		"no JSON":                  {[]byte("hello"), Malformed},
		"empty":                    {nil, Malformed},
		"text behind":              {[]byte(good + "{}"), Malformed},
		"key twice":                {[]byte(strings.Replace(good, `"seq":1`, `"seq":1,"seq":2`, 1)), Malformed},
		"key twice in capitals":    {[]byte(strings.Replace(good, `"seq":1`, `"seq":1,"SEQ":2`, 1)), Malformed},
		"no UTF-8":                 {[]byte(strings.Replace(good, "a line", "a \xff line", 1)), Malformed},
		"nested too deep":          {field("decision", json.RawMessage(strings.Repeat("[", 40)+strings.Repeat("]", 40))), Malformed},
		"too large":                {field("text", strings.Repeat("x", MaxMessage)), Oversize},
		"another version":          {outer("specversion", "0.3"), Malformed},
		"another type":             {outer("type", "io.robowarden.state.v1"), Malformed},
		"no time":                  {outer("time", "yesterday"), Malformed},
		"trust unknown":            {outer("timetrust", "very"), Malformed},
		"source of another robot":  {outer("source", "robowarden:acme/runner-2"), WrongRobot},
		"header of another robot":  {field("serialNumber", "runner-2"), WrongRobot},
		"no log":                   {field("log", nil), Malformed},
		"log of strange letters":   {field("log", "../guard"), Malformed},
		"log without end":          {field("log", strings.Repeat("a", 33)), Malformed},
		"no boot":                  {field("bootId", nil), Malformed},
		"boot in capitals":         {field("bootId", strings.ToUpper(testBoot(0xaa).String())), Malformed},
		"boot of zeros":            {field("bootId", BootID{}.String()), Malformed},
		"boot without dashes":      {field("bootId", strings.ReplaceAll(r.Boot.String(), "-", "")), Malformed},
		"no number":                {field("seq", nil), Malformed},
		"number zero":              {field("seq", 0), Malformed},
		"number negative":          {field("seq", -1), Malformed},
		"number with a fraction":   {field("seq", 1.5), Malformed},
		"number at the end":        {field("seq", json.RawMessage("18446744073709551615")), Malformed},
		"kind too large":           {field("kind", 256), Malformed},
		"no kind":                  {field("kind", nil), Malformed},
		"boot clock negative":      {field("bootTimeNs", -1), Malformed},
		"digest short":             {field("digest", "aa"), Malformed},
		"digest in capitals":       {field("digest", strings.ToUpper(r.Digest.String())), Malformed},
		"no payload":               {field("payload", nil), Malformed},
		"payload no base64":        {field("payload", "a"), Malformed},
		"attested left out":        {field("attested", json.RawMessage("null")), Malformed},
		"records and a record":     {field("records", []any{wire(&r)}), Malformed},
		"no records in a list":     {cloud(t, eventType, map[string]any{"records": []any{}}), Malformed},
		"too many records":         {event(t, newSource("guard", testBoot(1)).writeN(MaxRecords+1)...), Malformed},
		"one bad record in a list": {cloud(t, eventType, map[string]any{"records": []any{wire(&r), 5}}), Malformed},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			list, alarm := readEvent(testRobot, f.message)
			switch {
			case f.want == "" && (alarm != nil || len(list) != 1 || !list[0].follows()):
				t.Errorf("%v, %v: expected the record", list, alarm)
			case f.want != "" && (alarm == nil || alarm.Code != f.want || len(list) != 0):
				t.Errorf("%v, %v: expected %s", list, alarm, f.want)
			}
		})
	}
}

// TestSharedPlace has log and boot once for all records.
func TestSharedPlace(t *testing.T) {
	want := newSource("guard", testBoot(1)).writeN(3)
	var records []any
	for i := range want {
		w := wire(&want[i])
		delete(w, "log")
		delete(w, "bootId")
		records = append(records, w)
	}
	data := map[string]any{"records": records}
	maps.Copy(data, map[string]any{"log": "guard", "bootId": testBoot(1).String()})
	got, alarm := readEvent(testRobot, cloud(t, eventType, data))
	if alarm != nil {
		t.Fatal(alarm)
	}
	same(t, got, want)
}

func TestCheckpointForm(t *testing.T) {
	key := testKey(t, "ed25519")
	good := checkpointJSON(t, key, "guard", testBoot(1), 7, Digest{1})
	cp, err := readCheckpoint([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.verify(key.Public()); err != nil {
		t.Errorf("off: %v", err)
	}
	cp.seq++
	if cp.verify(key.Public()) == nil {
		t.Error("a checkpoint with another number verifies")
	}
	for name, bad := range map[string]string{
		"unknown key": strings.Replace(good, "{", `{"x":1,`, 1), "key twice": strings.Replace(good, "{", `{"seq":1,`, 1),
		"text behind": good + " 1", "log": strings.Replace(good, `"guard"`, `"Guard"`, 1), "empty": "", "null": "null",
	} {
		if cp, err := readCheckpoint([]byte(bad)); err == nil {
			t.Errorf("%s: %+v was read", name, cp)
		}
	}
	for _, bad := range []string{"{}", `{"log":"guard","boot_id":"` + testBoot(1).String() + `","first":5,"last":4}`} {
		if l, err := readLoss([]byte(bad)); err == nil {
			t.Errorf("%s: %+v was read", bad, l)
		}
	}
}

// TestPacketLimit feeds a connection byte by byte and in one piece.
func TestPacketLimit(t *testing.T) {
	packet := func(n int) []byte {
		b := []byte{0x30}
		length := n
		for {
			c := byte(length & 0x7f)
			if length >>= 7; length > 0 {
				b = append(b, c|0x80)
				continue
			}
			return append(append(b, c), make([]byte, n)...)
		}
	}
	streams := map[string]struct {
		data []byte
		bad  bool
	}{
		"off: small packets":      {append(append(packet(0), packet(127)...), packet(1000)...), false},
		"one byte too large":      {append(packet(5), packet(1001)...), true},
		"the largest announced":   {[]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, true},
		"a length without an end": {[]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x01}, true},
	}
	for name, s := range streams {
		for _, step := range []int{1, 7, len(s.data)} {
			near, far := net.Pipe()
			go func() {
				for i := 0; i < len(s.data); i += step {
					if _, err := far.Write(s.data[i:min(i+step, len(s.data))]); err != nil {
						return
					}
				}
				_ = far.Close()
			}()
			_, err := io.Copy(io.Discard, &limited{Conn: near, limit: 1000})
			if (err != nil) != s.bad {
				t.Errorf("%s in steps of %d: %v", name, step, err)
			}
			_ = near.Close()
		}
	}
}

func FuzzEvent(f *testing.F) {
	s := newSource("guard", testBoot(1))
	f.Add(event(f, s.write(4, 1, "a")))
	f.Add(event(f, s.writeN(3)...))
	f.Add([]byte(`{"specversion":"1.0"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, alarm := readEvent(testRobot, data)
		if (alarm == nil) == (len(list) == 0) {
			t.Errorf("%d records and alarm %v", len(list), alarm)
		}
	})
}

func FuzzCourierRecords(f *testing.F) {
	f.Add(checkpointJSON(f, testKey(f, "ed25519"), "guard", testBoot(1), 7, Digest{1}))
	f.Add(`{"log":"guard","boot_id":"` + testBoot(1).String() + `","first":3,"last":4}`)
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := readLoss([]byte(text)); err == nil && (l.first == 0 || l.last < l.first) {
			t.Errorf("%+v was read", l)
		}
		if cp, err := readCheckpoint([]byte(text)); err == nil && cp.key.boot == (BootID{}) {
			t.Errorf("%+v was read", cp)
		}
	})
}

// TestChainIsTheRobots compares this end's chain with the robot's, which somebody else wrote.
func TestChainIsTheRobots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.StringMatching("[a-z]{1,9}").Draw(t, "log")
		boot := BootID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "boot"))
		here, there := Start(log, boot), evidencelog.Origin(log, boot)
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			kind, seq := rapid.Byte().Draw(t, "kind"), rapid.Uint64().Draw(t, "seq")
			at := time.Duration(rapid.Int64().Draw(t, "boot clock"))
			payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
			here, there = Next(here, kind, seq, at, payload), evidencelog.Next(there, journal.Kind(kind), seq, at, payload)
		}
		if here != Digest(there) {
			t.Fatalf("%s here, %x there", here, there)
		}
	})
}
