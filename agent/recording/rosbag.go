package recording

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pierrec/lz4/v4"
)

// Records of a rosbag 2.0 (wiki.ros.org/Bags/Format/2.0).
const (
	bagMessage    = 0x02
	bagHeader     = 0x03
	bagIndex      = 0x04
	bagChunk      = 0x05
	bagChunkInfo  = 0x06
	bagConnection = 0x07
)

// rosbag reads a bag from its beginning to its end. Indexes are passed over: they help to jump, and a bag whose recorder
// was killed has none.
type rosbag struct {
	name string
	file io.Closer
	out  *stream
	want Want
	channels
	warnings

	// in is the chunk under way, nil between chunks; at is where it begins, rest what of it is unread in the file.
	in   *stream
	at   int64
	rest *counted
	lz4  *lz4.Reader

	head   []byte
	fields bagFields
	data   []byte
	large  int
}

func newRosbag(name string, s *stream, f io.Closer, want Want) (*rosbag, error) {
	b := &rosbag{name: name, file: f, out: s, want: want, channels: newChannels()}
	return b, s.skip(int64(len(rosbagMagic)))
}

// Offset implements Reader.
func (b *rosbag) Offset() int64 { return b.out.off }

// Close implements Reader.
func (b *rosbag) Close() error { return b.file.Close() }

// Warnings implements Reader.
func (b *rosbag) Warnings() []string {
	out := b.all()
	if b.large > 0 {
		out = append(out, fmt.Sprintf("%s: %d messages of more than %d bytes on topics of the mapping were passed over", b.name, b.large, MaxMessage))
	}
	return out
}

// Next implements Reader.
func (b *rosbag) Next(m *Message) error {
	for {
		if b.in == nil {
			if found, err := b.record(b.out, m); found || err != nil {
				return b.located(err)
			}
			continue
		}
		found, err := b.record(b.in, m)
		switch {
		case found:
			return nil
		case errors.Is(err, io.EOF):
			err = nil
		case err == nil:
			continue
		}
		if err = b.leave(err); err != nil {
			return b.located(err)
		}
	}
}

// leave ends a chunk. What is wrong inside is told; its length in the file still says where the next record begins.
func (b *rosbag) leave(err error) error {
	if err != nil {
		b.warn("%s: chunk at byte %d: %s; its remaining messages are not read", b.name, b.at, reason(err))
	}
	b.in = nil
	left := b.rest.left
	if err := b.out.skip(left); err != nil {
		return err
	}
	return nil
}

// fault is something wrong with a record.
type fault struct{ expected, found string }

// Error implements error.
func (f *fault) Error() string { return "expected " + f.expected + ", found " + f.found }

func wrong(expected, format string, a ...any) error {
	return &fault{expected, fmt.Sprintf(format, a...)}
}

func reason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends in the middle of a record"
	}
	return err.Error()
}

// located says of an error outside a chunk where in the file it is.
func (b *rosbag) located(err error) error {
	var f *fault
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return err
	case errors.As(err, &f):
		return &Damage{File: b.name, Offset: b.at, Expected: f.expected, Found: f.found}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Damage{File: b.name, Offset: b.at, Expected: "a whole record", Found: fmt.Sprintf("the end of the file at byte %d", b.out.off), Cut: true}
	}
	return err
}

// bagFields are the fields of a record's header that matter here.
type bagFields struct {
	op               byte
	conn, size       uint32
	hasConn, hasTime bool
	time             int64
	topic            string
	compression      string
}

// record reads one record. found is true if it was a message.
func (b *rosbag) record(s *stream, m *Message) (found bool, err error) {
	if s == b.out {
		b.at = s.off
	}
	n, err := s.u32()
	if err != nil {
		return false, err // the end, between two records
	}
	if n > maxHeader {
		return false, wrong(fmt.Sprintf("a record's header of at most %d bytes", maxHeader), "one of %d bytes", n)
	}
	b.head = grow(b.head, int(n))
	if err := s.full(b.head); err != nil {
		return false, cut(err)
	}
	if err := b.fields.read(b.head); err != nil {
		return false, err
	}
	size, err := s.u32()
	if err != nil {
		return false, cut(err)
	}
	switch b.fields.op {
	case bagMessage:
		return b.message(s, size, m)
	case bagConnection:
		return false, b.connection(s, size)
	case bagChunk:
		if s != b.out {
			return false, wrong("messages in a chunk", "a chunk in a chunk")
		}
		return false, b.chunk(size)
	case bagHeader, bagIndex, bagChunkInfo:
	default:
		return false, wrong("a record of a known kind", "kind 0x%02x", b.fields.op)
	}
	return false, s.skip(int64(size))
}

