package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// Records of MCAP (mcap.dev/spec).
const (
	mcapFooter  = 0x02
	mcapSchema  = 0x03
	mcapChannel = 0x04
	mcapMessage = 0x05
	mcapChunk   = 0x06
	mcapDataEnd = 0x0f
)

// maxWindow bounds the memory that a zstd frame may ask for.
const maxWindow = 8 << 20

// mcap reads an MCAP file from its beginning to the end of its data section. Indexes and the summary are passed over.
type mcap struct {
	chunked
	schemas map[uint16]string
	// sum and crc are the checksum of the chunk under way, as far as it was read and as the file has it.
	sum   hash.Hash32
	crc   uint32
	zstd  *zstd.Decoder
	ended bool
}

func newMCAP(name string, s *stream, f io.Closer, want Want) (*mcap, error) {
	b := &mcap{chunked: newChunked(name, s, f, want), schemas: map[uint16]string{}}
	return b, s.skip(int64(len(mcapMagic)))
}

// Close implements Reader.
func (b *mcap) Close() error {
	if b.zstd != nil {
		b.zstd.Close()
	}
	return b.file.Close()
}

// Next implements Reader.
func (b *mcap) Next(m *Message) error {
	for !b.ended {
		if b.in == nil {
			if found, err := b.record(b.out, m); found || err != nil {
				return b.ends(err)
			}
			continue
		}
		found, err := b.record(b.in, m)
		switch {
		case found:
			return nil
		case errors.Is(err, io.EOF):
			err = nil
			if b.crc != 0 && b.sum.Sum32() != b.crc {
				err = wrong(fmt.Sprintf("the checksum %08x", b.crc), "%08x: its messages may be damaged", b.sum.Sum32())
			}
		case err == nil:
			continue
		}
		if err = b.leave(err, ""); err != nil {
			return b.located(err)
		}
	}
	return io.EOF
}

// ends is located for an error between two records: a file that ends well has a data end and a footer.
func (b *mcap) ends(err error) error {
	if errors.Is(err, io.EOF) {
		return &Damage{File: b.name, Offset: b.out.off, Expected: "the end of the data section", Found: "the end of the file", Cut: true}
	}
	return b.located(err)
}

// record reads one record. found is true if it was a message.
func (b *mcap) record(s *stream, m *Message) (found bool, err error) {
	if s == b.out {
		b.at = s.off
	}
	var head [9]byte
	if err := s.full(head[:1]); err != nil {
		return false, err // the end, between two records
	}
	if err := s.full(head[1:]); err != nil {
		return false, cut(err)
	}
	size := binary.LittleEndian.Uint64(head[1:])
	if size > math.MaxInt64/2 {
		return false, wrong("a record's length", "%d bytes", size)
	}
	n := int64(size)
	switch head[0] {
	case mcapMessage:
		return b.message(s, n, m)
	case mcapSchema, mcapChannel:
		return false, b.describe(s, head[0], n)
	case mcapChunk:
		if s != b.out {
			return false, wrong("messages in a chunk", "a chunk in a chunk")
		}
		return false, b.chunk(n)
	case mcapDataEnd, mcapFooter:
		b.ended = s == b.out
	case 0:
		return false, wrong("a record of a known kind", "kind 0x00")
	}
	return false, s.skip(n)
}

func (b *mcap) message(s *stream, n int64, m *Message) (bool, error) {
	const headBytes = 2 + 4 + 8 + 8
	var head [headBytes]byte
	if n < headBytes {
		return false, wrong("a message of at least 22 bytes", "%d bytes", n)
	}
	if err := s.full(head[:]); err != nil {
		return false, cut(err)
	}
	n -= headBytes
	ch, at := b.byID[uint32(binary.LittleEndian.Uint16(head[:]))], binary.LittleEndian.Uint64(head[6:])
	if ch == nil || at > math.MaxInt64 {
		b.warn("%s: at byte %d: a message of an unknown channel or time is passed over", b.name, b.at)
		return false, s.skip(n)
	}
	*m = Message{Channel: ch, Time: int64(at), Size: n, Offset: b.at}
	return b.content(s, m)
}

