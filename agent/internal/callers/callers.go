// Package callers tells the courier which program has connected to it: the courier hands the connection itself to the
// steward, who asks the kernel. It never says who may do what, and believes nothing that a program says about itself.
//
// The courier cannot look for itself: Landlock, which keeps the role that speaks to the network in its place, hides the
// executables of other processes from it. So it passes the descriptor, and not a number that could be another's by then.
package callers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Caller is the program at the far end of a connection. Two that are equal are one process in one program.
type Caller struct {
	// Why is empty if the program is known; else it is the reason in the words of hal/proc, and nothing else counts.
	Why string `json:"why,omitempty"`
	// PID and Start (clock ticks since boot) name the process for good.
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	UID   int    `json:"uid"`
	// Unit is its systemd unit, "" for none; Cgroup the whole path.
	Unit   string `json:"unit"`
	Cgroup string `json:"cgroup"`
	// Exe is for people, ExeSHA256 the digest of what it was started from.
	Exe       string `json:"exe"`
	ExeSHA256 string `json:"exe_sha256"`
}

// Bounds of one question.
const (
	// patience is how long the steward looks, which a large executable takes.
	patience = 3 * time.Second
	// maxAnswer is more than any answer has, in bytes.
	maxAnswer = 16 << 10
	// waiting is how many connections wait to be accepted.
	waiting = 16
)

// Listen makes a unix socket with these rights. What lies at its path may only be a socket.
func Listen(network, path string, mode os.FileMode) (*net.UnixListener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&os.ModeSocket == 0:
		return nil, fmt.Errorf("%s: expected a socket or nothing, found %s; give another path", path, info.Mode().Type())
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, fmt.Errorf("%w; expected a folder of this role's own", err)
	}
	raw, err := l.SyscallConn()
	var inner error
	if err == nil {
		err = raw.Control(func(fd uintptr) { inner = unix.Listen(int(fd), waiting) })
	}
	if err = errors.Join(err, inner, os.Chmod(path, mode)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// User asks the kernel for the user at the other end.
func User(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, 0, err
	}
	if inner != nil {
		return 0, 0, inner
	}
	return int(cred.Uid), int(cred.Pid), nil
}

// Accounts are the users that may be a role: root, our own, and the account of that name, which may be empty.
func Accounts(name string) ([]int, error) {
	out := []int{0, os.Getuid()}
	if name == "" {
		return out, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("account %q: expected a numeric uid, found %q", name, u.Uid)
	}
	return append(out, uid), nil
}

// Look says who has connected a unix socket. It is called by one goroutine.
type Look func(ctx context.Context, fd int) Caller

// Serve answers one question after the other until ctx ends, those of the given users only.
func Serve(ctx context.Context, l *net.UnixListener, users []int, look Look, log zerolog.Logger) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	strangers := false
	for {
		c, err := l.AcceptUnix()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			select { // descriptors may run out for a while
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if uid, pid, err := User(c); err != nil || !slices.Contains(users, uid) {
			if !strangers {
				log.Warn().Int("uid", uid).Int("pid", pid).Ints("expected", users).Msg("callers: somebody else than the courier asks; told once")
			}
			strangers = true
		} else if err := answer(ctx, c, look); err != nil {
			log.Warn().Err(err).Msg("callers: a question was not answered")
		}
		_ = c.Close()
	}
}

// answer takes one descriptor and says who is at its other end.
func answer(ctx context.Context, c *net.UnixConn, look Look) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	end, _ := ctx.Deadline()
	if err := c.SetDeadline(end.Add(time.Second)); err != nil {
		return err
	}
	fd, err := receive(c)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	out, err := json.Marshal(look(ctx, fd))
	if err != nil {
		return err
	}
	_, err = c.Write(out)
	return err
}

// receive takes exactly one descriptor.
func receive(c *net.UnixConn) (int, error) {
	var one [1]byte
	oob := make([]byte, unix.CmsgSpace(4*4))
	_, n, flags, _, err := c.ReadMsgUnix(one[:], oob)
	if err != nil {
		return -1, err
	}
	var fds []int
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	for i := range messages {
		got, rerr := unix.ParseUnixRights(&messages[i])
		err = errors.Join(err, rerr)
		fds = append(fds, got...)
	}
	if err == nil && len(fds) == 1 && flags&unix.MSG_CTRUNC == 0 {
		return fds[0], nil
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return -1, errors.Join(fmt.Errorf("expected one descriptor, found %d", len(fds)), err)
}

// Ask asks the steward, who must be one of the given users, who is at the far end of a connection.
func Ask(ctx context.Context, path string, stewards []int, conn *net.UnixConn) (Caller, error) {
	var d net.Dialer
	dialled, err := d.DialContext(ctx, "unixpacket", path)
	if err != nil {
		return Caller{}, err
	}
	defer func() { _ = dialled.Close() }()
	c, _ := dialled.(*net.UnixConn) // the network says so
	uid, _, err := User(c)
	if err != nil {
		return Caller{}, err
	}
	if !slices.Contains(stewards, uid) {
		return Caller{}, fmt.Errorf("%s: expected a steward of user %v, found %d", path, stewards, uid)
	}
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return Caller{}, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err := give(c, conn); err != nil {
		return Caller{}, err
	}
	buf := make([]byte, maxAnswer)
	n, err := c.Read(buf)
	if err != nil {
		return Caller{}, err
	}
	var who Caller
	if err := json.Unmarshal(buf[:n], &who); err != nil {
		return Caller{}, err
	}
	return who, nil
}

// give passes the connection's descriptor.
func give(c, conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { _, _, inner = c.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil) }); err != nil {
		return err
	}
	return inner
}
