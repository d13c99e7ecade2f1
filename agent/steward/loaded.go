package steward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/proc"
)

// usesEvery is the least time between two looks at what processes have loaded. It is looked when a slot's files have changed, while
// a use is in doubt, and every recheck in any case.
const usesEvery = 10 * time.Second

// use is a process that has a file of an artifact open or mapped that is not one of those that were verified.
type use struct {
	// text names process and file.
	text string
	// digest is that of the content that was active before, if the file is still part of it as it was measured then; empty for a
	// file that nobody has verified.
	digest string
}

// loaded finds what processes have loaded of artifacts: a file that was replaced or removed goes on to be used by whoever has it.
type loaded struct {
	// procfs is where the processes are, empty for /proc.
	procfs string
	// due is true once files have changed since the last look, at.
	due bool
	at  time.Duration
	// suspects are the uses of the last look; uses those that were seen in two looks: programs that only copy are gone by then.
	suspects map[string]bool
	uses     map[string]use
	// blind says why not every process was looked at, empty if every one was.
	blind string
}

// lookAtUses looks through all processes, if it is time.
func (a *artifacts) lookAtUses(ctx context.Context) {
	l, now := &a.loaded, a.clock()
	if l.at != 0 && (now-l.at < usesEvery || !l.due && len(l.suspects) == 0 && now-l.at < recheck) {
		return
	}
	own, ownErr := os.Stat("/proc/self/exe")
	again := false
	homes, unseen := a.homes()
	suspects, found := map[string]bool{}, map[string]use{}
	why := proc.Files(ctx, l.procfs, a.aboutSlots, func(u *proc.FileUse) {
		name, slot, file, why := a.whose(u, homes)
		unseen = cmp.Or(unseen, why)
		active := a.known[name]
		if again = again || name != "" && active.digest == ""; active.digest == "" || active.look.has(device(u), u.Inode) {
			return // Of what has no digest, the guard hears none.
		}
		if u.Listed && device(u) != active.look.device {
			unseen = cmp.Or(unseen, fmt.Sprintf("process %d has mapped %s, and the kernel does not say which file that is", u.PID, u.Path))
			return // It may be the very file that was verified: the steward lacks CAP_CHECKPOINT_RESTORE.
		}
		// The robot's own commands read and write slots.
		exe, err := os.Stat("/proc/" + strconv.Itoa(u.PID) + "/exe")
		if err == nil && ownErr == nil && os.SameFile(own, exe) {
			return
		}
		x := use{digest: a.earlier(name, slot, u)}
		key := fmt.Sprint(name, u.PID, u.Major, u.Minor, u.Inode)
		suspects[key] = true
		// The worst of several: what nobody has verified.
		if other, ok := found[name]; l.suspects[key] && (!ok || other.digest != "") {
			x.text = fmt.Sprintf("process %d (%s) has loaded %s/%s, which is not what was verified as active: restart it", u.PID, cmp.Or(u.Unit(), "no unit"), slot, file)
			found[name] = x
		}
	})
	switch {
	case why == proc.ReasonPending: // There was no time: the next round looks again.
		return
	case why == proc.ReasonNone:
		l.blind = unseen
	default:
		l.blind = string(why)
	}
	l.due, l.at, l.suspects, l.uses = again, now, suspects, found
}

// aboutSlots says whether a path may be one of an artifact's files.
func (a *artifacts) aboutSlots(path string) bool {
	return strings.Contains(path, "/a/") || strings.Contains(path, "/b/")
}

// home is where the folder of an artifact lies, or what is mounted in it, as a slot that is a file system of its own.
type home struct {
	name string
	proc.Mounted
}

// homes finds where the artifacts' folders lie, or says why not.
func (a *artifacts) homes() (homes []home, unseen string) {
	for _, name := range slices.Sorted(maps.Keys(a.known)) {
		places, err := proc.PlacesOf(filepath.Join(a.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			unseen = cmp.Or(unseen, err.Error())
		}
		for _, p := range places {
			homes = append(homes, home{name, p})
		}
	}
	return homes, unseen
}

// whose says which artifact's slot a file lies in, or lay, and its name there. Names and mounts are each process's own to choose, a
// container's and a stranger's, so neither a likeness of names counts nor the folder's own name: what counts is where in its file system
// the file lies. Empty for no artifact's; unseen says why that cannot be told.
func (a *artifacts) whose(u *proc.FileUse, homes []home) (name, slot, file, unseen string) {
	at, ok := u.Place()
	if !ok {
		return "", "", "", a.lost(u)
	}
	for _, h := range homes {
		rest, in := at.Below(h.Place)
		if slot, file, found := strings.Cut(filepath.Join(h.Name, rest), "/"); in && found && (slot == "a" || slot == "b") {
			return h.name, slot, file, ""
		}
	}
	return "", "", "", ""
}

// lost says that a file may be an artifact's and lies where nobody can see any more: through a mount that is gone.
func (a *artifacts) lost(u *proc.FileUse) string {
	for _, name := range slices.Sorted(maps.Keys(a.known)) {
		look := a.known[name].look
		if look.has(device(u), u.Inode) || device(u) != look.device && !u.Listed {
			continue
		}
		if strings.Contains(u.Path, "/"+name+"/a/") || strings.Contains(u.Path, "/"+name+"/b/") {
			return fmt.Sprintf("process %d uses %s, and the kernel does not say where that lies", u.PID, u.Path)
		}
	}
	return ""
}

func device(u *proc.FileUse) uint64 { return unix.Mkdev(u.Major, u.Minor) }

// earlier returns the digest of what was active before, if a file in use is part of it and all of it still looks as it did then.
func (a *artifacts) earlier(name, slot string, u *proc.FileUse) string {
	was, ok := a.before[name]
	if !ok || was.look.slot != slot || !was.look.has(device(u), u.Inode) {
		return ""
	}
	if now, err := a.lookAt(name, slot); err != nil || now.text != was.look.text {
		return ""
	}
	return was.digest
}

// stale says why what a process has loaded must not go on: it is neither what is active, nor what was before, unchanged, and counts
// still without having been taken back.
func (ts *trials) stale(name string, t *tracked, a *artifacts, v *view) string {
	u, ok := a.loaded.uses[name]
	if !ok {
		return ""
	}
	if _, taken := t.state.WasTaken(u.digest); u.digest != "" && !taken && v.counts(name, u.digest) == nil {
		return ""
	}
	return clipText(u.text)
}