// eachField calls f for every field of a header.
func eachField(b []byte, f func(key string, value []byte)) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return wrong("a field's length", "%d bytes", len(b))
		}
		n := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return wrong(fmt.Sprintf("a field of at most %d bytes", len(b)), "one of %d bytes", n)
		}
		key, value, ok := bytes.Cut(b[:n], []byte{'='})
		if !ok {
			return wrong("a field key=value", "%q", b[:min(n, 40)])
		}
		f(string(key), value)
		b = b[n:]
	}
	return nil
}

func (h *bagFields) read(b []byte) error {
	*h = bagFields{}
	bad := false
	u32 := func(v []byte) uint32 {
		if len(v) != 4 {
			bad = true
			return 0
		}
		return binary.LittleEndian.Uint32(v)
	}
	err := eachField(b, func(key string, v []byte) {
		switch key {
		case "op":
			if len(v) == 1 {
				h.op = v[0]
			}
		case "conn":
			h.conn, h.hasConn = u32(v), true
		case "size":
			h.size = u32(v)
		case "time":
			if len(v) == 8 {
				h.time = int64(u32(v[:4]))*1e9 + int64(u32(v[4:]))
				h.hasTime = true
			}
		case "topic":
			h.topic = text(v)
		case "compression":
			h.compression = text(v)
		}
	})
	if err == nil && bad {
		err = wrong("numbers of four bytes in a record's header", "another length")
	}
	return err
}

// maxText bounds names from a file.
const maxText = 512

// text is a name from a file as it may stand on a terminal: what is not printable becomes '?', which is in no name that a
// mapping can list.
func text(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?'
	}, string(b[:min(len(b), maxText)]))
}

func (b *rosbag) message(s *stream, size uint32, m *Message) (bool, error) {
	ch := b.byID[b.fields.conn]
	if !b.fields.hasConn || !b.fields.hasTime || ch == nil {
		b.warn("%s: at byte %d: a message of an unknown connection is passed over", b.name, b.at)
		return false, s.skip(int64(size))
	}
	*m = Message{Channel: ch, Time: b.fields.time, Size: int64(size), Offset: b.at}
	if !b.channels.want[ch.ID] {
		return true, s.skip(int64(size))
	}
	if size > MaxMessage {
		b.large++
		return true, s.skip(int64(size))
	}
	b.data = grow(b.data, int(size))
	if err := s.full(b.data); err != nil {
		return false, cut(err)
	}
	m.Data = b.data
	return true, nil
}

func (b *rosbag) connection(s *stream, size uint32) error {
	if size > maxDescription {
		return wrong(fmt.Sprintf("a connection's description of at most %d bytes", maxDescription), "one of %d bytes", size)
	}
	raw, err := read(s, int(size))
	if err != nil {
		return err
	}
	ch := &Channel{ID: b.fields.conn, Topic: b.fields.topic, Encoding: EncodingROS1}
	if err := eachField(raw, func(key string, v []byte) {
		switch key {
		case "type":
			ch.Type = baseType(text(v))
		case "md5sum":
			ch.MD5 = text(v)
		case "callerid":
			ch.Publisher = text(v)
		}
	}); err != nil {
		return err
	}
	if err := b.channels.add(ch, b.want); err != nil {
		return wrong("each connection once", "%v", err)
	}
	return nil
}

// read reads n bytes in steps, so that a length that lies costs no more memory than there are bytes.
func read(s *stream, n int) ([]byte, error) {
	var out bytes.Buffer
	k, err := io.CopyN(&out, s, int64(n))
	if err != nil || k < int64(n) {
		return nil, cut(err)
	}
	return out.Bytes(), nil
}

// chunk begins a chunk: what it holds is decompressed as it is read.
func (b *rosbag) chunk(size uint32) error {
	b.rest = &counted{r: b.out, left: int64(size)}
	var r io.Reader
	in := &counted{left: maxUnpacked}
	switch {
	case b.fields.compression == "none":
		in.left = math.MaxInt64 // It is as long as it is.
	case b.fields.size > maxUnpacked:
		b.warn("%s: chunk at byte %d: expected at most %d bytes unpacked, found %d; it is not read", b.name, b.at, maxUnpacked, b.fields.size)
		return b.out.skip(int64(size))
	}
	switch b.fields.compression {
	case "none":
		r = b.rest
	case "bz2":
		r = bzip2.NewReader(b.rest)
	case "lz4":
		if b.lz4 == nil {
			b.lz4 = lz4.NewReader(b.rest)
		}
		b.lz4.Reset(b.rest)
		r = b.lz4
	default:
		b.warn("%s: chunk at byte %d: expected the compression none, bz2 or lz4, found %q; it is not read", b.name, b.at, b.fields.compression)
		return b.out.skip(int64(size))
	}
	in.r = r
	if b.fields.size > 0 {
		in.left = int64(b.fields.size)
	}
	b.in = newStream(in)
	return nil
}
