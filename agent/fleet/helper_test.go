package fleet

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/order"
)

const (
	testRobot  = "acme/runner-1"
	testPrefix = "site/robots"
	eventTopic = testPrefix + "/v1/" + testRobot + "/event"
)

// t0 is when the tests begin.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testBoot(n byte) BootID { return BootID{n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} }

func testKey(t testing.TB, alg order.Algorithm) crypto.Signer {
	t.Helper()
	k, err := order.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// source writes a log the way a robot does.
type source struct {
	log    string
	boot   BootID
	seq    uint64
	digest Digest
}

func newSource(log string, boot BootID) *source {
	return &source{log: log, boot: boot, digest: Start(log, boot)}
}

// write makes the next record, leap numbers further.
func (s *source) write(kind uint8, leap uint64, payload string) Record {
	s.seq += leap
	r := Record{
		Log: s.log, Boot: s.boot, Seq: s.seq, Kind: kind, BootTime: time.Duration(s.seq) * time.Millisecond,
		Prev: s.digest, Payload: []byte(payload), Attested: true,
	}
	r.Digest = Next(r.Prev, kind, r.Seq, r.BootTime, r.Payload)
	s.digest = r.Digest
	return r
}

func (s *source) writeN(n int) []Record {
	var out []Record
	for i := range n {
		out = append(out, s.write(4, 1+uint64(i%3), fmt.Sprintf("%s %d", s.log, i)))
	}
	return out
}

// checkpoint makes a checkpoint of the source in a courier's log.
func (s *source) checkpoint(t testing.TB, courier *source, key crypto.Signer) Record {
	t.Helper()
	return courier.write(KindCheckpoint, 1, checkpointJSON(t, key, s.log, s.boot, s.seq, s.digest))
}

func checkpointJSON(t testing.TB, key crypto.Signer, log string, boot BootID, seq uint64, evidence Digest) string {
	t.Helper()
	c := checkpoint{key: streamKey{log, boot}, seq: seq, digest: Digest{7}, evidence: evidence}
	message, opts := c.message(), crypto.SignerOpts(crypto.Hash(0))
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		sum := sha256.Sum256(message)
		message, opts = sum[:], crypto.SHA256
	}
	sig, err := key.Sign(rand.Reader, message, opts)
	if err != nil {
		t.Fatal(err)
	}
	id, err := order.KeyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{
		"log": log, "boot_id": boot.String(), "seq": seq, "digest": c.digest.String(), "evidence": evidence.String(),
		"key_id": id, "tier": "software-key", "signature": base64.StdEncoding.EncodeToString(sig),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// wire makes the JSON fields of a record.
func wire(r *Record) map[string]any {
	return map[string]any{
		"log": r.Log, "bootId": r.Boot.String(), "seq": r.Seq, "kind": r.Kind, "kindName": "decision", "bootTimeNs": int64(r.BootTime),
		"prev": r.Prev.String(), "digest": r.Digest.String(), "payload": base64.StdEncoding.EncodeToString(r.Payload), "text": "a line",
	}
}

// cloud wraps data into the outer form.
func cloud(t testing.TB, kind string, data map[string]any) []byte {
	t.Helper()
	all := map[string]any{
		"headerId": 1, "timestamp": "2026-03-01T12:00:00Z", "version": "1.0.0", "manufacturer": "acme", "serialNumber": "runner-1",
		"attested": true, "tier": "software-key",
	}
	maps.Copy(all, data)
	out, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "x", "source": "robowarden:" + testRobot, "type": kind, "time": "2026-03-01T12:00:00Z",
		"timetrust": "trusted", "datacontenttype": "application/json", "data": all,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// event makes a message of one or several records.
func event(t testing.TB, list ...Record) []byte {
	t.Helper()
	if len(list) == 1 {
		return cloud(t, eventType, wire(&list[0]))
	}
	var records []any
	for i := range list {
		records = append(records, wire(&list[i]))
	}
	return cloud(t, eventType, map[string]any{"records": records})
}

// memoryDir is a folder of the test's own, in memory where there is some: a slow disk is not what is tested.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fleet-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// bench is a consumer and what it told.
type bench struct {
	t       testing.TB
	c       *Consumer
	o       Options
	now     time.Time
	device  crypto.Signer
	key     crypto.Signer
	guard   *source // where a test has one
	records []Record
	alarms  []Alarm
	acks    []Message
}

func newBench(t testing.TB, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, now: t0, device: testKey(t, order.ECDSAP256), key: testKey(t, order.Ed25519)}
	b.o = DefaultOptions()
	b.o.Prefix, b.o.Dir, b.o.Key = testPrefix, memoryDir(t), b.key
	b.o.Devices = map[string]crypto.PublicKey{testRobot: b.device.Public()}
	b.o.OnRecord = func(_ string, r *Record) { b.records = append(b.records, *r) }
	b.o.OnAlarm = func(a Alarm) { b.alarms = append(b.alarms, a) }
	if change != nil {
		change(&b.o)
	}
	b.open()
	t.Cleanup(func() { _ = b.c.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	c, err := Open(b.now, b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.c = c
}

// restart closes the consumer and opens it anew.
func (b *bench) restart() {
	b.t.Helper()
	if err := b.c.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// take hands a message over and commits.
func (b *bench) take(message []byte) {
	b.t.Helper()
	b.c.Take(b.now, eventTopic, message)
	b.commit()
}

// all hands records over, as many messages as it takes.
func (b *bench) all(list ...Record) {
	b.t.Helper()
	for part := range slices.Chunk(list, MaxRecords) {
		b.take(event(b.t, part...))
	}
}

// proven is how far checkpoints vouch for the guard's log of a boot.
func (b *bench) proven(boot BootID) uint64 {
	for _, p := range b.c.Positions() {
		if p.Log == "guard" && p.Boot == boot {
			return p.Proven
		}
	}
	return 0
}

func (b *bench) commit() {
	b.t.Helper()
	list, err := b.c.Commit(b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	b.acks = append(b.acks, list...)
}

// codes lists the alarms in their order.
func (b *bench) codes() []Code {
	var out []Code
	for _, a := range b.alarms {
		out = append(out, a.Code)
	}
	return out
}

// wants checks which alarms were told, and that each says what to do.
func (b *bench) wants(codes ...Code) {
	b.t.Helper()
	if got := b.codes(); !slices.Equal(got, codes) {
		b.t.Errorf("alarms %v: expected %v\n%v", got, codes, b.alarms)
	}
	for _, a := range b.alarms {
		if a.Remedy == "" || a.Text == "" {
			b.t.Errorf("alarm %+v without text or remedy", a)
		}
	}
}

// acknowledged is the newest acknowledgement of a log, checked against the consumer's key.
func (b *bench) acknowledged(log string) (seq uint64, digest string) {
	b.t.Helper()
	for _, m := range slices.Backward(b.acks) {
		var env struct {
			PayloadType string
			Payload     []byte
			Signatures  []struct{ KeyID, Sig string }
		}
		var doc struct {
			Robot, Log, Digest string
			BootID             string `json:"boot_id"`
			Seq                uint64
		}
		if err := json.Unmarshal(m.Payload, &env); err != nil {
			b.t.Fatal(err)
		}
		if err := json.Unmarshal(env.Payload, &doc); err != nil {
			b.t.Fatal(err)
		}
		if env.PayloadType != order.AcknowledgementType || doc.Robot != testRobot || m.Topic != testPrefix+"/v1/"+testRobot+"/acknowledgement" {
			b.t.Fatalf("acknowledgement %+v %+v on %s", env, doc, m.Topic)
		}
		if doc.Log == log {
			return doc.Seq, doc.Digest
		}
	}
	return 0, ""
}
