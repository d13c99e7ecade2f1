package fleet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A robot's file is "RWFLEET1" and frames: length of the body u32, CRC32C of the body u32, body; all little-endian.
// The body of a record is: flags u8, length of the log's name u8, name, boot id 16, number u64, kind u8, boot clock i64,
// chain values before and after 32 each, time of receipt i64 (Unix nanoseconds), payload.
const (
	fileMagic  = "RWFLEET1"
	frameHead  = 8
	fixedBody  = 1 + 1 + 16 + 8 + 1 + 8 + 32 + 32 + 8
	maxFrame   = fixedBody + maxLogName + MaxMessage
	flagBridge = 1 << 0 // the record before was lost, and the robot said so
	flagProven = 1 << 1 // the robot was attested when it sent the record
	everyPoint = 64     // how densely the places of records are remembered
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark is where a record lies in the file.
type mark struct {
	seq    uint64
	offset int64
}

// store is the append-only file of one robot.
type store struct {
	path    string
	f       *os.File
	size    int64 // written
	durable int64 // synced
	limit   int64
	buf     []byte
	marks   map[streamKey][]mark
	counts  map[streamKey]int
	read    []byte
}

// stored is a record as the file has it.
type stored struct {
	Record
	bridge   bool
	received time.Time
}

// fileName is the name of a robot's file. '%' occurs in no robot's id.
func fileName(robot string) string { return strings.ReplaceAll(robot, "/", "%") + ".evidence" }

// openStore opens or makes a robot's file, hands every whole record to each, and sets aside what is not whole at its
// end. It returns how many bytes that were.
func openStore(dir, robot string, limit int64, each func(*stored) error) (s *store, damaged int64, err error) {
	s = &store{
		path: filepath.Join(dir, fileName(robot)), limit: limit,
		marks: map[streamKey][]mark{}, counts: map[streamKey]int{},
	}
	if s.f, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, 0, fmt.Errorf("fleet: %w", err)
	}
	if err = unix.Flock(int(s.f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = fmt.Errorf("another consumer writes it: %w", err)
	} else {
		damaged, err = s.load(dir, each)
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("fleet: %s: %w", s.path, err), s.f.Close())
	}
	return s, damaged, nil
}

// Read hands every whole record of every robot in a consumer's folder to each, in the order in which they came, and changes
// nothing: a consumer may be writing meanwhile. A payload holds until each returns.
func Read(dir string, each func(robot string, r *Record) error) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	for _, e := range list {
		robot, ok := strings.CutSuffix(e.Name(), ".evidence")
		if robot = strings.Replace(robot, "%", "/", 1); !ok || !e.Type().IsRegular() {
			continue
		}
		s := &store{path: filepath.Join(dir, e.Name())}
		if s.f, err = os.Open(s.path); err != nil {
			return fmt.Errorf("fleet: %w", err)
		}
		info, err := s.f.Stat()
		if err == nil {
			_, err = s.scan(0, info.Size(), func(_ int64, r *stored) error { return each(robot, &r.Record) })
		}
		if err = errors.Join(err, s.f.Close()); err != nil {
			return fmt.Errorf("fleet: %s: %w", s.path, err)
		}
	}
	return nil
}

// load reads the whole file and makes it end behind its last whole record.
func (s *store) load(dir string, each func(*stored) error) (damaged int64, err error) {
	info, err := s.f.Stat()
	if err != nil {
		return 0, err
	}
	end, err := s.scan(0, info.Size(), func(offset int64, r *stored) error {
		s.note(streamKey{r.Log, r.Boot}, r.Seq, offset)
		return each(r)
	})
	if err != nil {
		return 0, err
	}
	if damaged = info.Size() - end; damaged > 0 {
		if err := s.setAside(end, info.Size()); err != nil {
			return 0, err
		}
	}
	if end == 0 {
		if _, err := s.f.WriteAt([]byte(fileMagic), 0); err != nil {
			return 0, err
		}
		end = int64(len(fileMagic))
	}
	if err := errors.Join(s.f.Truncate(end), s.f.Sync(), syncDir(dir)); err != nil {
		return 0, err
	}
	s.size, s.durable = end, end
	return damaged, nil
}

// scan reads whole records from offset on and returns where they end. At offset 0 the file's magic is checked.
func (s *store) scan(from, size int64, each func(offset int64, r *stored) error) (end int64, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(s.f, from, size-from), 256<<10)
	if from == 0 {
		magic := make([]byte, len(fileMagic))
		if n, err := io.ReadFull(r, magic); err != nil && strings.HasPrefix(fileMagic, string(magic[:n])) {
			return 0, nil // not even begun
		}
		if string(magic) != fileMagic {
			return 0, fmt.Errorf("expected a file that starts with %s; move it away if it is not the consumer's", fileMagic)
		}
		from = int64(len(fileMagic))
	}
	var head [frameHead]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return from, ends(err)
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n < fixedBody || n > maxFrame {
			return from, nil
		}
		if cap(s.read) < int(n) {
			s.read = make([]byte, n)
		}
		body := s.read[:n]
		if _, err := io.ReadFull(r, body); err != nil {
			return from, ends(err)
		}
		rec, ok := parseBody(body)
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) || !ok {
			return from, nil
		}
		if err := each(from, &rec); err != nil {
			return from, err
		}
		from += frameHead + int64(n)
	}
}

