package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
)

// block is what a file takes of the quota at least, as on most disks.
const block = 4096

// Options says how a log is written. Use [DefaultOptions]; zero values are errors.
type Options struct {
	// SegmentBytes is the largest size of one segment, at least 1 KiB.
	SegmentBytes int64
	// QuotaBytes bounds everything in the directory, files counted in whole
	// blocks of 4 KiB. At least three segments.
	QuotaBytes int64
	// RingBytes is the memory between appenders and writer, 4 KiB to 32 MiB,
	// rounded up to a power of two.
	RingBytes int
	// BootID names this boot of the machine.
	BootID [16]byte
	// WriteEvery is how often records go to the operating system; those survive a kill.
	WriteEvery time.Duration
	// SyncEvery is how often records that are not urgent go to the disk itself; those survive a power cut.
	SyncEvery time.Duration
	// Clock is the boot clock (CLOCK_BOOTTIME), for segment headers and gaps.
	Clock func() time.Duration
	// Wall is civil time for people; nothing relies on it.
	Wall func() time.Time
	// Rand is where the id of a new log comes from.
	Rand io.Reader
	// FS is the file system.
	FS FS
	// Log gets one line when writing starts to fail and one when it works again.
	Log zerolog.Logger
	// OnError, if not nil, is called by the writer when writing starts to fail or fails in another way.
	OnError func(error)
}

// DefaultOptions returns options for a log on the local disk: segments of
// 4 MiB, 256 MiB in all, a ring of 2 MiB, to the operating system every 10 ms
// and to the disk every 100 ms.
func DefaultOptions(bootID [16]byte, clock func() time.Duration) Options {
	return Options{
		SegmentBytes: 4 << 20,
		QuotaBytes:   256 << 20,
		RingBytes:    2 << 20,
		BootID:       bootID,
		WriteEvery:   10 * time.Millisecond,
		SyncEvery:    100 * time.Millisecond,
		Clock:        clock,
		Wall:         time.Now,
		Rand:         rand.Reader,
		FS:           OS(),
	}
}

// check names the first option that cannot work and what would.
func (o *Options) check() error {
	const minSegment = 1024
	switch {
	case o.SegmentBytes < minSegment:
		return fmt.Errorf("option SegmentBytes: expected at least %d, found %d", minSegment, o.SegmentBytes)
	case o.SegmentBytes > 1<<31:
		return fmt.Errorf("option SegmentBytes: expected at most %d, found %d", int64(1)<<31, o.SegmentBytes)
	case o.QuotaBytes < 3*blocks(o.SegmentBytes):
		return fmt.Errorf("option QuotaBytes: expected room for three segments, %d bytes, found %d", 3*blocks(o.SegmentBytes), o.QuotaBytes)
	case o.RingBytes < minRing || o.RingBytes > maxRing:
		return fmt.Errorf("option RingBytes: expected %d to %d, found %d", minRing, maxRing, o.RingBytes)
	case o.BootID == [16]byte{}:
		return errors.New("option BootID: expected the id of this boot, found zeros")
	case o.WriteEvery <= 0:
		return fmt.Errorf("option WriteEvery: expected a positive duration, found %v", o.WriteEvery)
	case o.SyncEvery <= 0:
		return fmt.Errorf("option SyncEvery: expected a positive duration, found %v", o.SyncEvery)
	case o.Clock == nil:
		return errors.New("option Clock: expected a boot clock, found none")
	case o.Wall == nil:
		return errors.New("option Wall: expected a clock of civil time, found none")
	case o.Rand == nil:
		return errors.New("option Rand: expected a source of random bytes, found none")
	case o.FS == nil:
		return errors.New("option FS: expected a file system, found none")
	}
	return nil
}

// maxPayload is the largest payload that fits into a segment and into the
// share of the ring that one record may take.
func (o *Options) maxPayload(ringBytes int) int {
	segment := o.SegmentBytes - headerLen - trailerLen - recordHead - sealLen
	return int(min(MaxPayload, segment, int64(ringBytes/ringShares-recordHead)))
}

// blocks rounds a file's size up to what it takes of the quota.
func blocks(n int64) int64 { return (n + block - 1) / block * block }
