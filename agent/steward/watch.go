package steward

import (
	"bytes"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch hears from the kernel what happens to the files of active slots (inotify(7)), also to those whose times were set back
// since. It does not hear of what is written through a mapping, which the files' times show, or below the file system.
type watch struct {
	// file is the instance, nil before the first use and where there is none; fd is its descriptor.
	file  *os.File
	fd    int
	tried bool
	// places has what is watched by the kernel's number, changed the artifacts to which something has happened since.
	places  map[int32]place
	changed map[string]bool
}

// place is what one watch is on: a file or folder of a slot, or the artifact's folder, where only some names matter.
type place struct {
	artifact string
	above    bool
}

// What is heard of files and folders. Reading is nobody's business.
const (
	heardOf  = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_DELETE_SELF | unix.IN_DONT_FOLLOW
	heardIn  = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE
	heardAll = heardOf | heardIn
)

// open makes the instance, once.
func (w *watch) open() bool {
	if !w.tried {
		w.tried, w.places, w.changed = true, map[int32]place{}, map[string]bool{}
		if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
			w.fd, w.file = fd, os.NewFile(uintptr(fd), "inotify")
		}
	}
	return w.file != nil
}

// arm begins to watch an artifact's folder and the files and folders of its active slot, and forgets what has happened before. It
// says whether all of them are watched: the kernel bounds how many one user may watch.
func (w *watch) arm(name, root string, paths []string) bool {
	if !w.open() {
		return false
	}
	w.disarm(name)
	ok := w.add(name, root, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW, true)
	for _, p := range paths {
		ok = ok && w.add(name, p, heardAll, false)
	}
	if !ok {
		w.disarm(name)
	}
	return ok
}

func (w *watch) add(name, path string, mask uint32, above bool) bool {
	wd, err := unix.InotifyAddWatch(w.fd, path, mask)
	if err != nil {
		return false
	}
	// A file with a second name in another artifact has one watch: nobody could tell whose it is.
	if p, ok := w.places[int32(wd)]; ok && p.artifact != name { //nolint:gosec // the kernel's number is one
		return false
	}
	w.places[int32(wd)] = place{name, above} //nolint:gosec // the kernel's number is one
	return true
}

func (w *watch) disarm(name string) {
	for wd, p := range w.places {
		if p.artifact == name {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd)) //nolint:gosec // the number came from the kernel; it may be gone with its file
			delete(w.places, wd)
		}
	}
	delete(w.changed, name)
}

// hear takes what has happened since the last time. It does not wait.
func (w *watch) hear() {
	if w.file == nil {
		return
	}
	var buf [16 << 10]byte
	for {
		n, err := unix.Read(w.fd, buf[:])
		if err != nil || n <= 0 {
			return
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0])) //nolint:gosec // the kernel's structure, whole as inotify(7) says
			end := min(unix.SizeofInotifyEvent+int(e.Len), len(rest))
			name, _, _ := bytes.Cut(rest[unix.SizeofInotifyEvent:end], []byte{0})
			w.take(e, string(name))
			rest = rest[end:]
		}
	}
}

// take notes whose event it is.
func (w *watch) take(e *unix.InotifyEvent, name string) {
	if e.Mask&unix.IN_Q_OVERFLOW != 0 { // Something was not told.
		for _, p := range w.places {
			w.changed[p.artifact] = true
		}
		return
	}
	p, ok := w.places[e.Wd]
	if !ok {
		return // It was watched before.
	}
	// Records, history and the trial's state come and go beside the slots.
	if p.above && name != "" && name != "active" && name != "a" && name != "b" {
		return
	}
	w.changed[p.artifact] = true
}
