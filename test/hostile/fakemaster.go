package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robowarden/robowarden/test/internal/wire"
)

// Lie is how a false master behaves.
type Lie int

// Lies.
const (
	// LieForged names the intruder as the only publisher of every topic.
	LieForged Lie = iota
	// LieEmpty says that nobody publishes anything and that all registrations succeed.
	LieEmpty
	// LieRefuse answers every call with an error.
	LieRefuse
	// LieSilent takes calls and never answers.
	LieSilent
	// LieGarbage answers with something that is not XML-RPC.
	LieGarbage
	// LieHuge answers with a publisher list of a hundred thousand.
	LieHuge
)

// FakeMaster stands where a target looks for its master, as whoever takes the port of a crashed master does.
type FakeMaster struct {
	lie      Lie
	intruder string
	uri      string
	server   *http.Server
	wg       sync.WaitGroup
	ctx      context.Context
	cancel   context.CancelFunc
	mu       sync.Mutex
	calls    []string
}

// StartFakeMaster listens at host:port, which must be a loopback address; port 0 is any that is free. intruder is the slave API that LieForged names.
func StartFakeMaster(addr string, lie Lie, intruder string) (*FakeMaster, error) {
	if _, err := hostPort("http://" + addr + "/"); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("hostile: false master: %w", err)
	}
	m := &FakeMaster{lie: lie, intruder: intruder, uri: "http://" + l.Addr().String() + "/"}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: 5 * time.Second}
	m.wg.Go(func() { _ = m.server.Serve(l) })
	return m, nil
}

// URI is where it listens.
func (m *FakeMaster) URI() string { return m.uri }

// Close stops listening.
func (m *FakeMaster) Close() error {
	m.cancel()
	err := m.server.Close()
	m.wg.Wait()
	return err
}

// Calls are the calls so far, each as "method caller argument…".
func (m *FakeMaster) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// ServeHTTP answers one call.
func (m *FakeMaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, args, err := wire.DecodeCall(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	if len(m.calls) < 10000 {
		m.calls = append(m.calls, strings.TrimSpace(method+" "+strings.Trim(fmt.Sprint(args), "[]")))
	}
	m.mu.Unlock()
	switch m.lie {
	case LieSilent:
		select {
		case <-m.ctx.Done():
		case <-r.Context().Done():
		}
	case LieGarbage:
		_, _ = io.WriteString(w, "<html><body>"+strings.Repeat("It works! ", 1000))
	case LieRefuse:
		_, _ = w.Write(wire.EncodeReply([]any{-1, "no", 0}))
	default:
		_, _ = w.Write(wire.EncodeReply([]any{1, "ok", m.value(method, args)}))
	}
}

// value is what a true master would give, with the lie in it.
func (m *FakeMaster) value(method string, args []any) any {
	text := func(i int) string {
		if i < len(args) {
			s, _ := args[i].(string)
			return s
		}
		return ""
	}
	switch method {
	case "registerSubscriber":
		return m.publishers()
	case "registerPublisher":
		return []any{}
	case "getSystemState":
		return []any{[]any{[]any{"/odom", []any{Name}}}, []any{}, []any{}}
	case "getTopicTypes", "getPublishedTopics":
		return []any{}
	case "lookupNode":
		return m.intruder
	case "lookupService":
		return "rosrpc://127.0.0.1:1"
	case "getUri":
		return "http://" + text(0)
	case "hasParam":
		return false
	case "getParam", "subscribeParam":
		return map[string]any{}
	case "getPid":
		return 1
	}
	return 1
}

func (m *FakeMaster) publishers() []string {
	switch m.lie {
	case LieForged:
		return []string{m.intruder}
	case LieHuge:
		list := make([]string, 100000)
		for i := range list {
			list[i] = fmt.Sprintf("http://127.0.0.1:1/%d", i)
		}
		return list
	case LieEmpty, LieRefuse, LieSilent, LieGarbage: // these name nobody
	}
	return []string{}
}
