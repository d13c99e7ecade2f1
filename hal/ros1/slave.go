package ros1

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
)

// The slave API is what other nodes and ROS's tools ask us. It answers who we are and where our topics are. It does
// nothing that changes us: shutdown, publisherUpdate and paramUpdate are refused, counted and reported.

// slaveServer serves the slave API.
type slaveServer struct {
	n    *Node
	http *http.Server
}

func newSlaveServer(n *Node) *slaveServer {
	s := &slaveServer{n: n}
	lim := &n.cfg.Limits
	s.http = &http.Server{
		Handler:           s,
		ReadTimeout:       lim.RPCTimeout,
		ReadHeaderTimeout: lim.RPCTimeout,
		WriteTimeout:      2 * lim.RPCTimeout,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    maxHTTPHead,
		// Peers that break off are no news for a person.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return s
}

// ServeHTTP answers one request.
func (s *slaveServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "expected an XML-RPC POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.n.cfg.Limits.MaxRequestBytes)))
	if err != nil {
		s.n.rep.Emit(&bus.Event{Kind: bus.RequestMalformed, Name: clip(r.RemoteAddr, 60), Detail: err.Error()})
		http.Error(w, "request not read", http.StatusBadRequest)
		return
	}
	answer, err := s.answer(body, r.RemoteAddr)
	if err != nil {
		s.n.rep.Emit(&bus.Event{Kind: bus.RequestMalformed, Name: clip(r.RemoteAddr, 60), Detail: err.Error()})
		http.Error(w, "not an XML-RPC request", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

// answer turns a request into the document that answers it.
func (s *slaveServer) answer(body []byte, from string) ([]byte, error) {
	var x xmlReader
	method, first, err := x.parseCall(body)
	if err != nil {
		return nil, err
	}
	caller := ""
	if first >= 0 && x.values[first].kind == xmlText {
		caller = clipName(string(x.values[first].text))
	}
	a := newAnswer()
	switch method {
	case "requestTopic":
		s.requestTopic(&a, &x, first)
	case "getPid":
		a.ok("").int(os.Getpid())
	case "getMasterUri":
		a.ok("").str(s.n.cfg.MasterURI)
	case "getBusInfo":
		s.busInfo(&a)
	case "getBusStats":
		s.busStats(&a)
	case "getPublications":
		a.ok("publications").open()
		for _, p := range s.n.publishers() {
			a.open().str(p.topic).str(p.typ.name).shut()
		}
		a.shut()
	case "getSubscriptions":
		a.ok("subscriptions").open()
		for _, sub := range s.n.subscriptions() {
			a.open().str(sub.topic).str(sub.typ.name).shut()
		}
		a.shut()
	case "shutdown", "publisherUpdate", "paramUpdate":
		s.n.rep.Emit(&bus.Event{
			Kind: bus.RequestRefused, Name: caller,
			Detail: fmt.Sprintf("%s called by %s, which nobody may", method, clip(from, 60)),
		})
		if method == "publisherUpdate" {
			s.n.pokeGently()
		}
		a.fail(method + " is refused: this node takes no orders over the slave API").int(0)
	default:
		a.fail("unknown method " + clip(method, 64)).int(0)
	}
	return a.done(), nil
}

// requestTopic tells where a topic is.
func (s *slaveServer) requestTopic(a *answer, x *xmlReader, first int32) {
	if first < 0 || x.values[first].next < 0 {
		a.fail("requestTopic wants [caller, topic, protocols]").open().shut()
		return
	}
	topic := string(x.values[x.values[first].next].text)
	if s.n.publisher(topic) == nil {
		a.fail("not a publisher of " + clip(topic, 80)).open().shut()
		return
	}
	if !x.offers("TCPROS", x.values[x.values[first].next].next) {
		a.fail("no supported protocol; expected TCPROS").open().shut()
		return
	}
	a.ok("ready on " + s.n.cfg.Host).open().str("TCPROS").str(s.n.host.String()).int(int(s.n.data.port())).shut()
}

// offers tells whether a list of protocols [[name, …], …] has the name.
func (x *xmlReader) offers(name string, i int32) bool {
	if i < 0 || x.values[i].kind != xmlArray {
		return false
	}
	for p := x.values[i].first; p >= 0; p = x.values[p].next {
		if x.values[p].kind == xmlArray && x.values[p].first >= 0 && string(x.values[x.values[p].first].text) == name {
			return true
		}
	}
	return false
}

// busInfo lists [id, peer, direction, transport, topic, connected, info] for every connection.
func (s *slaveServer) busInfo(a *answer) {
	a.ok("bus info").open()
	for _, p := range s.n.publishers() {
		for _, peer := range p.peers() {
			a.open().int(int(peer.ID)).str(peer.Name).str("o").str("TCPROS").str(p.topic).bool(true)
			a.str("TCPROS connection to [" + peer.Addr.String() + "]").shut()
		}
	}
	for _, in := range s.n.inbound() {
		a.open().int(int(in.peer.ID)).str(in.uri).str("i").str("TCPROS").str(in.topic).bool(true)
		a.str("TCPROS connection to [" + in.peer.Addr.String() + "]").shut()
	}
	a.shut()
}

// busStats answers with empty statistics for every topic, which is all that ROS's tools ask for.
func (s *slaveServer) busStats(a *answer) {
	a.ok("bus stats").open().open()
	for _, p := range s.n.publishers() {
		a.open().str(p.topic).int(0).open().shut().shut()
	}
	a.shut().open()
	for _, sub := range s.n.subscriptions() {
		a.open().str(sub.topic).open().shut().shut()
	}
	a.shut().open().int(0).int(0).int(0).shut().shut()
}

// answer builds the document [code, message, value].
type answer struct{ b []byte }

func newAnswer() answer {
	return answer{append(make([]byte, 0, 512),
		`<?xml version="1.0"?><methodResponse><params><param><value><array><data>`...)}
}

func (a *answer) ok(message string) *answer   { return a.int(1).str(message) }
func (a *answer) fail(message string) *answer { return a.int(-1).str(message) }

func (a *answer) int(v int) *answer {
	a.b = append(a.b, `<value><int>`...)
	a.b = strconv.AppendInt(a.b, int64(v), 10)
	a.b = append(a.b, `</int></value>`...)
	return a
}

func (a *answer) bool(v bool) {
	if v {
		a.b = append(a.b, `<value><boolean>1</boolean></value>`...)
	} else {
		a.b = append(a.b, `<value><boolean>0</boolean></value>`...)
	}
}

func (a *answer) str(v string) *answer {
	a.b = append(a.b, `<value><string>`...)
	a.b = appendEscaped(a.b, v)
	a.b = append(a.b, `</string></value>`...)
	return a
}

func (a *answer) open() *answer {
	a.b = append(a.b, `<value><array><data>`...)
	return a
}

func (a *answer) shut() *answer {
	a.b = append(a.b, `</data></array></value>`...)
	return a
}

func (a *answer) done() []byte {
	return append(a.b, `</data></array></value></param></params></methodResponse>`...)
}
