package proc

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// fixture is a /proc that the test makes up, with a socket table of its own.
type fixture struct {
	t    *testing.T
	root string
	mu   sync.Mutex
	far  Socket
	exe  string
}

var (
	nearEnd = netip.MustParseAddrPort("127.0.0.1:1000")
	farEnd  = netip.MustParseAddrPort("127.0.0.1:2000")
)

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, root: t.TempDir(), exe: filepath.Join(t.TempDir(), "plant")}
	f.far = Socket{Local: farEnd, Remote: nearEnd, State: tcpEstablished, UID: uint32(os.Getuid()), Inode: 77, Cookie: 1}
	if err := os.WriteFile(f.exe, []byte("program"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return f
}

func (f *fixture) Lookup(local, _ netip.AddrPort) (Socket, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if local == nearEnd {
		return Socket{Local: nearEnd, Remote: farEnd, State: tcpEstablished, Inode: 76}, true, nil
	}
	return f.far, f.far.Inode != 0, nil
}

func (f *fixture) Datagrams(source netip.AddrPort) ([]Socket, error) {
	s, ok, err := f.Lookup(source, netip.AddrPort{})
	if !ok {
		return nil, err
	}
	return []Socket{s}, err
}

// process makes one process with descriptors of these sockets.
func (f *fixture) process(pid int, start uint64, sockets ...uint32) string {
	f.t.Helper()
	dir := filepath.Join(f.root, strconv.Itoa(pid))
	uid := os.Getuid()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o700); err != nil {
		f.t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stat":      fmt.Sprintf("%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0", pid, start),
		"status":    fmt.Sprintf("Name:\tx\nTracerPid:\t0\nUid:\t%d\t%d\t%d\t%d\n", uid, uid, uid, uid),
		"cgroup":    "0::/system.slice/plant.service\n",
		"mountinfo": string(mounts),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	_ = os.Symlink(f.exe, filepath.Join(dir, "exe"))
	for i, s := range sockets {
		_ = os.Symlink(fmt.Sprintf("socket:[%d]", s), filepath.Join(dir, "fd", strconv.Itoa(i)))
	}
	return dir
}

func (f *fixture) finder(now func() time.Duration) *Finder {
	return newFinder(f.t, func(o *Options) { o.Root, o.Sockets, o.Now = f.root, f, now })
}

func (f *fixture) find(finder *Finder) Fact {
	return find(f.t, finder, Pair{Local: nearEnd, Remote: farEnd})
}

// clock is a boot clock that the test moves.
type clock struct{ now time.Duration }

func (c *clock) Now() time.Duration { return c.now }

func TestNumberOfAProcessLivesAgain(t *testing.T) {
	f := newFixture(t)
	dir := f.process(42, 100, 77)
	c := &clock{now: time.Hour}
	finder := f.finder(c.Now)
	if got := f.find(finder); !got.Found() || got.PID != 42 || got.Start != 100 || got.Unit != "plant.service" {
		t.Fatalf("%+v", got)
	}
	// The process ends; another one gets its number, and even the same descriptor by number. What was found does not hold.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	f.process(42, 200)
	c.now += time.Minute
	if got := f.find(finder); got.Why != ReasonNoHolder {
		t.Errorf("%+v", got)
	}
	// The off case: it really has the socket.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	f.process(42, 300, 77)
	c.now += time.Minute
	if got := f.find(finder); !got.Found() || got.Start != 300 {
		t.Errorf("%+v", got)
	}
}

func TestSocketWithTheSameAddressesIsAnotherOne(t *testing.T) {
	f := newFixture(t)
	f.process(42, 100, 77)
	c := &clock{now: time.Hour}
	finder := f.finder(c.Now)
	if got := f.find(finder); !got.Found() {
		t.Fatalf("%+v", got)
	}
	f.far.Inode, f.far.Cookie = 78, 2
	c.now += time.Minute
	if got := f.find(finder); got.Why != ReasonNoHolder {
		t.Errorf("%+v", got)
	}
}

func TestSocketHandedOnIsSeenLaterAtTheLatest(t *testing.T) {
	f := newFixture(t)
	f.process(42, 100, 77)
	c := &clock{now: time.Hour}
	finder := f.finder(c.Now)
	if got := f.find(finder); !got.Found() {
		t.Fatalf("%+v", got)
	}
	thief := f.process(43, 100, 77)
	if err := os.WriteFile(filepath.Join(thief, "cgroup"), []byte("0::/system.slice/thief.service\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.now += finder.o.FullEvery
	if got := f.find(finder); got.Why != ReasonShared {
		t.Errorf("%+v", got)
	}
}

func TestLooksAreRationed(t *testing.T) {
	f := newFixture(t)
	c := &clock{now: time.Hour}
	finder := f.finder(func() time.Duration { c.now += 10 * time.Millisecond; return c.now })
	for range 100 {
		f.find(finder) // nobody has it: every round would look through all processes
	}
	if finder.Scans > 20 {
		t.Errorf("%d looks through all processes in 100 rounds", finder.Scans)
	}
	if finder.Scans < 2 {
		t.Errorf("%d looks in 100 rounds, expected it to try again", finder.Scans)
	}
}

func TestEntriesThatVanish(t *testing.T) {
	f := newFixture(t)
	f.process(42, 100, 77)
	var stop sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	stop.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			dir := f.process(1000+n%7, uint64(n), 77, 78)
			for _, name := range []string{"status", "cgroup", "exe", "fd/0", "stat"} {
				_ = os.Remove(filepath.Join(dir, name))
			}
			_ = os.RemoveAll(dir)
		}
	})
	for ctx.Err() == nil {
		c := &clock{now: time.Hour}
		// Others of the same user may hold it for a moment: then it is shared, or changes; never is it somebody else's.
		if got := f.find(f.finder(c.Now)); got.Found() && (got.Unit != "plant.service" || got.Exe != f.exe) {
			t.Fatalf("%+v", got)
		}
	}
	stop.Wait()
	c := &clock{now: time.Hour}
	if got := f.find(f.finder(c.Now)); !got.Found() || got.PID != 42 {
		t.Errorf("%+v", got)
	}
}

