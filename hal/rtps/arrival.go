package rtps

import (
	"encoding/binary"
	"math/bits"
	"syscall"
	"time"
)

// stampBytes is room for the one control message that is asked for: a header and a timespec.
const stampBytes = 64

// stampArrivals asks the kernel to note when each datagram came in (SO_TIMESTAMPNS, on CLOCK_REALTIME). After a pause of
// this process, as by SIGSTOP or a starved computer, what waited in the socket must not look fresh.
func (s *socket) stampArrivals() error {
	var err error
	set := func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1) }
	if cerr := s.raw.Control(set); cerr != nil {
		return cerr
	}
	return err
}

// arrival is the kernel's note in a control message, in nanoseconds since the Unix epoch; 0 if there is none.
func arrival(oob []byte) int64 {
	const head, word = syscall.SizeofCmsghdr, bits.UintSize / 8
	if len(oob) < head+2*word {
		return 0
	}
	level, kind := binary.NativeEndian.Uint32(oob[word:]), binary.NativeEndian.Uint32(oob[word+4:])
	if level != syscall.SOL_SOCKET || kind != syscall.SCM_TIMESTAMPNS {
		return 0
	}
	if word == 4 {
		return int64(int32(binary.NativeEndian.Uint32(oob[head:])))*int64(time.Second) + int64(int32(binary.NativeEndian.Uint32(oob[head+4:])))
	}
	return int64(binary.NativeEndian.Uint64(oob[head:]))*int64(time.Second) + int64(binary.NativeEndian.Uint64(oob[head+8:]))
}

// received is when the datagram came in on the boot clock, by how long ago the kernel noted it. A civil clock that was set
// forward meanwhile makes it look older, which is the restrictive way; one that was set back makes it look as if it had
// come now.
func received(now time.Duration, civil, arrived int64) time.Duration {
	if arrived <= 0 || arrived >= civil {
		return now
	}
	return now - min(time.Duration(civil-arrived), now)
}
