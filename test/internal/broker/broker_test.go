package broker

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	one = "acme/runner-1"
	two = "acme/runner-2"
)

func start(t *testing.T) *Broker {
	t.Helper()
	return Start(t, Options{Prefix: "site", Robots: []string{one, two}, Stations: []string{"station"}, Admins: []string{"eye"}})
}

// connect is a plain client.
func connect(t *testing.T, url, id string, config *tls.Config, on mqtt.MessageHandler) (mqtt.Client, error) {
	t.Helper()
	o := mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetTLSConfig(config).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	o.SetDefaultPublishHandler(on)
	c := mqtt.NewClient(o)
	token := c.Connect()
	if !token.WaitTimeout(10 * time.Second) {
		return nil, fmt.Errorf("no answer")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, token.Error()
}

// inbox collects messages.
type inbox struct {
	mu   sync.Mutex
	list []string
}

func (i *inbox) take(_ mqtt.Client, m mqtt.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = append(i.list, m.Topic()+" "+string(m.Payload()))
}

func (i *inbox) get() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string{}, i.list...)
}

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("expected %s", what)
		}
	}
}

func watch(t *testing.T, url string, c Credentials, topic string) *inbox {
	t.Helper()
	in := &inbox{}
	client, err := connect(t, url, c.TLS.ServerName+topic, c.TLS, in.take)
	if err != nil {
		t.Fatal(err)
	}
	if token := client.Subscribe(topic, 1, nil); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	return in
}

func publish(t *testing.T, c mqtt.Client, topic, text string) {
	t.Helper()
	if token := c.Publish(topic, 1, false, text); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("publish %s: %v", topic, token.Error())
	}
}

