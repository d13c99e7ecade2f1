package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// listenAt makes a SEQPACKET socket at path with the given mode. It is made in a folder that only the guard may enter and
// moved to its place once its mode is right, so it never exists there with a wider one; the process's umask, which other
// goroutines rely on, stays as it is.
func listenAt(path string, mode os.FileMode) (*net.UnixListener, error) {
	if err := mayReplace(path); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".rw")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	private := filepath.Join(folder, "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: private, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("%w; a socket's path has at most 107 bytes", err)
	}
	l.SetUnlinkOnClose(false)
	if err := backlog(l, acceptBacklog); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := errors.Join(os.Chmod(private, mode), os.Rename(private, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// backlog bounds the connections that wait to be accepted.
func backlog(l *net.UnixListener, n int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = unix.Listen(int(fd), n) }); err != nil {
		return err
	}
	return inner
}

// mayReplace refuses a path that a typing error led to a file: only what an earlier run has left may go.
func mayReplace(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s: expected a socket or nothing, found %s; give another control_socket", path, info.Mode().Type())
	}
	return nil
}

// accept waits for the next connection; nil means that the listener has ended. Descriptors may run out for a while; the
// socket survives that.
func accept(ctx context.Context, l *net.UnixListener, failed func(error)) *net.UnixConn {
	for {
		conn, err := l.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case err == nil:
			return conn
		}
		failed(err)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// peerOf asks the kernel who is at the other end.
func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if inner != nil {
		return nil, fmt.Errorf("peer credentials: %w", inner)
	}
	return cred, nil
}
