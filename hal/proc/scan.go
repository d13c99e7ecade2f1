package proc

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// holder is who has one socket open.
type holder struct {
	why  Reason
	open []opened
}

// opened is one descriptor of one process.
type opened struct {
	pid   int
	start uint64
	fd    string
}

// maxHolders is how many processes may share one socket and still be compared.
const maxHolders = 16

// scanShare keeps looking through all processes to about a tenth of one processor: after a look that took t, the next one
// waits for 9 t.
const scanShare = 9

// holders finds who has the sockets open. What the last round found is confirmed; all processes are looked through only
// for sockets that are new, and now and then, since a process may have been handed a socket meanwhile.
func (f *Finder) holders(ctx context.Context, socks []Socket) map[socketID]holder {
	held := make(map[socketID]holder, len(socks))
	wanted := make(map[uint32]socketID)
	now := f.o.Now()
	stale := !f.full || now-f.lastFull >= f.o.FullEvery
	for i := range socks {
		if socks[i].Inode == 0 {
			continue
		}
		id := socks[i].id()
		if h, ok := f.known[id]; ok && f.confirm(id, h) {
			held[id] = h
			if !stale {
				continue
			}
		}
		wanted[id.inode] = id
	}
	if len(wanted) == 0 || f.scan == nil && f.full && now < f.next {
		for _, id := range wanted {
			if _, ok := held[id]; !ok {
				held[id] = holder{why: ReasonPending}
			}
		}
		return held
	}
	f.look(ctx, wanted, socks, held)
	return held
}

// look goes on with the look through all processes that is under way, or begins one, and enters what it has found once it
// is through. A slow computer needs several rounds for it.
func (f *Finder) look(ctx context.Context, wanted map[uint32]socketID, socks []Socket, held map[socketID]holder) {
	if f.scan == nil {
		f.scan = &scan{root: f.o.Root, wanted: wanted, users: users(socks), found: map[uint32][]opened{}}
	}
	s := f.scan
	begun := f.o.Now()
	through := s.run(ctx)
	end := f.o.Now()
	s.spent += end - begun
	if through {
		f.scan = nil
		f.full, f.lastFull, f.next = true, begun, end+scanShare*max(s.spent, time.Millisecond)
		f.Scans++
	}
	for inode, id := range wanted {
		switch _, known := held[id]; {
		case through && s.wanted[inode] == id:
			held[id] = s.verdict(inode)
		case !known:
			// Not looked for by this look, or not yet through: the next one, or the next round, says.
			held[id] = holder{why: ReasonPending}
		}
	}
}

func users(socks []Socket) map[uint32]bool {
	out := map[uint32]bool{}
	for i := range socks {
		if socks[i].Inode != 0 {
			out[socks[i].UID] = true
		}
	}
	return out
}

// confirm looks whether every descriptor that was found is still what it was.
func (f *Finder) confirm(id socketID, h holder) bool {
	for _, o := range h.open {
		p, err := openProcess(f.o.Root, o.pid)
		if err != nil {
			return false
		}
		start, err := p.start()
		same := err == nil && start == o.start && p.has(o.fd, id.inode)
		p.close()
		if !same {
			return false
		}
	}
	return len(h.open) > 0
}

// scan is one look through all processes.
type scan struct {
	root    string
	wanted  map[uint32]socketID
	users   map[uint32]bool
	found   map[uint32][]opened
	hidden  bool // a process of a wanted user could not be looked at
	cut     Reason
	looked  int
	strange int
	pids    []int
	at      int
	spent   time.Duration
}

// run goes on until all processes were looked at, and says whether they were; or until ctx ends, for the next round to go
// on. What began after the look did is left to the next one.
func (s *scan) run(ctx context.Context) (through bool) {
	if s.pids == nil {
		if s.pids = s.list(); s.cut != ReasonNone {
			return true
		}
	}
	for s.at < len(s.pids) {
		if ctx.Err() != nil {
			return false
		}
		pid := s.pids[s.at]
		s.at++
		if s.process(pid); s.cut != ReasonNone {
			return true
		}
	}
	return true
}

