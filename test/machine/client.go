package machine

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// client asks the machine's first process.
type client struct{ http *http.Client }

func newClient() *client {
	// No connection is kept: after a reset the old ones are dead and nobody has told.
	return &client{http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}}
}

// call asks and returns the answer's body.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: wire.Address, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("machine: %s: %w", path, err)
	}
	r, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("machine: %s: %w", path, err)
	}
	defer func() { _ = r.Body.Close() }()
	out, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(string(bytes.TrimSpace(out)))
	}
	if err != nil {
		return nil, fmt.Errorf("machine: %s: %w", path, err)
	}
	return out, nil
}

// ask is call with JSON both ways.
func ask[T any](ctx context.Context, c *client, method, path string, query url.Values, body any) (T, error) {
	var out T
	raw, err := json.Marshal(body)
	if err != nil {
		return out, fmt.Errorf("machine: %s: %w", path, err)
	}
	answer, err := c.call(ctx, method, path, query, raw)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("machine: %s: %w", path, err)
	}
	return out, nil
}

// setClock sets the machine's civil time to the host's. The two boot clocks are compared over several exchanges; the
// quickest one is off by at most half its round trip.
func (c *client) setClock(ctx context.Context) error {
	best, offset := time.Duration(1<<62), int64(0)
	for range 5 {
		before := time.Now()
		f, err := ask[wire.Clock](ctx, c, http.MethodGet, "/time", nil, nil)
		if err != nil {
			return err
		}
		trip := time.Since(before)
		if trip < best {
			best, offset = trip, before.Add(trip/2).UnixNano()-f.CivilAtBootNS
		}
	}
	_, err := ask[wire.Facts](ctx, c, http.MethodPost, "/clock", nil, wire.Clock{CivilAtBootNS: offset})
	return err
}

// SetWildClock sets the machine's civil time to this moment, and tells the kernel that nobody disciplines it.
func (m *Machine) SetWildClock(ctx context.Context, t time.Time) error {
	c, err := ask[wire.Clock](ctx, m.client, http.MethodGet, "/time", nil, nil)
	if err == nil {
		_, err = ask[wire.Facts](ctx, m.client, http.MethodPost, "/clock", nil, wire.Clock{CivilAtBootNS: t.UnixNano() - c.CivilAtBootNS, Wild: true})
	}
	return err
}

// SetClock sets the machine's civil time as a time service would.
func (m *Machine) SetClock(ctx context.Context) error { return m.client.setClock(ctx) }

// SetDisk fills the disk, or makes it read-only as the kernel does with one that fails, or both not.
func (m *Machine) SetDisk(ctx context.Context, d wire.Disk) error {
	_, err := ask[wire.Disk](ctx, m.client, http.MethodPost, "/disk", nil, d)
	return err
}

// SetBusOff has the first CAN port's controller leave the bus, or come back.
func (m *Machine) SetBusOff(ctx context.Context, off bool) error {
	_, err := ask[wire.BusOff](ctx, m.client, http.MethodPost, "/busoff", nil, wire.BusOff{Off: off})
	return err
}

// Facts are about the machine as it is now.
func (m *Machine) Facts(ctx context.Context) (wire.Facts, error) {
	return ask[wire.Facts](ctx, m.client, http.MethodGet, "/facts", nil, nil)
}

// Start starts a program in the machine.
func (m *Machine) Start(ctx context.Context, name string, argv ...string) error {
	return m.StartWith(ctx, name, nil, argv...)
}

// StartWith starts a program with more in its environment.
func (m *Machine) StartWith(ctx context.Context, name string, env []string, argv ...string) error {
	_, err := ask[wire.Running](ctx, m.client, http.MethodPost, "/start", nil, wire.Start{Name: name, Argv: argv, Env: env})
	return err
}

// Hog starts a program that takes up to so many MiB of memory, until the kernel ends one of the product's processes.
func (m *Machine) Hog(ctx context.Context, mib int) error {
	return m.Start(ctx, wire.HogArg, wire.Init, wire.HogArg, strconv.Itoa(mib))
}

// Output is the end of what a started program wrote; with wait, once it has ended.
func (m *Machine) Output(ctx context.Context, name string, wait bool) (wire.Output, error) {
	q := url.Values{"name": {name}}
	if wait {
		q.Set("wait", "1")
	}
	return ask[wire.Output](ctx, m.client, http.MethodGet, "/output", q, nil)
}

// Processes lists the product's processes.
func (m *Machine) Processes(ctx context.Context) ([]wire.Running, error) {
	return ask[[]wire.Running](ctx, m.client, http.MethodGet, "/running", nil, nil)
}

// Signal sends a signal to one of the product's processes.
func (m *Machine) Signal(ctx context.Context, pid, signal int) error {
	_, err := ask[wire.Signal](ctx, m.client, http.MethodPost, "/signal", nil, wire.Signal{PID: pid, Signal: signal})
	return err
}

// Attest lets the machine's TPM quote PCRs and returns that with the firmware's log.
func (m *Machine) Attest(ctx context.Context, c wire.Challenge) (wire.Attestation, error) {
	return ask[wire.Attestation](ctx, m.client, http.MethodPost, "/attest", nil, c)
}

// Extend extends a PCR in secret.
func (m *Machine) Extend(ctx context.Context, e wire.Extend) error {
	_, err := ask[wire.Extend](ctx, m.client, http.MethodPost, "/extend", nil, e)
	return err
}

// Packet hands one packet to a unix socket in the machine and returns the answer.
func (m *Machine) Packet(ctx context.Context, socket string, packet []byte) ([]byte, error) {
	return m.client.call(ctx, http.MethodPost, "/packet", url.Values{"socket": {socket}}, packet)
}

// File returns a file of the machine.
func (m *Machine) File(ctx context.Context, path string) ([]byte, error) {
	return m.client.call(ctx, http.MethodGet, "/file", url.Values{"path": {path}}, nil)
}

// Put writes a file of the machine.
func (m *Machine) Put(ctx context.Context, path string, content []byte) error {
	_, err := m.client.call(ctx, http.MethodPut, "/file", url.Values{"path": {path}}, content)
	return err
}

// Tree copies a folder of the machine, files only, into a folder of the host.
func (m *Machine) Tree(ctx context.Context, path, to string) error {
	raw, err := m.client.call(ctx, http.MethodGet, "/tree", url.Values{"path": {path}}, nil)
	if err != nil {
		return err
	}
	in := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("machine: copy of %s: %w", path, err)
		}
		name := filepath.Join(to, filepath.Clean("/"+h.Name))
		content, err := io.ReadAll(in)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, content, 0o600))
		}
		if err != nil {
			return fmt.Errorf("machine: copy of %s: %w", path, err)
		}
	}
}
