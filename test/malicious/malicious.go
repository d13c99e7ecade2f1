// Package malicious is a courier and a steward that were taken over: everything that can be sent to the guard's socket by somebody who may connect, and by somebody who may not; it never holds a key that the guard should believe.
//
// It was written from the contract's description. Each attack says what the guard must answer; what matters more is
// what must not happen, and that is for the test to watch: nothing loosens, nothing grows, nobody waits.
package malicious

import (
	"context"
	"crypto"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Target is the guard as the attacker sees it.
type Target struct {
	// Socket is the guard's control socket.
	Socket string
	// Robot, BootID and Nonce are what the welcome told.
	Robot, BootID, Nonce string
	// Used is an order that the guard has accepted before and that must not be accepted again.
	Used []byte
	// Operator may reset, and nothing else: signing results and acknowledgements is not the operator's.
	Operator crypto.Signer
	// Seed makes random bytes.
	Seed uint64
	// Logf takes remarks.
	Logf func(format string, args ...any)
}

// Attack is one way to misbehave.
type Attack struct {
	// Name is what the test is called, Claims what the attacker hopes for.
	Name, Claims string
	// Run returns an error when the guard answers otherwise than the contract says.
	Run func(ctx context.Context, t Target) error
}

// patience bounds how long an answer may take.
const patience = 5 * time.Second

// link is a raw connection.
type link struct{ *net.UnixConn }

func dial(ctx context.Context, socket string) (link, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixpacket", socket)
	if err != nil {
		return link{}, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return link{}, fmt.Errorf("a %T", c)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return link{conn}, nil
}

// enter opens a lasting connection in a role. As every client does, it waits for a while where the guard has a queue.
func enter(ctx context.Context, t Target, role string) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		l, err := dial(ctx, t.Socket)
		if errors.Is(err, unix.EAGAIN) && ctx.Err() == nil {
			time.Sleep(time.Millisecond) // The pause of a poll.
			continue
		}
		if err != nil {
			return l, err
		}
		if err := l.frame('H', 1, fmt.Sprintf(`{"role":%q,"min_version":4,"max_version":4,"program":"malicious"}`, role)); err != nil {
			return l, err
		}
		kind, body, err := l.read()
		if err == nil && kind == 'W' {
			return l, nil
		}
		_ = l.Close()
		var failure struct{ Code string }
		if kind != 'E' || json.Unmarshal(body, &failure) != nil || failure.Code != "busy" || ctx.Err() != nil {
			return l, fmt.Errorf("as %s: expected a welcome, found %q %s (%w)", role, kind, body, err)
		}
	}
}

func packet(kind byte, id uint32, body string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{kind}, id)
	return append(b, body...)
}

func (l link) frame(kind byte, id uint32, body string) error {
	_, err := l.Write(packet(kind, id, body))
	return err
}

// read returns the next frame.
func (l link) read() (kind byte, body []byte, err error) {
	buf := make([]byte, 64<<10)
	n, err := l.Read(buf)
	switch {
	case err != nil:
		return 0, nil, err
	case n == 0:
		return 0, nil, io.EOF
	case n < 5:
		return buf[0], buf[1:n], nil
	}
	return buf[0], buf[5:n], nil
}

// until reads frames until one has the type; heads and other pushes are passed over.
func (l link) until(kind byte) ([]byte, error) {
	for {
		k, body, err := l.read()
		if err != nil || k == kind {
			return body, err
		}
		if k == 'E' {
			return nil, fmt.Errorf("told %s", body)
		}
	}
}

// ended checks that the guard ends the connection, with one of the codes or, where none is given, in any way.
func (l link) ended(codes ...string) error {
	for {
		kind, body, err := l.read()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
			if len(codes) > 0 {
				return fmt.Errorf("the guard ended the connection without a word: expected %q", codes)
			}
			return nil
		case err != nil:
			return fmt.Errorf("the guard does not end the connection: %w", err)
		case kind == 'E':
			var failure struct{ Code string }
			if err := json.Unmarshal(body, &failure); err != nil {
				return fmt.Errorf("error frame %q: %w", body, err)
			}
			if slices.Contains(codes, failure.Code) {
				return l.ended()
			}
			if len(codes) > 0 {
				return fmt.Errorf("told %q: expected %q", failure.Code, codes)
			}
		}
	}
}

// receipt sends a frame and returns what became of it.
func (l link) receipt(kind byte, body string) (accepted bool, reason string, err error) {
	if err := l.frame(kind, 77, body); err != nil {
		return false, "", err
	}
	raw, err := l.until('R')
	var r struct {
		Accepted bool
		Reason   string
	}
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	return r.Accepted, r.Reason, err
}
