package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pierrec/lz4/v4"
)

// chunked is what a rosbag and an MCAP file have in common: records, of which some are chunks of further ones, compressed.
type chunked struct {
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

	data  []byte
	large int
}

func newChunked(name string, s *stream, f io.Closer, want Want) chunked {
	return chunked{name: name, file: f, out: s, want: want, channels: newChannels()}
}

// Offset implements Reader.
func (b *chunked) Offset() int64 { return b.out.off }

// Close implements Reader.
func (b *chunked) Close() error { return b.file.Close() }

// Warnings implements Reader.
func (b *chunked) Warnings() []string {
	out := b.all()
	if b.large > 0 {
		out = append(out, fmt.Sprintf("%s: %d messages of more than %d bytes on topics of the mapping were passed over", b.name, b.large, MaxMessage))
	}
	return out
}

// content reads what a message holds, if it is wanted and no larger than may be.
func (b *chunked) content(s *stream, m *Message) (bool, error) {
	if !b.channels.want[m.Channel.ID] {
		return true, s.skip(m.Size)
	}
	if m.Size > MaxMessage {
		b.large++
		return true, s.skip(m.Size)
	}
	b.data = grow(b.data, int(m.Size))
	if err := s.full(b.data); err != nil {
		return false, cut(err)
	}
	m.Data = b.data
	return true, nil
}

// leave ends a chunk. What is wrong inside is told; its length in the file still says where the next record begins.
func (b *chunked) leave(err error, consequence string) error {
	if err != nil {
		b.warn("%s: chunk at byte %d: %s%s", b.name, b.at, reason(err), consequence)
	}
	b.in = nil
	return b.out.skip(b.rest.left)
}

func (b *chunked) unpackLZ4() io.Reader {
	if b.lz4 == nil {
		b.lz4 = lz4.NewReader(b.rest)
	}
	b.lz4.Reset(b.rest)
	return b.lz4
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
func (b *chunked) located(err error) error {
	var f *fault
	switch {
	case errors.As(err, &f):
		return &Damage{File: b.name, Offset: b.at, Expected: f.expected, Found: f.found}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Damage{File: b.name, Offset: b.at, Expected: "a whole record", Found: fmt.Sprintf("the end of the file at byte %d", b.out.off), Cut: true}
	}
	return err
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
