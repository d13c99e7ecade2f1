package contract

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// seals are what a document must carry so that nobody can change it while it is read.
const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK

// NewDocument puts data into a memfd that nobody can change any more. The caller closes it.
func NewDocument(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("robowarden-document", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "document") //nolint:gosec // a descriptor is not negative
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(fmt.Errorf("memfd: %w", err), f.Close())
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: %w", err), f.Close())
	}
	return f, nil
}

// ReadDocument reads a memfd that nobody can change any more, at most limit bytes of it.
func ReadDocument(f *os.File, limit int) ([]byte, error) {
	have, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || have&seals != seals {
		return nil, fmt.Errorf("expected a memfd sealed against writing and shrinking, found seals %#x (%w)", have, errors.Join(err, os.ErrInvalid))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	if info.Size() > int64(limit) {
		return nil, fmt.Errorf("%w: expected a document of at most %d bytes, found %d", ErrTooLarge, limit, info.Size())
	}
	data := make([]byte, info.Size())
	// It may have grown since, but never shrunk: what was announced is what is read.
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), data); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	return data, nil
}

// ReadPacket reads one packet into buf, which has room for [MaxPacket] and one byte more, and at most one document. It
// takes nothing that is cut off, empty, or comes with more than one descriptor. The caller closes the document.
func ReadPacket(conn *net.UnixConn, buf []byte) (packet []byte, document *os.File, err error) {
	var oob [64]byte
	n, oobn, flags, _, err := conn.ReadMsgUnix(buf, oob[:])
	if err != nil {
		return nil, nil, fmt.Errorf("read: %w", err)
	}
	files, err := passed(oob[:oobn])
	switch {
	case err != nil:
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || n > MaxPacket:
		err = fmt.Errorf("%w: expected a packet of at most %d bytes; send larger documents as a sealed memfd", ErrTooLarge, MaxPacket)
	case n == 0 && oobn == 0:
		err = io.EOF // A SEQPACKET socket cannot tell an empty packet from its end.
	case n == 0:
		err = errors.New("expected a packet, found an empty one")
	case len(files) > 1:
		err = fmt.Errorf("expected at most one memfd, found %d descriptors", len(files))
	case len(files) == 1:
		return buf[:n], files[0], nil
	default:
		return buf[:n], nil, nil
	}
	for _, f := range files {
		_ = f.Close()
	}
	return nil, nil, err
}

// passed takes the descriptors out of a control message, closed on exec.
func passed(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // Credentials, which nobody asked for.
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "document")) //nolint:gosec // a descriptor is not negative
		}
	}
	return files, nil
}

// ReadFrame reads one frame of a lasting connection into buf, which has room for [MaxPacket] and one byte more. The body
// is valid until buf is used again, a document's for ever.
func ReadFrame(conn *net.UnixConn, buf []byte) (Frame, error) {
	packet, document, err := ReadPacket(conn, buf)
	if err != nil {
		return Frame{}, err
	}
	if document != nil {
		defer func() { _ = document.Close() }()
	}
	f, err := ParseFrame(packet)
	if err != nil || document == nil {
		return f, err
	}
	if len(f.Body) > 0 {
		return f, errors.New("expected either a body or one memfd, found both")
	}
	most, _ := MaxBody(f.Type)
	f.Body, err = ReadDocument(document, most)
	return f, err
}

// WriteFrame writes one frame, as one packet or with its body in a memfd beside it. If wait is false it returns
// [ErrFull] instead of waiting for the reader.
func WriteFrame(conn *net.UnixConn, f Frame, wait bool) error {
	if err := f.check(); err != nil {
		return err
	}
	if len(f.Body) <= MaxPacket-headBytes {
		return write(conn, AppendFrame(make([]byte, 0, headBytes+len(f.Body)), f), nil, wait)
	}
	document, err := NewDocument(f.Body)
	if err != nil {
		return err
	}
	defer func() { _ = document.Close() }()
	return write(conn, AppendFrame(nil, Frame{Type: f.Type, ID: f.ID}), unix.UnixRights(int(document.Fd())), wait) //nolint:gosec // a descriptor
}

// ErrFull means that the reader is slow and the packet was not sent.
var ErrFull = errors.New("the other end does not read")

// write sends a packet whole or not at all.
func write(conn *net.UnixConn, packet, oob []byte, wait bool) error {
	if wait {
		_, _, err := conn.WriteMsgUnix(packet, oob, nil)
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.Sendmsg(int(fd), packet, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	switch {
	case err != nil:
		return err
	case errors.Is(inner, unix.EAGAIN), errors.Is(inner, unix.ENOBUFS):
		return ErrFull
	}
	return inner
}
