package ros1

import (
	"context"
	"fmt"

	"github.com/robowarden/robowarden/hal/bus"
)

// Inventory asks the master once for all topics, their nodes and their types, and for the services. The node need not
// run. Errors name the call.
func (n *Node) Inventory(ctx context.Context) (*bus.Inventory, error) {
	a := asker{inventory: &bus.Inventory{}, conn: n.newRPC(ctx, n.masterAt, n.cfg.Limits.MaxRPCBytes)}
	defer a.conn.close()
	if err := a.ask(a.state, newCall("getSystemState", n.cfg.Name)); err != nil {
		return nil, fmt.Errorf("getSystemState: %w", err)
	}
	if err := a.ask(a.types, newCall("getTopicTypes", n.cfg.Name)); err != nil {
		return nil, fmt.Errorf("getTopicTypes: %w", err)
	}
	return a.inventory, nil
}

// TextParameter asks the parameter server once for a text, such as /robot_description. The node need not run.
func (n *Node) TextParameter(ctx context.Context, key string) (string, error) {
	a := asker{conn: n.newRPC(ctx, n.masterAt, n.cfg.Limits.MaxRPCBytes)}
	defer a.conn.close()
	var text string
	err := a.ask(func(payload *xmlValue) error {
		if payload.kind != xmlText {
			return errAnswer
		}
		text = string(payload.text)
		return nil
	}, newCall("getParam", n.cfg.Name, key))
	if err != nil {
		return "", fmt.Errorf("getParam %s: %w", clip(key, 80), err)
	}
	return text, nil
}

// asker reads the master's answers.
type asker struct {
	conn      *rpcConn
	xml       xmlReader
	inventory *bus.Inventory
}

func (a *asker) ask(read func(payload *xmlValue) error, call []byte) error {
	body, err := a.conn.post(call)
	if err != nil {
		return err
	}
	root, err := a.xml.parseResponse(body)
	if err != nil {
		return err
	}
	payload, err := a.xml.triple(root)
	if err != nil {
		return err
	}
	return read(&a.xml.values[payload])
}

// state reads [publishers, subscribers, services], each of the three [[name, [node, …]], …].
func (a *asker) state(payload *xmlValue) error {
	v := a.inventory
	readers := []func(name string, nodes []string){
		func(name string, nodes []string) { noteAll(v, name, nodes, v.Publisher) },
		func(name string, nodes []string) { noteAll(v, name, nodes, v.Subscriber) },
		func(name string, _ []string) { v.Service(name, "") },
	}
	if payload.kind != xmlArray {
		return errAnswer
	}
	next := payload.first
	for _, read := range readers {
		if next < 0 || a.xml.values[next].kind != xmlArray {
			return errAnswer
		}
		if err := a.pairs(a.xml.values[next].first, read); err != nil {
			return err
		}
		next = a.xml.values[next].next
	}
	return nil
}

func noteAll(v *bus.Inventory, name string, nodes []string, note func(*bus.TopicEntry, string)) {
	if t := v.Topic(name); t != nil {
		for _, node := range nodes {
			note(t, node)
		}
	}
}

// pairs reads [[name, [node, …]], …].
func (a *asker) pairs(first int32, read func(name string, nodes []string)) error {
	for i := first; i >= 0; i = a.xml.values[i].next {
		name, list, err := a.xml.pair(i)
		if err != nil {
			return err
		}
		var nodes []string
		for k := list; k >= 0; k = a.xml.values[k].next {
			if a.xml.values[k].kind != xmlText {
				return errAnswer
			}
			nodes = append(nodes, string(a.xml.values[k].text))
		}
		read(string(name), nodes)
	}
	return nil
}

// types reads [[topic, type], …]. Types of topics that nobody publishes or reads are passed over.
func (a *asker) types(payload *xmlValue) error {
	if payload.kind != xmlArray {
		return errAnswer
	}
	known := map[string]*bus.TopicEntry{}
	for i := range a.inventory.Topics {
		known[a.inventory.Topics[i].Name] = &a.inventory.Topics[i]
	}
	for i := payload.first; i >= 0; i = a.xml.values[i].next {
		row := &a.xml.values[i]
		if row.kind != xmlArray || row.first < 0 {
			return errAnswer
		}
		topic := &a.xml.values[row.first]
		if topic.kind != xmlText || topic.next < 0 || a.xml.values[topic.next].kind != xmlText {
			return errAnswer
		}
		if t := known[string(topic.text)]; t != nil {
			t.Type = string(a.xml.values[topic.next].text)
		}
	}
	return nil
}
