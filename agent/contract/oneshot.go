package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// SendOrder gives a signed order to the guard on this computer and returns its receipt.
func SendOrder(ctx context.Context, socket string, envelope []byte) (Receipt, error) {
	var r Receipt
	raw, err := ask(ctx, socket, FrameOrder, envelope)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}

// ReadStatus returns the guard's status as JSON.
func ReadStatus(ctx context.Context, socket string) (json.RawMessage, error) {
	return ask(ctx, socket, FrameStatusRequest, nil)
}

// ask sends one question on a connection of its own: a type byte and the body, without an id.
func ask(ctx context.Context, socket string, kind byte, body []byte) ([]byte, error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	packet, rights := []byte{kind}, []byte(nil)
	if len(body) < MaxPacket {
		packet = append(packet, body...)
	} else {
		document, err := NewDocument(body)
		if err != nil {
			return nil, err
		}
		defer func() { _ = document.Close() }()
		rights = unix.UnixRights(int(document.Fd())) //nolint:gosec // a descriptor
	}
	if err := write(conn, packet, rights, true); err != nil {
		return nil, fmt.Errorf("guard's socket %s: %w", socket, err)
	}
	buf := make([]byte, maxAnswer)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("guard's socket %s: no answer: %w", socket, err)
	}
	return buf[:n], nil
}

// maxAnswer is the largest answer to a single question in bytes.
const maxAnswer = 4 * MaxPacket
