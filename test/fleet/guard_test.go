package fleet

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/journal"
	"github.com/robowarden/robowarden/attest/order"
)

// guardNonce is what a guard would have drawn.
const guardNonce = "00112233445566778899aabbccddeeff"

// desk stands where the guard's socket is, for runs that need more records than a robot makes in an hour: it says how far
// the journal is, and takes what the courier sends. The guard itself is in the suites that are about it.
type desk struct {
	t     testing.TB
	r     *robot
	boot  string
	nonce string
	docs  *order.Verifier
	// strict is a policy by which nothing is reported before the robot is attested; without, nobody has to verify it.
	strict bool
	mu     sync.Mutex
	seen   uint64 // newest record of the journal
	points []entry
	acks   []order.Acknowledgement // that the guard would have accepted
	said   map[string]int          // reasons of refusals, "accepted" for what was not refused
	faults []string
}

// openDesk listens until the test ends.
func openDesk(t testing.TB, r *robot) *desk {
	t.Helper()
	_, boot := bootID(t)
	d := &desk{t: t, r: r, boot: boot, nonce: guardNonce, said: map[string]int{}}
	d.docs = must(order.NewVerifier(order.Config{
		Robot: robotID, BootID: boot, Nonce: guardNonce, Roots: []crypto.PublicKey{r.root.Public()}, KeyLists: [][]byte{r.list},
	}, order.NewFloors()))(t)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: r.path("control.sock"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { d.follow(ctx) })
	all.Go(func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			all.Go(func() {
				defer stop()
				d.serve(ctx, conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
		if len(d.faults) > 0 {
			t.Errorf("on the guard's socket: %v", d.faults)
		}
	})
	return d
}

// follow computes the evidence chain of this boot as the journal grows.
func (d *desk) follow(ctx context.Context) {
	id, _ := bootID(d.t)
	chain := origin("guard", id)
	err := journal.Follow(ctx, d.r.path("journal"), journal.FollowOptions{Poll: 20 * time.Millisecond}, func(rec *journal.Record) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.seen = rec.LastSeq()
		if rec.Segment.BootID == id && rec.Kind != 3 && rec.Kind != 2 && rec.Kind != 8 {
			chain = step(chain, uint8(rec.Kind), rec.Seq, rec.Boot, rec.Payload)
			d.points = append(d.points, entry{seq: rec.Seq, digest: chain})
		}
		return nil
	})
	if ctx.Err() == nil && err != nil {
		d.fault("journal: " + err.Error())
	}
}

func (d *desk) fault(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, text)
}

// head is how far the journal is on disk, false while this end has not read that far.
func (d *desk) head() (contract.Head, bool) {
	seq, digest := d.r.log.Head()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen < seq {
		return contract.Head{}, false
	}
	for _, p := range slices.Backward(d.points) {
		if p.seq <= seq {
			return contract.Head{BootID: d.boot, Seq: seq, Digest: hex.EncodeToString(digest[:]), EvidenceSeq: p.seq, Evidence: hex.EncodeToString(p.digest[:])}, true
		}
	}
	return contract.Head{}, false
}

// serve is one connection of the courier.
func (d *desk) serve(ctx context.Context, conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	var sending sync.Mutex
	send := func(id uint32, kind byte, v any) {
		body, err := json.Marshal(v)
		if err != nil {
			d.fault(err.Error())
			return
		}
		sending.Lock()
		defer sending.Unlock()
		_ = contract.WriteFrame(conn, contract.Frame{Type: kind, ID: id, Body: body}, false)
	}
	gone := make(chan struct{})
	defer close(gone)
	buf := make([]byte, contract.MaxPacket)
	for first := true; ; first = false {
		f, err := contract.ReadFrame(conn, buf)
		if err != nil {
			return
		}
		switch f.Type {
		case contract.FrameHello:
			send(f.ID, contract.FrameWelcome, contract.Welcome{
				Version: contract.Version, Robot: robotID, BootID: d.boot, Nonce: d.nonce, Journal: d.r.path("journal"),
				Policy: digestOf("policy"), Profile: digestOf("profile"), Topics: digestOf("topics"),
			})
			if first {
				go d.heads(ctx, gone, send)
			}
		case contract.FrameStatusRequest:
			send(f.ID, contract.FrameStatus, agent.Status{Policy: agent.PolicyStatus{ReportsUnattested: !d.strict}})
		case contract.FrameOrder:
			v, err := d.docs.Verify(d.now(), f.Body)
			r := d.judged(err)
			if err == nil {
				r.Kind, r.Applied = string(v.Order.Kind), true
			}
			send(f.ID, contract.FrameReceipt, r)
		case contract.FrameAcknowledged:
			send(f.ID, contract.FrameReceipt, d.judged(d.acknowledged(f.Body)))
		case contract.FrameSession, contract.FrameCheckpoint:
			if f.ID != 0 {
				send(f.ID, contract.FrameReceipt, contract.Receipt{Accepted: true, Text: "taken"})
			}
		}
	}
}

// now is the time as a guard with a good clock has it.
func (d *desk) now() order.Times {
	return order.Times{Civil: time.Now(), Uncertainty: time.Second, Trust: order.Trusted}
}

// judged makes the receipt of a document and remembers what was said.
func (d *desk) judged(err error) contract.Receipt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.said["accepted"]++
		return contract.Receipt{Accepted: true, Text: "taken"}
	}
	reason := "other-robot"
	var refusal *order.Error
	if errors.As(err, &refusal) {
		reason = string(refusal.Reason)
	}
	d.said[reason]++
	return contract.Receipt{Reason: reason, Text: err.Error()}
}

func (d *desk) acknowledged(body []byte) error {
	var a contract.Acknowledged
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	payload, _, err := d.docs.VerifyDocument(d.now(), order.AcknowledgementType, order.RoleConsumer, a.Envelope)
	if err != nil {
		return err
	}
	ack, err := order.DecodeAcknowledgement(payload)
	if err != nil {
		return err
	}
	if ack.Robot != robotID {
		return errors.New("an acknowledgement for another robot")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acks = append(d.acks, *ack)
	return nil
}

// saidSo counts a reason.
func (d *desk) saidSo(reason string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said[reason]
}

// heads tells how far the journal is, when that changed.
func (d *desk) heads(ctx context.Context, gone <-chan struct{}, send func(uint32, byte, any)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last contract.Head
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case <-tick.C:
			if h, ok := d.head(); ok && h != last {
				last = h
				send(0, contract.FrameHead, h)
			}
		}
	}
}

func digestOf(text string) string {
	sum := origin(text, [16]byte{})
	return "sha256:" + hex.EncodeToString(sum[:])
}

// acknowledgedUpTo is the highest number of the guard's log that the courier passed on for this boot.
func (d *desk) acknowledgedUpTo() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var best uint64
	for _, a := range d.acks {
		if a.Log == "guard" && a.BootID == d.boot {
			best = max(best, a.Seq)
		}
	}
	return best
}

// socketFits fails early where a folder's name is too long for a socket.
func socketFits(t testing.TB, path string) {
	t.Helper()
	if len(path) > 100 {
		t.Fatalf("%s: too long for a unix socket", path)
	}
}
