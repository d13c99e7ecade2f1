package scale

import (
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/robowarden/robowarden/test/internal/broker"
)

// startMosquitto starts the broker for a site's robots and its verifiers.
func startMosquitto(t testing.TB, s *site) *broker.Broker {
	t.Helper()
	return broker.Start(t, broker.Options{Prefix: prefix, Robots: s.ids(), Stations: []string{"verifier"}, Admins: []string{"eye"}})
}

// eye is a client that may read and write everything, as somebody who holds the broker.
func eye(t testing.TB, b *broker.Broker) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("eye").SetTLSConfig(b.Authority.Client(t, "eye").TLS))
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// TestAGroupBehindASharedSubscription has two verifiers share the robots of a real broker, and kills one with -9 in the
// middle: every robot has its result. Then a verifier that is not of the group asks, a robot floods, and somebody sends
// what is no message: nobody notices.
func TestAGroupBehindASharedSubscription(t *testing.T) {
	t.Parallel()
	const robots = 12
	s := newSite(t, robots)
	b := startMosquitto(t, s)
	c := b.Authority.Client(t, "verifier")
	ada := s.verifier("ada", c, "--broker", b.URL(), "--share", "hospital")
	bea := s.verifier("bea", c, "--broker", b.URL(), "--share", "hospital")
	s.connect(b.Authority, b.URL())

	r := s.attest(3*time.Second, 3*time.Minute, 0, nil)
	s.complete("two verifiers", r)
	if r.by["ada"] == 0 || r.by["bea"] == 0 {
		t.Errorf("results by %v: expected both verifiers'", r.by)
	}
	if !said(ada, "reference values in force", `"name":"g1"`) {
		t.Error("the verifier does not say which reference values are in force")
	}
	r = s.attest(3*time.Second, 3*time.Minute, robots/4, func() { ada.Kill() })
	s.complete("one verifier killed", r)
	t.Logf("figures: after the kill results by %v, asked again %d times", r.by, r.again)

	t.Run("impersonated", func(t *testing.T) { impersonated(t, s, b, c) })
	t.Run("flood", func(t *testing.T) { flood(t, s) })
	t.Run("malformed", func(t *testing.T) {
		e := eye(t, b)
		for i, topic := range s.malformed() {
			e.Publish(topic, 1, i%3 == 0, []byte(strings.Repeat("{", i*100)))
		}
	})
	r = s.attest(3*time.Second, 3*time.Minute, 0, nil)
	s.complete("after the attacks", r)
	if !bea.Running() {
		t.Error("the verifier has ended")
	}
	retained(t, s, b)
}

// malformed are topics of messages that no robot sends.
func (s *site) malformed() []string {
	var out []string
	for _, robot := range []string{s.robots[0].id, "nobody/unknown", "a b/c", "x/" + strings.Repeat("y", 300)} {
		for _, kind := range []string{"hello", "evidence", "log"} {
			out = append(out, prefix+"/v1/"+robot+"/attestation/"+kind)
		}
	}
	return out
}

// impersonated has a verifier whose key the list does not have ask the robots, with the group's own nonces: it serves a copy
// of the folder's nonce key. No robot answers it. The off run is every other test: the robots answer the group.
func impersonated(t *testing.T, s *site, b *broker.Broker, c broker.Credentials) {
	stranger := s.verifier("stranger", c, "--broker", b.URL(), "--share", "hospital")
	victim := s.robots[1]
	// Both are asked in turn; some of the hellos come to the stranger.
	until(t, "a challenge by a stranger is refused", func() bool {
		victim.mu.Lock()
		n := victim.refused["challenge: unknown-key"] + victim.refused["challenge: unsigned"] + victim.refused["challenge: no-valid-signature"]
		victim.mu.Unlock()
		if n > 0 {
			return true
		}
		victim.hello()
		time.Sleep(500 * time.Millisecond) // The pause of a poll.
		return false
	})
	stranger.Kill()
	for _, r := range s.robots {
		r.mu.Lock()
		for _, by := range r.signers {
			if by != "ada" && by != "bea" {
				t.Errorf("%s has a result by %s", r.id, by)
			}
		}
		r.mu.Unlock()
	}
}

// flood has one robot say hello without end while another attests.
func flood(t *testing.T, s *site) {
	flooder, other := s.robots[2], s.robots[3]
	for range 3000 {
		flooder.publish("hello", flooder.last["hello"])
	}
	end := make(chan struct{})
	timer := time.AfterFunc(2*time.Minute, func() { close(end) })
	defer timer.Stop()
	if hellos, ok := other.attest(3*time.Second, end); !ok {
		t.Errorf("after %d hellos a robot has no result while another floods", hellos)
	}
}

// retained reads what the broker keeps: each robot's last result, and nothing else of an attestation.
func retained(t *testing.T, s *site, b *broker.Broker) {
	t.Helper()
	kept := make(chan string, 4*len(s.robots))
	e := eye(t, b)
	token := e.Subscribe(prefix+"/v1/+/+/attestation/+", 1, func(_ mqtt.Client, m mqtt.Message) {
		if m.Retained() {
			kept <- m.Topic()
		}
	})
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	results := map[string]bool{}
	until(t, "every robot's result is kept", func() bool {
		for {
			select {
			case topic := <-kept:
				if strings.HasSuffix(topic, "/result") {
					results[topic] = true
				}
			default:
				return len(results) == len(s.robots)
			}
		}
	})
}
