package flight

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"slices"
)

// Opcodes of MCAP's records (mcap.dev/spec).
const (
	opHeader       = 0x01
	opFooter       = 0x02
	opSchema       = 0x03
	opChannel      = 0x04
	opMessage      = 0x05
	opChunk        = 0x06
	opMessageIndex = 0x07
	opChunkIndex   = 0x08
	opStatistics   = 0x0b
	opMetadata     = 0x0c
	opMetaIndex    = 0x0d
	opDataEnd      = 0x0f
)

const magic = "\x89MCAP0\r\n"

// chunkBytes is the size at which a chunk is written: what a kill costs at most, and what the writer keeps in memory.
const chunkBytes = 256 << 10

// channel is one stream of messages of one type.
type channel struct {
	topic, encoding              string
	schema, language, schemaText string
	meta                         map[string]string
}

// writer writes an MCAP file: chunks without compression, each followed by its indexes, and a summary at the end. A file that
// is cut is whole up to its last whole chunk, and without the summary, which is what says that it is whole.
type writer struct {
	out io.Writer
	at  uint64
	err error

	channels []channel
	open     map[string]uint16
	counts   []uint64 // by channel
	meta     []byte   // its index record

	chunk       []byte
	first, last uint64   // of the chunk
	index       [][]byte // of the chunk, by channel
	inChunk     int
	chunks      []byte // index records
	nChunks     uint32

	messages   uint64
	start, end uint64
	buf        []byte
}

func newWriter(out io.Writer, meta map[string]string) *writer {
	w := &writer{out: out, open: map[string]uint16{}}
	w.write([]byte(magic))
	w.write(record(nil, opHeader, text(text(nil, "ros1"), "robowarden flight recorder")))
	at := w.at
	w.write(record(nil, opMetadata, table(text(nil, "robowarden"), meta)))
	index := text(u64(u64(nil, at), w.at-at), "robowarden")
	w.meta = record(nil, opMetaIndex, index)
	return w
}

func (w *writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(b)
	w.at += uint64(n) //nolint:gosec // a count
	w.err = err
}

// channel returns the number of a channel, which is described in the chunk where it is first used.
func (w *writer) channel(key string, describe func() channel) uint16 {
	id, ok := w.open[key]
	if ok {
		return id
	}
	c := describe()
	w.channels = append(w.channels, c)
	id = uint16(len(w.channels)) //nolint:gosec // as many as the mapping has topics
	w.open[key] = id
	w.counts, w.index = append(w.counts, 0), append(w.index, nil)
	w.chunk = appendChannel(w.chunk, id, &c)
	return id
}

// appendChannel appends a channel behind its schema, both under the same number.
func appendChannel(b []byte, id uint16, c *channel) []byte {
	schema := text(text(u16(nil, id), c.schema), c.language)
	schema = append(u32(schema, len(c.schemaText)), c.schemaText...)
	b = record(b, opSchema, schema)
	return record(b, opChannel, table(text(text(u16(u16(nil, id), id), c.topic), c.encoding), c.meta))
}

// message appends one message, received at a time in nanoseconds since the Unix epoch.
func (w *writer) message(id uint16, at uint64, data []byte) {
	if w.inChunk == 0 || at < w.first {
		w.first = at
	}
	w.last = max(w.last, at)
	if w.messages == 0 || at < w.start {
		w.start = at
	}
	w.end = max(w.end, at)
	w.inChunk++
	w.index[id-1] = u64(u64(w.index[id-1], at), uint64(len(w.chunk)))
	w.buf = u64(u64(u32(u16(w.buf[:0], id), int(w.counts[id-1]&0xffffffff)), at), at)
	w.buf = append(w.buf, data...)
	w.chunk = record(w.chunk, opMessage, w.buf)
	w.messages++
	w.counts[id-1]++
	if len(w.chunk) >= chunkBytes {
		w.flush()
	}
}

// flush writes the chunk under way and its indexes.
func (w *writer) flush() {
	if w.inChunk == 0 {
		return
	}
	at := w.at
	n := uint64(len(w.chunk))
	head := u32(u64(u64(u64(nil, w.first), w.last), n), int(crc32.ChecksumIEEE(w.chunk)))
	head = u64(text(head, ""), n)
	w.write(append(u64([]byte{opChunk}, uint64(len(head))+n), head...))
	w.write(w.chunk)
	size := w.at - at
	indexes := w.at
	var offsets []byte
	for i, list := range w.index {
		if len(list) == 0 {
			continue
		}
		id := uint16(i + 1) //nolint:gosec // as many as the mapping has topics
		offsets = u64(u16(offsets, id), w.at)
		w.write(record(nil, opMessageIndex, append(u32(u16(nil, id), len(list)), list...)))
		w.index[i] = list[:0]
	}
	offsets = append(u32(nil, len(offsets)), offsets...)
	entry := u64(u64(u64(u64(nil, w.first), w.last), at), size)
	entry = u64(append(entry, offsets...), w.at-indexes)
	w.chunks = record(w.chunks, opChunkIndex, u64(u64(text(entry, ""), n), n))
	w.nChunks++
	w.chunk, w.first, w.last, w.inChunk = w.chunk[:0], 0, 0, 0
}

// finish writes what makes the file whole.
func (w *writer) finish() error {
	w.flush()
	w.write(record(nil, opDataEnd, u32(nil, 0)))
	start := w.at
	var b []byte
	for i := range w.channels {
		b = appendChannel(b, uint16(i+1), &w.channels[i]) //nolint:gosec // as many as the mapping has topics
	}
	n := len(w.channels)
	stats := u32(u32(u32(u16(u64(nil, w.messages), uint16(n)), n), 0), 1) //nolint:gosec // a handful
	stats = u64(u64(u32(stats, int(w.nChunks)), w.start), w.end)
	stats = u32(stats, 10*len(w.counts))
	for i, count := range w.counts {
		stats = u64(u16(stats, uint16(i+1)), count) //nolint:gosec // as many as the mapping has topics
	}
	b = append(append(record(b, opStatistics, stats), w.chunks...), w.meta...)
	// The summary's checksum covers it and the footer up to the checksum itself.
	b = append(b, opFooter)
	b = u64(u64(u64(b, 20), start), 0)
	b = u32(b, int(crc32.ChecksumIEEE(b)))
	w.write(append(b, magic...))
	return w.err
}

// What appends to a buffer is not inlined: it is called from a hundred places, and none of them is on the path.

//go:noinline
func record(b []byte, op byte, content []byte) []byte {
	return append(u64(append(b, op), uint64(len(content))), content...)
}

//go:noinline
func u16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }

//go:noinline
func u32(b []byte, v int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(v)) } //nolint:gosec // lengths and checksums

//go:noinline
func u64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

//go:noinline
func text(b []byte, s string) []byte { return append(u32(b, len(s)), s...) }

// table appends a map of texts, its keys in order.
func table(b []byte, m map[string]string) []byte {
	var content []byte
	for _, k := range slices.Sorted(maps.Keys(m)) {
		content = text(text(content, k), m[k])
	}
	return append(u32(b, len(content)), content...)
}
