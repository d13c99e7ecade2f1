package evidencelog_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

var (
	bootA = [16]byte{0xa0, 1}
	bootB = [16]byte{0xb0, 2}
)

// item is a record as a test remembers it.
type item struct {
	Boot    string
	Seq     uint64
	Kind    journal.Kind
	Prev    string
	Value   string
	Restart bool
}

func remember(r *evidencelog.Record) item {
	return item{
		Boot: evidencelog.FormatBoot(r.BootID), Seq: r.Seq, Kind: r.Kind, Restart: r.Restart,
		Prev: hex.EncodeToString(r.Prev[:6]), Value: hex.EncodeToString(r.Value[:6]),
	}
}

func options(boot [16]byte) journal.Options {
	o := journal.DefaultOptions(boot, func() time.Duration { return time.Second })
	o.SegmentBytes, o.QuotaBytes, o.RingBytes = 2048, 64*4096, 64<<10
	o.WriteEvery, o.SyncEvery = time.Millisecond, time.Millisecond
	return o
}

// write opens the journal as a role does, lets fill append, and closes it.
func write(t testing.TB, dir string, o journal.Options, fill func(*journal.Log)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	l, err := journal.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Run(ctx) }()
	fill(l)
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// add appends n records of changing kinds; every third stays on the robot.
func add(l *journal.Log, n int) {
	for i := range n {
		kind := journal.Kind(4)
		if i%3 == 2 {
			kind = journal.Kind(guard.RecordEvent)
		}
		l.Append(kind, time.Duration(i)*time.Millisecond, fmt.Appendf(nil, "record %d", i), i%5 == 0)
		if i%20 == 19 {
			_ = l.Sync(context.Background()) // the ring is small
		}
	}
}

var errEnough = errors.New("enough")

// collect follows until the record with number last was seen.
func collect(t testing.TB, o evidencelog.Options, last uint64) []item {
	t.Helper()
	var out []item
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	o.Log, o.Poll = evidencelog.Guard, time.Millisecond
	err := evidencelog.Follow(ctx, o, func(r *evidencelog.Record) error {
		out = append(out, remember(r))
		if r.LastSeq() >= last {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("follow: %v after %d records", err, len(out))
	}
	return out
}

// recompute is the chain from its description, over what a plain reader of the journal sees.
func recompute(t testing.TB, dir string) []item {
	t.Helper()
	r, err := journal.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []item
	sums := map[[16]byte][]byte{}
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind == 2 || rec.Kind == 3 || rec.Kind == 8 {
			continue
		}
		boot := rec.Segment.BootID
		prev := sums[boot]
		if prev == nil {
			s := sha256.Sum256(append([]byte("robowarden/evidence-chain/v1\x00guard\x00"), boot[:]...))
			prev = s[:]
		}
		h := sha256.New()
		h.Write(prev)
		h.Write([]byte{byte(rec.Kind)})
		h.Write(binary.LittleEndian.AppendUint64(nil, rec.Seq))
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(rec.Boot)))
		p := sha256.Sum256(rec.Payload)
		h.Write(p[:])
		sums[boot] = h.Sum(nil)
		out = append(out, item{
			Boot: evidencelog.FormatBoot(boot), Seq: rec.Seq, Kind: rec.Kind,
			Prev: hex.EncodeToString(prev[:6]), Value: hex.EncodeToString(sums[boot][:6]),
		})
	}
	return out
}

func TestChainIsWhatItsDescriptionSays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, options(bootA), func(l *journal.Log) { add(l, 200) })
	write(t, dir, options(bootA), func(l *journal.Log) { add(l, 50) })
	write(t, dir, options(bootB), func(l *journal.Log) { add(l, 100) })
	want := recompute(t, dir)
	got := collect(t, evidencelog.Options{Dir: dir, Lost: func(l evidencelog.Loss) error { return fmt.Errorf("lost %+v", l) }}, want[len(want)-1].Seq)
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestKindsAreTheGuards(t *testing.T) {
	for k := range 256 {
		local := k == int(guard.RecordEvent) || k == int(guard.RecordSnapshot) || k == int(guard.RecordResume)
		if got := evidencelog.Carries(evidencelog.Guard, journal.Kind(k)); got == local {
			t.Errorf("kind %d of the guard: carried %v", k, got)
		}
		if !evidencelog.Carries(evidencelog.Courier, journal.Kind(k)) {
			t.Errorf("kind %d of the courier is not carried", k)
		}
	}
}

func TestResumeAnywhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, options(bootA), func(l *journal.Log) {
		add(l, 60)
		for range 3 { // too large: lost, so that a gap record is among them
			l.Append(4, 0, make([]byte, 5000), false)
		}
		add(l, 60)
	})
	write(t, dir, options(bootB), func(l *journal.Log) { add(l, 30) })
	whole := recompute(t, dir)
	positions := make([]evidencelog.Position, 0, len(whole))
	last := whole[len(whole)-1].Seq
	err := evidencelog.Follow(t.Context(), evidencelog.Options{Dir: dir, Log: evidencelog.Guard, Poll: time.Millisecond}, func(r *evidencelog.Record) error {
		if positions = append(positions, r.Position()); r.Seq == last {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(positions)-2).Draw(rt, "position")
		unknown := evidencelog.Position{BootID: [16]byte{0xcc}, Seq: 99999}
		got := collect(t, evidencelog.Options{Dir: dir, From: []evidencelog.Position{unknown, positions[i]}}, last)
		if d := cmp.Diff(whole[i+1:], got); d != "" {
			rt.Fatal(d)
		}
	})
}

