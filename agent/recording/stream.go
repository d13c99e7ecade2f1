package recording

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// stream reads bytes and counts them.
type stream struct {
	r   *bufio.Reader
	off int64
}

const bufferBytes = 256 << 10

func newStream(r io.Reader) *stream { return &stream{r: bufio.NewReaderSize(r, bufferBytes)} }

// Read implements io.Reader, for what decompresses.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.off += int64(n)
	return n, err
}

// full reads all of b, or fails: with io.EOF if nothing was there, io.ErrUnexpectedEOF if a part was.
func (s *stream) full(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.off += int64(n)
	return err
}

// skip passes over n bytes.
func (s *stream) skip(n int64) error {
	for n > 0 {
		k, err := s.r.Discard(int(min(n, 1<<30)))
		s.off += int64(k)
		n -= int64(k)
		if err != nil {
			return cut(err)
		}
	}
	return nil
}

func (s *stream) u32() (uint32, error) {
	var b [4]byte
	err := s.full(b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

// cut is err with an end in the middle named as such.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// counted limits a stream to what a chunk says that it holds, and remembers how much of it is left.
type counted struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// grow returns room for n bytes, which the caller has bounded.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n, max(n, 2*cap(b)))
	}
	return b[:n]
}