func TestThousandsOfProcesses(t *testing.T) {
	f := newFixture(t)
	for pid := range 1500 {
		dir := filepath.Join(f.root, strconv.Itoa(pid+1))
		if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		_ = os.WriteFile(filepath.Join(dir, "stat"), []byte("1 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0"), 0o600)
		_ = os.Symlink("socket:[5]", filepath.Join(dir, "fd/0"))
	}
	f.process(1600, 1, 77)
	got := f.find(f.finder(bootClock))
	if !got.Found() || got.PID != 1600 {
		t.Errorf("%+v", got)
	}
	// Bounded all the same: a scan that has used up its descriptors answers nothing at all.
	s := scan{root: f.root, wanted: map[uint32]socketID{77: {1, 77}}, users: map[uint32]bool{uint32(os.Getuid()): true}, found: map[uint32][]opened{}}
	s.looked = maxDescriptors - 100
	s.run(t.Context())
	if h := s.verdict(77); h.why != ReasonTooMany {
		t.Errorf("%+v", h)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	s = scan{root: f.root, wanted: s.wanted, users: s.users, found: map[uint32][]opened{}}
	if s.run(cancelled) {
		t.Error("through without any time")
	}
}

func TestExecutables(t *testing.T) {
	f := newFixture(t)
	dir := f.process(42, 1, 77)
	look := func(change func()) Reason {
		c := &clock{now: time.Hour}
		if change != nil {
			change()
		}
		return f.find(f.finder(c.Now)).Why
	}
	if why := look(nil); why != ReasonNone {
		t.Fatal(why)
	}
	link := func(to string) func() {
		return func() { _ = os.Remove(filepath.Join(dir, "exe")); _ = os.Symlink(to, filepath.Join(dir, "exe")) }
	}
	if why := look(link(t.TempDir())); why != ReasonExe {
		t.Errorf("a folder: %q", why)
	}
	if why := look(link("/missing")); why != ReasonExe {
		t.Errorf("missing: %q", why)
	}
	if why := look(link("/proc/version")); why == ReasonNone {
		t.Error("a file without content of its own was taken")
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxExeBytes+1); err != nil {
		t.Fatal(err)
	}
	if why := look(link(large)); why != ReasonExeLarge {
		t.Errorf("large: %q", why)
	}
	_ = os.WriteFile(filepath.Join(dir, "mountinfo"), nil, 0o600)
	if why := look(link(f.exe)); why != ReasonExeForeign {
		t.Errorf("mounted nowhere: %q", why)
	}
	_ = os.WriteFile(filepath.Join(dir, "cgroup"), []byte("0::/../x\n"), 0o600)
	if why := look(nil); why != ReasonCgroup {
		t.Errorf("elsewhere: %q", why)
	}
}

func TestSlowComputerHashesOverSeveralRounds(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(f.exe, make([]byte, 3*chunk), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	f.process(42, 1, 77)
	c := &clock{now: time.Hour}
	finder := f.finder(c.Now)
	p, err := openProcess(f.root, 42)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for n := range 3 {
		finder.exes.budget = 1 // one chunk a round
		if _, _, why := finder.exes.executable(t.Context(), p); why != ReasonPending {
			t.Fatalf("round %d: %q", n, why)
		}
	}
	finder.exes.budget = 1
	if _, digest, why := finder.exes.executable(t.Context(), p); why != ReasonNone || len(digest) != 64 || finder.exes.hashed != 3*chunk {
		t.Errorf("%q, %q after %d bytes", why, digest, finder.exes.hashed)
	}
	if finder.exes.work != nil {
		t.Error("the file is still open")
	}
	// No time at all: nothing is read, and nothing is claimed.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	clear(finder.exes.digests)
	if _, _, why := finder.exes.executable(over, p); why != ReasonPending {
		t.Errorf("without time: %q", why)
	}
	// Changed between two rounds: the parts do not make a digest.
	finder.exes.budget = 1
	_, _, _ = finder.exes.executable(t.Context(), p)
	if err := os.WriteFile(f.exe, make([]byte, 2*chunk), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	finder.exes.budget = roundHash
	if _, digest, why := finder.exes.executable(t.Context(), p); why != ReasonNone || digest == "" {
		t.Errorf("the new content: %q", why)
	}
	// Replaced while it is read: told as such.
	clear(finder.exes.digests)
	finder.exes.budget = 1
	_, _, _ = finder.exes.executable(t.Context(), p)
	w := finder.exes.work
	w.done = w.v.size + 1
	if _, why := finder.exes.finish(); why != ReasonExeChanged {
		t.Errorf("%q", why)
	}
}

// limitedContext ends after so many looks at it.
type limitedContext struct {
	context.Context
	left int
}

func (c *limitedContext) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestSlowComputerLooksOverSeveralRounds(t *testing.T) {
	f := newFixture(t)
	for pid := range 20 {
		f.process(pid+1, 1)
	}
	f.process(50, 1, 77)
	c := &clock{now: time.Hour}
	finder := f.finder(c.Now)
	rounds := 0
	for ; rounds < 20; rounds++ {
		got := finder.Find(&limitedContext{t.Context(), 5}, []Pair{{Local: nearEnd, Remote: farEnd}})[0]
		if got.Why != ReasonPending {
			break
		}
	}
	if rounds < 3 || rounds > 8 || finder.Scans != 1 {
		t.Errorf("%d rounds, %d looks", rounds, finder.Scans)
	}
	if got := f.find(finder); !got.Found() || got.PID != 50 {
		t.Errorf("%+v", got)
	}
	// While a later look is under way, what was found is confirmed and said.
	c.now += finder.o.FullEvery
	if got := finder.Find(&limitedContext{t.Context(), 8}, []Pair{{Local: nearEnd, Remote: farEnd}})[0]; !got.Found() || finder.Scans != 1 {
		t.Errorf("%+v after %d looks", got, finder.Scans)
	}
	// A connection that came meanwhile is not said to have no process by a look that did not look for it.
	f.mu.Lock()
	f.far.Inode, f.far.Cookie = 78, 9
	f.mu.Unlock()
	f.process(51, 1, 78)
	for range 20 {
		got := finder.Find(&limitedContext{t.Context(), 8}, []Pair{{Local: nearEnd, Remote: farEnd}})[0]
		if got.Found() {
			return
		}
		if got.Why != ReasonPending {
			t.Fatalf("%+v", got)
		}
		c.now += time.Second
	}
	t.Error("never found")
}