// TestNumbersGivenOutAgain cuts the power: what was reported in one boot is gone, and the next boot uses its numbers again.
func TestNumbersGivenOutAgain(t *testing.T) {
	dir, cut := t.TempDir(), t.TempDir()
	write(t, dir, options(bootA), func(l *journal.Log) {
		add(l, 40)
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(cut, "j"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		add(l, 20)
	})
	before := collect(t, evidencelog.Options{Dir: dir}, 60)
	reported := before[len(before)-1]
	disk := filepath.Join(cut, "j")
	write(t, disk, options(bootB), func(l *journal.Log) { add(l, 30) })
	var value evidencelog.Digest
	_, _ = hex.Decode(value[:], []byte(reported.Value))
	got := collect(t, evidencelog.Options{
		Dir: disk, From: []evidencelog.Position{{BootID: bootA, Seq: reported.Seq, Digest: value}},
		Lost: func(l evidencelog.Loss) error { return fmt.Errorf("lost %+v", l) },
	}, 68)
	all := recompute(t, disk)
	i := 0
	for all[i].Boot == evidencelog.FormatBoot(bootA) {
		i++
	}
	if d := cmp.Diff(all[i:i+len(got)], got); d != "" || got[0].Seq >= reported.Seq {
		t.Fatalf("%s\nfirst %d, reported %d", d, got[0].Seq, reported.Seq)
	}
}

func TestQuotaTookWhatWasNotReported(t *testing.T) {
	dir := t.TempDir()
	o := options(bootA)
	o.QuotaBytes = 4 * 4096
	write(t, dir, o, func(l *journal.Log) { add(l, 30) })
	at := collect(t, evidencelog.Options{Dir: dir}, 4)
	write(t, dir, o, func(l *journal.Log) { add(l, 600) })
	var losses []evidencelog.Loss
	value := evidencelog.Digest{1}
	got := collect(t, evidencelog.Options{
		Dir: dir, From: []evidencelog.Position{{BootID: bootA, Seq: at[len(at)-1].Seq, Digest: value}},
		Lost: func(l evidencelog.Loss) error { losses = append(losses, l); return nil },
	}, 620)
	if len(losses) != 1 || losses[0].First != at[len(at)-1].Seq+1 || losses[0].Last < 400 || losses[0].BootID != bootA {
		t.Fatalf("losses %+v", losses)
	}
	if !got[0].Restart || got[0].Prev != "000000000000" || got[1].Restart || got[1].Prev != got[0].Value {
		t.Fatalf("first records %+v", got[:2])
	}
	// The value is known from elsewhere after some record: from there on the chain is right again.
	known := evidencelog.Digest{0xfe}
	got = collect(t, evidencelog.Options{Dir: dir, Known: func(*journal.Record) (evidencelog.Digest, bool) { return known, true }}, 620)
	if !got[0].Restart || got[0].Value != "fe0000000000" || got[1].Prev != got[0].Value {
		t.Fatalf("first records %+v", got[:2])
	}
}

func TestDamageIsSkippedAndTold(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, options(bootA), func(l *journal.Log) { add(l, 200) })
	want := recompute(t, dir)
	path := filepath.Join(dir, "0000000000000003.seg")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var losses []evidencelog.Loss
	var damages []error
	got := collect(t, evidencelog.Options{
		Dir: dir, Lost: func(l evidencelog.Loss) error { losses = append(losses, l); return nil },
		Damaged: func(err error) { damages = append(damages, err) },
	}, want[len(want)-1].Seq)
	if len(losses) != 1 || len(damages) != 1 {
		t.Fatalf("losses %+v, damages %v", losses, damages)
	}
	missing := 0
	for _, w := range want {
		if w.Seq >= losses[0].First && w.Seq <= losses[0].Last {
			missing++
		}
	}
	if len(got)+missing != len(want) || missing == 0 {
		t.Fatalf("%d records, %d missing, expected %d in all", len(got), missing, len(want))
	}
}

func TestFollowWaitsForTheWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	done := make(chan []item, 1)
	go func() { done <- collect(t, evidencelog.Options{Dir: dir}, 5) }()
	write(t, dir, options(bootA), func(l *journal.Log) { add(l, 6) })
	if got := <-done; len(got) == 0 || got[0].Seq != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestBootIDs(t *testing.T) {
	const text = "0f0e0d0c-0b0a-0908-0706-050403020100"
	id, err := evidencelog.ParseBoot(text)
	if err != nil || evidencelog.FormatBoot(id) != text {
		t.Fatalf("%x %v", id, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "0F0e0d0c-0b0a-0908-0706-050403020100", "0f0e0d0c0b0a-0908-0706-0504-03020100", "00000000-0000-0000-0000-000000000000", "0g0e0d0c-0b0a-0908-0706-050403020100"} {
		if _, err := evidencelog.ParseBoot(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	payload := make([]byte, 300)
	d := evidencelog.Origin(evidencelog.Guard, bootA)
	if n := testing.AllocsPerRun(100, func() { d = evidencelog.Next(d, 4, 7, time.Second, payload) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// TestVector pins the chain for those who compute it in another language.
func TestVector(t *testing.T) {
	boot, _ := evidencelog.ParseBoot("0f0e0d0c-0b0a-0908-0706-050403020100")
	e0 := evidencelog.Origin(evidencelog.Guard, boot)
	e1 := evidencelog.Next(e0, 4, 7, 1500*time.Millisecond, []byte("hello"))
	got := hex.EncodeToString(e0[:]) + " " + hex.EncodeToString(e1[:])
	const want = "641944bfb39148393c0c73e78e8e03ecf50b27ae689a45eafefced6c1f805a7e " +
		"6c50ec0e2ce1fafc07786960ec9d229c5b018b57b822bef60010c8ae72db1ff3"
	if got != want {
		t.Fatalf("found %s", got)
	}
}