// describe takes a schema or a channel.
func (b *mcap) describe(s *stream, kind byte, n int64) error {
	if n > maxDescription {
		return wrong(fmt.Sprintf("a description of at most %d bytes", maxDescription), "one of %d bytes", n)
	}
	raw, err := read(s, int(n))
	if err != nil {
		return err
	}
	p := parts{b: raw}
	id := p.u16()
	if kind == mcapSchema {
		name := p.text()
		if p.short {
			return wrong("a whole schema", "one of %d bytes", n)
		}
		if len(b.schemas) >= maxChannels {
			return wrong(fmt.Sprintf("at most %d schemas", maxChannels), "more")
		}
		b.schemas[id] = baseType(name)
		return nil
	}
	ch := &Channel{ID: uint32(id), Type: b.schemas[p.u16()], Topic: baseTopic(p.text()), Encoding: p.text()}
	meta := parts{b: p.take(p.u32())}
	for len(meta.b) > 0 && !meta.short {
		switch key, value := meta.text(), meta.text(); key {
		case "callerid":
			ch.Publisher = value
		case "md5sum":
			ch.MD5 = value
		case "robowarden_role":
			ch.Role = value
		}
	}
	if p.short || meta.short {
		return wrong("a whole channel", "one of %d bytes", n)
	}
	if err := b.channels.add(ch, b.want); err != nil {
		return wrong("each channel once", "%v", err)
	}
	return nil
}

// parts reads the fields of a description; after one that does not fit, short stays true.
type parts struct {
	b     []byte
	short bool
}

func (p *parts) take(n uint32) []byte {
	if uint64(n) > uint64(len(p.b)) {
		p.b, p.short = nil, true
		return nil
	}
	out := p.b[:n]
	p.b = p.b[n:]
	return out
}

func (p *parts) u16() uint16 {
	if b := p.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (p *parts) u32() uint32 {
	if b := p.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (p *parts) text() string { return text(p.take(p.u32())) }

// chunk begins a chunk: what it holds is decompressed as it is read.
func (b *mcap) chunk(n int64) error {
	const fixed = 8 + 8 + 8 + 4
	b.rest = &counted{r: b.out, left: n}
	var head [fixed + 4]byte
	if _, err := io.ReadFull(b.rest, head[:]); err != nil {
		return b.inChunk(err, n)
	}
	name := make([]byte, min(binary.LittleEndian.Uint32(head[fixed:]), maxText))
	if _, err := io.ReadFull(b.rest, name); err != nil {
		return b.inChunk(err, n)
	}
	var size [8]byte
	if _, err := io.ReadFull(b.rest, size[:]); err != nil {
		return b.inChunk(err, n)
	}
	plain := binary.LittleEndian.Uint64(head[16:])
	if left := binary.LittleEndian.Uint64(size[:]); left != uint64(b.rest.left) || plain > math.MaxInt64 { //nolint:gosec // not negative
		return wrong(fmt.Sprintf("%d bytes of records in a chunk", b.rest.left), "%d, of %d bytes unpacked", left, plain)
	}
	if len(name) > 0 && plain > maxUnpacked {
		b.warn("%s: chunk at byte %d: expected at most %d bytes unpacked, found %d; it is not read", b.name, b.at, maxUnpacked, plain)
		return b.out.skip(b.rest.left)
	}
	r, err := b.unpack(string(name))
	if err != nil {
		b.warn("%s: chunk at byte %d: %v; it is not read", b.name, b.at, err)
		return b.out.skip(b.rest.left)
	}
	b.crc, b.sum = binary.LittleEndian.Uint32(head[24:]), crc32.NewIEEE()
	b.in = newStream(io.TeeReader(&counted{r: r, left: int64(plain)}, b.sum))
	return nil
}

// inChunk tells an end of the file from a chunk that is too short for its own head.
func (b *mcap) inChunk(err error, n int64) error {
	if b.rest.left > 0 {
		return cut(err)
	}
	return wrong("a chunk with its head", "one of %d bytes", n)
}

func (b *mcap) unpack(compression string) (io.Reader, error) {
	switch compression {
	case "":
		return b.rest, nil
	case "lz4":
		return b.unpackLZ4(), nil
	case "zstd":
		if b.zstd == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			b.zstd = d
		}
		return b.zstd, b.zstd.Reset(b.rest)
	}
	return nil, wrong("the compression none, lz4 or zstd", "%q", compression)
}
