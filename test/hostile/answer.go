package hostile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// answerAttacks are aimed at texts that the target takes from the bus: answers to its challenges, and signed orders.
func answerAttacks() []Attack {
	return []Attack{
		{"answer-forged", "answers every challenge at once, with a false code, before the operator can", NeedNode | NeedAnswers, answerForged},
		{"answer-replayed", "sends the operator's own last answers again and again", NeedNode | NeedAnswers, answerReplayed},
		{"answer-flood", "sends a thousand useless answers a second", NeedNode | NeedAnswers, answerFlood},
		{"order-garbage", "sends what is no signed order where orders are taken", NeedNode | NeedOrders, orderGarbage},
	}
}

// overhear collects the texts of a topic.
type overheard struct {
	mu    sync.Mutex
	texts []string
}

func (o *overheard) add(msg wire.Message) {
	if s, err := wire.ParseString(msg.Body); err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.texts) < 1000 {
			o.texts = append(o.texts, s)
		}
	}
}

// take gives what has been heard since the last take.
func (o *overheard) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	texts := o.texts
	o.texts = nil
	return texts
}

// answering registers as a publisher of a topic of texts.
func answering(ctx context.Context, t Target, topic string) (*wire.Node, *wire.Publisher, error) {
	return lure(ctx, t, wire.PublisherConfig{Topic: topic, Type: wire.String})
}

func answerForged(ctx context.Context, t Target) error {
	n, pub, err := answering(ctx, t, t.AnswerTopic)
	if err != nil {
		return err
	}
	var heard overheard
	if _, err := n.Subscribe(ctx, t.ChallengeTopic, wire.String, heard.add); err != nil {
		return errors.Join(err, n.Close())
	}
	forgeries := 0
	repeat(ctx, 200, t.duration(), func() {
		for _, line := range heard.take() {
			w := strings.Split(line, " ")
			if len(w) != 7 {
				continue
			}
			forgeries++
			pub.Send(wire.StringBody(strings.Join([]string{"rw1", "answer", w[4], w[5], "ok", strings.Repeat("ab", 32)}, " ")))
		}
	})
	t.logf("%d challenges answered falsely", forgeries)
	if forgeries == 0 {
		return errors.Join(fmt.Errorf("hostile: no challenge was heard: %w", ErrNoSurface), n.Close())
	}
	return n.Close()
}

func answerReplayed(ctx context.Context, t Target) error {
	n, pub, err := answering(ctx, t, t.AnswerTopic)
	if err != nil {
		return err
	}
	listener, err := t.intruder(Name + "_ear")
	if err != nil {
		return errors.Join(err, n.Close())
	}
	defer func() { _ = listener.Close() }()
	var heard overheard
	if _, err := listener.Subscribe(ctx, t.AnswerTopic, wire.String, heard.add); err != nil {
		return errors.Join(err, n.Close())
	}
	known, seen := []string(nil), map[string]bool{}
	i := 0
	repeat(ctx, 100, t.duration(), func() {
		for _, line := range heard.take() {
			if !seen[line] { // our own replays come back as well
				seen[line] = true
				known = append(known, line)
			}
		}
		if len(known) > 0 {
			pub.Send(wire.StringBody(known[i%len(known)]))
			i++
		}
	})
	t.logf("%d replays of %d answers", i, len(known))
	if i == 0 {
		return errors.Join(fmt.Errorf("hostile: no answer was heard: %w", ErrNoSurface), n.Close())
	}
	return n.Close()
}

func answerFlood(ctx context.Context, t Target) error {
	n, pub, err := answering(ctx, t, t.AnswerTopic)
	if err != nil {
		return err
	}
	nonce := strings.Repeat("0", 32)
	lines := []string{
		"", " ", "rw1", "rw1 answer", "rw1 answer operator " + nonce + " ok", "rw2 answer operator " + nonce + " ok " + nonce + nonce,
		"rw1 answer operator " + nonce + " ok " + nonce + nonce, "rw1 answer operator " + nonce + " OK " + nonce + nonce,
		"rw1  answer operator " + nonce + " ok " + nonce + nonce, strings.Repeat("rw1 answer ", 10000), "\x00\xff\xfe", "rw1 answer\noperator",
		"rw1 answer " + strings.Repeat("e", 100000) + " " + nonce + " ok " + nonce + nonce,
	}
	i := 0
	repeat(ctx, 1000, t.duration(), func() {
		pub.Send(wire.StringBody(lines[i%len(lines)]))
		i++
	})
	return n.Close()
}

func orderGarbage(ctx context.Context, t Target) error {
	n, pub, err := answering(ctx, t, t.OrderTopic)
	if err != nil {
		return err
	}
	orders := []string{
		"", "{}", "[]", "null", "stop", `{"payloadType":"","payload":"","signatures":[]}`,
		`{"payloadType":"application/vnd.robowarden.order+json","payload":"e30=","signatures":[{"keyid":"","sig":"AAAA"}]}`,
		`{"payload":` + strings.Repeat("[", 50000), `{"payload":"` + strings.Repeat("A", 200000) + `"}`,
		`{"signatures":[` + strings.Repeat(`{"sig":"AAAA"},`, 5000) + `{}]}`, "\x00\x01\x02", strings.Repeat("x", 1<<20),
	}
	i := 0
	repeat(ctx, 50, t.duration(), func() {
		pub.Send(wire.StringBody(orders[i%len(orders)]))
		i++
	})
	return n.Close()
}
