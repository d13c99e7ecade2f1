package journal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// openSegment makes the next segment durable, header and directory entry, and
// only then deletes what the quota no longer allows. A segment that could not
// be finished is made anew under the same number.
func (w *writer) openSegment() error {
	doomed, evidence, err := w.overQuota()
	if err != nil {
		return fmt.Errorf("list %s: %w", w.l.dir, err)
	}
	s := Segment{
		Index: w.index + 1, FirstSeq: w.cur.next, LogID: w.logID, BootID: w.l.o.BootID,
		Boot: w.l.o.Clock(), Wall: w.l.o.Wall(), Session: w.session, AfterFault: w.afterFault,
		OldestIndex: w.index + 1, OldestSeq: w.cur.next, Prev: w.cur.sum,
	}
	if doomed < len(w.kept) {
		s.OldestIndex, s.OldestSeq = w.kept[doomed].index, w.kept[doomed].firstSeq
	}
	path := w.join(segmentName(s.Index))
	var sum Digest
	w.buf, sum = appendHeader(w.buf[:0], w.c, &s)
	f, err := w.create(path)
	if err != nil {
		return fmt.Errorf("new segment %s: %w", path, err)
	}
	w.f, w.path, w.index = f, path, s.Index
	w.session, w.afterFault = false, false
	w.kept = append(w.kept, segmentRef{index: s.Index, firstSeq: s.FirstSeq})
	w.cur.sum, w.cur.size, w.cur.records = sum, headerLen, 0
	w.done = w.cur
	w.l.advance(w.done.next-1, w.done.sum, false)
	return w.delete(doomed, evidence)
}

// create writes the buffer as a new file and makes it durable.
func (w *writer) create(path string) (File, error) {
	f, err := w.l.o.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err = writeAt(f, w.buf, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = w.l.o.FS.SyncDir(w.l.dir)
	}
	if err == nil {
		return f, nil
	}
	return nil, errors.Join(err, f.Close(), w.l.o.FS.Remove(path))
}

// relistEvery is after how many segments the directory is listed anew. In between its content is known: nobody else should
// write there, and what somebody puts there all the same counts a little later.
const relistEvery = 128

// overQuota finds how many of the oldest segments, and which evidence, have to
// go before a new full segment fits. Everything in the directory counts.
func (w *writer) overQuota() (doomed int, evidence []string, err error) {
	if w.relist--; w.relist < 0 || w.afterFault {
		if evidence, err = w.list(); err != nil {
			return 0, nil, err
		}
	}
	total := blocks(w.l.o.SegmentBytes) + w.others
	for i := range w.kept {
		total += w.kept[i].bytes
	}
	for doomed < len(w.kept) && total > w.l.o.QuotaBytes {
		total -= w.kept[doomed].bytes
		doomed++
	}
	return doomed, evidence, nil
}

// list finds what lies in the directory, and which evidence has to go.
func (w *writer) list() (evidence []string, err error) {
	files, err := w.l.o.FS.List(w.l.dir)
	if err != nil {
		return nil, err
	}
	w.relist, w.others = relistEvery, 0
	for i := range w.kept {
		w.kept[i].bytes = 0 // until it is found
	}
	sizes := make(map[string]int64, len(files))
	var aside []FileInfo
	next := segmentName(w.index + 1)
	for _, f := range files {
		if f.Name == next {
			continue // left over from a failed try
		}
		sizes[f.Name] = blocks(f.Size)
		w.others += blocks(f.Size)
		if strings.HasSuffix(f.Name, evidenceSuffix) {
			aside = append(aside, f)
		}
	}
	for i := range w.kept {
		w.kept[i].bytes = sizes[segmentName(w.kept[i].index)]
		w.others -= w.kept[i].bytes
	}
	evidence = oldestEvidence(aside, w.l.o.QuotaBytes/evidenceShare)
	for _, name := range evidence {
		w.others -= sizes[name]
	}
	return evidence, nil
}

// evidenceShare is the part of the quota that damaged files may take.
const evidenceShare = 4

// oldestEvidence names the files to delete so that the rest fits into limit.
func oldestEvidence(aside []FileInfo, limit int64) []string {
	byName(aside)
	var total int64
	for _, f := range aside {
		total += blocks(f.Size)
	}
	var names []string
	for _, f := range aside {
		if total <= limit {
			break
		}
		total -= blocks(f.Size)
		names = append(names, f.Name)
	}
	return names
}

// delete removes evidence and the oldest segments, oldest first, so that what
// stays has no hole. What cannot be removed is tried again with the next segment.
func (w *writer) delete(doomed int, evidence []string) error {
	if doomed == 0 && len(evidence) == 0 {
		return nil
	}
	var failed error
	for _, name := range evidence {
		failed = errors.Join(failed, w.remove(name))
	}
	for range doomed {
		if err := w.remove(segmentName(w.kept[0].index)); err != nil {
			failed = errors.Join(failed, err)
			break
		}
		w.kept = slices.Delete(w.kept, 0, 1)
	}
	return errors.Join(failed, w.l.o.FS.SyncDir(w.l.dir))
}

// remove deletes one file, if it is still there.
func (w *writer) remove(name string) error {
	err := w.l.o.FS.Remove(w.join(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("quota: %w", err)
	}
	return nil
}
