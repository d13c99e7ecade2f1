package recording

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
	chunked
	head   []byte
	fields bagFields
}

func newRosbag(name string, s *stream, f io.Closer, want Want) (*rosbag, error) {
	b := &rosbag{chunked: newChunked(name, s, f, want)}
	return b, s.skip(int64(len(rosbagMagic)))
}

// Next implements Reader.
func (b *rosbag) Next(m *Message) error {
	for {
		if b.in == nil {
			found, err := b.record(b.out, m)
			if errors.Is(err, io.EOF) {
				return err // A bag ends wherever a record ends.
			}
			if found || err != nil {
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
		if err = b.leave(err, "; its remaining messages are not read"); err != nil {
			return b.located(err)
		}
	}
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

func (b *rosbag) message(s *stream, size uint32, m *Message) (bool, error) {
	ch := b.byID[b.fields.conn]
	if !b.fields.hasConn || !b.fields.hasTime || ch == nil {
		b.warn("%s: at byte %d: a message of an unknown connection is passed over", b.name, b.at)
		return false, s.skip(int64(size))
	}
	*m = Message{Channel: ch, Time: b.fields.time, Size: int64(size), Offset: b.at}
	return b.content(s, m)
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
		r = b.unpackLZ4()
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
