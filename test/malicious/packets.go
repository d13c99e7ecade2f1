package malicious

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// packets are attacks with single packets: each is sent on a connection of its own and must end it with a code.
func packets() []Attack {
	type one struct{ name, role, code, packet string }
	p := func(kind byte, body string) string { return string(packet(kind, 9, body)) }
	session := func(body string) string { return p('T', body) }
	list := []one{
		{"empty body session", "courier", "malformed", session("")},
		{"session attested", "courier", "malformed", session(`{"state":"attested","detail":"","connected":true,"lease_ms":5000}`)},
		{"session without lease", "courier", "malformed", session(`{"state":"failed","detail":"","connected":true,"lease_ms":0}`)},
		{"session of negative lease", "courier", "malformed", session(`{"state":"failed","detail":"","connected":true,"lease_ms":-1}`)},
		{"session for ever", "courier", "malformed", session(`{"state":"unattested","detail":"","connected":true,"lease_ms":9223372036854775807}`)},
		{"session key twice", "courier", "malformed", session(`{"state":"failed","state":"attesting","detail":"","connected":true,"lease_ms":5000}`)},
		{"session key in capitals", "courier", "malformed", session(`{"State":"failed","detail":"","connected":true,"lease_ms":5000}`)},
		{"session unknown key", "courier", "malformed", session(`{"state":"failed","attested":true,"lease_ms":5000}`)},
		{"session text behind", "courier", "malformed", session(`{"state":"failed","lease_ms":5000}{}`)},
		{"session nested", "courier", "malformed", session(`{"state":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`)},
		{"session no JSON", "courier", "malformed", session("\x00\x01\x02")},
		{"checkpoint of no log", "courier", "malformed", p('C', `{"log":"../guard","boot_id":"x","seq":1}`)},
		{"checkpoint of negative number", "courier", "malformed", p('C', `{"log":"guard","seq":-1}`)},
		{"acknowledgement of no envelope", "courier", "malformed", p('A', `{"envelope":7}`)},
		{"processes by courier", "courier", "not-yours", p('P', `{"lease_ms":1000,"processes":[]}`)},
		{"session by steward", "steward", "not-yours", session(`{"state":"unattested","detail":"","connected":true,"lease_ms":5000}`)},
		{"checkpoint by steward", "steward", "not-yours", p('C', `{"log":"guard"}`)},
		{"acknowledgement by steward", "steward", "not-yours", p('A', `{"envelope":"e30="}`)},
		{"processes negative lease", "steward", "malformed", p('P', `{"lease_ms":-5,"processes":[]}`)},
		{"processes for ever", "steward", "malformed", p('P', `{"lease_ms":60001,"processes":[]}`)},
		{"processes uid out of range", "steward", "malformed", p('P', `{"lease_ms":1000,"processes":[{"id":1,"found":true,"uid":1e99}]}`)},
		{"devices by courier", "courier", "not-yours", p('V', `{"lease_ms":1000,"complete":true}`)},
		{"devices for ever", "steward", "malformed", p('V', `{"lease_ms":60001,"complete":true}`)},
		{"devices complete with a reason", "steward", "malformed", p('V', `{"lease_ms":1000,"complete":true,"why":"x"}`)},
		{"devices of nobody", "steward", "malformed", p('V', `{"lease_ms":1000,"complete":true,"total":1,"open":[{"path":"/dev/video0"}]}`)},
		{"devices beyond number", "steward", "malformed", p('V', `{"lease_ms":1000,"complete":true,"total":1e30}`)},
		{"counter by steward", "steward", "not-yours", p('M', `{"nonce":"00","fault":"no-tpm"}`)},
		{"counter unknown key", "courier", "malformed", p('M', `{"nonce":"00","proven":true}`)},
		{"counter no base64", "courier", "malformed", p('M', `{"nonce":"00","attest":"!","signature":"","key":""}`)},
		{"counter no JSON", "courier", "malformed", p('M', "\xff\x54\x43\x47")},
		{"status with a body", "courier", "malformed", p('S', "now")},
		{"half a frame", "courier", "malformed", "T\x01"},
		{"a type alone", "courier", "malformed", "C"},
		{"hello again", "courier", "", p('H', `{"role":"steward","min_version":4,"max_version":4,"program":"x"}`)},
		{"oversized", "courier", "malformed", string(make([]byte, 60<<10+1))},
		{"far oversized", "courier", "malformed", p('O', strings.Repeat("x", 150<<10))},
	}
	// What only the guard sends, and types that do not exist.
	for _, kind := range []byte("WRsQDEN") {
		list = append(list, one{fmt.Sprintf("guard's own frame %c", kind), "courier", "", p(kind, `{}`)})
	}
	for _, kind := range []byte{0, 1, 'h', 'X', 'Z', 0x7f, 0x80, 0xff} {
		list = append(list, one{fmt.Sprintf("unknown type %#x", kind), "courier", "malformed", p(kind, `{}`)})
	}
	var out []Attack
	for _, o := range list {
		out = append(out, Attack{"packet/" + strings.ReplaceAll(o.name, " ", "-"), "a frame that is read otherwise than it is meant", func(ctx context.Context, t Target) error {
			l, err := enter(ctx, t, o.role)
			if err != nil {
				return err
			}
			defer func() { _ = l.Close() }()
			if _, err := l.Write([]byte(o.packet)); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			if o.code == "" {
				return l.ended("malformed", "not-yours")
			}
			return l.ended(o.code)
		}})
	}
	return append(out,
		Attack{"packet/every-type-with-noise", "a parser that falls over", noise},
		Attack{"packet/empty", "an end of the loop", func(ctx context.Context, t Target) error {
			l, err := enter(ctx, t, "courier")
			if err != nil {
				return err
			}
			defer func() { _ = l.Close() }()
			if err := unixSend(l, nil, nil); err != nil {
				return err
			}
			return l.ended()
		}},
	)
}

