//go:build linux

package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// server does what the test asks. Nobody else is on the network.
type server struct {
	userland time.Duration
	mu       sync.Mutex
	programs map[string]*program
}

func newServer(userland time.Duration) *server {
	return &server{userland: userland, programs: map[string]*program{}}
}

func (s *server) listen() (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", wire.Address)
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /facts", answer(s.facts))
	mux.HandleFunc("GET /time", answer(bootClock))
	mux.HandleFunc("POST /clock", answer(s.clock))
	mux.HandleFunc("POST /start", answer(s.start))
	mux.HandleFunc("GET /output", answer(s.output))
	mux.HandleFunc("GET /running", answer(s.running))
	mux.HandleFunc("POST /signal", answer(s.signal))
	mux.HandleFunc("POST /attest", answer(attest))
	mux.HandleFunc("POST /extend", answer(extend))
	mux.HandleFunc("POST /busoff", answer(busOff))
	mux.HandleFunc("POST /disk", answer(disk))
	mux.HandleFunc("POST /packet", packet)
	mux.HandleFunc("GET /file", file)
	mux.HandleFunc("PUT /file", answer(put))
	mux.HandleFunc("GET /tree", tree)
	return mux
}

// answer makes a handler of a function from JSON to JSON.
func answer[T any](do func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(v) // A test that has gone away is no business of ours.
	}
}

func decode[T any](r *http.Request) (T, error) {
	var v T
	err := json.NewDecoder(r.Body).Decode(&v)
	return v, err
}

func (s *server) facts(*http.Request) (wire.Facts, error) {
	f := wire.Facts{Userland: s.userland, Now: uptime()}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return f, err
	}
	f.Kernel, f.Machine = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return f, err
	}
	f.BootID = strings.TrimSpace(string(boot))
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return f, err
	}
	f.MemTotalKiB, f.MemAvailableKiB = field(memory, "MemTotal"), field(memory, "MemAvailable")
	binary, err := os.Open(wire.Program)
	if err != nil {
		return f, err
	}
	defer func() { _ = binary.Close() }()
	h := sha256.New()
	if f.ProgramBytes, err = io.Copy(h, binary); err != nil {
		return f, err
	}
	f.ProgramSHA256 = hex.EncodeToString(h.Sum(nil))
	return f, nil
}

// bootClock is the boot clock alone, so that asking costs next to nothing.
func bootClock(*http.Request) (wire.Clock, error) {
	return wire.Clock{CivilAtBootNS: uptime().Nanoseconds()}, nil
}

// clock sets civil time and tells the kernel that it is disciplined, as a time service would.
func (s *server) clock(r *http.Request) (wire.Facts, error) {
	c, err := decode[wire.Clock](r)
	if err != nil {
		return wire.Facts{}, err
	}
	now := unix.NsecToTimespec(c.CivilAtBootNS + uptime().Nanoseconds())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return wire.Facts{}, fmt.Errorf("set the clock: %w", err)
	}
	const status, maxError, estimatedError, unsynchronised = 0x10, 0x4, 0x8, 0x40 // ADJ_STATUS, ADJ_MAXERROR, ADJ_ESTERROR, STA_UNSYNC of <linux/timex.h>
	discipline := unix.Timex{Modes: status | maxError | estimatedError, Maxerror: 2000, Esterror: 1000}
	if c.Wild {
		discipline.Status = unsynchronised
	}
	if _, err := unix.Adjtimex(&discipline); err != nil {
		return wire.Facts{}, fmt.Errorf("discipline the clock: %w", err)
	}
	return wire.Facts{Userland: s.userland, Now: uptime()}, nil
}

// packet hands one packet to a unix SEQPACKET socket and returns the answer: the product's tools talk to the guard so.
func packet(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var d net.Dialer
	c, err := d.DialContext(r.Context(), "unixpacket", r.URL.Query().Get("socket"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second)) // It cannot fail on an open socket.
	reply := make([]byte, 1<<20)
	if _, err = c.Write(body); err == nil {
		var n int
		if n, err = c.Read(reply); err == nil {
			_, _ = w.Write(reply[:n])
			return
		}
	}
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// file returns one file.
func file(w http.ResponseWriter, r *http.Request) {
	// Files of the kernel say a size of zero, so they are read whole first.
	b, err := os.ReadFile(r.URL.Query().Get("path"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(b)
}

// put writes one file, which only root may read.
func put(r *http.Request) (struct{}, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return struct{}{}, err
	}
	path := r.URL.Query().Get("path")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, writeDurable(path, b)
}

// tree returns a folder as a tar archive.
func tree(w http.ResponseWriter, r *http.Request) {
	root := r.URL.Query().Get("path")
	out := tar.NewWriter(w)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		// Read whole: a journal that is being written would change its size under way.
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b))}); err != nil {
			return err
		}
		_, err = out.Write(b)
		return err
	})
	if err != nil {
		// The head has gone out already: an archive without an end is an error on the other side.
		fmt.Println("guest: tree:", err)
		return
	}
	_ = out.Close()
}

// field reads a number of KiB from a file of lines "Name:   123 kB".
func field(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if key, rest, ok := strings.Cut(line, ":"); ok && key == name {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n
		}
	}
	return 0
}

// writeDurable writes a file that a reset of the machine does not take back.
func writeDurable(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
