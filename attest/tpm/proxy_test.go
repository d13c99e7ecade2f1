package tpm

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// harm does something to one command: it may answer by itself, hang up, or pass on the command, or others instead of it.
type harm func(reply net.Conn, pass func(instead ...byte) []byte)

// relay stands between a caller and a software TPM and may do harm to single commands.
type relay struct {
	path string
	// harm is asked before each command is passed on, by its command code; nil passes it on.
	mu   sync.Mutex
	harm func(code uint32) harm
}

const (
	codeExtend    = 0x182
	codeQuote     = 0x158
	codeIncrement = 0x134
	codeNVRead    = 0x14e
	codeSign      = 0x15d
)

// newRelay relays to the socket behind until the test ends. An empty socket stands for nobody behind.
func newRelay(tb testing.TB, behind string) *relay {
	tb.Helper()
	r := &relay{path: filepath.Join(tb.TempDir(), "r")}
	l, err := net.Listen("unix", r.path)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			open[c] = true
			r.mu.Unlock()
			wg.Go(func() { r.serve(c, behind) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		for c := range open {
			c.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r
}

func (r *relay) set(choose func(code uint32) harm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.harm = choose
}

// once does harm to the first command of that code.
func (r *relay) once(code uint32, do harm) {
	r.set(func(c uint32) harm {
		if c != code {
			return nil
		}
		r.harm = nil // serve holds mu
		return do
	})
}

func (r *relay) serve(c net.Conn, behind string) {
	defer c.Close()
	var up net.Conn
	if behind != "" {
		l, _, err := dial(behind, time.Now().Add(10*time.Second))
		if err != nil {
			return
		}
		defer l.Close()
		up = l.(*socketLink).c
	}
	for {
		command, err := frame(c)
		if err != nil {
			return
		}
		pass := func(instead ...byte) []byte {
			if up == nil {
				return nil
			}
			command := command
			if len(instead) > 0 {
				command = instead
			}
			if _, err := up.Write(command); err != nil {
				return nil
			}
			out, _ := frame(up)
			return out
		}
		var do harm
		r.mu.Lock()
		if r.harm != nil {
			do = r.harm(binary.BigEndian.Uint32(command[6:]))
		}
		r.mu.Unlock()
		if do != nil {
			do(c, pass)
			continue
		}
		out := pass()
		if out == nil {
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// frame reads one command or response.
func frame(c net.Conn) ([]byte, error) {
	head := make([]byte, headerBytes)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[2:])-headerBytes)
	_, err := io.ReadFull(c, body)
	return append(head, body...), err
}

// extendCommand extends a PCR by 32 bytes of one value.
func extendCommand(pcr, value byte) []byte {
	b := []byte{0x80, 2, 0, 0, 0, 0, 0, 0, codeExtend >> 8, codeExtend & 0xff, 0, 0, 0, pcr}
	b = append(b, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0) // the empty password
	b = append(append(b, 0, 0, 0, 1, 0, 0xb), bytes.Repeat([]byte{value}, 32)...)
	binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
	return b
}

// response is a response without a body.
func response(code uint32) []byte {
	b := []byte{0x80, 0x01, 0, 0, 0, headerBytes}
	return binary.BigEndian.AppendUint32(b, code)
}