// noise sends each of the 256 types with random bytes of random length.
func noise(ctx context.Context, t Target) error {
	rng := rand.New(rand.NewPCG(t.Seed, 3))
	for kind := range 256 {
		l, err := enter(ctx, t, []string{"courier", "steward"}[kind%2])
		if err != nil {
			return fmt.Errorf("before type %d: %w", kind, err)
		}
		body := make([]byte, rng.IntN(3000))
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		_ = l.frame(byte(kind), rng.Uint32(), string(body))
		_ = l.Close()
	}
	return nil
}

// unixSend sends a packet with descriptors beside it.
func unixSend(l link, data []byte, fds []int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	var inner error
	err = raw.Write(func(fd uintptr) bool {
		inner = unix.Sendmsg(int(fd), data, oob, nil, 0)
		return inner != unix.EAGAIN //nolint:errorlint // an errno
	})
	if err != nil {
		return err
	}
	return inner
}

// memfd makes a document of size bytes with seals.
func memfd(size int64, seals int) (*os.File, error) {
	fd, err := unix.MemfdCreate("document", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "document")
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	if seals != 0 {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// documents are attacks with descriptors.
func documents() []Attack {
	const sealed = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK
	type one struct {
		name string
		make func() (*os.File, error)
		body string
		n    int
	}
	list := []one{
		{"unsealed", func() (*os.File, error) { return memfd(100, 0) }, "", 1},
		{"sealed-against-shrinking-only", func() (*os.File, error) { return memfd(100, unix.F_SEAL_SHRINK) }, "", 1},
		{"sealed-against-writing-only", func() (*os.File, error) { return memfd(100, unix.F_SEAL_WRITE) }, "", 1},
		{"huge", func() (*os.File, error) { return memfd(6<<20+1, sealed) }, "", 1},
		{"a-tebibyte", func() (*os.File, error) { return memfd(1<<40, sealed) }, "", 1},
		{"two-descriptors", func() (*os.File, error) { return memfd(100, sealed) }, "", 2},
		{"thirty-descriptors", func() (*os.File, error) { return memfd(100, sealed) }, "", 30},
		{"beside-a-body", func() (*os.File, error) { return memfd(100, sealed) }, "{}", 1},
		{"a-file", func() (*os.File, error) { return os.Open("/etc/passwd") }, "", 1},
		{"a-device-without-end", func() (*os.File, error) { return os.Open("/dev/zero") }, "", 1},
		{"a-pipe-that-never-speaks", func() (*os.File, error) { r, _, err := os.Pipe(); return r, err }, "", 1},
	}
	var out []Attack
	for _, o := range list {
		out = append(out, Attack{"document/" + o.name, "a document that changes while it is read, or does not end", func(ctx context.Context, t Target) error {
			for _, kind := range []byte("OP") {
				role := map[byte]string{'O': "courier", 'P': "steward"}[kind]
				l, err := enter(ctx, t, role)
				if err != nil {
					return err
				}
				f, err := o.make()
				if err != nil {
					return err
				}
				fds := make([]int, o.n)
				for i := range fds {
					fds[i] = int(f.Fd())
				}
				err = unixSend(l, packet(kind, 5, o.body), fds)
				_ = f.Close()
				if err == nil {
					err = l.ended()
				}
				_ = l.Close()
				if err != nil {
					return fmt.Errorf("frame %c: %w", kind, err)
				}
			}
			return nil
		}})
	}
	return append(out, Attack{"document/grown-while-read", "a reader that follows a growing document", grown})
}

// grown sends a document that may grow, and makes it grow while the guard reads.
func grown(ctx context.Context, t Target) error {
	l, err := enter(ctx, t, "courier")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	f, err := memfd(1<<20, unix.F_SEAL_SHRINK)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
		return err
	}
	if err := unixSend(l, packet('O', 5, ""), []int{int(f.Fd())}); err != nil {
		return err
	}
	for size := int64(1 << 20); size < 64<<20; size += 1 << 20 {
		if err := f.Truncate(size); err != nil {
			break
		}
	}
	// Either an order of zeros, which is refused, or an end: both are right, growing is not.
	kind, body, err := l.read()
	for err == nil && kind != 'R' && kind != 'E' {
		kind, body, err = l.read()
	}
	if err == nil && strings.Contains(string(body), `"accepted":true`) {
		return fmt.Errorf("a document of zeros was accepted: %s", body)
	}
	return nil
}
