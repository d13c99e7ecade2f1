package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// landlockABI is the version of Landlock that can be used: from 6 on only if the kernel has the repair without which a
// process cannot signal its own threads.
func landlockABI() int {
	v, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	const signalsRepaired = 2
	if errata, err := ll.LandlockGetErrata(); v >= abiScopes && (err != nil || errata&signalsRepaired == 0) {
		return abiScopes - 1
	}
	return v
}

// rules turns paths into rules. A single file gets only rights that files have.
func rules(p Paths) ([]landlock.Rule, error) {
	var out []landlock.Rule
	for _, group := range []struct {
		paths  []string
		rights landlock.AccessFSSet
	}{{p.Read, readRights}, {p.Write, writeRights}, {p.Devices, deviceRights}} {
		for _, path := range group.paths {
			if path == "" {
				continue
			}
			info, err := os.Stat(path)
			if errors.Is(err, os.ErrNotExist) {
				if rule, ok := later(path); ok {
					out = append(out, rule)
				}
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			rights := group.rights
			if !info.IsDir() {
				rights &= fileOnly
			}
			out = append(out, landlock.PathAccess(rights, path).IgnoreIfMissing())
		}
	}
	return out, nil
}

// later lets what is not there yet be read once it is, such as another role's journal: its folder may be read. A folder
// that is missing too, or the whole file system, is not opened for that.
func later(path string) (landlock.Rule, bool) {
	parent := filepath.Dir(path)
	info, err := os.Stat(parent)
	if err != nil || !info.IsDir() || parent == "/" {
		return nil, false
	}
	return landlock.PathAccess(readRights, parent).IgnoreIfMissing(), true
}

// readOnlySystem says whether the system's own folders are mounted read-only, as the units do.
func readOnlySystem(folders ...string) Wall {
	w := Wall{Name: WallFiles, Up: true, Why: "by the unit's read-only mounts; Landlock would hide other processes from this role"}
	for _, f := range folders {
		var st unix.Statfs_t
		if err := unix.Statfs(f, &st); err != nil || st.Flags&unix.ST_RDONLY == 0 {
			w.Up = false
			w.Why = f + " is not mounted read-only: run this role as the systemd unit does (ProtectSystem=strict); Landlock would hide other processes from it"
		}
	}
	return w
}
