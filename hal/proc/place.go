package proc

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Place is where a file lies, by whatever name and through whatever mount it is seen: processes choose their names and mounts, and
// not this.
type Place struct {
	// Device is the file system's number as the kernel lists mounts: "8:1".
	Device string
	// Path begins at the file system's root, which need not be mounted anywhere. Behind a name that is gone stands " (deleted)".
	Path string
}

// Below returns the rest of p's path behind a folder's place, if p lies in that folder.
func (p Place) Below(folder Place) (rest string, ok bool) {
	if p.Device != folder.Device {
		return "", false
	}
	if rest, ok = strings.CutPrefix(p.Path, strings.TrimSuffix(folder.Path, "/")+"/"); !ok {
		return "", false
	}
	return rest, true
}

// maxMounts bounds what is read of a list of mounts, in bytes.
const maxMounts = 1 << 20

// Place says where a file in use lies; false where the mount that it is seen through is neither this process's nor that of the one that
// uses it. It may be asked while the look lasts.
func (u *FileUse) Place() (Place, bool) {
	theirs, _ := u.p.read("mountinfo", maxMounts)
	if u.mount == 0 {
		return place(mountByName(theirs, u.name), u.name)
	}
	if p, ok := place(mountByID(theirs, u.mount), u.name); ok {
		return p, true
	}
	// It may have been handed the file, or live behind another root in the same mounts.
	self, err := openSelf()
	if err != nil {
		return Place{}, false
	}
	defer self.close()
	ours, _ := self.read("mountinfo", maxMounts)
	return place(mountByID(ours, u.mount), u.name)
}

// Mounted is where something lies that is mounted in a folder.
type Mounted struct {
	// Name is its path in the folder; empty for the folder itself.
	Name string
	Place
}

// PlacesOf says where a folder that this process sees lies, behind any links: first itself, then all that is mounted in it.
func PlacesOf(folder string) ([]Mounted, error) {
	self, err := openSelf()
	if err != nil {
		return nil, err
	}
	defer self.close()
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: folder, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return nil, err
	}
	st, _, err := look(fd)
	if err != nil {
		return nil, err
	}
	mounts, err := self.read("mountinfo", maxMounts)
	if err != nil {
		return nil, err
	}
	m := mountByName(mounts, name)
	if st.Mask&unix.STATX_MNT_ID != 0 {
		m = mountByID(mounts, st.Mnt_id)
	}
	p, ok := place(m, name)
	if !ok {
		return nil, fmt.Errorf("%s: expected its mount in /proc/self/mountinfo, found none", filepath.Clean(folder))
	}
	return append([]Mounted{{"", p}}, mountedIn(mounts, name)...), nil
}

// mountedIn finds what is mounted in a folder.
func mountedIn(list []byte, folder string) (found []Mounted) {
	eachMount(list, func(_ string, m mount) {
		rest, in := strings.CutPrefix(m.point, strings.TrimSuffix(folder, "/")+"/")
		if p, ok := place(m, m.point); in && ok {
			found = append(found, Mounted{rest, p})
		}
	})
	return found
}

func openSelf() (process, error) { return openProcess("/proc", os.Getpid()) }

// mount is a line of mountinfo, see proc_pid_mountinfo(5): root is what of the file system lies at point.
type mount struct{ device, root, point string }

// place is where a file of a mount lies.
func place(m mount, name string) (Place, bool) {
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(m.point, "/"))
	if m.device == "" || !ok || rest != "" && rest[0] != '/' {
		return Place{}, false
	}
	// Of a root that has lost its name the kernel says so.
	root := strings.TrimSuffix(strings.TrimSuffix(m.root, "//deleted"), "/")
	return Place{m.device, cmp.Or(root+rest, "/")}, true
}

// mountByID finds a mount by its number.
func mountByID(list []byte, id uint64) (found mount) {
	want := strconv.FormatUint(id, 10)
	eachMount(list, func(number string, m mount) {
		if number == want {
			found = m
		}
	})
	return found
}

// mountByName finds the mount that a name leads through: the innermost, and of several at one point the last.
func mountByName(list []byte, name string) (found mount) {
	eachMount(list, func(_ string, m mount) {
		if _, ok := place(m, name); ok && len(m.point) >= len(found.point) {
			found = m
		}
	})
	return found
}

// eachMount reads "36 35 98:0 /root /point opts [tags...] - type source opts".
func eachMount(list []byte, f func(number string, m mount)) {
	for line := range bytes.Lines(list) {
		fields := bytes.Fields(line)
		if len(fields) < 5 {
			continue
		}
		f(string(fields[0]), mount{device: string(fields[2]), root: unescaped(fields[3]), point: unescaped(fields[4])})
	}
}

// unescaped puts back what the kernel writes as three octal digits: blanks, newlines, backslashes.
var escapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func unescaped(b []byte) string { return escapes.Replace(string(b)) }