// list lists all processes.
func (s *scan) list() []int {
	dir, err := os.Open(s.root)
	if err != nil {
		s.cut = ReasonKernel
		return nil
	}
	defer func() { _ = dir.Close() }()
	pids := []int{}
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if pid, perr := strconv.Atoi(name); perr == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		if len(pids) > maxProcesses {
			s.cut = ReasonTooMany
			return nil
		}
		if err != nil || len(names) == 0 {
			return pids
		}
	}
}

// process looks at one process. A process of a user who made none of the sockets can only have been handed one; that is
// looked for with what is left over, to tell the reason.
func (s *scan) process(pid int) {
	p, err := openProcess(s.root, pid)
	if err != nil {
		return
	}
	defer p.close()
	var st unix.Stat_t
	if unix.Fstat(p.dir, &st) != nil {
		return
	}
	// The owner is root also for a process that hides its memory; its true ids are read later.
	likely := s.users[st.Uid] || st.Uid == 0
	if !likely && s.strange >= maxForeign {
		return
	}
	start, err := p.start()
	if err != nil {
		return
	}
	err = p.eachSocket(func(fd string, inode uint32) bool {
		if _, ok := s.wanted[inode]; ok && len(s.found[inode]) <= maxHolders {
			s.note(inode, opened{pid, start, fd})
		}
		return true
	}, func() bool { return s.count(likely) })
	if likely && errors.Is(err, unix.EACCES) {
		s.hidden = true
	}
}

// count counts one descriptor and says whether to go on with this process.
func (s *scan) count(likely bool) bool {
	if !likely {
		s.strange++
		return s.strange < maxForeign
	}
	if s.looked++; s.looked > maxDescriptors {
		s.cut = ReasonTooMany
		return false
	}
	return true
}

func (s *scan) note(inode uint32, o opened) {
	list := s.found[inode]
	for _, have := range list {
		if have.pid == o.pid {
			return // a second descriptor of the same process
		}
	}
	s.found[inode] = append(list, o)
}

func (s *scan) verdict(inode uint32) holder {
	list := s.found[inode]
	switch {
	case s.cut != ReasonNone:
		return holder{why: s.cut}
	case len(list) > maxHolders:
		return holder{why: ReasonShared}
	case len(list) == 0 && s.hidden:
		return holder{why: ReasonHidden}
	case len(list) == 0:
		return holder{why: ReasonNoHolder}
	}
	return holder{open: list}
}

// process is one process of proc(5), held by its directory: once the process has ended, every read through it fails, even
// if its number lives again.
type process struct {
	dir int
	pid int
}

func openProcess(root string, pid int) (process, error) {
	dir, err := unix.Open(root+"/"+strconv.Itoa(pid), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return process{dir, pid}, err
}

func (p process) close() { _ = unix.Close(p.dir) }

// read reads one small file of the process, of which no more than limit counts.
func (p process) read(name string, limit int) ([]byte, error) {
	fd, err := unix.Openat(p.dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var part [4096]byte // on the stack: several files of each process are read, several times a second
	var out []byte
	for len(out) < limit {
		n, err := unix.Read(fd, part[:min(len(part), limit-len(out))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		out = append(out, part[:n]...)
	}
	return out, nil
}

// eachSocket calls f for every socket that the process has open, and each before every descriptor of any kind.
func (p process) eachSocket(f func(fd string, inode uint32) bool, each func() bool) error {
	dir, err := unix.Openat(p.dir, "fd", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if !each() {
				return nil
			}
			inode, ok, err := socketLink(dir, name)
			if errors.Is(err, unix.EACCES) {
				return err
			}
			if ok && !f(name, inode) {
				return nil
			}
		}
	}
}

// has says whether descriptor fd is the socket.
func (p process) has(fd string, inode uint32) bool {
	got, ok, err := socketLink(p.dir, "fd/"+fd)
	return err == nil && ok && got == inode
}

// socketLink reads the link of one descriptor: "socket:[123]".
func socketLink(dir int, name string) (inode uint32, ok bool, err error) {
	var buf [64]byte
	n, err := unix.Readlinkat(dir, name, buf[:])
	if err != nil {
		return 0, false, err
	}
	text, ok := strings.CutPrefix(string(buf[:n]), "socket:[")
	if !ok {
		return 0, false, nil
	}
	text, ok = strings.CutSuffix(text, "]")
	v, perr := strconv.ParseUint(text, 10, 32)
	return uint32(v), ok && perr == nil, nil
}
