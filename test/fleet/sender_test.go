package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/agent/journal"
)

// plan is what a sender's process is told, as JSON in its environment.
type plan struct {
	// Broker and the files of the client certificate.
	Broker, CA, Certificate, Key string
	// Journal is the guard's, Cursor the file that keeps how far the consumer has acknowledged.
	Journal, Cursor string
	// TrustBroker takes a broker's PUBACK for the consumer's acknowledgement: the fault that the suite must find.
	TrustBroker bool
	// SkipEvery leaves out every n-th record, another fault that must be found.
	SkipEvery int
}

const (
	batch       = 32
	inFlight    = 32
	resendAfter = time.Second
)

// sender is a courier as small as the specification allows: it sends a journal in order, keeps a window, begins again
// behind the last signed acknowledgement when none comes, and remembers only that.
type sender struct {
	p       plan
	mu      sync.Mutex
	records []entry
	next    int               // index of the next record to send
	acked   int               // records acknowledged
	kept    map[string]uint64 // what the consumer says it has, by boot
	moved   time.Time
	wait    time.Duration
	wake    chan struct{}
}

// runSender sends until ctx ends.
func runSender(ctx context.Context, p plan) error {
	cert, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(p.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	s := &sender{p: p, wake: make(chan struct{}, 1), wait: resendAfter, moved: time.Now(), kept: map[string]uint64{}}
	if raw, err := os.ReadFile(p.Cursor); err == nil {
		_, _ = fmt.Sscan(string(raw), &s.acked)
	}
	s.next = s.acked
	follow := make(chan error, 1)
	go func() { follow <- s.follow(ctx) }()
	o := mqtt.NewClientOptions().AddBroker(p.Broker).SetClientID("robowarden:acme:runner-1").SetCleanSession(false)
	o.SetTLSConfig(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "127.0.0.1"})
	o.SetKeepAlive(2 * time.Second).SetPingTimeout(time.Second).SetWriteTimeout(time.Second).SetConnectTimeout(2 * time.Second)
	o.SetMaxReconnectInterval(500 * time.Millisecond).SetConnectRetry(true).SetConnectRetryInterval(200 * time.Millisecond)
	o.SetDefaultPublishHandler(s.acknowledged)
	o.SetOnConnectHandler(func(c mqtt.Client) {
		c.Subscribe(prefix+"/v1/"+robotID+"/acknowledgement", 1, nil)
		s.rewind()
	})
	c := mqtt.NewClient(o)
	c.Connect()
	defer c.Disconnect(0)
	for ctx.Err() == nil {
		s.send(ctx, c)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return <-follow
}

// follow reads the journal as it grows.
func (s *sender) follow(ctx context.Context) error {
	chains := map[[16]byte][32]byte{}
	err := journal.Follow(ctx, s.p.Journal, journal.FollowOptions{Poll: 20 * time.Millisecond}, func(rec *journal.Record) error {
		if rec.Kind == 3 || rec.Kind == 2 || rec.Kind == 8 {
			return nil
		}
		prev, ok := chains[rec.Segment.BootID]
		if !ok {
			prev = origin("guard", rec.Segment.BootID)
		}
		e := entry{rec.Segment.BootID, rec.Seq, uint8(rec.Kind), rec.Boot, string(rec.Payload), prev, [32]byte{}}
		e.digest = step(prev, e.kind, e.seq, e.at, rec.Payload)
		chains[e.boot] = e.digest
		s.mu.Lock()
		s.records = append(s.records, e)
		s.mu.Unlock()
		return nil
	})
	if errors.Is(err, context.Canceled) || errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}

// rewind begins again behind the last acknowledgement.
func (s *sender) rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.moved = s.acked, time.Now()
}

// send fills the window.
func (s *sender) send(ctx context.Context, c mqtt.Client) {
	for ctx.Err() == nil && c.IsConnectionOpen() {
		s.mu.Lock()
		if time.Since(s.moved) > s.wait && s.next > s.acked {
			s.next, s.moved, s.wait = s.acked, time.Now(), min(2*s.wait, 4*time.Second)
		}
		from := s.next
		end := min(from+batch, len(s.records))
		if end <= from || from-s.acked >= batch*inFlight {
			s.mu.Unlock()
			return
		}
		for i := from; i < end; i++ {
			if s.records[i].boot != s.records[from].boot {
				end = i
			}
		}
		if s.next == s.acked {
			s.moved = time.Now()
		}
		s.next = end
		message := s.message(s.records[from:end])
		s.mu.Unlock()
		token := c.Publish(prefix+"/v1/"+robotID+"/event", 1, false, message)
		if s.p.TrustBroker {
			go func() {
				if <-token.Done(); token.Error() == nil {
					s.advance(end)
				}
			}()
		}
	}
}

// message writes an event as the interface says.
func (s *sender) message(list []entry) []byte {
	var records []any
	for _, e := range list {
		if s.p.SkipEvery > 0 && e.seq%uint64(s.p.SkipEvery) == 0 {
			continue
		}
		records = append(records, map[string]any{
			"seq": e.seq, "kind": e.kind, "kindName": "a", "bootTimeNs": int64(e.at), "prev": hex.EncodeToString(e.prev[:]),
			"digest": hex.EncodeToString(e.digest[:]), "payload": base64.StdEncoding.EncodeToString([]byte(e.payload)), "text": "b",
		})
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	out, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "x", "source": "robowarden:" + robotID, "type": "io.robowarden.event.v1", "time": now,
		"timetrust": "trusted", "datacontenttype": "application/json", "data": map[string]any{
			"headerId": 1, "timestamp": now, "version": "1.0.0", "manufacturer": "acme", "serialNumber": "runner-1", "attested": true,
			"tier": "software-key", "log": "guard", "bootId": uuid(list[0].boot), "records": records,
		},
	})
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return out
}

func uuid(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// acknowledged believes every acknowledgement; the courier's own suite forges them.
func (s *sender) acknowledged(_ mqtt.Client, m mqtt.Message) {
	var env struct{ Payload []byte }
	var ack struct {
		BootID string `json:"boot_id"`
		Seq    uint64
	}
	if json.Unmarshal(m.Payload(), &env) != nil || json.Unmarshal(env.Payload, &ack) != nil || s.p.TrustBroker {
		return
	}
	s.mu.Lock()
	n := s.acked
	s.kept[ack.BootID] = max(s.kept[ack.BootID], ack.Seq)
	// A later boot may be acknowledged before an earlier one: the cursor goes on only where nothing is left behind.
	for n < len(s.records) && s.records[n].seq <= s.kept[uuid(s.records[n].boot)] {
		n++
	}
	s.mu.Unlock()
	s.advance(n)
}

func (s *sender) advance(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= s.acked {
		return
	}
	s.acked, s.next, s.moved, s.wait = n, max(s.next, n), time.Now(), resendAfter
	tmp := s.p.Cursor + ".tmp"
	if os.WriteFile(tmp, fmt.Append(nil, n), 0o600) == nil {
		_ = os.Rename(tmp, s.p.Cursor)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
