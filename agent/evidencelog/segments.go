package evidencelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/robowarden/robowarden/agent/journal"
)

// list returns the headers of the segments that hold at least one readable record, oldest first. A journal that is not
// there yet has none.
func list(dir string) ([]journal.Segment, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	var out []journal.Segment
	for _, f := range files { // in the order of their names, which is that of their numbers
		if filepath.Ext(f.Name()) != ".seg" || !f.Type().IsRegular() {
			continue
		}
		s, err := header(filepath.Join(dir, f.Name()))
		switch {
		case err == nil:
			out = append(out, *s)
		case !errors.Is(err, errUnreadable) && !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("evidence log: %w", err)
		}
	}
	return out, nil
}

// errUnreadable marks a segment without any record to go on with; following the journal says what is wrong with it.
var errUnreadable = errors.New("no readable record")

// header reads a segment's header together with its first intact record.
func header(path string) (*journal.Segment, error) {
	f, err := os.Open(path) //nolint:gosec // the journal's own directory
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := journal.NewReader(f, info.Size(), path)
	for range 2 { // damage before the first record is told first
		rec, err := r.Next()
		if err == nil {
			return rec.Segment, nil
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	return nil, errUnreadable
}
