package steward

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Bounds of what is read of a unit.
const (
	maxProcs = 64 << 10
	maxStat  = 4 << 10
)

// unitRuns tells one run of a systemd unit from the next: by process id and start of its oldest process, as the unit's cgroup
// below root has it. A unit is looked for in the system's slice.
func unitRuns(root, procfs string) runner {
	return func(unit string) (string, bool) {
		raw, err := readSome(filepath.Join(root, "system.slice", unit, "cgroup.procs"), maxProcs)
		if errors.Is(err, fs.ErrNotExist) {
			return "", true // It is not running.
		}
		if err != nil {
			return "", false
		}
		oldest, run := uint64(0), ""
		for pid := range strings.FieldsSeq(string(raw)) {
			if _, err := strconv.ParseUint(pid, 10, 31); err != nil {
				return "", false
			}
			began, ok := startOf(filepath.Join(procfs, pid, "stat"))
			if ok && (run == "" || began < oldest) {
				oldest, run = began, pid+"@"+strconv.FormatUint(began, 10)
			}
		}
		return run, true
	}
}

// startOf is when a process began, in ticks since the boot: field 22, counted behind the name, which may hold anything.
func startOf(name string) (uint64, bool) {
	raw, err := readSome(name, maxStat)
	if err != nil {
		return 0, false
	}
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return 0, false
	}
	fields := strings.Fields(string(raw[end+1:]))
	const at = 22 - 3
	if len(fields) <= at {
		return 0, false
	}
	n, err := strconv.ParseUint(fields[at], 10, 64)
	return n, err == nil
}

// readSome reads a whole file of less than so many bytes.
func readSome(name string, most int64) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // names that the kernel gives
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, most))
	if err == nil && int64(len(raw)) == most {
		err = errors.New("longer than expected")
	}
	return raw, errors.Join(err, f.Close())
}
