package ros1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/apislave"

	"github.com/robowarden/robowarden/hal/msg"
)

// Watch is a running graph watch. Everything that it reports is the word of the master and of the consumer.
type Watch struct {
	n        *Node
	topic    string
	consumer string
	h        func(*msg.Graph)
	news     chan graphNews
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	graph    msg.Graph
	listed   []string
	asker    *busAsker
	last     graphNews
}

// graphNews is one poll's result for one topic.
type graphNews struct {
	known, registered bool
	publishers        []string
}

// WatchTopic reports at each poll whom the master lists as publishers of the topic and, if consumer names a node, to
// whom that node says it is connected. The consumer is asked each Limits.ConsumerInterval as well, and what has changed
// there is reported at once. h is called on the watch's own goroutine; its argument is valid only during the call. Known is
// false while the master cannot be asked.
func (n *Node) WatchTopic(topic, consumer string, h func(*msg.Graph)) (*Watch, error) {
	if !validName(topic) || consumer != "" && !validName(consumer) {
		return nil, fmt.Errorf("ros1: watch topic %s, consumer %s; expected global names", clip(topic, 80), clip(consumer, 80))
	}
	w := &Watch{n: n, topic: topic, consumer: consumer, h: h, news: make(chan graphNews, 1)}
	w.graph.Topic = topic
	w.ctx, w.cancel = context.WithCancel(n.ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		w.cancel()
		return nil, ErrClosed
	}
	n.watches = with(n.watches, w)
	w.wg.Go(w.run)
	n.asked.Store(true)
	return w, nil
}

// Close ends the watch and waits for h to return; so h must not call it.
func (w *Watch) Close() {
	w.cancel()
	w.wg.Wait()
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.n.watches = without(w.n.watches, w)
}

// tellWatches hands the poll's result to every watch; one that is still busy with the last gets the newest.
func (n *Node) tellWatches(g *graphState) {
	for _, w := range n.watching() {
		news := graphNews{known: g.known, publishers: g.publishers[w.topic]}
		news.registered = g.ours && slices.Contains(news.publishers, n.cfg.Name)
		select {
		case <-w.news:
		default:
		}
		w.news <- news // only this goroutine sends, so there is room
	}
}

func (w *Watch) run() {
	var between <-chan time.Time
	if w.consumer != "" {
		w.asker = newBusAsker(w)
		defer w.asker.close()
		t := time.NewTicker(w.n.cfg.Limits.ConsumerInterval)
		defer t.Stop()
		between = t.C
	}
	for {
		select {
		case <-w.ctx.Done():
			return
		case news := <-w.news:
			w.tell(news)
		case <-between:
			w.look()
		}
	}
}

// look asks the consumer alone, between two polls: somebody who feeds it past the gate moves the robot from then on, and
// the master need not know of him. A consumer that did not answer the last time is left to the next poll.
func (w *Watch) look() {
	if !w.last.known || !w.graph.ConsumerKnown || w.asker.silent {
		return
	}
	if changed, err := w.asker.connections(w.listed); err == nil && changed {
		w.graph.SourcesTotal = fillNames(&w.graph.Sources, w.asker.sources)
		w.graph.Boot = w.n.cfg.Clock()
		w.h(&w.graph)
	}
}

// tell fills the graph and calls the handler. Names are sorted only when they have changed.
func (w *Watch) tell(news graphNews) {
	g := &w.graph
	w.last = news
	g.Known, g.Registered = news.known, news.known && news.registered
	if !slices.Equal(w.listed, news.publishers) {
		w.listed = slices.Clone(news.publishers)
		g.Total = fillNames(&g.Publishers, w.listed)
	}
	g.ConsumerKnown = false
	if w.asker != nil && news.known {
		changed, err := w.asker.ask(w.listed)
		if err == nil {
			g.ConsumerKnown = true
			if changed {
				g.SourcesTotal = fillNames(&g.Sources, w.asker.sources)
			}
		}
	}
	g.Boot = w.n.cfg.Clock()
	w.h(g)
}

// fillNames writes the first names in order and returns how many there are.
func fillNames(dst *[msg.MaxPublishers]string, names []string) int {
	sorted := make([]string, len(names))
	for i, name := range names {
		sorted[i] = clipName(name)
	}
	slices.Sort(sorted)
	*dst = [msg.MaxPublishers]string{}
	copy(dst[:], sorted)
	return len(names)
}

