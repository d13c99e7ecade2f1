package stewardmetrics

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/steward"
)

// still is a steward that says one thing.
type still struct{ err error }

func (s still) Status() steward.Status {
	return steward.Status{
		Connected: true, Rounds: 7, JournalWritable: true,
		Facts: []steward.Fact{{Process: contract.Process{Found: true}}, {}},
	}
}

func (s still) Healthy(context.Context) error { return s.err }

func TestServe(t *testing.T) {
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "m")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, path, still{}, zerolog.Nop()) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	var text string
	for end := time.Now().Add(5 * time.Second); ; {
		r, err := client.Get("http://steward/metrics") //nolint:noctx // a test
		if err == nil {
			b, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			text = string(b)
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	for _, want := range []string{
		"robowarden_steward_connected 1\n", "robowarden_steward_rounds_total 7\n", "robowarden_steward_connections 2\n",
		"robowarden_steward_processes_found 1\n", "robowarden_steward_journal_writable 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSocketThatCannotBeMadeEndsNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Serve(ctx, "/missing/folder/m", still{}, zerolog.Nop()); err != nil || ctx.Err() == nil {
		t.Errorf("%v before the end", err)
	}
}
