package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// headInfo is what the name and the header of a segment file say.
type headInfo struct {
	file    FileInfo
	index   uint64 // from the name
	seg     Segment
	failed  *Error
	version bool // intact, but of another version of the format
}

// byName sorts files. Unlike slices.SortFunc, which is 9 KB of the robot's program for each type, sort.Slice is one code for all.
func byName(files []FileInfo) {
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
}

// readHeads reads the headers of all segments, in the order of their names.
func readHeads(fsys FS, dir string, files []FileInfo) []headInfo {
	files = slices.Clone(files)
	byName(files)
	var heads []headInfo
	for _, f := range files {
		index, ok := segmentIndex(f.Name)
		if !ok {
			continue
		}
		h := headInfo{file: f, index: index}
		path := filepath.Join(dir, f.Name)
		if f.Regular {
			h.read(fsys, path)
		} else {
			h.failed = &Error{Code: CodeFile, File: path, Detail: "expected a regular file: move it away"}
		}
		if h.failed != nil && errors.Is(h.failed, os.ErrNotExist) {
			continue // trimmed a moment ago
		}
		heads = append(heads, h)
	}
	return heads
}

// read reads one header.
func (h *headInfo) read(fsys FS, path string) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		h.failed = &Error{Code: CodeFile, File: path, Err: err}
		return
	}
	defer f.Close()
	s := newScanner(path, f, h.file.Size)
	s.w.step = block // there may be very many segments
	h.failed, h.seg = s.header(), s.seg
	switch {
	case h.failed == nil && s.seg.Index != h.index:
		h.failed = &Error{Code: CodeIndex, File: path, Detail: fmt.Sprintf("expected number %d, found %d", h.index, s.seg.Index)}
	case h.failed != nil && h.failed.Code == CodeMagic:
		b, err := s.w.at(0, int(min(h.file.Size, block)))
		h.version = err == nil && otherVersion(b)
	}
}

// SeqAt returns the first sequence number of the newest segment that was begun at or before a moment of one boot, and of the
// oldest of that boot if all are newer: reading from there on meets everything since that moment that is still there. 0, the
// oldest record, if no segment is of that boot.
func SeqAt(dir string, boot [16]byte, at time.Duration) (uint64, error) {
	fsys := OS()
	files, err := fsys.List(dir)
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	var seq uint64
	for _, h := range readHeads(fsys, dir, files) {
		if h.failed == nil && h.seg.BootID == boot && (seq == 0 || h.seg.Boot <= at) {
			seq = h.seg.FirstSeq
		}
	}
	return seq, nil
}
