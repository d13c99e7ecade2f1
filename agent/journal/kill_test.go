package journal

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// appenderEnv makes the test binary append to the log in this directory until it is killed.
const appenderEnv = "JOURNAL_TEST_APPENDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appenderEnv); dir != "" {
		fmt.Fprintln(os.Stderr, appendForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func killOptions() Options {
	o := testOptions()
	o.SegmentBytes, o.QuotaBytes = 32<<10, 8<<20
	return o
}

// appendForever appends records that can be checked and tells on standard
// output which ones are durable.
func appendForever(dir string) error {
	fmt.Println("begin")
	l, err := Open(dir, killOptions())
	if err != nil {
		return err
	}
	go func() { _ = l.Run(context.Background()) }()
	told := uint64(0)
	for i := 0; ; i++ {
		if l.ring.used() > len(l.ring.buf)/2 {
			time.Sleep(100 * time.Microsecond)
		}
		count, _ := l.ring.tail()
		l.Append(1, 0, killPayload(l.base+count), i%97 == 0)
		if seq, head := l.Head(); seq != told {
			told = seq
			fmt.Printf("%d %x\n", seq, head)
		}
	}
}

// killPayload is the content of record seq.
func killPayload(seq uint64) []byte {
	b := make([]byte, 16+seq*31%300)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], seq)
	}
	return b
}

// runUntilKilled starts an appender, kills it some time after it begins to open
// the log, and returns the last head that it told.
func runUntilKilled(t *testing.T, dir string, wait time.Duration) Checkpoint {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), appenderEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	for s := bufio.NewScanner(out); s.Scan(); {
		if last == "" {
			time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
		}
		last = s.Text()
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("appender: %s", stderr.String())
	}
	return parseHead(t, last)
}

// parseHead reads a line of the appender, which the kill may have cut.
func parseHead(t *testing.T, line string) (c Checkpoint) {
	t.Helper()
	seq, digest, ok := strings.Cut(line, " ")
	if !ok || len(digest) != 64 {
		return Checkpoint{}
	}
	var err error
	if c.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		t.Fatalf("%q", line)
	}
	if _, err := hex.Decode(c.Digest[:], []byte(digest)); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return c
}

// TestKill kills an appending process 200 times at random moments: what it
// called durable is there each time, and the next one goes on behind it.
func TestKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	start := time.Now()
	var heads []Checkpoint
	// On a busy computer a process takes longer to its first durable record, and the kills have to come that much later.
	most := 40 * time.Millisecond
	for i := range kills {
		head := runUntilKilled(t, dir, time.Duration(rng.Int64N(int64(most))))
		if head.Seq != 0 {
			heads = append(heads, head)
		}
		if i%10 == 9 {
			checkKilled(t, dir, heads)
			if len(heads) < i/3 {
				most = min(2*most, 2*time.Second)
			}
		}
	}
	l := mustOpen(t, dir, killOptions())
	mustClose(t, l)
	rep := checkKilled(t, dir, heads)
	t.Logf("%d kills in %v, %d of them after the first durable record; %d records, %d repairs, %d segments, trimmed to %d",
		kills, time.Since(start).Round(time.Second), len(heads), rep.LastSeq, rep.Recoveries, rep.Segments, rep.TrimmedTo)
	if len(heads) < kills/4 {
		t.Fatalf("only %d of %d processes came to write: the test proves little", len(heads), kills)
	}
}

// checkKilled checks every record and that every head told is on the chain.
// The very end may be torn, or sealed without a successor.
func checkKilled(t *testing.T, dir string, heads []Checkpoint) Report {
	t.Helper()
	rep, err := Verify(dir, heads...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Problems {
		if p.Code == CodeTorn && p.Seq == rep.LastSeq+1 || p.Code == CodeMissing && p.Seq == rep.LastSeq+1 {
			continue
		}
		t.Fatalf("after %d heads: %v", len(heads), p)
	}
	r, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range r.All() {
		if err == nil && !rec.Kind.Reserved() && string(rec.Payload) != string(killPayload(rec.Seq)) {
			t.Fatalf("record %d: %x", rec.Seq, rec.Payload)
		}
	}
	return rep
}
