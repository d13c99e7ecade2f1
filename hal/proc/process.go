package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// describe answers for one socket whose holders are known.
func (f *Finder) describe(ctx context.Context, s *Socket, held map[socketID]holder) Fact {
	h, ok := held[s.id()]
	switch {
	case !ok:
		return Fact{Why: ReasonNoHolder}
	case h.why != ReasonNone:
		return Fact{Why: h.why}
	}
	var first Fact
	for i, o := range h.open {
		fact := f.inspect(ctx, o, s)
		if len(h.open) > 1 && fact.Why == ReasonOwner {
			fact.Why = ReasonShared
		}
		if fact.Why != ReasonNone {
			return Fact{Why: fact.Why}
		}
		if i == 0 {
			first = fact
			continue
		}
		if fact.UID != first.UID || fact.Cgroup != first.Cgroup || fact.ExeSHA256 != first.ExeSHA256 {
			return Fact{Why: ReasonShared}
		}
	}
	return first
}

// inspect reads everything about one process, and at the end once more what could have changed meanwhile. Without a
// descriptor's name it does not look whether the process has the socket open.
func (f *Finder) inspect(ctx context.Context, o opened, s *Socket) Fact {
	fact := Fact{PID: o.pid, Start: o.start}
	p, err := openProcess(f.o.Root, o.pid)
	if err != nil {
		return Fact{Why: ReasonGone}
	}
	defer p.close()
	ids, err := p.ids()
	if err != nil {
		return Fact{Why: ReasonGone}
	}
	fact.UID = ids.uid[0]
	if fact.Why = ids.doubt(s); fact.Why != ReasonNone {
		return fact
	}
	if fact.Cgroup, err = p.cgroup(); err != nil {
		fact.Why = ReasonCgroup
		return fact
	}
	fact.Unit = unit(fact.Cgroup)
	fact.Exe, fact.ExeSHA256, fact.Why = f.exes.executable(ctx, p)
	fact.Interpreter = interpreter(fact.Exe)
	again, err := p.ids()
	start, serr := p.start()
	group, cerr := p.cgroup()
	if err != nil || serr != nil || cerr != nil || again != ids || start != o.start || group != fact.Cgroup || o.fd != "" && !p.has(o.fd, s.Inode) {
		return Fact{Why: ReasonGone}
	}
	return fact
}

// identity is what status says about who a process is.
type identity struct {
	uid    [4]int // real, effective, saved, file system
	tracer int
}

func (i *identity) doubt(s *Socket) Reason {
	switch {
	case i.uid[0] != i.uid[1] || i.uid[0] != i.uid[2] || i.uid[0] != i.uid[3]:
		return ReasonMixedIDs
	case i.tracer != 0:
		return ReasonTraced
	case uint32(i.uid[0]) != s.UID:
		return ReasonOwner
	}
	return ReasonNone
}

const smallFile = 16 << 10

func (p process) ids() (identity, error) {
	b, err := p.read("status", smallFile)
	if err != nil {
		return identity{}, err
	}
	return parseStatus(b)
}

// parseStatus reads the lines "Uid:" and "TracerPid:". The kernel escapes newlines in the name, which comes first.
func parseStatus(b []byte) (identity, error) {
	var id identity
	var uids, tracer bool
	for line := range bytes.Lines(b) {
		key, value, _ := strings.Cut(string(line), ":")
		fields := strings.Fields(value)
		switch key {
		case "Uid":
			if uids || len(fields) != 4 {
				return identity{}, fmt.Errorf("status: expected one line Uid with 4 numbers, found %q", line)
			}
			uids = true
			for i, text := range fields {
				v, err := strconv.ParseUint(text, 10, 32)
				if err != nil {
					return identity{}, fmt.Errorf("status: %w", err)
				}
				id.uid[i] = int(v)
			}
		case "TracerPid":
			if tracer || len(fields) != 1 {
				return identity{}, fmt.Errorf("status: expected one line TracerPid with one number, found %q", line)
			}
			tracer = true
			v, err := strconv.ParseUint(fields[0], 10, 31)
			if err != nil {
				return identity{}, fmt.Errorf("status: %w", err)
			}
			id.tracer = int(v)
		}
	}
	if !uids || !tracer {
		return identity{}, errors.New("status: expected the lines Uid and TracerPid, found neither or one")
	}
	return id, nil
}

// start reads the process's start in clock ticks since boot.
func (p process) start() (uint64, error) {
	b, err := p.read("stat", smallFile)
	if err != nil {
		return 0, err
	}
	return parseStart(b)
}

// parseStart reads field 22 of stat. The second field is the name in parentheses, and may hold parentheses and newlines.
func parseStart(b []byte) (uint64, error) {
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	const at = 22 - 3 // the third field is the first behind the name
	if end < 0 || len(fields) <= at {
		return 0, errors.New("stat: expected at least 22 fields, found fewer")
	}
	v, err := strconv.ParseUint(fields[at], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	return v, nil
}

func (p process) cgroup() (string, error) {
	b, err := p.read("cgroup", smallFile)
	if err != nil {
		return "", err
	}
	return parseCgroup(b)
}

// parseCgroup reads the process's path in the unified hierarchy, or in systemd's own where the computer still has both.
func parseCgroup(b []byte) (string, error) {
	var unified, named string
	var have bool
	for line := range strings.Lines(string(b)) {
		line, whole := strings.CutSuffix(line, "\n")
		parts := strings.SplitN(line, ":", 3)
		if !whole || len(parts) != 3 {
			return "", fmt.Errorf("cgroup: expected lines of the form 0::/path, found %q", line)
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			unified, have = parts[2], true
		case parts[1] == "name=systemd":
			named, have = parts[2], true
		}
	}
	path := unified
	if (unified == "" || unified == "/") && named != "" {
		path = named
	}
	switch {
	case !have || path == "" || path[0] != '/':
		return "", errors.New("cgroup: expected an absolute path, found none")
	case len(path) > maxText:
		return "", errors.New("cgroup: path too long")
	case path == "/.." || strings.HasPrefix(path, "/../"):
		return "", fmt.Errorf("cgroup: %q lies outside of what can be seen", path)
	case strings.HasSuffix(path, " (deleted)"):
		return "", fmt.Errorf("cgroup: %q is not there any more", path)
	case printable(path) != path:
		return "", errors.New("cgroup: expected a printable path")
	}
	return path, nil
}

// unit is the systemd unit of a cgroup: the first part of the path that is no slice. Everything below it is its own
// affair and may be named at will, user managers included.
func unit(cgroup string) string {
	for part := range strings.SplitSeq(strings.TrimPrefix(cgroup, "/"), "/") {
		part = strings.TrimPrefix(part, "_") // systemd's escape of names that the kernel uses
		switch {
		case strings.HasSuffix(part, ".slice"):
			continue
		case strings.HasSuffix(part, ".service"), strings.HasSuffix(part, ".scope"):
			return part
		}
		return ""
	}
	return ""
}

// printable makes text from outside fit for logs and JSON: what is not printable is escaped, and the length is bounded.
func printable(s string) string {
	plain := utf8.ValidString(s)
	for _, r := range s {
		plain = plain && unicode.IsPrint(r)
	}
	if !plain {
		s = strconv.QuoteToASCII(s)
	}
	if len(s) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	return s
}
