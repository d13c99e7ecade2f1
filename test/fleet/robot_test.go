package fleet

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/test/internal/broker"
)

const (
	robotID = "acme/runner-1"
	prefix  = "site/robots"
)

// Robot is a robot's disk: journals, keys, certificates, the courier's state.
type robot struct {
	dir      string
	device   crypto.Signer // signs checkpoints; also the client certificate's key
	consumer crypto.Signer
	verifier crypto.Signer
	creds    broker.Credentials
	root     crypto.Signer
	list     []byte // the key list's envelope
	log      *journal.Log
	wrote    int
}

func (r *robot) path(name string) string { return filepath.Join(r.dir, name) }

// newRobot makes an enrolled robot with an empty journal.
func newRobot(t testing.TB, b *broker.Broker) *robot {
	t.Helper()
	r := &robot{dir: t.TempDir()}
	r.device, r.consumer, r.verifier = key(t, order.ECDSAP256), key(t, order.Ed25519), key(t, order.Ed25519)
	r.creds = b.Authority.ClientWith(t, broker.CommonName(robotID), r.device)
	for _, name := range []string{"state", "courier", "keys"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.keyList(t)
	return r
}

func key(t testing.TB, alg order.Algorithm) crypto.Signer {
	t.Helper()
	return must(order.GenerateKey(alg))(t)
}

// must turns an error into the end of the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func hourAgo() time.Time { return time.Now().UTC().Truncate(time.Second).Add(-time.Hour) }

// keyList gives the robot a root key and the list that names consumer and verifier.
func (r *robot) keyList(t testing.TB) {
	t.Helper()
	root := key(t, order.Ed25519)
	r.root = root
	entry := func(k crypto.Signer, person string, role order.Role) order.Key {
		return order.Key{
			ID: must(order.KeyID(k.Public()))(t), PEM: string(must(order.MarshalPublicKey(k.Public()))(t)), Person: person,
			Roles: []order.Role{role}, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
		}
	}
	list := &order.Order{
		Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{robotID}, Sequence: 1,
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour), Reason: "keys of a test",
		KeyList: &order.KeyList{Keys: []order.Key{
			entry(root, "root", order.RoleRoot), entry(r.consumer, "consumer", order.RoleConsumer), entry(r.verifier, "verifier", order.RoleVerifier),
		}},
	}
	r.list = must(order.Sign(list, root))(t)
	for name, text := range map[string][]byte{
		"keys/roots.pem":            must(order.MarshalPublicKey(root.Public()))(t),
		"keys/keylist-1.dsse.json":  r.list,
		"courier/device.key.pem":    must(order.MarshalPrivateKey(r.device))(t), // where the courier keeps a software key
		"consumer.pem":              must(order.MarshalPrivateKey(r.consumer))(t),
		"device.pub":                must(order.MarshalPublicKey(r.device.Public()))(t),
		"state/keylist-1.dsse.json": r.list,
	} {
		if err := os.WriteFile(r.path(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// bootID is this machine's, as the courier will see it.
func bootID(t testing.TB) (id [16]byte, text string) {
	t.Helper()
	raw := strings.TrimSpace(string(must(os.ReadFile("/proc/sys/kernel/random/boot_id"))(t)))
	b := must(hex.DecodeString(strings.ReplaceAll(raw, "-", "")))(t)
	copy(id[:], b)
	return id, raw
}

// journalIn opens the guard's journal for writing, as a boot of the machine.
func (r *robot) journalIn(t testing.TB, boot [16]byte) {
	t.Helper()
	r.closeJournal(t)
	start := time.Now()
	o := journal.DefaultOptions(boot, func() time.Duration { return time.Since(start) })
	o.SegmentBytes, o.QuotaBytes, o.SyncEvery = 1<<20, 512<<20, time.Second
	var err error
	// A process that is just being started still holds the lock for a moment.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if r.log, err = journal.Open(r.path("journal"), o); !errors.Is(err, journal.ErrLocked) || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.log.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() { r.closeJournal(t) })
}

func (r *robot) closeJournal(t testing.TB) {
	t.Helper()
	if r.log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.log.Close(ctx); err != nil {
		t.Error(err)
	}
	r.log = nil
}

// write appends n records of evidence and some of other kinds, none of which is lost.
func (r *robot) write(t testing.TB, n int) {
	t.Helper()
	kinds := []journal.Kind{4, 5, 6, 7, 1, 9}
	for range n {
		r.wrote++
		if r.wrote%10 == 0 {
			r.append(t, journal.Kind(3), "an input that stays on the robot")
		}
		r.append(t, kinds[r.wrote%len(kinds)], fmt.Sprintf("record %d %s", r.wrote, strings.Repeat("x", r.wrote%60)))
	}
	if err := r.log.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *robot) append(t testing.TB, kind journal.Kind, text string) {
	t.Helper()
	for {
		if h := r.log.Health(); h.RingUsed < h.RingBytes/2 {
			break
		}
		time.Sleep(time.Millisecond) // The disk is slower than this loop.
	}
	if _, ok := r.log.Append(kind, time.Duration(r.wrote)*time.Millisecond, []byte(text), false); !ok {
		t.Fatal("the journal did not take a record")
	}
}

// entry is a record of evidence as the specification says it.
type entry struct {
	boot    [16]byte
	seq     uint64
	kind    uint8
	at      time.Duration
	payload string
	prev    [32]byte
	digest  [32]byte
}

// step is the chain's next value, written from the specification.
func step(prev [32]byte, kind uint8, seq uint64, at time.Duration, payload []byte) [32]byte {
	h := sha256.New()
	sum := sha256.Sum256(payload)
	_, _ = h.Write(prev[:])
	for _, v := range []any{kind, seq, uint64(at), sum} {
		_ = binary.Write(h, binary.LittleEndian, v)
	}
	return [32]byte(h.Sum(nil))
}

func origin(log string, boot [16]byte) [32]byte {
	return sha256.Sum256([]byte("robowarden/evidence-chain/v1\x00" + log + "\x00" + string(boot[:])))
}

// evidence reads what of a journal must reach the consumer.
func evidence(t testing.TB, dir, log string) []entry {
	t.Helper()
	r := must(journal.OpenDir(dir))(t)
	defer func() { _ = r.Close() }()
	var out []entry
	chains := map[[16]byte][32]byte{}
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if log == "guard" && (rec.Kind == 3 || rec.Kind == 2 || rec.Kind == 8) {
			continue
		}
		boot := rec.Segment.BootID
		prev, known := chains[boot]
		if !known {
			prev = origin(log, boot)
		}
		e := entry{boot, rec.Seq, uint8(rec.Kind), rec.Boot, string(rec.Payload), prev, step(prev, uint8(rec.Kind), rec.Seq, rec.Boot, rec.Payload)}
		chains[boot] = e.digest
		out = append(out, e)
	}
	return out
}
