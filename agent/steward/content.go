package steward

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
)

// looked is what the files of an artifact's active slot look like, without reading them.
type looked struct {
	slot string
	// device is the file system's number.
	device uint64
	// text has a line for each file and folder: device, inode, mode, size, the times of content and inode, of which the second
	// cannot be set, and the name.
	text  string
	paths []string
}

// has says whether a file is one of those.
func (l *looked) has(device, inode uint64) bool {
	return strings.Contains(l.text, fmt.Sprintf("\n%d %d ", device, inode))
}

// look says which slot is active and what its files look like.
func (a *artifacts) look(name string) (looked, error) {
	d, err := slots.OpenDir(filepath.Join(a.dir, name))
	if err != nil {
		return looked{}, err
	}
	slot := slots.View(name, d).Active()
	if err := d.Close(); err != nil {
		return looked{}, err
	}
	if slot == "" {
		return looked{}, errors.New("no slot is active")
	}
	return a.lookAt(name, slot)
}

// lookAt says what the files of one slot look like.
func (a *artifacts) lookAt(name, slot string) (looked, error) {
	l := looked{slot: slot}
	root := filepath.Join(a.dir, name)
	var lines []string
	err := filepath.WalkDir(filepath.Join(root, slot), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n := len(lines); n > 2*artifact.MaxFiles {
			return fmt.Errorf("more than %d files and folders: an artifact has fewer", n-1)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.New("the system does not say when a file was changed")
		}
		// What a link leads to changes without a trace here.
		if !e.IsDir() && !e.Type().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", strings.TrimPrefix(path, root+"/"))
		}
		l.device, l.paths = s.Dev, append(l.paths, path)
		lines = append(lines, fmt.Sprintf("%d %d %d %d %d.%d %d.%d %s", s.Dev, s.Ino, s.Mode, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, path))
		return nil
	})
	slices.Sort(lines)
	l.text = slot + "\n" + strings.Join(lines, "\n")
	return l, err
}

// errBusy says that the content could not be read to its end in this round.
var errBusy = errors.New("it is being read: a large artifact takes a while")

// reading is the content of one artifact that is read beside the rounds, so that a large one takes nobody's lease.
type reading struct {
	name   string
	look   string
	again  bool // It was read before and looks unchanged: others go first.
	cancel context.CancelFunc
	done   chan struct{}
	// What was found, once done is closed.
	found measured
	err   error
}

// content has the active slot hashed, and waits for it as long as the round lasts; the next round goes on waiting.
func (a *artifacts) content(round context.Context, name string, look *looked, again bool) (measured, error) {
	if r := a.read; r != nil && r.name == name {
		if a.read = nil; r.look == look.text && !errors.Is(r.err, context.Canceled) {
			return r.found, r.err
		}
	}
	for {
		r := a.reading
		switch {
		case r == nil:
			r = a.begin(name, look, again)
			a.reading = r
		case r.name == name && r.look != look.text, r.name != name && r.again && !again:
			r.cancel()
		}
		select {
		case <-r.done:
			r.cancel()
			a.reading = nil
			switch {
			case r.name != name:
				a.read = r
			case r.look == look.text && !errors.Is(r.err, context.Canceled):
				return r.found, r.err
			}
		case <-round.Done():
			return measured{}, errBusy
		}
	}
}

// begin begins to read the active slot. What happens to its files from here on is heard.
func (a *artifacts) begin(name string, look *looked, again bool) *reading {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reading{name: name, look: look.text, again: again, cancel: cancel, done: make(chan struct{})}
	r.found.kept = contract.KeptPeriodic
	root := filepath.Join(a.dir, name)
	if a.watch.arm(name, root, look.paths) {
		r.found.kept = contract.KeptWatched
	}
	go func() {
		defer close(r.done)
		r.err = r.run(ctx, root, look.slot)
	}()
	return r
}

// run hashes the files, and asks the kernel before and after whether it keeps them: what it kept all the time is what was read.
func (r *reading) run(ctx context.Context, root, slot string) error {
	d, err := slots.OpenDir(root)
	if err != nil {
		return err
	}
	s := slots.View(r.name, d)
	before, _ := s.Kept(ctx, slot)
	_, digest, err := s.Measure(ctx, slot)
	after, kept := s.Kept(ctx, slot)
	record := s.Running()
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	r.found.digest = digest
	if kept && after == before && record != nil && record.SHA256 == digest {
		r.found.verity, r.found.kept = after, contract.KeptVerity
	}
	return nil
}

// stop ends what is being read.
func (a *artifacts) stop() {
	if r := a.reading; r != nil {
		r.cancel()
		<-r.done
		a.reading = nil
	}
	a.read = nil
}
