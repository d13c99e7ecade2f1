package host

import (
	"bytes"
	"math"
	"os"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Means is what this process has left of its computer. What could not be found out is said to be unknown.
type Means struct {
	// DescriptorsKnown is true if Descriptors, how many files the process has open, and DescriptorLimit, how many it may, are known.
	DescriptorsKnown             bool
	Descriptors, DescriptorLimit uint32
	// MemoryKnown is true if MemoryLeft is known: how many bytes this process can still get.
	MemoryKnown bool
	MemoryLeft  uint64
	// Pause is the longest time for which garbage collection has stopped the program since the last look, as the upper edge of
	// the runtime's histogram bucket says.
	Pause time.Duration
}

// MeansWatch looks at this process's means, once a second for as long as the process lives: so it opens its files once, before
// any wall is raised, and makes no garbage. It is used by one goroutine.
type MeansWatch struct {
	meminfo, descriptors int // -1 where there is none
	groups               []group
	buf                  []byte
	pauses               []uint64
	sample               [1]metrics.Sample
}

// group is one control group (version 2) that the process is in, or one above it.
type group struct{ most, used, stat int }

// NewMeansWatch prepares the looks.
func NewMeansWatch() *MeansWatch { return newMeansWatch("/proc", "/sys/fs/cgroup") }

func newMeansWatch(procRoot, cgroupRoot string) *MeansWatch {
	w := &MeansWatch{meminfo: open(procRoot+"/meminfo", 0), descriptors: open(procRoot+"/self/fd", unix.O_DIRECTORY), buf: make([]byte, 16<<10)}
	w.sample[0].Name = "/sched/pauses/total/gc:seconds"
	w.pause()                                          // What was before counts for nobody.
	own, err := os.ReadFile(procRoot + "/self/cgroup") //nolint:gosec // the kernel's own file
	if err != nil {
		return w // a kernel without control groups
	}
	for line := range bytes.Lines(own) {
		path, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::")
		if !ok {
			continue
		}
		for ; strings.HasPrefix(path, "/") && path != "/"; path = path[:strings.LastIndexByte(path, '/')] {
			dir := cgroupRoot + path
			if g := (group{open(dir+"/memory.max", 0), open(dir+"/memory.current", 0), open(dir+"/memory.stat", 0)}); g.most >= 0 {
				w.groups = append(w.groups, g)
			}
		}
	}
	return w
}

func open(path string, flags int) int {
	fd, err := unix.Open(path, flags|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// Close gives the files back.
func (w *MeansWatch) Close() {
	for _, fd := range [...]int{w.meminfo, w.descriptors} {
		_ = unix.Close(fd)
	}
	for _, g := range w.groups {
		for _, fd := range [...]int{g.most, g.used, g.stat} {
			_ = unix.Close(fd)
		}
	}
	w.meminfo, w.descriptors, w.groups = -1, -1, nil
}

// Look finds out what there is now.
func (w *MeansWatch) Look() Means {
	m := Means{Pause: w.pause()}
	var limit unix.Rlimit
	if n, ok := w.count(); ok && unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.DescriptorsKnown, m.Descriptors, m.DescriptorLimit = true, n, uint32(min(limit.Cur, math.MaxUint32)) //nolint:gosec // bounded
	}
	m.MemoryLeft, m.MemoryKnown = w.memory()
	return m
}

// count counts the files that this process has open. The records are linux_dirent64, see getdents(2): 19 bytes and a name.
func (w *MeansWatch) count() (uint32, bool) {
	const length, name = 16, 19
	if w.descriptors < 0 {
		return 0, false
	}
	if _, err := unix.Seek(w.descriptors, 0, unix.SEEK_SET); err != nil {
		return 0, false
	}
	var files uint32
	for {
		n, err := unix.Getdents(w.descriptors, w.buf)
		if err != nil {
			return 0, false
		}
		if n <= 0 {
			return files, true
		}
		for b := w.buf[:n]; len(b) > name; {
			size := int(b[length]) | int(b[length+1])<<8
			if size <= name || size > len(b) {
				return 0, false
			}
			if b[name] != '.' { // "." and ".." are no files
				files++
			}
			b = b[size:]
		}
	}
}

// memory is what the computer has available (proc(5), MemAvailable), and not more than what the process's own control group
// and those above it leave of their limits.
func (w *MeansWatch) memory() (left uint64, known bool) {
	kib, ok := field(w.read(w.meminfo), "MemAvailable:")
	if !ok {
		return 0, false
	}
	left = kib << 10
	for i := range w.groups {
		if own, limited := w.groupLeft(&w.groups[i]); limited {
			left = min(left, own)
		}
	}
	return left, true
}

// groupLeft is what one control group leaves of its limit; false without one. What the kernel can give back at once, its cache
// of files, is left as well.
func (w *MeansWatch) groupLeft(g *group) (uint64, bool) {
	most, ok := number(w.read(g.most))
	if !ok {
		return 0, false // "max"
	}
	used, ok := number(w.read(g.used))
	if !ok {
		return 0, true // It limits, and does not say how far it is.
	}
	if cache, ok := field(w.read(g.stat), "inactive_file"); ok {
		used -= min(used, cache)
	}
	return most - min(most, used), true
}

// read is the text of one of the kernel's files, valid until the next call.
func (w *MeansWatch) read(fd int) []byte {
	if fd < 0 {
		return nil
	}
	n, err := unix.Pread(fd, w.buf, 0)
	if err != nil || n < 0 {
		return nil
	}
	return w.buf[:n]
}

// number reads decimal digits up to the end of the line.
func number(text []byte) (v uint64, ok bool) {
	for _, c := range text {
		switch {
		case c == '\n' || c == ' ':
			return v, ok
		case c < '0' || c > '9' || v > (math.MaxUint64-9)/10:
			return 0, false
		}
		v, ok = 10*v+uint64(c-'0'), true
	}
	return v, ok
}

// field is the number behind a name at the beginning of a line.
func field(text []byte, name string) (uint64, bool) {
	for len(text) > 0 {
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if len(line) > len(name) && string(line[:len(name)]) == name && line[len(name)] == ' ' {
			return number(bytes.TrimLeft(line[len(name):], " "))
		}
	}
	return 0, false
}

// pause is the longest pause since the last call.
func (w *MeansWatch) pause() time.Duration {
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // a runtime that does not say
	}
	h := w.sample[0].Value.Float64Histogram()
	var longest time.Duration
	for i, n := range h.Counts {
		if i < len(w.pauses) && n > w.pauses[i] {
			edge := h.Buckets[i+1]
			if math.IsInf(edge, 1) {
				edge = h.Buckets[i]
			}
			longest = max(longest, time.Duration(edge*float64(time.Second)))
		}
	}
	w.pauses = append(w.pauses[:0], h.Counts...)
	return longest
}
