package geos

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os/exec"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
)

// Kind is a kind of query; the numbers are those of the peer's protocol.
type Kind int32

// The kinds of queries.
const (
	At Kind = iota + 1
	Distance
	Footprint
	Capsule
	Parts
)

func (k Kind) String() string {
	return [...]string{"", "zones at a point", "signed distance", "footprint", "swept capsule", "body parts"}[k]
}

// Kinds are all of them.
func Kinds() []Kind { return []Kind{At, Distance, Footprint, Capsule, Parts} }

// Answer is what a query found: the zones it touches, ascending, or a signed distance in millimetres.
type Answer struct {
	Zones []int32
	MM    float64
}

// peer is the running program.
type peer struct {
	in  *bufio.Writer
	out *bufio.Reader
}

// startPeer starts GEOS for the length of the test.
func startPeer(t testing.TB) *peer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cpp.Binary(t, "geos_peer"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &tail{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("geos peer: %v\n%s", err, stderr.text)
		}
	})
	return &peer{bufio.NewWriterSize(stdin, 1<<16), bufio.NewReaderSize(stdout, 1<<16)}
}

// tail keeps what the peer complains about.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	if t.text = append(t.text, b...); len(t.text) > 4096 {
		t.text = t.text[len(t.text)-4096:]
	}
	return len(b), nil
}

// built is what a world cost the peer.
type built struct {
	invalid int
	valid   []bool
	took    time.Duration
	bytes   int64
}

// load gives the peer a world.
func (p *peer) load(w *World) (built, error) {
	b := []byte{'W'}
	b = words(b, int32(len(w.Zones)))
	for i := range w.Zones {
		z := &w.Zones[i]
		blocked := int32(0)
		if z.Blocked {
			blocked = 1
		}
		b = words(b, blocked, z.From, z.To, int32(len(z.Rings)))
		for _, r := range z.Rings {
			b = words(b, int32(len(r)))
			for _, v := range r {
				b = words(b, v.X, v.Y)
			}
		}
	}
	if err := p.send(b); err != nil {
		return built{}, err
	}
	out := built{valid: make([]bool, len(w.Zones))}
	var figures struct{ Took, Bytes int64 }
	for _, v := range []any{out.valid, &figures} {
		if err := binary.Read(p.out, binary.LittleEndian, v); err != nil {
			return built{}, fmt.Errorf("geos peer: world: %w", err)
		}
	}
	for _, valid := range out.valid {
		if !valid {
			out.invalid++
		}
	}
	out.took, out.bytes = time.Duration(figures.Took), figures.Bytes
	return out, nil
}

// ask has all queries of one kind answered rounds times, and says how long all rounds but the last one took together.
func (p *peer) ask(k Kind, queries []Query, rounds int) ([]Answer, time.Duration, error) {
	b := words([]byte{'Q'}, int32(k), int32(rounds), int32(len(queries)))
	for i := range queries {
		b = queries[i].words(k, b)
	}
	if err := p.send(b); err != nil {
		return nil, 0, err
	}
	var took int64
	if err := binary.Read(p.out, binary.LittleEndian, &took); err != nil {
		return nil, 0, fmt.Errorf("geos peer: %s: %w", k, err)
	}
	answers := make([]Answer, len(queries))
	for i := range answers {
		if err := p.answer(k, &answers[i]); err != nil {
			return nil, 0, fmt.Errorf("geos peer: %s, answer %d: %w", k, i, err)
		}
	}
	return answers, time.Duration(took), nil
}

func (p *peer) answer(k Kind, a *Answer) error {
	var raw [8]byte
	if k == Distance {
		_, err := io.ReadFull(p.out, raw[:])
		a.MM = math.Float64frombits(binary.LittleEndian.Uint64(raw[:]))
		return err
	}
	if _, err := io.ReadFull(p.out, raw[:4]); err != nil {
		return err
	}
	for range binary.LittleEndian.Uint32(raw[:]) {
		if _, err := io.ReadFull(p.out, raw[:4]); err != nil {
			return err
		}
		a.Zones = append(a.Zones, int32(binary.LittleEndian.Uint32(raw[:])))
	}
	return nil
}

func (p *peer) send(b []byte) error {
	if _, err := p.in.Write(b); err != nil {
		return fmt.Errorf("geos peer: %w", err)
	}
	if err := p.in.Flush(); err != nil {
		return fmt.Errorf("geos peer: %w", err)
	}
	return nil
}

func words(b []byte, values ...int32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}
