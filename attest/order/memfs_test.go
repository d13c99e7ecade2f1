package order_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
)

// errPowerCut is what every operation returns after the power is gone.
var errPowerCut = errors.New("the power is gone")

// memFS is a disk that forgets what was not synchronised. Names become durable at SyncDir, contents at WriteSync; a
// crash in the middle of a write leaves any part of it, and a crash before SyncDir leaves the old or the new name.
type memFS struct {
	durable map[string][]byte // What a power cut leaves.
	visible map[string][]byte // What the running system sees.
	pending []func(map[string][]byte)
	steps   int // Operations until the power cut; below zero for never.
	part    int // How many bytes of a torn write reach the disk.
	late    int // How many pending renames reach the disk without SyncDir.
	fail    error
}

func newMemFS() *memFS {
	return &memFS{durable: map[string][]byte{}, visible: map[string][]byte{}, steps: -1}
}

// step counts one operation and reports whether the power goes during it.
func (m *memFS) step() bool {
	if m.steps > 0 {
		m.steps--
	}
	return m.steps == 0
}

func (m *memFS) ReadFile(name string) ([]byte, error) {
	if data, ok := m.visible[name]; ok {
		return append([]byte(nil), data...), nil
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

func (m *memFS) WriteSync(name string, data []byte) error {
	if m.fail != nil {
		return m.fail
	}
	data = append([]byte(nil), data...)
	if m.step() {
		m.durable[name] = data[:min(m.part, len(data))]
		return errPowerCut
	}
	m.visible[name], m.durable[name] = data, data
	return nil
}

func (m *memFS) Rename(from, to string) error {
	if m.fail != nil {
		return m.fail
	}
	move := func(files map[string][]byte) {
		files[to] = files[from]
		delete(files, from)
	}
	m.pending = append(m.pending, move)
	if m.step() {
		return errPowerCut
	}
	move(m.visible)
	return nil
}

func (m *memFS) SyncDir() error {
	if m.fail != nil {
		return m.fail
	}
	if m.step() {
		return errPowerCut
	}
	m.flush(len(m.pending))
	return nil
}

func (m *memFS) flush(n int) {
	for _, move := range m.pending[:n] {
		move(m.durable)
	}
	m.pending = m.pending[n:]
}

// reboot is the disk after the power came back.
func (m *memFS) reboot() *memFS {
	m.flush(min(m.late, len(m.pending)))
	next := newMemFS()
	next.durable, next.visible = maps.Clone(m.durable), maps.Clone(m.durable)
	return next
}