// busAsker asks one node to whom it is connected for one topic.
type busAsker struct {
	w                 *Watch
	master, node      *rpcConn
	xml               xmlReader
	findCall, busCall []byte
	lastFind, lastBus []byte
	lastListed        []string
	sources           []string
	// silent is true since the consumer gave no answer, or none that makes sense.
	silent bool
}

func newBusAsker(w *Watch) *busAsker {
	n := w.n
	return &busAsker{
		w: w, master: n.newRPC(w.ctx, n.masterAt, slaveAnswerBytes),
		findCall: newCall("lookupNode", n.cfg.Name, w.consumer),
		busCall:  newCall("getBusInfo", n.cfg.Name),
	}
}

func (a *busAsker) close() {
	a.master.close()
	if a.node != nil {
		a.node.close()
	}
}

// ask refreshes sources. changed is false while neither the consumer's answer nor the list of publishers has changed.
func (a *busAsker) ask(listed []string) (changed bool, err error) {
	if err := a.find(); err != nil {
		return false, err
	}
	return a.connections(listed)
}

// connections is ask where the consumer has been found already.
func (a *busAsker) connections(listed []string) (changed bool, err error) {
	a.silent = true
	body, err := a.node.post(a.busCall)
	if err != nil {
		a.lastBus = a.lastBus[:0]
		return false, err
	}
	if len(a.lastBus) > 0 && bytes.Equal(body, a.lastBus) && slices.Equal(listed, a.lastListed) {
		a.silent = false
		return false, nil
	}
	a.lastBus, a.lastListed = append(a.lastBus[:0], body...), listed
	uris, err := a.parse()
	if err != nil {
		a.lastBus = a.lastBus[:0]
		return false, err
	}
	a.silent = false
	a.name(uris, listed)
	return true, nil
}

// find keeps the connection to where the master says that the consumer is.
func (a *busAsker) find() error {
	body, err := a.master.post(a.findCall)
	if err != nil {
		return err
	}
	if a.node != nil && bytes.Equal(body, a.lastFind) {
		return nil
	}
	root, err := a.xml.parseResponse(body)
	if err != nil {
		return err
	}
	i, err := a.xml.triple(root)
	if err != nil {
		return err
	}
	at, err := parseURI(string(a.xml.values[i].text), "http")
	if err != nil {
		return err
	}
	if a.node != nil {
		a.node.close()
	}
	a.lastFind = append(a.lastFind[:0], body...)
	a.lastBus = a.lastBus[:0]
	a.node = a.w.n.newRPC(a.w.ctx, at, slaveAnswerBytes)
	return nil
}

// canned answers goroslib's client with a document that is here already.
type canned []byte

// RoundTrip implements http.RoundTripper.
func (d canned) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Body.Close()
	return okResponse(req, d), nil
}

// parse returns where the consumer's connections for the topic come from: slave URIs.
func (a *busAsker) parse() ([]string, error) {
	api := apislave.NewClient(a.node.addr, a.w.n.cfg.Name, &http.Client{Transport: canned(a.lastBus)})
	info, err := api.GetBusInfo()
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, e := range info {
		if len(e) < 6 {
			return nil, errors.New("getBusInfo: entry with fewer than six values")
		}
		from, okFrom := e[1].(string)
		direction, okDirection := e[2].(string)
		topic, okTopic := e[4].(string)
		if !okFrom || !okDirection || !okTopic {
			return nil, errors.New("getBusInfo: entry is not [id, peer, direction, transport, topic, connected]")
		}
		if direction == "i" && topic == a.w.topic && e[5] != false {
			uris = append(uris, from)
		}
	}
	return uris, nil
}

// maxLookups bounds the names that are resolved to tell whose a URI is.
const maxLookups = msg.MaxPublishers

// name turns URIs into names. A URI that is nobody's is reported as it is: somebody feeds the consumer whom the master
// does not list.
func (a *busAsker) name(uris, listed []string) {
	n := a.w.n
	names := map[string]string{n.URI(): n.cfg.Name}
	for i, name := range listed {
		if i == maxLookups {
			break
		}
		if !validName(name) || name == n.cfg.Name {
			continue
		}
		if _, uri, err := n.lookupNode(a.w.ctx, name); err == nil {
			names[uri] = name
		}
	}
	a.sources = a.sources[:0]
	for _, uri := range uris {
		if name, ok := names[uri]; ok {
			a.sources = append(a.sources, name)
		} else {
			a.sources = append(a.sources, uri)
		}
	}
}