// ends tells the end of the file from a disk that cannot be read.
func ends(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// setAside keeps what is not whole in a file of its own.
func (s *store) setAside(from, to int64) error {
	aside, err := os.OpenFile(fmt.Sprintf("%s.damaged-%d", s.path, from), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(aside, io.NewSectionReader(s.f, from, to-from))
	return errors.Join(err, aside.Sync(), aside.Close())
}

// room says whether a record still fits into the robot's share of the disk.
func (s *store) room(r *Record) bool {
	return s.size+int64(len(s.buf))+frameHead+fixedBody+int64(len(r.Log)+len(r.Payload)) <= s.limit
}

// add puts a record behind the others; flush writes it.
func (s *store) add(r *Record, bridge bool, received time.Time) {
	s.note(streamKey{r.Log, r.Boot}, r.Seq, s.size+int64(len(s.buf)))
	start := len(s.buf)
	var flags byte
	if bridge {
		flags |= flagBridge
	}
	if r.Attested {
		flags |= flagProven
	}
	le := binary.LittleEndian
	s.buf = append(s.buf, make([]byte, frameHead)...)
	s.buf = append(s.buf, flags, byte(len(r.Log)))
	s.buf = append(s.buf, r.Log...)
	s.buf = append(s.buf, r.Boot[:]...)
	s.buf = append(le.AppendUint64(s.buf, r.Seq), r.Kind)
	s.buf = le.AppendUint64(s.buf, uint64(r.BootTime))
	s.buf = append(s.buf, r.Prev[:]...)
	s.buf = append(s.buf, r.Digest[:]...)
	s.buf = le.AppendUint64(s.buf, uint64(received.UnixNano()))
	s.buf = append(s.buf, r.Payload...)
	body := s.buf[start+frameHead:]
	le.PutUint32(s.buf[start:], uint32(len(body)))
	le.PutUint32(s.buf[start+4:], crc32.Checksum(body, castagnoli))
}

func parseBody(b []byte) (stored, bool) {
	var r stored
	n := int(b[1])
	if b[0]&^(flagBridge|flagProven) != 0 || n > maxLogName || len(b) < fixedBody+n {
		return r, false
	}
	le := binary.LittleEndian
	r.bridge, r.Attested = b[0]&flagBridge != 0, b[0]&flagProven != 0
	r.Log = string(b[2 : 2+n])
	b = b[2+n:]
	copy(r.Boot[:], b)
	r.Seq, r.Kind, r.BootTime = le.Uint64(b[16:]), b[24], time.Duration(le.Uint64(b[25:]))
	copy(r.Prev[:], b[33:])
	copy(r.Digest[:], b[65:])
	r.received = time.Unix(0, int64(le.Uint64(b[97:])))
	r.Payload = b[105:]
	return r, true
}

// note remembers where some of a stream's records lie.
func (s *store) note(key streamKey, seq uint64, offset int64) {
	if s.counts[key]%everyPoint == 0 {
		s.marks[key] = append(s.marks[key], mark{seq, offset})
	}
	s.counts[key]++
}

// flush writes what was added, without waiting for the disk.
func (s *store) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	if _, err := s.f.WriteAt(s.buf, s.size); err != nil {
		return err
	}
	s.size += int64(len(s.buf))
	s.buf = s.buf[:0]
	if cap(s.buf) > MaxMessage {
		s.buf = nil
	}
	return nil
}

// sync returns once everything is on the disk.
func (s *store) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	if s.durable == s.size {
		return nil
	}
	if err := unix.Fdatasync(int(s.f.Fd())); err != nil {
		return err
	}
	s.durable = s.size
	return nil
}

// find looks a number up among a stream's records; false when the disk does not answer.
func (s *store) find(key streamKey, seq uint64) (found, bool) {
	marks := s.marks[key]
	i := 0
	for i+1 < len(marks) && marks[i+1].seq <= seq {
		i++
	}
	best := found{point: point{digest: Start(key.log, key.boot)}}
	if len(marks) == 0 {
		return best, true
	}
	if s.flush() != nil {
		return best, false
	}
	stop := errors.New("found")
	_, err := s.scan(marks[i].offset, s.size, func(_ int64, r *stored) error {
		switch {
		case r.Log != key.log || r.Boot != key.boot:
			return nil
		case r.Seq > seq:
			best.lost = r.bridge
			return stop
		}
		best.point = point{r.Seq, r.Digest, r.bridge}
		if r.Seq == seq {
			return stop
		}
		return nil
	})
	return best, err == nil || errors.Is(err, stop)
}

// drop forgets what is not durable and lets go of the file.
func (s *store) drop() error {
	return errors.Join(s.f.Truncate(s.durable), s.release())
}

func (s *store) close() error { return errors.Join(s.sync(), s.release()) }

// release unlocks by name: a child that is just being started keeps a copy of the descriptor until it runs its program.
func (s *store) release() error {
	return errors.Join(unix.Flock(int(s.f.Fd()), unix.LOCK_UN), s.f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