func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	b := start(t)
	good := b.Authority.Client(t, CommonName(one)).TLS
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	bare := good.Clone()
	bare.Certificates = nil
	stranger := NewAuthority(t).Client(t, CommonName(one)).TLS
	stranger.RootCAs = good.RootCAs
	for name, c := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"off: a robot": {good, true}, "TLS 1.2": {old, false}, "no certificate": {bare, false}, "another authority": {stranger, false},
		"expired": {b.Authority.ClientUntil(t, CommonName(one), time.Now().Add(-time.Minute)).TLS, false},
	} {
		if _, err := connect(t, b.URL(), name, c.config, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRulesGoByCertificate(t *testing.T) {
	t.Parallel()
	b := start(t)
	in := watch(t, b.URL(), b.Authority.Client(t, "eye"), "site/v1/#")
	c := b.Authority.Client(t, CommonName(one))
	for _, topic := range []string{two + "/event", one + "/order", "../elsewhere", one + "/event"} {
		robot, err := connect(t, b.URL(), "r", c.TLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		// A refusal is an end of the connection, or silence.
		robot.Publish("site/v1/"+topic, 1, false, "as "+topic).WaitTimeout(time.Second)
		robot.Disconnect(0)
	}
	until(t, "the robot's own event", func() bool { return len(in.get()) > 0 })
	if got := in.get(); len(got) != 1 || got[0] != "site/v1/"+one+"/event as "+one+"/event" {
		t.Errorf("arrived: %q", got)
	}
}

func TestOutages(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.Authority.Client(t, "eye")
	for _, lose := range []bool{false, true} {
		client, err := connect(t, b.URL(), "w", c.TLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token := client.Publish("kept", 1, true, "retained"); !token.WaitTimeout(5 * time.Second) {
			t.Fatal("not published")
		}
		if lose {
			b.Kill(true)
		} else {
			b.Stop()
		}
		if conn, err := net.Dial("tcp", b.Address()); err == nil {
			_ = conn.Close()
			t.Error("a dead broker answers")
		}
		b.Restart()
		in := watch(t, b.URL(), c, "#")
		client, err = connect(t, b.URL(), "w", c.TLS, nil)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, client, "last", "one")
		until(t, "the last message", func() bool { l := in.get(); return len(l) > 0 && l[len(l)-1] == "last one" })
		if got := len(in.get()); (got == 1) != lose {
			t.Errorf("lose %t: arrived %q", lose, in.get())
		}
	}
	b.Pause()
	if _, err := connect(t, b.URL(), "p", c.TLS, nil); err == nil {
		t.Error("a held broker answers")
	}
	b.Resume()
	if _, err := connect(t, b.URL(), "p", c.TLS, nil); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// TestProxyFaults has each fault do what its name says, and nothing where there is none.
func TestProxyFaults(t *testing.T) {
	t.Parallel()
	const n = 40
	for name, f := range map[string]Faults{
		"off": {}, "drop": {Drop: 0.5}, "duplicate": {Duplicate: 0.5}, "reorder": {Reorder: 0.5}, "forget": {Forget: 0.5}, "delay": {Delay: 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			b := start(t)
			p := StartProxy(t, b, seed)
			in := watch(t, b.URL(), b.Authority.Client(t, "eye"), "site/v1/#")
			robot, err := connect(t, p.URL(), "r", b.Authority.Client(t, CommonName(one)).TLS, nil)
			if err != nil {
				t.Fatal(err)
			}
			p.Up(f)
			tokens := make([]mqtt.Token, n)
			for i := range tokens {
				tokens[i] = robot.Publish("site/v1/"+one+"/event", 1, false, fmt.Sprint(i))
			}
			until(t, "all messages at the proxy", func() bool {
				c := p.Counts()
				return c.Passed+c.Dropped+c.Forgotten+c.Reordered >= n
			})
			p.Up(Faults{})
			for range maxHeld + 2 { // let pass what is held back
				publish(t, robot, "site/v1/"+one+"/event", "end")
			}
			until(t, "the end", func() bool { l := in.get(); return len(l) > 0 && l[len(l)-1] == "site/v1/"+one+"/event end" })
			judge(t, f, in.get(), tokens, p.Counts())
		})
	}
}

// judge compares what arrived with what the proxy says that it did.
func judge(t *testing.T, f Faults, list []string, tokens []mqtt.Token, c Counts) {
	t.Helper()
	distinct, order, last := map[string]int{}, true, -1
	for _, s := range list {
		var i int
		if _, err := fmt.Sscanf(s, "site/v1/"+one+"/event %d", &i); err == nil {
			distinct[s]++
			order = order && i >= last
			last = i
		}
	}
	confirmed := 0
	for _, token := range tokens {
		if token.WaitTimeout(100 * time.Millisecond) {
			confirmed++
		}
	}
	twice := 0
	for _, k := range distinct {
		twice += k - 1
	}
	n := len(tokens)
	if len(distinct) != n-int(c.Dropped+c.Forgotten) || twice != int(c.Duplicated) || order != (f.Reorder == 0) || confirmed != n-int(c.Dropped) {
		t.Errorf("%d distinct, %d twice, in order %t, %d confirmed; proxy: %+v", len(distinct), twice, order, confirmed, c)
	}
	if faults := c.Dropped + c.Forgotten + c.Duplicated + c.Reordered; (faults > 0) != (f != Faults{} && f.Delay == 0) {
		t.Errorf("faults: %+v", c)
	}
}

func TestProxyHalfOpenCutAndInject(t *testing.T) {
	t.Parallel()
	b := start(t)
	p := StartProxy(t, b, 1)
	in := watch(t, p.URL(), b.Authority.Client(t, CommonName(one)), "site/v1/"+one+"/order")
	station, err := connect(t, b.URL(), "s", b.Authority.Client(t, "station").TLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.HalfOpen(true)
	publish(t, station, "site/v1/"+one+"/order", "true")
	if n := p.Inject(CommonName(one), "site/v1/"+one+"/order", []byte("forged")); n != 1 {
		t.Errorf("injected to %d clients", n)
	}
	until(t, "the forged order", func() bool { return len(in.get()) == 1 })
	p.HalfOpen(false)
	until(t, "the true order", func() bool { return len(in.get()) == 2 })
	p.Cut()
	if n := p.Inject(CommonName(two), "x", nil); n != 0 {
		t.Errorf("injected to %d clients that are not there", n)
	}
}
